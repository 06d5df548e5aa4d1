import createClient from "openapi-fetch";
import type { paths } from "./bridge.js";

type Json = "application/json" | "application/problem+json"; // of the forms that a body may have
const bridge = createClient<paths, Json>({ baseUrl: process.argv[2] ?? "http://127.0.0.1:6007" });
const { data, error } = await bridge.POST("/api/v1/write", {
  body: { runs: [{ run: "typescript/first", scalars: [{ tag: "loss", values: [0.9, 0.7, 0.6] }] }] },
});
if (error) throw new Error(error.detail);
console.log(data.accepted);
const read = await bridge.GET("/api/v1/scalars", { params: { query: { run: "typescript/first", tag: "loss" } } });
console.log(read.data);
