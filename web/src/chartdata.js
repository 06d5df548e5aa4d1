// What is known of all shown runs of one tag: all of it coarsely, the visible stretch finely, and what comes meanwhile. The bridge
// thins a series to what a chart can show, and is asked anew for what a zoom could refine.

import { Refused, readScalars } from "./api.js";
import { stepBound } from "./maths.js";
import { tagsOf } from "./model.js";
import { drawSoon } from "./painter.js";
import { Series } from "./series.js";
import { state } from "./state.js";

// Points of all runs of a chart together: what a browser draws in a few milliseconds. Of one run, no more than the bridge has
// ready in its memory.
const POINTS_OF_CHART = 20000;
const POINTS_MIN = 200;
const POINTS_MAX = 1024;
const CANDLE_PX = 7;
const BAND_PX = 2.5;
// With so many dense runs, or less, bands or candlesticks are still told apart.
const CANDLES_RUNS = 1;
const BANDS_RUNS = 4;
// What failed and may pass is asked again after this.
const AGAIN_MS = 1500;

/** A stretch of the x axis, and what is known of each run there. */
class Layer {
  constructor(range) {
    this.range = range; // null: all there is
    this.series = new Map();
  }

  covers([from, to]) {
    return this.range === null || (this.range[0] <= from && to <= this.range[1]);
  }
}

/** Without the drawing: a chart says what is seen (`plot`, `mode`, `size()`), and is told to `redraw()`. */
export class ChartData {
  constructor(tag, listeners) {
    this.tag = tag;
    this.listeners = listeners;
    this.runs = [];
    this.whole = new Layer(null);
    this.detail = null;
    this.early = []; // points that came while the bridge was asked
    this.aborts = { whole: null, detail: null }; // of the requests under way
    this.reading = new Set(); // runs that are being read whole: who asks again in between asks for them, too
    this.asking = 0;
    this.isStale = true;
    this.error = "";
  }

  get zoom() {
    return state.zoom.get(this.tag) ?? null;
  }

  /** What is drawn of a run now. */
  seriesOf(run) {
    const range = this.zoom;
    if (range !== null && this.detail?.covers(range) && this.detail.series.has(run)) return this.detail.series.get(run);
    return this.whole.series.get(run);
  }

  /** The chart is gone from the page; what comes from here on is not taken. */
  stopAsking() {
    for (const abort of Object.values(this.aborts)) abort?.abort();
    clearTimeout(this.timer);
    this.isStale = true;
  }

  // --- asking the bridge ----------------------------------------------------------------------------------------------------

  get pointsOfRun() {
    return Math.min(POINTS_MAX, Math.max(POINTS_MIN, Math.round(POINTS_OF_CHART / Math.max(1, this.runs.length))));
  }

  /** How dense runs are to be drawn: "line", "band" or "candles". */
  get dense() {
    if (state.x !== "step") return "line"; // candlesticks have no times
    if (state.dense !== "auto") return state.dense;
    return this.runs.length <= CANDLES_RUNS ? "candles" : this.runs.length <= BANDS_RUNS ? "band" : "line";
  }

  get bins() {
    return Math.max(20, Math.min(1000, Math.round(this.size().width / (this.dense === "candles" ? CANDLE_PX : BAND_PX))));
  }

  /** True if what is there was made for another way to draw. */
  wantsOther() {
    const wanted = this.dense;
    return this.runs.some((run) => {
      const series = this.whole.series.get(run);
      return series?.isDense && (series.candles === null) !== (wanted === "line");
    });
  }

  /** Reads what is missing of all there is. */
  async load() {
    const isStale = this.isStale;
    const wanted = this.dense;
    const runs = this.runs.filter((run) => {
      const series = this.whole.series.get(run);
      return isStale || series === undefined || this.reading.has(run) || (series.isDense && (series.candles === null) !== (wanted === "line"));
    });
    this.isStale = false;
    if (isStale) for (const run of this.whole.series.keys()) if (!this.runs.includes(run)) this.whole.series.delete(run); // hidden now
    if (runs.length) {
      const reading = (this.reading = new Set(runs));
      await this.read(this.whole, runs, (run) => tagsOf("scalar").get(this.tag)?.get(run) ?? 0);
      if (this.reading === reading) this.reading = new Set();
    }
    if (isStale) this.detail = null;
    await this.refine();
  }

  /** Everything again, since some may have been missed. */
  reload() {
    this.isStale = true;
    if (this.plot !== null) this.load();
  }

  refineSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.refine(), 40);
  }

  /** Reads the visible stretch more finely, if there is more to see. */
  async refine() {
    const range = this.zoom;
    if (range === null || this.plot === null) return;
    const dense = this.runs.filter((run) => this.whole.series.get(run)?.isDense);
    if (dense.length === 0) return;
    const span = range[1] - range[0];
    if (this.detail?.covers(range) && dense.every((run) => this.detail.series.has(run))) {
      const isFine = this.detail.range[1] - this.detail.range[0] <= span * 3.5;
      if (isFine || dense.every((run) => !this.detail.series.get(run).isDense)) return;
    }
    const layer = new Layer([range[0] - span / 2, range[1] + span / 2]);
    const estimate = (run) => {
      const whole = this.whole.series.get(run);
      const [from, to] = this.extent([whole]);
      return whole.count * Math.min(1, (2 * span) / Math.max(to - from, 1e-9));
    };
    const isNew = await this.read(layer, dense, estimate);
    if (isNew) {
      this.detail = layer;
      this.redraw();
    }
  }

  /** Reads `runs` into `layer`; `estimate(run)`: about how many points there are. False if something newer was asked meanwhile. */
  async read(layer, runs, estimate) {
    const kind = layer === this.whole ? "whole" : "detail";
    this.aborts[kind]?.abort();
    const abort = (this.aborts[kind] = new AbortController());
    this.asking += 1;
    this.listeners.loading(true);
    try {
      const most = this.pointsOfRun;
      const [asLine, asCandles] = [[], []];
      for (const run of runs) (this.dense !== "line" && estimate(run) > most ? asCandles : asLine).push(run);
      const again = { line: [], candles: [] };
      const take = (answers, isLast) => {
        for (const answer of answers) {
          const isCandles = answer.median !== undefined;
          if (!isLast && isCandles && answer.count <= most) again.line.push(answer.run);
          else if (!isLast && !isCandles && this.dense !== "line" && answer.count > answer.values.length) again.candles.push(answer.run);
          else {
            const series = new Series(answer);
            if (layer !== this.whole) series.begin = this.whole.series.get(answer.run)?.begin ?? series.begin; // of the run, not of the stretch
            layer.series.set(answer.run, series);
          }
        }
        if (layer === this.whole) this.redraw();
      };
      await Promise.all([this.ask(layer, asLine, false, abort.signal, take), this.ask(layer, asCandles, true, abort.signal, take)]);
      const last = (answers) => take(answers, true);
      await Promise.all([
        this.ask(layer, again.line, false, abort.signal, last),
        this.ask(layer, again.candles, true, abort.signal, last),
      ]);
      for (const run of runs) if (layer === this.whole && this.isGone(run)) layer.series.delete(run);
      this.error = "";
      this.takeEarly(layer, runs);
      return !abort.signal.aborted;
    } catch (error) {
      if (!abort.signal.aborted) {
        this.error = error instanceof Refused ? error.message : "The bridge does not answer; trying again.";
        if (layer === this.whole) this.isStale = true;
        clearTimeout(this.timer);
        if (!(error instanceof Refused) || error.passes) this.timer = setTimeout(() => this.plot !== null && this.load(), AGAIN_MS);
        this.redraw();
      }
      return false;
    } finally {
      this.asking -= 1;
      if (this.asking === 0) {
        this.early = [];
        this.listeners.loading(false);
      }
    }
  }

  isGone(run) {
    return !tagsOf("scalar").get(this.tag)?.has(run);
  }

  async ask(layer, runs, asCandles, signal, take) {
    if (runs.length === 0) return;
    const form = asCandles
      ? { downsample: "candlestick", max_points: this.bins }
      : { downsample: "minmax", max_points: this.pointsOfRun };
    if (layer.range === null || this.mode === "step") {
      const range = layer.range && { min_step: stepBound(Math.ceil(layer.range[0])), max_step: stepBound(Math.floor(layer.range[1])) };
      await readScalars(this.tag, runs, { ...form, ...range }, signal, take);
      return;
    }
    for (const run of runs) {
      const [from, to] = this.whole.series.get(run).stepsBetween(...layer.range, this.mode);
      if (from <= to) await readScalars(this.tag, [run], { ...form, min_step: stepBound(from), max_step: stepBound(to) }, signal, take);
    }
  }

  takeEarly(layer, runs) {
    for (const { run, steps, values, wall_times: walls } of this.early) {
      if (!runs.includes(run)) continue;
      const series = layer.series.get(run) ?? this.begun(layer, run);
      series.append(steps, values, walls, this.pointsOfRun, true);
    }
  }

  begun(layer, run) {
    const series = new Series({ run, count: 0, steps: [], values: [], wall_times: [] });
    layer.series.set(run, series);
    return series;
  }

  // --- what comes ---------------------------------------------------------------------------------------------------------

  /** Points of a run, as the feed has them. */
  append(column) {
    if (this.plot === null) return;
    if (this.asking) this.early.push(column);
    const { run, steps, values, wall_times: walls } = column;
    let series = this.whole.series.get(run);
    if (series === undefined) {
      if (this.asking || !this.runs.includes(run)) return;
      series = this.begun(this.whole, run);
    }
    series.append(steps, values, walls, this.pointsOfRun);
    const detail = this.detail?.series.get(run);
    if (detail !== undefined) {
      const last = this.detail.range[1];
      const xs = this.mode === "step" ? steps : this.mode === "wall" ? walls : walls.map((wall) => wall - series.begin);
      if (xs[0] <= last) detail.append(steps, values, walls, this.pointsOfRun);
    }
    if (series.candles !== null && series.values.length > this.tailMax && !this.asking) this.reload();
    if (this.runs.includes(run)) drawSoon(this);
  }

  /** As many points may stand behind the candlesticks before they are made anew. */
  get tailMax() {
    return this.pointsOfRun / 2;
  }

  removeRun(run) {
    this.whole.series.delete(run);
    this.detail?.series.delete(run);
    this.redraw();
  }

  /** The x of the first point and of the last. */
  extent(all = this.runs.map((run) => this.whole.series.get(run))) {
    let [low, high] = [Infinity, -Infinity];
    for (const series of all) {
      if (series === undefined) continue;
      if (series.candles !== null && this.mode === "step" && series.candles.first_steps.length) {
        low = Math.min(low, series.candles.first_steps[0]);
        high = Math.max(high, series.lastCandle);
      }
      const xs = series.xs(this.mode);
      if (xs.length === 0) continue;
      if (series.isAscending(this.mode)) {
        low = Math.min(low, xs[0]);
        high = Math.max(high, xs[xs.length - 1]);
      } else {
        for (const x of xs) {
          if (x < low) low = x;
          if (x > high) high = x;
        }
      }
    }
    return low <= high ? [low, high] : [0, 1];
  }
}
