// One chart: the series of all shown runs of one tag. uPlot makes the axes, the grid, the cursor and its synchronisation; the runs are
// painted onto its canvas here, since each has steps of its own (uPlot's own series share one x column), and since a run is a line, a
// band or candlesticks as there is room.

import uPlot from "uplot";
import { Refused, readScalars } from "./api.js";
import { colorOf, onTheme, themed } from "./colors.js";
import * as format from "./format.js";
import { nearest, padded, quantile, stepBound } from "./maths.js";
import { tagsOf } from "./model.js";
import { drawNow, drawSoon } from "./painter.js";
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
const FONT = "11px system-ui, sans-serif";

let theme = null;

function themeColors() {
  theme ??= { text: themed("--dim"), grid: themed("--grid"), card: themed("--card"), strong: themed("--text") };
  return theme;
}
onTheme(() => (theme = null));

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

export class Chart {
  /** `host`: the element to draw into. `listeners`: {loaded(), cursor(rows), state(text)}. */
  constructor(host, tag, listeners) {
    this.host = host;
    this.tag = tag;
    this.listeners = listeners;
    this.runs = [];
    this.whole = new Layer(null);
    this.detail = null;
    this.early = []; // points that came while the bridge was asked
    this.aborts = { whole: null, detail: null }; // of the requests under way
    this.asking = 0;
    this.plot = null;
    this.xRange = [0, 1];
    this.yRange = [0, 1];
    this.yFixed = null; // [from, to], if the reader chose a range
    this.marked = null; // the run under the cursor
    this.isStale = true;
    this.error = "";
  }

  // --- on the page ------------------------------------------------------------------------------------------------------

  mount() {
    if (this.plot !== null) return;
    const { width, height } = this.size();
    const colors = themeColors;
    const axis = { stroke: () => colors().text, font: FONT, grid: { stroke: () => colors().grid, width: 1 }, ticks: { show: false } };
    const isWall = state.x === "wall";
    this.mode = state.x;
    this.isLog = state.log.has(this.tag);
    this.plot = new uPlot(
      {
        width,
        height,
        padding: [8, 18, 0, 0],
        legend: { show: false },
        cursor: {
          drag: { x: false, y: false, setScale: false },
          points: { show: false },
          sync: { key: `x-${this.mode}`, scales: ["x", null], setSeries: false },
          bind: { dblclick: () => null, mousedown: () => null, mouseup: () => null, click: () => null },
        },
        scales: {
          x: { time: isWall, range: () => this.xRange },
          y: { distr: this.isLog ? 3 : 1, log: 10, range: () => this.yRange },
        },
        axes: [
          { ...axis, size: 30, gap: 6, space: 70, values: (_, splits) => this.xLabels(splits) },
          { ...axis, size: 54, gap: 6, space: 32, values: (_, splits) => this.yLabels(splits) },
        ],
        series: [{}, { paths: () => null, points: { show: false } }],
        hooks: { draw: [() => this.paint()], setCursor: [() => this.cursorMoved()] },
      },
      [this.xRange, this.yRange],
      this.host,
    );
    if (this.isStale) this.load();
    else this.refine();
    this.redraw();
  }

  unmount() {
    for (const abort of Object.values(this.aborts)) abort?.abort();
    clearTimeout(this.timer);
    this.plot?.destroy();
    this.plot = null;
    this.isStale = true; // what comes from here on is not taken
  }

  size() {
    return { width: Math.max(120, this.host.clientWidth), height: Math.max(120, this.host.clientHeight) };
  }

  resized() {
    if (this.plot === null) return;
    const { width, height } = this.size();
    if (width !== this.plot.width || height !== this.plot.height) this.plot.setSize({ width, height });
  }

  /** The axes have to be made anew: another x, or logarithmic. */
  rebuild() {
    if (this.plot === null) return;
    if (this.mode !== state.x) {
      this.detail = null;
      this.yFixed = null;
      if ([...this.whole.series.values()].some((series) => series.candles !== null)) this.isStale = true;
    }
    const isStale = this.isStale;
    this.plot.destroy();
    this.plot = null;
    this.isStale = isStale;
    this.mount();
  }

  // --- what is shown ------------------------------------------------------------------------------------------------------

  setRuns(runs) {
    this.runs = runs;
    if (this.plot === null) return;
    if (runs.some((run) => !this.whole.series.has(run)) || this.wantsOther()) this.load();
    else this.refine();
    this.redraw();
  }

  get zoom() {
    return state.zoom.get(this.tag) ?? null;
  }

  /** Moves to a range of x, and of y where one is given. */
  show(x, y = this.yFixed) {
    const span = x[1] - x[0];
    const scale = Math.max(Math.abs(x[0]), Math.abs(x[1]), 1e-9);
    if (!(span > scale * 1e-12)) return;
    state.zoom.set(this.tag, x);
    this.yFixed = y;
    this.listeners.moved();
    this.redraw();
    this.refineSoon();
  }

