// Every kind through the client that openapi-generator makes; prints what came of it as one line of JSON.
package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"sort"
	"strconv"
	"time"

	"example/bridge"
)

const run = "go/all"

var ctx = context.Background()

func of[T any](value T) *T { return &value }

func number(value float64) bridge.NumberValue { return bridge.NumberValue{Float64: &value} }

func special(value bridge.SpecialNumber) bridge.NumberValue {
	return bridge.NumberValue{SpecialNumber: &value}
}

func must[T any](value T, _ *http.Response, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

// refusal is what the bridge said no with, as the generated model.
func refusal(err error) bridge.Problem {
	var refused *bridge.GenericOpenAPIError
	if !errors.As(err, &refused) {
		log.Fatalf("no refusal: %v", err)
	}
	return refused.Model().(bridge.Problem)
}

func everything(samples map[string]string) bridge.RunBatch {
	rate, success := int64(8000), bridge.SESSIONSTATUS_SUCCESS
	zero, half, one := number(0), number(0.5), number(1)
	return bridge.RunBatch{
		Run: of(run),
		Scalars: []bridge.ScalarColumns{{
			Tag:   "loss",
			Steps: []int64{1, 2, 3, 4},
			Values: []bridge.NumberValue{
				half, special(bridge.SPECIALNUMBER_NAN), special(bridge.SPECIALNUMBER_INFINITY), special(bridge.SPECIALNUMBER_NEGATIVE_INFINITY),
			},
		}},
		Summaries: []bridge.Summary{
			{ScalarSummary: &bridge.ScalarSummary{Kind: "scalar", Tag: "accuracy", Step: of(int64(5_000_000_000)), Value: number(0.75)}},
			{TextSummary: bridge.NewTextSummary("note", "text", "learning **well**")},
			{HistogramSummary: &bridge.HistogramSummary{Kind: "histogram", Tag: "weights", Values: []bridge.NumberValue{number(-1), zero, half, number(2)}}},
			{ImageSummary: &bridge.ImageSummary{Kind: "image", Tag: "picture", Images: []string{samples["png"]}}},
			{AudioSummary: &bridge.AudioSummary{Kind: "audio", Tag: "tone", Samples: []interface{}{0, 0.5, 0, -0.5}, SampleRate: &rate}},
			{PrCurveSummary: &bridge.PrCurveSummary{Kind: "pr_curve", Tag: "curve", Labels: []interface{}{1, 0, 1}, Predictions: []bridge.NumberValue{one, zero, half}}},
			{MeshSummary: &bridge.MeshSummary{
				Kind: "mesh", Tag: "triangle",
				Vertices: []interface{}{[]float64{0, 0, 0}, []float64{1, 0, 0}, []float64{0, 1, 0}},
				Faces:    []interface{}{[]int{0, 1, 2}},
			}},
			{EmbeddingSummary: &bridge.EmbeddingSummary{
				Kind: "embedding", Tag: "words",
				Matrix: []interface{}{[]float64{0, 1}, []float64{1, 0}}, Metadata: [][]string{{"cat"}, {"dog"}},
			}},
			{GraphSummary: bridge.NewGraphSummary("graph", samples["graph"])},
			{RunMetadataSummary: bridge.NewRunMetadataSummary("profile", "run_metadata", samples["run_metadata"])},
			{HParamsSummary: &bridge.HParamsSummary{
				Kind:   "hparams",
				Values: map[string]bridge.HParamValue{"lr": {Float64: of(0.001)}, "optimizer": {String: of("adam")}, "augment": {Bool: of(true)}},
				Status: &success,
			}},
			{CustomScalarsSummary: bridge.NewCustomScalarsSummary("custom_scalars", []bridge.Category{
				{Title: "all", Charts: []bridge.Chart{{Title: "loss", Multiline: []string{"loss"}}}},
			})},
			{TensorSummary: &bridge.TensorSummary{Kind: "tensor", Tag: "confusion", Values: []interface{}{[]int{5, 1}, []int{0, 7}}}},
			{RawSummary: bridge.NewRawSummary("raw", samples["raw"])},
		},
		Logs: []bridge.LogRecord{{Message: "done", Level: of(int64(20))}},
	}
}

func main() {
	var samples map[string]string
	if err := json.Unmarshal([]byte(os.Args[2]), &samples); err != nil {
		log.Fatal(err)
	}
	config := bridge.NewConfiguration()
	config.Servers = bridge.ServerConfigurations{{URL: os.Args[1]}}
	client := bridge.NewAPIClient(config)
	write := func(batch bridge.RunBatch) (*bridge.WriteResponse, *http.Response, error) {
		return client.WriteAPI.Write(ctx).WriteRequest(bridge.WriteRequest{Runs: []bridge.RunBatch{batch}}).Execute()
	}

	body := bridge.WriteRequest{Writer: of("go-1"), Seq: of(int64(1)), Runs: []bridge.RunBatch{everything(samples)}}
	first := must(client.WriteAPI.Write(ctx).WriteRequest(body).Execute())
	again := must(client.WriteAPI.Write(ctx).WriteRequest(body).Execute())
	series := must(client.ReadAPI.ReadScalars(ctx).Run(run).Tag("loss").Execute()).ScalarSeries
	far := must(client.ReadAPI.ReadScalars(ctx).Run(run).Tag("accuracy").MinStep(4_000_000_000).Execute()).ScalarSeries
	texts := must(client.ReadAPI.ReadTexts(ctx).Run(run).Tag("note").Execute())
	var given map[string]*bridge.HParamValue
	for _, one := range must(client.ReadAPI.ReadHparams(ctx).Run(run).Execute()).Values {
		if one.Values != nil {
			given = one.Values
		}
	}
	kinds := map[string]bool{}
	for _, tag := range must(client.ReadAPI.ListRuns(ctx).Run(run).Execute()).Runs[0].Tags {
		kinds[tag.Kind] = true
	}
	names := make([]string, 0, len(kinds))
	for name := range kinds {
		names = append(names, name)
	}
	sort.Strings(names)
	picture, err := io.ReadAll(must(client.ReadAPI.ReadBlob(ctx).Run(run).Tag("picture").Execute()))
	if err != nil {
		log.Fatal(err)
	}
	archive := must(client.ManageAPI.GetArchive(ctx).Run(run).Execute())
	restored := must(client.ManageAPI.PutArchive(ctx).Run("go/copy").Body(archive).Execute())

	loss := bridge.ScalarColumns{Tag: "loss", Steps: []int64{1}, Values: []bridge.NumberValue{number(1), number(2)}}
	_, _, err = write(bridge.RunBatch{Run: of(run), Scalars: []bridge.ScalarColumns{loss}})
	refused := refusal(err)

	loss.Steps, loss.Values = nil, loss.Values[:1]
	busy := bridge.RunBatch{Run: of("busy/go"), Scalars: []bridge.ScalarColumns{loss}}
	_, answer, err := write(busy)
	no := refusal(err)
	seconds, err := strconv.Atoi(answer.Header.Get("Retry-After"))
	if err != nil {
		log.Fatal(err)
	}
	time.Sleep(time.Duration(seconds) * time.Second)
	yes := must(write(busy))

	report, err := json.Marshal(map[string]interface{}{
		"accepted":  first.Accepted,
		"duplicate": again.Duplicate,
		"values":    series.Values,
		"far_steps": far.Steps,
		"text":      texts.Values[0].Texts[0],
		"hparams":   given,
		"kinds":     names,
		"picture":   base64.StdEncoding.EncodeToString(picture),
		"restored":  restored.Run,
		"refused":   []interface{}{refused.Status, refused.Code, refused.Errors[0].Path},
		"busy":      []interface{}{no.Status, no.Code, yes.Accepted},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(report))
}
