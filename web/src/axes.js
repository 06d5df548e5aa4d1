// What is written at the axes of a chart.

import * as format from "./format.js";

/** Of an x axis of `mode`: step, wall or relative. */
export function xLabels(splits, mode) {
  if (mode === "wall") return format.moments(splits);
  if (mode === "relative") return splits.map((value) => format.duration(value, splits[1] - splits[0]));
  const large = Math.max(...splits.map(Math.abs));
  return splits.map((value) => {
    if (!Number.isInteger(value)) return "";
    if (large < 1e4) return String(value);
    const digits = Math.max(1, Math.ceil(Math.log10(large / (splits[1] - splits[0] || large))) + 1);
    return large < 1e15 ? compact(value, digits) : format.number(value, Math.min(digits + 1, 15));
  });
}

export function yLabels(splits, isLog) {
  const shown = splits.filter((value) => value !== null);
  const large = Math.max(...shown.map(Math.abs));
  const apart = Math.abs((shown[1] ?? large) - (shown[0] ?? 0)) || large;
  const digits = isLog ? 2 : Math.max(2, Math.min(12, Math.ceil(Math.log10(large / apart)) + 2));
  return splits.map((value) => (value === null ? "" : format.number(value, digits)));
}

function compact(value, digits) {
  for (const [unit, size] of [["T", 1e12], ["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (Math.abs(value) >= size) return `${Number((value / size).toPrecision(Math.min(15, digits)))}${unit}`.replace("-", "\u2212");
  }
  return String(value).replace("-", "\u2212");
}