  /** Shows everything. */
  reset() {
    state.zoom.delete(this.tag);
    this.detail = null;
    this.yFixed = null;
    this.aborts.detail?.abort();
    this.listeners.moved();
    this.redraw();
  }

  redraw() {
    if (this.plot !== null) drawNow(this);
  }

  /** What is drawn of a run now. */
  seriesOf(run) {
    const range = this.zoom;
    if (range !== null && this.detail?.covers(range) && this.detail.series.has(run)) return this.detail.series.get(run);
    return this.whole.series.get(run);
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
      return isStale || series === undefined || (series.isDense && (series.candles === null) !== (wanted === "line"));
    });
    this.isStale = false;
    if (runs.length) {
      await this.read(this.whole, runs, (run) => tagsOf("scalar").get(this.tag)?.get(run) ?? 0);
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
          else layer.series.set(answer.run, new Series(answer));
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
      series.append(steps, values, walls, this.pointsOfRun, false);
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

  // --- ranges -------------------------------------------------------------------------------------------------------------

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

  measure() {
    const zoom = this.zoom;
    if (zoom !== null) this.xRange = zoom;
    else {
      const [low, high] = this.extent();
      const room = low === high ? Math.max(1, Math.abs(low) * 0.01) : (high - low) * 0.015;
      this.xRange = [low - room, high + room];
    }
    this.yRange = this.yFixed ?? this.yExtent();
  }

  yExtent() {
    const [from, to] = this.xRange;
    const clipped = state.clip ? [] : null;
    const { isLog } = this;
    let [low, high] = [Infinity, -Infinity];
    const look = (value) => {
      if (!Number.isFinite(value) || (isLog && value <= 0)) return;
      if (value < low) low = value;
      if (value > high) high = value;
      clipped?.push(value);
    };
    for (const run of this.runs) {
      const series = this.seriesOf(run);
      if (series === undefined) continue;
      const { candles, values } = series;
      if (candles !== null) {
        for (let i = 0; i < candles.median.length; i++) {
          if (candles.last_steps[i] < from || candles.first_steps[i] > to) continue;
          look(candles.min[i]);
          look(candles.max[i]);
          if (clipped) for (const name of ["q1", "median", "median", "q3"]) look(candles[name][i]);
        }
      }
      const xs = series.xs(this.mode);
      for (let i = 0; i < values.length; i++) if (xs[i] >= from && xs[i] <= to) look(values[i]);
    }
    if (clipped && clipped.length > 10) {
      const sorted = Float64Array.from(clipped).sort();
      [low, high] = [quantile(sorted, 0.05), quantile(sorted, 0.95)];
    }
    return padded(low, high, isLog);
  }

  xLabels(splits) {
    if (this.mode === "wall") return format.moments(splits);
    if (this.mode === "relative") return splits.map((value) => format.duration(value));
    const large = Math.max(...splits.map(Math.abs));
    return splits.map((value) => {
      if (!Number.isInteger(value)) return "";
      if (large < 1e4) return String(value);
      const digits = Math.max(1, Math.ceil(Math.log10(large / (splits[1] - splits[0] || large))) + 1);
      return large < 1e15 ? compact(value, digits) : format.number(value, Math.min(digits + 1, 15));
    });
  }

  yLabels(splits) {
    const shown = splits.filter((value) => value !== null);
    const large = Math.max(...shown.map(Math.abs));
    const apart = Math.abs((shown[1] ?? large) - (shown[0] ?? 0)) || large;
    const digits = this.isLog ? 2 : Math.max(2, Math.min(12, Math.ceil(Math.log10(large / apart)) + 2));
    return splits.map((value) => (value === null ? "" : format.number(value, digits)));
  }

  // --- drawing ------------------------------------------------------------------------------------------------------------

  /** Called by the painter. */
  draw() {
    if (this.plot === null) return;
    this.measure();
    this.plot.setData([this.xRange, this.yRange], true);
    this.listeners.drawn();
  }

  paint() {
    const { ctx, bbox } = this.plot;
    ctx.save();
    ctx.beginPath();
    ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
    ctx.clip();
    ctx.lineJoin = "bevel";
    const place = this.places();
    const isAnySelected = this.runs.some((run) => state.selected.has(run));
    const stands = (run) => run === this.marked || state.selected.has(run);
    for (const run of [...this.runs].sort((a, b) => stands(a) - stands(b))) {
      const series = this.seriesOf(run);
      if (series === undefined) continue;
      const strength = isAnySelected && !stands(run) ? 0.25 : 1;
      this.paintRun(ctx, series, place, strength, stands(run));
    }
    ctx.restore();
  }

  /** x and y as places on the canvas. */
  places() {
    const { bbox } = this.plot;
    const [x0, x1] = this.xRange;
    const [y0, y1] = this.isLog ? this.yRange.map(Math.log10) : this.yRange;
    const kx = bbox.width / (x1 - x0);
    const ky = bbox.height / (y1 - y0);
    const bottom = bbox.top + bbox.height;
    // Far outside of the canvas is as good as far outside: beyond that a canvas loses its numbers.
    const near = (value) => Math.max(-1e5, Math.min(1e5, value));
    const x = (value) => near(bbox.left + (value - x0) * kx);
    const y = this.isLog
      ? (value) => (value > 0 ? near(bottom - (Math.log10(value) - y0) * ky) : bottom + 1e4)
      : (value) => near(bottom - (value - y0) * ky);
    return { x, y, left: bbox.left, right: bbox.left + bbox.width, top: bbox.top, bottom, ratio: uPlot.pxRatio };
  }

  paintRun(ctx, series, place, strength, isStrong) {
    const color = (alpha) => colorOf(series.run, alpha * strength);
    const width = (isStrong ? 2.4 : 1.5) * place.ratio;
    const { candles } = series;
    if (candles !== null) {
      if (this.dense === "candles") this.paintCandles(ctx, candles, place, color);
      else this.paintBand(ctx, candles, place, color);
      const medians = series.smoothMedians(state.smooth);
      const xs = candles.first_steps.map((first, i) => (first + candles.last_steps[i]) / 2);
      ctx.strokeStyle = color(1);
      ctx.lineWidth = this.dense === "candles" && !state.smooth ? place.ratio : width;
      if (this.dense !== "candles" || state.smooth) line(ctx, xs, medians, place);
      const last = medians.length - 1;
      if (series.values.length && last >= 0) {
        // what came since goes on from there
        line(ctx, [xs[last], series.xs(this.mode)[0]], [medians[last], series.smoothValues(state.smooth)[0]], place);
      }
      marks(ctx, xs, candles.nans.map((nans) => (nans ? NaN : 0)), place, color(0.9));
    }
    const xs = series.xs(this.mode);
    const { values } = series;
    if (values.length === 0) return;
    const [from, to] = this.reach(series, xs);
    if (state.smooth) {
      ctx.strokeStyle = color(0.28);
      ctx.lineWidth = place.ratio;
      line(ctx, xs, values, place, from, to);
    }
    const drawn = series.smoothValues(state.smooth);
    ctx.strokeStyle = color(1);
    ctx.lineWidth = width;
    line(ctx, xs, drawn, place, from, to);
    if (to - from < (place.right - place.left) / (14 * place.ratio)) dots(ctx, xs, drawn, place, color(1), from, to, isStrong ? 3 : 2.3);
    marks(ctx, xs, values, place, color(0.9), from, to);
  }

  /** The points that are seen, with one more on each side. */
  reach(series, xs) {
    if (!series.isAscending(this.mode)) return [0, xs.length];
    const from = nearest(xs, this.xRange[0]);
    const to = nearest(xs, this.xRange[1]);
    return [Math.max(0, from - 1), Math.min(xs.length, to + 2)];
  }

  paintCandles(ctx, candles, place, color) {
    const { first_steps: firsts, last_steps: lasts } = candles;
    const length = firsts.length;
    const pitch = length > 1 ? (place.x(lasts[length - 1]) - place.x(firsts[0])) / length : 12 * place.ratio;
    const body = Math.max(place.ratio, Math.min(pitch * 0.62, 16 * place.ratio));
    for (let i = 0; i < length; i++) {
      if (Number.isNaN(candles.median[i])) continue;
      const x = Math.round(place.x((firsts[i] + lasts[i]) / 2));
      if (x < place.left - pitch || x > place.right + pitch) continue;
      const [low, q1, median, q3, high] = ["min", "q1", "median", "q3", "max"].map((name) => place.y(candles[name][i]));
      ctx.fillStyle = color(0.6);
      ctx.fillRect(x - place.ratio / 2, high, place.ratio, low - high);
      ctx.fillStyle = themeColors().card;
      ctx.fillRect(x - body / 2, q3, body, Math.max(place.ratio, q1 - q3));
      ctx.fillStyle = color(0.42);
      ctx.fillRect(x - body / 2, q3, body, Math.max(place.ratio, q1 - q3));
      ctx.fillStyle = color(1);
      ctx.fillRect(x - body / 2, median - place.ratio, body, 2 * place.ratio);
    }
  }

  paintBand(ctx, candles, place, color) {
    for (const [low, high, alpha] of [["min", "max", 0.13], ["q1", "q3", 0.2]]) {
      ctx.fillStyle = color(alpha);
      ctx.beginPath();
      const last = candles.median.length - 1;
      const usable = (i) => !Number.isNaN(candles.median[i]);
      let isBegun = false;
      for (let i = 0; i <= last; i++) {
        if (!usable(i)) continue;
        const x = place.x((candles.first_steps[i] + candles.last_steps[i]) / 2);
        if (isBegun) ctx.lineTo(x, place.y(candles[high][i]));
        else ctx.moveTo(x, place.y(candles[high][i]));
        isBegun = true;
      }
      for (let i = last; i >= 0; i--) {
        if (usable(i)) ctx.lineTo(place.x((candles.first_steps[i] + candles.last_steps[i]) / 2), place.y(candles[low][i]));
      }
      ctx.fill();
    }
  }

  // --- under the cursor ---------------------------------------------------------------------------------------------------

  cursorMoved() {
    const { left, top } = this.plot.cursor;
    if (left < 0 || !this.isPointedAt) return;
    this.listeners.cursor(this.rowsAt(left), left, top);
  }

  /** What each run holds at a place of the plot (in CSS pixels): [{run, step, value, smoothed?, wall?, candle?, y}]. */
  rowsAt(left) {
    const at = this.plot.posToVal(left, "x");
    const rows = [];
    for (const run of this.runs) {
      const series = this.seriesOf(run);
      if (series === undefined) continue;
      const xs = series.xs(this.mode);
      const i = nearest(xs, at, series.isAscending(this.mode));
      const { candles } = series;
      if (candles !== null && (i < 0 || at <= series.lastCandle)) {
        const k = nearest(candles.last_steps, at);
        if (k < 0) continue;
        const candle = Object.fromEntries(["min", "q1", "median", "q3", "max", "counts", "nans"].map((name) => [name, candles[name][k]]));
        const steps = [candles.first_steps[k], candles.last_steps[k]];
        rows.push({ run, step: steps[0], steps, value: candle.median, candle, y: this.plot.valToPos(candle.median, "y") });
      } else if (i >= 0) {
        const value = series.values[i];
        const smoothed = state.smooth ? series.smoothValues(state.smooth)[i] : undefined;
        const y = this.plot.valToPos(smoothed ?? value, "y");
        rows.push({ run, step: series.steps[i], value, smoothed, wall: series.walls[i], relative: series.walls[i] - series.begin, y });
      }
    }
    return rows;
  }

  /** The canvas, as it is now. */
  get canvas() {
    return this.plot.ctx.canvas;
  }
}

