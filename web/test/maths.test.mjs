// The arithmetic of the charts: `npm test`.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Parser } from "../src/feed.js";
import { natural, nearest, padded, quantile, smooth, stepBound, thinned } from "../src/maths.js";

test("smoothing is TensorBoard's: its first value is the first value, and NaN neither vanishes nor spreads", () => {
  assert.deepEqual(smooth([3, 3, 3], 0.9).map((value) => value.toFixed(9)), ["3.000000000", "3.000000000", "3.000000000"]);
  const [first, second] = smooth([1, 2], 0.5);
  assert.equal(first, 1);
  assert.ok(Math.abs(second - (0.25 * 1 + 0.5 * 2) / 0.75) < 1e-12);
  const withNaN = smooth([1, NaN, 2], 0.5);
  assert.ok(Number.isNaN(withNaN[1]));
  assert.ok(Math.abs(withNaN[2] - second) < 1e-12);
});

test("smoothing that goes on gives what smoothing at once gives", () => {
  const values = Array.from({ length: 50 }, (_, i) => Math.sin(i) + i / 10);
  const state = { last: 0, count: 0 };
  const out = smooth(values.slice(0, 20), 0.8, [], state);
  assert.deepEqual(smooth(values, 0.8, out, state, 20), smooth(values, 0.8));
  const sampled = values.map((_, i) => i % 3 === 0);
  const some = smooth(values, 0.8, [], undefined, 0, sampled);
  assert.deepEqual(some.filter((_, i) => sampled[i]), smooth(values.filter((_, i) => sampled[i]), 0.8));
  assert.equal(some[4], some[3]);
});

test("thinning keeps the ends and every spike, in order", () => {
  const values = Array.from({ length: 10000 }, (_, i) => Math.sin(i / 50));
  values[777] = 100;
  values[5000] = -100;
  const { places: keep, sampled } = thinned(values, 200);
  assert.ok(keep.length <= 200);
  for (const place of [0, 777, 5000, 9999]) assert.ok(keep.includes(place));
  assert.deepEqual(keep, [...keep].sort((a, b) => a - b));
  const even = keep.filter((_, i) => sampled[i]);
  assert.ok(even.length > 60);
  assert.ok(even.every((place, i) => i === 0 || Math.abs(place - even[i - 1] - 10000 / even.length) < 3), "at equal distances");
  const again = thinned(keep.map((i) => values[i]), 100, sampled);
  assert.ok(again.places.every((i, k) => !again.sampled[k] || sampled[i]), "what was taken evenly is so of what it was taken from");
  assert.deepEqual(thinned([1, 2, 3], 10), { places: [0, 1, 2], sampled: null });
  assert.ok(thinned(Array(1000).fill(NaN), 20).places.length <= 20);
  values[3333] = NaN;
  assert.ok(thinned(values, 200).places.includes(3333));
});

test("the nearest point is found in rising steps and in steps that went back", () => {
  assert.equal(nearest([], 1), -1);
  assert.equal(nearest([0, 10, 20], 14), 1);
  assert.equal(nearest([0, 10, 20], 16), 2);
  assert.equal(nearest([0, 10, 20], -5), 0);
  assert.equal(nearest([0, 10, 2, 3], 2.2, false), 2);
});

test("quantiles are numpy's", () => {
  assert.equal(quantile([1, 2, 3, 4], 0.25), 1.75);
  assert.equal(quantile([5], 0.9), 5);
});

test("axes have room, also around one value and on a logarithmic axis", () => {
  assert.deepEqual(padded(Infinity, -Infinity, false), [0, 1]);
  const [low, high] = padded(7, 7, false);
  assert.ok(low < 7 && high > 7);
  const [from, to] = padded(1, 100, true);
  assert.ok(from > 0 && from < 1 && to > 100);
});

test("bounds of steps are whole, and stay within int64", () => {
  assert.equal(stepBound(12.4), "12");
  assert.equal(stepBound(1e30), "9223372036854775807");
  assert.equal(stepBound(-Infinity), "-9223372036854775808");
  assert.equal(stepBound(2 ** 60), "1152921504606846976");
});

test("names are ordered as people count", () => {
  const names = ["lr=0.01", "lr=0.003", "step10", "step9", "lr=1e-4"];
  assert.deepEqual(names.sort(natural), ["lr=1e-4", "lr=0.003", "lr=0.01", "step9", "step10"]);
});

test("events are put together from pieces cut anywhere", () => {
  const text = 'retry: 1000\nid: a-1\nevent: hello\ndata: {"a":1}\n\n: nothing\n\nid: a-2\r\nevent: points\r\ndata: {"b":\r\ndata: 2}\r\n\r\n';
  for (let cut = 0; cut < text.length; cut++) {
    const seen = [];
    const parser = new Parser((event) => seen.push(event));
    parser.feed(text.slice(0, cut));
    parser.feed(text.slice(cut));
    assert.deepEqual(seen, [{ id: "a-1", name: "hello", data: '{"a":1}' }, { id: "a-2", name: "points", data: '{"b":\n2}' }]);
  }
});
