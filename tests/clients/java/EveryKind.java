import bridge.ApiClient;
import bridge.ApiException;
import bridge.JSON;
import bridge.api.ManageApi;
import bridge.api.ReadApi;
import bridge.api.WriteApi;
import bridge.model.AudioSummary;
import bridge.model.Category;
import bridge.model.Chart;
import bridge.model.CustomScalarsSummary;
import bridge.model.EmbeddingSummary;
import bridge.model.GraphSummary;
import bridge.model.HParamValue;
import bridge.model.HParamsSummary;
import bridge.model.HistogramSummary;
import bridge.model.ImageSummary;
import bridge.model.LogRecord;
import bridge.model.MeshSummary;
import bridge.model.NumberValue;
import bridge.model.PrCurveSummary;
import bridge.model.Problem;
import bridge.model.RawSummary;
import bridge.model.Restored;
import bridge.model.RunBatch;
import bridge.model.RunMetadataSummary;
import bridge.model.ScalarColumns;
import bridge.model.ScalarSummary;
import bridge.model.SessionStatus;
import bridge.model.SpecialNumber;
import bridge.model.StoredHParams;
import bridge.model.Summary;
import bridge.model.TagDescription;
import bridge.model.TensorSummary;
import bridge.model.TextSummary;
import bridge.model.WriteRequest;
import bridge.model.WriteResponse;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.File;
import java.net.URI;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;

/** Every kind through the client that openapi-generator makes; prints what came of it as one line of JSON. */
class EveryKind {
  private static final String RUN = "java/all";
  private static final ObjectMapper MAPPER = JSON.getDefault().getMapper();

  public static void main(String[] args) throws Exception {
    ApiClient client = new ApiClient();
    client.updateBaseUri(args[0]);
    WriteApi writes = new WriteApi(client);
    ReadApi reads = new ReadApi(client);
    ManageApi manages = new ManageApi(client);
    Map<String, Object> report = new LinkedHashMap<>();

    WriteRequest body = new WriteRequest().writer("java-1").seq(1L).addRunsItem(everything(MAPPER.readValue(args[1], Samples.class)));
    report.put("accepted", writes.write(body, null, null).getAccepted());
    report.put("duplicate", writes.write(body, null, null).getDuplicate());
    report.put("values", reads.readScalars(RUN, "loss", null, null, null, null, null).getScalarSeries().getValues());
    report.put("far_steps", reads.readScalars(RUN, "accuracy", null, null, 4_000_000_000L, null, null).getScalarSeries().getSteps());
    report.put("text", reads.readTexts(RUN, "note", null, null).getValues().get(0).getTexts().get(0));
    for (StoredHParams one : reads.readHparams(RUN, null, null, null).getValues()) {
      if (one.getValues() != null) report.put("hparams", one.getValues());
    }
    TreeSet<String> kinds = new TreeSet<>();
    for (TagDescription tag : reads.listRuns(RUN).getRuns().get(0).getTags()) kinds.add(tag.getKind());
    report.put("kinds", kinds);
    File picture = reads.readBlob(RUN, "picture", null, null, null, null, null);
    report.put("picture", Files.readAllBytes(picture.toPath()));
    report.put("restored", restore(args[0], "java/copy", manages.getArchive(RUN)).getRun());

    ScalarColumns loss = new ScalarColumns().tag("loss").addValuesItem(new NumberValue(1.0));
    ScalarColumns wrong = new ScalarColumns().tag("loss").addStepsItem(1L).addValuesItem(new NumberValue(1.0)).addValuesItem(new NumberValue(2.0));
    ApiException refused = refusal(writes, RUN, wrong);
    Problem problem = MAPPER.readValue(refused.getResponseBody(), Problem.class);
    report.put("refused", List.of(refused.getCode(), problem.getCode(), problem.getErrors().get(0).getPath()));

    ApiException no = refusal(writes, "busy/java", loss);
    Thread.sleep(1000 * Long.parseLong(no.getResponseHeaders().firstValue("Retry-After").orElseThrow()));
    WriteResponse yes = writes.write(new WriteRequest().addRunsItem(new RunBatch().run("busy/java").addScalarsItem(loss)), null, null);
    report.put("busy", List.of(no.getCode(), MAPPER.readValue(no.getResponseBody(), Problem.class).getCode(), yes.getAccepted()));
    System.out.println(MAPPER.writeValueAsString(report));
  }

