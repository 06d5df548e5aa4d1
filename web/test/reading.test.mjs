// What a reader reads off a chart: labels of its axes, the candle under the cursor, the legend of its picture: `npm test`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { logSplits, xLabels, yLabels } from "../src/axes.js";
import { legend } from "../src/legend.js";
import { nearestStretch } from "../src/maths.js";

const evenly = (from, apart) => Array.from({ length: 5 }, (_, i) => from + i * apart);

test("no two labels of a relative axis are the same, however near and however late", () => {
  for (const from of [0, 9.5, 55, 650, 3590, 86_000, 200_000]) {
    for (const apart of [0.001, 0.025, 0.1, 0.5, 1, 2.5, 10, 50, 500, 2500, 50_000]) {
      const labels = xLabels(evenly(from, apart), "relative");
      assert.equal(new Set(labels).size, 5, `${from} and every ${apart}: ${labels}`);
    }
  }
  assert.deepEqual(xLabels(evenly(0, 0.1), "relative"), ["0 s", "0.1 s", "0.2 s", "0.3 s", "0.4 s"]);
  assert.deepEqual(xLabels(evenly(3600, 2.5), "relative"), ["1:00:00", "1:00:02.5", "1:00:05", "1:00:07.5", "1:00:10"]);
  assert.deepEqual(xLabels(evenly(0, 2000), "relative"), ["0 s", "33 min 20 s", "1 h 6 min", "1 h 40 min", "2 h 13 min"]);
});

test("a logarithmic axis has labels to read values by, also where the values span less than a decade", () => {
  const labels = (low, high, most) => yLabels(logSplits(low, high, most), true).join(" ");
  assert.equal(labels(0.297, 0.333, 8), "0.3 0.305 0.31 0.315 0.32 0.325 0.33");
  assert.equal(labels(0.9, 30, 8), "1 2 5 10 20");
  assert.equal(labels(1.05, 95, 6), "3 10 30");
  assert.equal(labels(1e-9, 1e9, 8), "1e\u22129 1e\u22126 0.001 1 1000 1e6 1e9");
  for (const [low, high] of [[5e-324, 1e308], [1, 1 + 1e-7], [6, 19], [0.0009, 0.0011], [1e300, 1e301]]) {
    const splits = logSplits(low, high, 7);
    assert.ok(splits.length >= 2 && splits.length <= 9, `${low} to ${high}: ${splits}`);
    assert.ok(splits.every((value) => low <= value && value <= high));
  }
  assert.deepEqual(logSplits(-1, 0, 8), []);
});

test("the candle under the cursor is the one that is drawn there", () => {
  const nearest = (x) => nearestStretch([0, 10, 100], [9, 19, 109], x);
  assert.deepEqual([0, 2, 9, 9.4, 9.6, 10, 12, 19].map(nearest), [0, 0, 0, 0, 1, 1, 1, 1]);
  assert.deepEqual([20, 59, 60, 105, 200, -50].map(nearest), [1, 1, 2, 2, 2, 0]);
  assert.equal(nearestStretch([], [], 1), -1);
});

test("a legend cuts no name off without a mark, lets none run into another, and says how many it leaves out", () => {
  const measure = (text) => 10 * [...text].length;
  const texts = (names, width = 100, most = 3) => legend(names, width, most, measure).entries.map(({ text, x, line }) => [text, x, line]);
  assert.deepEqual(texts(["a", "bcd", "ef"]), [["a", 0, 0], ["bcd", 50, 0], ["ef", 0, 1]]);
  assert.deepEqual(texts(["a", "longer"]), [["a", 0, 0], ["longer", 0, 1]]);
  assert.deepEqual(texts(["a", "seed=1/batch=64/lr=1"]), [["a", 0, 0], ["seed=\u2026lr=1", 0, 1]]);
  assert.deepEqual(texts([..."abcdefg"]), [["a", 0, 0], ["b", 50, 0], ["c", 0, 1], ["d", 50, 1], ["and 3 more", 0, 2]]);
  assert.deepEqual(texts([..."abcdef"]).at(-1), ["f", 50, 2]);
  assert.deepEqual(texts([], 100), []);
  for (let width = 10; width < 300; width += 7) {
    const names = Array.from({ length: 40 }, (_, i) => `run/${"x".repeat(i)}\u{1f600}${i}`);
    const { lines, entries } = legend(names, width, 12, measure);
    assert.equal(lines, 12);
    for (const { place, text, x } of entries) assert.ok(place === null || x + measure(text) <= width, `${text} in ${width}`);
  }
});
