package main

import (
	"context"
	"fmt"
	"log"
	"os"

	"example/bridge"
)

func main() {
	config := bridge.NewConfiguration() // http://127.0.0.1:6007, unless told otherwise
	if len(os.Args) > 1 {
		config.Servers = bridge.ServerConfigurations{{URL: os.Args[1]}}
	}
	client := bridge.NewAPIClient(config)
	loss, run := 0.9, "go/first"
	points := bridge.ScalarColumns{Tag: "loss", Values: []bridge.NumberValue{{Float64: &loss}}}
	body := bridge.WriteRequest{Runs: []bridge.RunBatch{{Run: &run, Scalars: []bridge.ScalarColumns{points}}}}
	answer, _, err := client.WriteAPI.Write(context.Background()).WriteRequest(body).Execute()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(answer.Accepted)
	read, _, err := client.ReadAPI.ReadScalars(context.Background()).Run(run).Tag("loss").Execute()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(read.ScalarSeries.Steps, *read.ScalarSeries.Values[0].Float64)
}
