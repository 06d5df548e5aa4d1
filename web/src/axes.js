// What is written at the axes of a chart.

import * as format from "./format.js";

/** Of an x axis of `mode`: step, wall or relative. */
export function xLabels(splits, mode) {
  if (mode === "wall") return format.moments(splits);
  if (mode === "relative") return format.durations(splits);
  const large = Math.max(...splits.map(Math.abs));
  return splits.map((value) => {
    if (!Number.isInteger(value)) return "";
    if (large < 1e4) return String(value);
    const digits = Math.max(1, Math.ceil(Math.log10(large / (splits[1] - splits[0] || large))) + 1);
    return large < 1e15 ? compact(value, digits) : format.number(value, Math.min(digits + 1, 15));
  });
}

export function yLabels(splits, isLog) {
  const large = Math.max(...splits.map(Math.abs));
  const apart = Math.abs((splits[1] ?? large) - (splits[0] ?? 0)) || large;
  const digits = isLog ? 12 : Math.max(2, Math.min(12, Math.ceil(Math.log10(large / apart)) + 2)); // of a logarithmic axis they are round
  return splits.map((value) => format.number(value, digits));
}

/**
 * Where a logarithmic axis has its labels, of which about `most` have room: at 1, 2 and 5 of each decade, at 1 and 3 or at whole decades
 * where those are too near, and equally far apart where it spans so little that these are too few to read values by.
 */
export function logSplits(low, high, most) {
  if (!(low > 0 && low < high)) return [];
  const gap = (Math.log10(high) - Math.log10(low)) / Math.max(1, most);
  const digits = gap <= Math.log10(2) ? [1, 2, 5] : gap <= Math.log10(3) ? [1, 3] : [1];
  const every = Math.ceil(gap);
  const splits = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.log10(high); power++) {
    if (power % every === 0) for (const digit of digits) splits.push(Number(`${digit}e${power}`));
  }
  const within = splits.filter((value) => low <= value && value <= high);
  if (within.length >= 3) return within;
  const even = evenly(low, high, high * (1 - 10 ** -gap)); // the upmost two are the nearest to each other
  return even.length > within.length ? even : within;
}

/** The multiples of a round number that is at least `least`. */
function evenly(low, high, least) {
  const size = 10 ** Math.floor(Math.log10(least));
  const step = [1, 2, 2.5, 5, 10].find((digit) => digit * size >= least) * size;
  const splits = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) splits.push(Number((i * step).toPrecision(12)));
  return splits;
}

function compact(value, digits) {
  for (const [unit, size] of [["T", 1e12], ["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (Math.abs(value) >= size) return `${Number((value / size).toPrecision(Math.min(15, digits)))}${unit}`.replace("-", "\u2212");
  }
  return String(value).replace("-", "\u2212");
}
