package javax.annotation;

/** Of JSR 250, which Maven would bring; generated classes are marked with it. */
public @interface Generated {
  String value();

  String date() default "";

  String comments() default "";
}
