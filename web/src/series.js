// The points of one run in one chart: what the bridge gave, thinned or whole, and what came since.

import { ascending, smooth, thinned } from "./maths.js";

// How many of the newest points that a chart has are compared with those that come by the feed and that it may have read: all of an
// answer, and as many more.
const OVERLAP = 2048;
// Candlesticks have no times, by which a point of a training begun again is told from one that they stand for. So what the feed tells
// is compared with them for as long as it may be late, and no longer.
const LATE_MS = 10000;

export class Series {
  /** From an answer of the interface: points, or candlesticks with no points yet behind them. */
  constructor(answer) {
    this.run = answer.run;
    this.count = answer.count; // of points that the answer stands for, and those that came since
    this.candles = answer.median ? answer : null;
    this.steps = answer.steps ?? [];
    this.values = answer.values ?? [];
    this.walls = answer.wall_times ?? [];
    this.sampled = null; // where points were left out: which of these may be averaged
    if (answer.sampled) {
      this.sampled = this.values.map(() => false);
      for (const place of answer.sampled) this.sampled[place] = true;
    }
    this.mayOverlap = true; // until the feed tells of a point that the answer did not have: it tells of all in their order
    this.readAt = performance.now();
    this.lastCandle = this.candles?.last_steps.at(-1) ?? -Infinity;
    this.begin = this.walls[0] ?? 0;
    this.ascends = { step: ascending(this.steps), wall: ascending(this.walls) };
    this.forget();
  }

  /** True if the bridge left points out. */
  get isDense() {
    return this.candles !== null || this.count > this.values.length;
  }

  /** Points that came by the feed: appended, but for those that the answer had already. At most about `most` are kept. `isAgain`: some
   * of them may have been appended before, in this order or another. */
  append(steps, values, walls, most, isAgain = false) {
    let came = 0;
    if (this.candles !== null && performance.now() > this.readAt + LATE_MS) this.mayOverlap = false;
    for (let i = 0; i < steps.length; i++) {
      if ((isAgain || this.mayOverlap) && this.has(steps[i], walls[i])) continue;
      if (!isAgain) this.mayOverlap = false;
      const last = this.steps.length - 1;
      if (last >= 0 && steps[i] < this.steps[last]) this.ascends.step = false;
      if (last >= 0 && walls[i] < this.walls[last]) this.ascends.wall = false;
      if (last < 0 && !this.candles) this.begin = walls[i];
      this.steps.push(steps[i]);
      this.values.push(values[i]);
      this.walls.push(walls[i]);
      this.sampled?.push(true);
      came += 1;
    }
    this.count += came;
    if (this.values.length > 2 * most) this.thin(most);
    return came;
  }

  has(step, wall) {
    if (this.candles !== null && step <= this.lastCandle) return true;
    const last = this.steps.length - 1;
    if (last < 0) return false;
    if (this.candles === null && this.isDense && step <= this.steps[last] && wall <= this.walls[last]) return true;
    for (let i = last; i >= 0 && i > last - OVERLAP; i--) if (this.steps[i] === step && this.walls[i] === wall) return true;
    return false;
  }

  thin(most) {
    const { places, sampled } = thinned(this.values, most, this.sampled);
    for (const name of ["steps", "values", "walls"]) {
      const column = this[name];
      this[name] = places.map((i) => column[i]);
    }
    this.sampled = sampled;
    this.forget();
  }

  forget() {
    this.smoothed = null;
    this.relatives = null;
  }

  /** The points' places on the x axis. */
  xs(mode) {
    if (mode === "step") return this.steps;
    if (mode === "wall") return this.walls;
    this.relatives ??= [];
    for (let i = this.relatives.length; i < this.walls.length; i++) this.relatives.push(this.walls[i] - this.begin);
    return this.relatives;
  }

  isAscending(mode) {
    return mode === "step" ? this.ascends.step : this.ascends.wall;
  }

  /** The values with TensorBoard's smoothing; kept, and gone on with when points come. */
  smoothValues(weight) {
    if (weight === 0) return this.values;
    if (this.smoothed === null || this.smoothed.weight !== weight) {
      this.smoothed = { weight, out: [], medians: [], state: { last: 0, count: 0 } };
      if (this.candles !== null) smooth(this.candles.median, weight, this.smoothed.medians, this.smoothed.state);
    }
    const { out, state } = this.smoothed;
    return smooth(this.values, weight, out, state, out.length, this.sampled);
  }

  /** The medians of the candlesticks, smoothed. */
  smoothMedians(weight) {
    if (weight === 0) return this.candles.median;
    this.smoothValues(weight);
    return this.smoothed.medians;
  }

  /** The step range that holds everything between `from` and `to` on the x axis of `mode`, with one point more on each side. */
  stepsBetween(from, to, mode) {
    if (mode === "step") return [from, to];
    const xs = this.xs(mode);
    let low = Infinity;
    let high = -Infinity;
    for (let i = 0; i < xs.length; i++) {
      if (xs[i] < from && xs[i + 1] < from) continue;
      if (xs[i] > to && xs[i - 1] > to) continue;
      low = Math.min(low, this.steps[i]);
      high = Math.max(high, this.steps[i]);
    }
    return [low, high];
  }

  /** What a table says of it: last step and value, lowest, highest, NaNs (`areMore`: at least so many). */
  summary() {
    const { candles, values } = this;
    let [low, high, nans] = [Infinity, -Infinity, 0];
    const look = (value) => {
      if (Number.isNaN(value)) nans += 1;
      else {
        low = Math.min(low, value);
        high = Math.max(high, value);
      }
    };
    values.forEach(look);
    if (candles !== null) {
      for (const name of ["min", "max"]) for (const value of candles[name]) if (!Number.isNaN(value)) look(value);
      nans += candles.nans.reduce((sum, one) => sum + one, 0);
    }
    const isTail = values.length > 0;
    return {
      count: this.count,
      lastStep: isTail ? this.steps.at(-1) : this.lastCandle,
      lastValue: isTail ? values.at(-1) : (candles?.median.at(-1) ?? NaN),
      isMedian: !isTail && candles !== null,
      low: low <= high ? low : NaN,
      high: low <= high ? high : NaN,
      nans,
      areMore: candles === null && this.isDense && nans > 0,
    };
  }
}
