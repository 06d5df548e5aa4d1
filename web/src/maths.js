// The arithmetic of charts: smoothing, thinning, ranges. Pure, so that node tests it (test/maths.test.mjs).

/**
 * TensorBoard's smoothing: an exponential moving average with its bias towards zero taken out. It can go on where it was:
 * `state` is what an earlier call left, `from` the first value that is new. NaN and infinities stand as they are. Of values that were
 * thinned out only those that `sampled` names count: the others are there because they are low or high. They get what it is there.
 */
export function smooth(values, weight, out = [], state = { last: 0, count: 0 }, from = 0, sampled = null) {
  for (let i = from; i < values.length; i++) {
    const value = values[i];
    if (!Number.isFinite(value)) {
      out[i] = value;
      continue;
    }
    if (sampled !== null && !sampled[i] && state.count > 0) {
      out[i] = state.last / (weight === 1 ? 1 : 1 - weight ** state.count);
      continue;
    }
    state.last = state.last * weight + (1 - weight) * value;
    state.count += 1;
    const bias = weight === 1 ? 1 : 1 - weight ** state.count;
    out[i] = state.last / bias;
  }
  return out;
}

/**
 * Which of `values` to keep so that at most `most` stay, as the bridge itself thins: the first, the last, and of equal stretches
 * between the lowest, the highest, a NaN if there is any, and one that is taken whatever it is: of those that `sampled` names, if not
 * of all. Returns the places and which of them were taken so.
 */
export function thinned(values, most, sampled = null) {
  const { length } = values;
  if (length <= most) return { places: Array.from(values, (_, i) => i), sampled };
  const taken = new Set([0, length - 1]);
  const even = new Set();
  const stretches = Math.floor((most - 2) / (values.some(Number.isNaN) ? 4 : 3));
  for (let k = 0; k < stretches; k++) {
    const from = 1 + Math.floor((k * (length - 2)) / stretches);
    const to = 1 + Math.floor(((k + 1) * (length - 2)) / stretches);
    let [low, high, nan, one] = [-1, -1, -1, -1];
    for (let i = from; i < to; i++) {
      if (one < 0 && (sampled === null || sampled[i])) one = i;
      if (Number.isNaN(values[i])) {
        if (nan < 0) nan = i;
        continue;
      }
      if (low < 0 || values[i] < values[low]) low = i;
      if (high < 0 || values[i] > values[high]) high = i;
    }
    for (const place of [low, high, nan, one]) if (place >= 0) taken.add(place);
    if (one >= 0) even.add(one);
  }
  const places = [...taken].sort((a, b) => a - b);
  return { places, sampled: places.map((place) => even.has(place)) };
}

/** The first index whose x is not below `x`; `xs` ascend. */
export function lowerBound(xs, x) {
  let low = 0;
  let high = xs.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (xs[middle] < x) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The index of the x that is nearest to `x`, -1 for none. Where `xs` do not ascend all are looked at. */
export function nearest(xs, x, ascends = true) {
  if (xs.length === 0) return -1;
  if (!ascends) {
    let best = 0;
    for (let i = 1; i < xs.length; i++) if (Math.abs(xs[i] - x) < Math.abs(xs[best] - x)) best = i;
    return best;
  }
  const at = lowerBound(xs, x);
  if (at === 0) return 0;
  if (at === xs.length) return at - 1;
  return x - xs[at - 1] <= xs[at] - x ? at - 1 : at;
}

/** The index of the stretch, of those from `firsts` to `lasts`, that `x` is in or nearest to; -1 for none. */
export function nearestStretch(firsts, lasts, x) {
  const at = Math.min(lowerBound(lasts, x), lasts.length - 1);
  return at > 0 && x < firsts[at] && x - lasts[at - 1] < firsts[at] - x ? at - 1 : at;
}

/** The value below which `share` of `sorted` lies, interpolated linearly. */
export function quantile(sorted, share) {
  const place = (sorted.length - 1) * share;
  const below = Math.floor(place);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (sorted[above] - sorted[below]) * (place - below);
}

/** The range of an axis that shows low..high with a little room. A single value gets a range around it. */
export function padded(low, high, isLog) {
  if (!(low <= high)) return isLog ? [0.1, 1] : [0, 1];
  if (isLog) {
    if (low === high) return [low / 2, high * 2];
    const room = (high / low) ** 0.05;
    return [low / room, high * room];
  }
  if (low === high) {
    const room = Math.abs(low) * 0.1 || 1;
    return [low - room, high + room];
  }
  const room = (high - low) * 0.06;
  return [low - room, high + room];
}

/** The first and last whole step of a range, as text: beyond 2^53 numbers are not exact, and the interface takes int64 only. */
export function stepBound(value) {
  const INT64 = 2n ** 63n;
  let whole = BigInt(Number.isFinite(value) ? Math.round(value) : 0);
  if (value === Infinity || whole >= INT64) whole = INT64 - 1n;
  if (value === -Infinity || whole < -INT64) whole = -INT64;
  return whole.toString();
}

/** A series' values from JSON: NaN and infinities came as text. In place. */
export function toNumbers(values) {
  for (let i = 0; i < values.length; i++) if (typeof values[i] === "string") values[i] = Number(values[i]);
  return values;
}

/** True if no element is below the one before it. */
export function ascending(values, from = 1) {
  for (let i = Math.max(1, from); i < values.length; i++) if (values[i] < values[i - 1]) return false;
  return true;
}

const NUMBER = /(\d+(?:\.\d+)?(?:e[-+]?\d+)?)/i;
const collator = new Intl.Collator("en");

/** The order of names as people count: numbers in them by their size, so that lr=0.003 is before lr=0.01 and step9 before step10. */
export function natural(a, b) {
  const [left, right] = [a.split(NUMBER), b.split(NUMBER)];
  for (let i = 0; i < Math.min(left.length, right.length); i++) {
    if (left[i] === right[i]) continue;
    const order = i % 2 ? Number(left[i]) - Number(right[i]) : collator.compare(left[i], right[i]);
    if (order) return order;
  }
  return left.length - right.length || (a < b ? -1 : a > b ? 1 : 0);
}
