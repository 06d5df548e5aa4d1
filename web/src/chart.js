// One chart: the series of all shown runs of one tag. uPlot makes the axes, the grid, the cursor and its synchronisation; the runs are
// painted onto its canvas here, since each has steps of its own (uPlot's own series share one x column), and since a run is a line, a
// band or candlesticks as there is room.

import uPlot from "uplot";
import { logSplits, xLabels, yLabels } from "./axes.js";
import { ChartData } from "./chartdata.js";
import { colorOf, onTheme, themed } from "./colors.js";
import { nearest, nearestStretch, padded, quantile } from "./maths.js";
import { drawNow } from "./painter.js";
import { state } from "./state.js";
import { band, candlesticks, dots, line, marks } from "./strokes.js";

const FONT = "11px system-ui, sans-serif";
const X_SIZE = 30;
const Y_SPACE = 32;

let theme = null;

function themeColors() {
  theme ??= { text: themed("--dim"), grid: themed("--grid"), card: themed("--card"), strong: themed("--text") };
  return theme;
}
onTheme(() => (theme = null));

export class Chart extends ChartData {
  /** `host`: the element to draw into. `listeners`: {loaded(), cursor(rows), state(text)}. */
  constructor(host, tag, listeners) {
    super(tag, listeners);
    this.host = host;
    this.plot = null;
    this.xRange = [0, 1];
    this.yRange = [0, 1];
    this.yFixed = null; // [from, to], if the reader chose a range
    this.marked = null; // the run under the cursor
    this.isBelow = false; // all values that would be seen are below what a logarithmic axis shows
  }

  // --- on the page ------------------------------------------------------------------------------------------------------

  mount() {
    if (this.plot !== null) return;
    const { width, height } = this.size();
    const colors = themeColors;
    const axis = { stroke: () => colors().text, font: FONT, grid: { stroke: () => colors().grid, width: 1 }, ticks: { show: false } };
    const isWall = state.x === "wall";
    // Of uPlot's own there is one label where the values span less than a decade.
    const logAxis = { splits: ({ height }, _, low, high) => logSplits(low, high, (height - X_SIZE) / Y_SPACE), filter: (_, splits) => splits };
    this.mode = state.x;
    this.isLog = state.log.has(this.tag);
    this.measure(); // before the axes are made: a logarithmic one takes no 0
    this.plot = new uPlot(
      {
        width,
        height,
        padding: [8, this.mode === "step" ? 18 : 26, 0, 0], // half of the last label may stand beyond the end, and times are long
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
          { ...axis, size: X_SIZE, gap: 6, space: 70, values: (_, splits) => xLabels(splits, this.mode) },
          { ...axis, size: 54, gap: 6, space: Y_SPACE, values: (_, splits) => yLabels(splits, this.isLog), ...(this.isLog && logAxis) },
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
    this.stopAsking();
    this.plot?.destroy();
    this.plot = null;
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

  // --- ranges -------------------------------------------------------------------------------------------------------------

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
    let isAnyBelow = false;
    const look = (value) => {
      if (!Number.isFinite(value)) return;
      if (isLog && value <= 0) {
        isAnyBelow = true;
        return;
      }
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
    this.isBelow = isAnyBelow && low > high;
    if (clipped && clipped.length > 10) {
      const sorted = Float64Array.from(clipped).sort();
      [low, high] = [quantile(sorted, 0.05), quantile(sorted, 0.95)];
    }
    return padded(low, high, isLog);
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
      if (this.dense === "candles") candlesticks(ctx, candles, place, color, themeColors().card);
      else band(ctx, candles, place, color);
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
        const k = nearestStretch(candles.first_steps, candles.last_steps, at);
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
