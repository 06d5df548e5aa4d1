import bridge.ApiClient;
import bridge.api.ReadApi;
import bridge.api.WriteApi;
import bridge.model.NumberValue;
import bridge.model.RunBatch;
import bridge.model.ScalarColumns;
import bridge.model.WriteRequest;

class FirstPoint {
  public static void main(String[] args) throws Exception {
    ApiClient client = new ApiClient(); // http://127.0.0.1:6007, unless told otherwise
    if (args.length > 0) client.updateBaseUri(args[0]);
    ScalarColumns points = new ScalarColumns().tag("loss").addValuesItem(new NumberValue(0.9));
    WriteRequest body = new WriteRequest().addRunsItem(new RunBatch().run("java/first").addScalarsItem(points));
    System.out.println(new WriteApi(client).write(body, null, null).getAccepted());
    System.out.println(new ReadApi(client).readScalars("java/first", "loss", null, null, null, null, null));
  }
}
