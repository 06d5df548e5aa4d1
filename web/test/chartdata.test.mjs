// What a chart knows of its runs, without its drawing: `npm test`.
import assert from "node:assert/strict";
import { test } from "node:test";

globalThis.sessionStorage = { getItem: () => null };
globalThis.requestAnimationFrame = () => 1;

const { ChartData } = await import("../src/chartdata.js");
const { Series } = await import("../src/series.js");
const { model } = await import("../src/model.js");

/** A chart of one tag, and the bridge that it asks: `answer(n)` lets the n-th request have what `stored` holds then. */
function chartOf(runs) {
  const stored = new Map(runs.map((run) => [run, 2]));
  const asked = [];
  globalThis.fetch = (url, { signal }) =>
    new Promise((resolve, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
      const names = new URLSearchParams(url.split("?")[1]).getAll("run");
      const series = () => names.map((run) => ({ run, count: stored.get(run), ...columns(0, stored.get(run)) }));
      asked.push({ names, resolve: () => resolve({ ok: true, json: async () => ({ series: series() }) }) });
    });
  const chart = new ChartData("loss", { loading: () => null });
  Object.assign(chart, { plot: {}, mode: "step", size: () => ({ width: 400 }), redraw: () => null });
  const show = (names) => {
    model.tags.set("scalar", new Map([["loss", new Map(names.map((run) => [run, 2]))]]));
    chart.runs = names;
    return chart.load();
  };
  return { chart, stored, asked, show };
}

function columns(from, to) {
  const steps = Array.from({ length: to - from }, (_, i) => from + i);
  return { steps, values: steps.map(() => 0.5), wall_times: steps.map((step) => 1e9 + step) };
}

const counts = (chart) => chart.runs.map((run) => chart.whole.series.get(run)?.count);

test("a run that comes while all are read anew does not leave the others as they were", async () => {
  const { chart, stored, asked, show } = chartOf(["a", "b", "new"]);
  const first = show(["a", "b"]);
  asked[0].resolve();
  await first;
  assert.deepEqual(counts(chart), [2, 2]);
  stored.set("a", 5); // while the bridge was away from the page
  chart.isStale = true;
  const stale = chart.load();
  const more = show(["a", "b", "new"]);
  asked.at(-1).resolve();
  await Promise.all([stale, more]);
  assert.deepEqual(counts(chart), [5, 2, 2]);
});

test("a point that was read is not shown again when the feed tells of it, however late", async () => {
  const { chart, stored, asked, show } = chartOf(["a"]);
  stored.set("a", 4);
  const loaded = show(["a"]);
  chart.append({ run: "a", ...columns(2, 3) });
  asked[0].resolve();
  await loaded;
  chart.append({ run: "a", ...columns(3, 6) });
  assert.deepEqual(chart.whole.series.get("a").steps, [0, 1, 2, 3, 4, 5]);
  chart.append({ run: "a", ...columns(5, 6) }); // twice at one time: somebody wrote it twice
  assert.deepEqual(counts(chart), [7]);
});

test("a run that is hidden while all are read anew is read when it is shown again", async () => {
  const { chart, stored, asked, show } = chartOf(["a", "b"]);
  const first = show(["a", "b"]);
  asked.at(-1).resolve();
  await first;
  stored.set("b", 7);
  chart.isStale = true;
  const hidden = show(["a"]);
  asked.at(-1).resolve();
  await hidden;
  const again = show(["a", "b"]);
  asked.at(-1).resolve();
  await again;
  assert.deepEqual(counts(chart), [2, 7]);
});

test("as many late points as an answer holds are known again, and those behind candlesticks, too", async () => {
  const { chart, stored, asked, show } = chartOf(["a"]);
  stored.set("a", 1000);
  const loaded = show(["a"]);
  asked[0].resolve();
  await loaded;
  chart.append({ run: "a", ...columns(400, 1001) });
  assert.deepEqual(counts(chart), [1001]);

  const series = new Series({ run: "a", count: 50, first_steps: [0], last_steps: [49], median: [0.5] });
  const tail = columns(50, 52);
  series.append(tail.steps, tail.values, tail.wall_times, 1000);
  series.append(tail.steps, tail.values, tail.wall_times, 1000, true);
  assert.deepEqual([series.count, series.steps], [52, [50, 51]]);
});
