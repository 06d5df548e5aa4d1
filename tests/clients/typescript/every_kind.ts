// Every kind through the types that openapi-typescript generates; prints what came of it as one line of JSON.
import { setTimeout as sleep } from "node:timers/promises";
import createClient from "openapi-fetch";
import type { components, paths } from "./bridge.js";

type Json = "application/json" | "application/problem+json";
type RunBatch = components["schemas"]["RunBatch"];

const RUN = "typescript/all";
const samples = JSON.parse(process.argv[3]!) as Record<"png" | "graph" | "run_metadata" | "raw", string>;
const bridge = createClient<paths, Json>({ baseUrl: process.argv[2] });

const run: RunBatch = {
  run: RUN,
  scalars: [{ tag: "loss", steps: [1, 2, 3, 4], values: [0.5, "NaN", "Infinity", "-Infinity"] }],
  summaries: [
    { kind: "scalar", tag: "accuracy", step: 5_000_000_000, value: 0.75 },
    { kind: "text", tag: "note", text: "learning **well**" },
    { kind: "histogram", tag: "weights", values: [-1, 0, 0.5, 2] },
    { kind: "image", tag: "picture", images: [samples.png] },
    { kind: "audio", tag: "tone", samples: [0, 0.5, 0, -0.5], sample_rate: 8000 },
    { kind: "pr_curve", tag: "curve", labels: [1, 0, 1], predictions: [0.9, 0.2, 0.6] },
    { kind: "mesh", tag: "triangle", vertices: [[0, 0, 0], [1, 0, 0], [0, 1, 0]], faces: [[0, 1, 2]] },
    { kind: "embedding", tag: "words", matrix: [[0, 1], [1, 0]], metadata: [["cat"], ["dog"]] },
    { kind: "graph", graph_def: samples.graph },
    { kind: "run_metadata", tag: "profile", run_metadata: samples.run_metadata },
    { kind: "hparams", values: { lr: 0.001, optimizer: "adam", augment: true }, status: "success" },
    { kind: "custom_scalars", categories: [{ title: "all", charts: [{ title: "loss", multiline: ["loss"] }] }] },
    { kind: "tensor", tag: "confusion", values: [[5, 1], [0, 7]] },
    { kind: "raw", value: samples.raw },
  ],
  logs: [{ message: "done", level: 20 }],
};

/** The answer, or an exception with the bridge's own words. */
function taken<T>(answer: { data?: T; error?: components["schemas"]["Problem"] }): T {
  if (answer.data === undefined) throw new Error(answer.error?.detail);
  return answer.data;
}

async function write(...runs: RunBatch[]) {
  return bridge.POST("/api/v1/write", { body: { runs } });
}

const body = { writer: "typescript-1", seq: 1, runs: [run] };
const first = taken(await bridge.POST("/api/v1/write", { body }));
const again = taken(await bridge.POST("/api/v1/write", { body }));
const query = { run: RUN };
const series = taken(await bridge.GET("/api/v1/scalars", { params: { query: { ...query, tag: "loss" } } }));
if (series.kind !== "points") throw new Error("no candlesticks were asked for");
const far = taken(
  await bridge.GET("/api/v1/scalars", { params: { query: { ...query, tag: "accuracy", min_step: 4_000_000_000 } } }),
);
const texts = taken(await bridge.GET("/api/v1/texts", { params: { query: { ...query, tag: "note" } } }));
const hparams = taken(await bridge.GET("/api/v1/hparams", { params: { query } }));
const runs = taken(await bridge.GET("/api/v1/runs", { params: { query } }));
// A type cannot say which bytes are a blob: parseAs does.
const picture = await bridge.GET("/api/v1/blob", { params: { query: { ...query, tag: "picture" } }, parseAs: "arrayBuffer" });
const archive = await bridge.GET("/api/v1/archive", { params: { query }, parseAs: "blob" });
const restored = taken(
  await bridge.PUT("/api/v1/archive", {
    params: { query: { run: "typescript/copy" } },
    body: "",
    bodySerializer: () => archive.data,
    headers: { "Content-Type": "application/zip" },
  }),
);

const refused = await write({ run: RUN, scalars: [{ tag: "loss", steps: [1], values: [1, 2] }] });
const busy: RunBatch = { run: "busy/typescript", scalars: [{ tag: "loss", values: [1] }] };
const no = await write(busy);
await sleep(1000 * Number(no.response.headers.get("retry-after")));
const yes = taken(await write(busy));

console.log(
  JSON.stringify({
    accepted: first.accepted,
    duplicate: again.duplicate,
    values: series.values,
    far_steps: far.kind === "points" ? far.steps : [],
    text: texts.values[0]?.texts[0],
    hparams: hparams.values.find((one) => one.values !== null)?.values,
    kinds: [...new Set(runs.runs[0]?.tags?.map((tag) => tag.kind))].sort(),
    picture: Buffer.from(picture.data!).toString("base64"),
    restored: restored.run,
    refused: [refused.response.status, refused.error?.code, refused.error?.errors?.[0]?.path],
    busy: [no.response.status, no.error?.code, yes.accepted],
  }),
);