function compact(value, digits) {
  for (const [unit, size] of [["T", 1e12], ["G", 1e9], ["M", 1e6], ["k", 1e3]]) {
    if (Math.abs(value) >= size) return `${Number((value / size).toPrecision(Math.min(15, digits)))}${unit}`.replace("-", "\u2212");
  }
  return String(value).replace("-", "\u2212");
}

function line(ctx, xs, values, place, from = 0, to = values.length) {
  ctx.beginPath();
  let isDown = false;
  for (let i = from; i < to; i++) {
    const value = values[i];
    if (!(value - value === 0)) {
      isDown = false;
      continue;
    }
    if (isDown) ctx.lineTo(place.x(xs[i]), place.y(value));
    else ctx.moveTo(place.x(xs[i]), place.y(value));
    isDown = true;
  }
  ctx.stroke();
}

function dots(ctx, xs, values, place, color, from, to, radius) {
  ctx.fillStyle = color;
  ctx.beginPath();
  for (let i = from; i < to; i++) {
    if (!Number.isFinite(values[i])) continue;
    const [x, y] = [place.x(xs[i]), place.y(values[i])];
    ctx.moveTo(x + radius * place.ratio, y);
    ctx.arc(x, y, radius * place.ratio, 0, 2 * Math.PI);
  }
  ctx.fill();
}

/** NaN as a triangle at the lower edge; infinities as one at the edge that they lie behind. */
function marks(ctx, xs, values, place, color, from = 0, to = values.length) {
  ctx.fillStyle = color;
  const size = 4.5 * place.ratio;
  let last = -Infinity;
  for (let i = from; i < to; i++) {
    const value = values[i];
    if (value - value === 0) continue;
    const x = place.x(xs[i]);
    if (x - last < place.ratio) continue; // where one is already
    last = x;
    const isTop = value === Infinity;
    const [tip, base] = isTop ? [place.top + 1, place.top + 1 + 1.7 * size] : [place.bottom - 1.7 * size - 1, place.bottom - 1];
    ctx.beginPath();
    if (Number.isNaN(value)) {
      ctx.moveTo(x - size, tip);
      ctx.lineTo(x + size, tip);
      ctx.lineTo(x, base);
    } else {
      const [point, other] = isTop ? [tip, base] : [base, tip];
      ctx.moveTo(x, point);
      ctx.lineTo(x - size, other);
      ctx.lineTo(x + size, other);
    }
    ctx.closePath();
    ctx.fill();
  }
}