  /** By hand: putArchive of the generator's native library sends the file's path as JSON, where its bytes are meant. */
  private static Restored restore(String address, String run, File archive) throws Exception {
    HttpRequest request =
        HttpRequest.newBuilder(URI.create(address + "/api/v1/archive?run=" + URLEncoder.encode(run, StandardCharsets.UTF_8)))
            .header("Content-Type", "application/zip")
            .PUT(HttpRequest.BodyPublishers.ofFile(archive.toPath()))
            .build();
    String answer = HttpClient.newHttpClient().send(request, HttpResponse.BodyHandlers.ofString()).body();
    return MAPPER.readValue(answer, Restored.class);
  }

  private static ApiException refusal(WriteApi writes, String run, ScalarColumns points) {
    try {
      writes.write(new WriteRequest().addRunsItem(new RunBatch().run(run).addScalarsItem(points)), null, null);
    } catch (ApiException refused) {
      return refused;
    }
    throw new AssertionError("it was taken");
  }

  /** Base64 in JSON, bytes here: a picture, and messages of TensorFlow's. */
  record Samples(byte[] png, byte[] graph, byte[] run_metadata, byte[] raw) {}

  private static RunBatch everything(Samples samples) {
    NumberValue zero = new NumberValue(0.0), half = new NumberValue(0.5), one = new NumberValue(1.0);
    List<NumberValue> values =
        List.of(half, new NumberValue(SpecialNumber.NAN), new NumberValue(SpecialNumber.INFINITY), new NumberValue(SpecialNumber.NEGATIVE_INFINITY));
    Chart chart = new Chart().title("loss").addMultilineItem("loss");
    return new RunBatch()
        .run(RUN)
        .addScalarsItem(new ScalarColumns().tag("loss").steps(List.of(1L, 2L, 3L, 4L)).values(values))
        .addSummariesItem(new Summary(new ScalarSummary().tag("accuracy").step(5_000_000_000L).value(new NumberValue(0.75))))
        .addSummariesItem(new Summary(new TextSummary().tag("note").text("learning **well**")))
        .addSummariesItem(new Summary(new HistogramSummary().tag("weights").values(List.of(zero, half, one))))
        .addSummariesItem(new Summary(new ImageSummary().tag("picture").addImagesItem(samples.png())))
        .addSummariesItem(new Summary(new AudioSummary().tag("tone").samples(List.of(0, 0.5, 0, -0.5)).sampleRate(8000L)))
        .addSummariesItem(new Summary(new PrCurveSummary().tag("curve").labels(List.of(1, 0, 1)).predictions(List.of(one, zero, half))))
        .addSummariesItem(
            new Summary(
                new MeshSummary()
                    .tag("triangle")
                    .vertices(List.of(List.of(0, 0, 0), List.of(1, 0, 0), List.of(0, 1, 0)))
                    .addFacesItem(List.of(0, 1, 2))))
        .addSummariesItem(
            new Summary(
                new EmbeddingSummary()
                    .tag("words")
                    .matrix(List.of(List.of(0, 1), List.of(1, 0)))
                    .metadata(List.of(List.of("cat"), List.of("dog")))))
        .addSummariesItem(new Summary(new GraphSummary().graphDef(samples.graph())))
        .addSummariesItem(new Summary(new RunMetadataSummary().tag("profile").runMetadata(samples.run_metadata())))
        .addSummariesItem(
            new Summary(
                new HParamsSummary()
                    .putValuesItem("lr", new HParamValue(0.001))
                    .putValuesItem("optimizer", new HParamValue("adam"))
                    .putValuesItem("augment", new HParamValue(true))
                    .status(SessionStatus.SUCCESS)))
        .addSummariesItem(
            new Summary(new CustomScalarsSummary().addCategoriesItem(new Category().title("all").addChartsItem(chart))))
        .addSummariesItem(new Summary(new TensorSummary().tag("confusion").values(List.of(List.of(5, 1), List.of(0, 7)))))
        .addSummariesItem(new Summary(new RawSummary().value(samples.raw())))
        .addLogsItem(new LogRecord().message("done").level(20L));
  }
}
