// Hyperparameters: a table that can be sorted, and the same as parallel coordinates, a line a run.

import { getJson, readScalars } from "./api.js";
import { colorOf, onTheme } from "./colors.js";
import { fill, h, s, shown, throttled } from "./dom.js";
import { emptyState } from "./empty.js";
import * as format from "./format.js";
import { model, onModel, shownRuns, tagsOf } from "./model.js";
import { onChange, state } from "./state.js";

const READS_AT_ONCE = 6;
const METRICS_MAX = 24;
const AXES_MAX = 12;

export class HParams {
  constructor() {
    this.known = new Map(); // run -> {values, status}
    this.metrics = new Map(); // tag -> Map of run -> last value
    this.sort = { column: null, isDown: false };
    this.host = h("div", { class: "hparams" });
    this.again = throttled(() => this.read(), 1000);
    this.renderSoon = throttled(() => this.render(), 1000);
    onModel((what) => what.has("tags") && state.view === "hparams" && this.again());
    onChange((names) => state.view === "hparams" && ["listed", "runFilter", "selected"].some((name) => names.has(name)) && this.render());
    onTheme(() => state.view === "hparams" && this.render());
  }

  attach(main) {
    fill(main, this.host);
    this.read();
  }

  detach() {}

  gap() {
    this.known.clear();
    if (state.view === "hparams") this.read();
  }

  summaries(summaries) {
    for (const { run, kind } of summaries) {
      if (kind !== "hparams") continue;
      this.known.delete(run);
      if (state.view === "hparams") this.again();
    }
  }

  /** The last values of metrics, as the feed has them. */
  points(columns) {
    let isNew = false;
    for (const { run, tag, values } of columns) {
      if (!this.known.has(run) || !this.metrics.has(tag)) continue;
      this.metrics.get(tag).set(run, values.at(-1));
      isNew = true;
    }
    if (isNew && state.view === "hparams") this.renderSoon();
  }

  async read() {
    const runs = new Set([...tagsOf("hparams").values()].flatMap((holders) => [...holders.keys()]));
    if (runs.size === 0) {
      if (model.isLoaded) fill(this.host, emptyState("hparams"));
      return;
    }
    const missing = [...runs].filter((run) => !this.known.has(run));
    const wanted = new Set();
    const work = async () => {
      for (let run = missing.pop(); run !== undefined; run = missing.pop()) {
        try {
          const { values } = await getJson("api/v1/hparams", { run });
          const start = values.filter((value) => value.values).at(-1);
          const end = values.filter((value) => value.status).at(-1);
          this.known.set(run, { values: start?.values ?? {}, status: end?.status ?? "" });
          for (const value of values) for (const metric of value.metrics ?? []) wanted.add(typeof metric === "string" ? metric : metric.tag);
        } catch (error) {
          this.known.set(run, { values: {}, status: error.message });
        }
      }
    };
    await Promise.all(Array.from({ length: READS_AT_ONCE }, work));
    for (const run of [...this.known.keys()]) if (!runs.has(run)) this.known.delete(run);
    await this.readMetrics([...runs], wanted);
    this.render();
  }

  /** The last value of each scalar that these runs have: those that an experiment names, or the first ones. */
  async readMetrics(runs, wanted) {
    for (const tag of this.metrics.keys()) wanted.add(tag);
    let tags = [...wanted].filter((tag) => tagsOf("scalar").has(tag));
    if (tags.length === 0) tags = [...tagsOf("scalar")].filter(([, holders]) => runs.some((run) => holders.has(run))).map(([tag]) => tag);
    await Promise.all(
      tags.slice(0, METRICS_MAX).map(async (tag) => {
        const holders = tagsOf("scalar").get(tag);
        const last = new Map();
        this.metrics.set(tag, last);
        const here = runs.filter((run) => holders.has(run));
        await readScalars(tag, here, { downsample: "minmax", max_points: 2 }, undefined, (series) => series.forEach((one) => last.set(one.run, one.values.at(-1))));
      }),
    );
  }

  render() {
    if (this.known.size === 0) return;
    const runs = shownRuns().filter((run) => this.known.has(run));
    const names = [...new Set(runs.flatMap((run) => Object.keys(this.known.get(run).values)))].sort();
    const columns = [
      ...names.map((name) => ({ name, title: shown(name), isMetric: false, of: (run) => this.known.get(run).values[name] })),
      ...[...this.metrics].filter(([, last]) => runs.some((run) => last.has(run))).map(([tag, last]) => ({ name: `\n${tag}`, title: shown(tag), isMetric: true, of: (run) => last.get(run) })),
    ];
    const by = columns.find((column) => column.name === this.sort.column);
    if (by) runs.sort((a, b) => compared(by.of(a), by.of(b)) * (this.sort.isDown ? -1 : 1));
    const focused = this.host.contains(document.activeElement) ? document.activeElement.dataset.column : undefined;
    fill(this.host, this.parallel(runs, columns), this.table(runs, columns));
    if (focused !== undefined) [...this.host.querySelectorAll("th button")].find((one) => one.dataset.column === focused)?.focus();
  }

  table(runs, columns) {
    const head = columns.map((column) => {
      const isBy = column.name === this.sort.column;
      const turn = () => {
        this.sort = { column: column.name, isDown: isBy ? !this.sort.isDown : column.isMetric };
        this.render();
      };
      const sorted = isBy ? (this.sort.isDown ? "descending" : "ascending") : "none";
      return h("th", { scope: "col", "aria-sort": sorted, class: column.isMetric ? "metric" : "" }, h("button", { type: "button", data: { column: column.name }, on: { click: turn } }, column.title, isBy ? (this.sort.isDown ? " \u2193" : " \u2191") : ""));
    });
    const rows = runs.map((run) => {
      const swatch = h("span", { class: "swatch" });
      swatch.style.background = colorOf(run);
      return h(
        "tr",
        { class: state.selected.has(run) ? "selected" : "" },
        h("th", { scope: "row" }, swatch, h("bdi", null, shown(run))),
        columns.map((column) => h("td", { class: typeof column.of(run) === "number" ? "num" : "" }, cell(column.of(run)))),
      );
    });
    return h("div", { class: "scroll", tabIndex: 0, role: "region", "aria-label": "Table of hyperparameters" }, h("table", { class: "plain" }, h("thead", null, h("tr", null, h("th", { scope: "col" }, "Run"), head)), h("tbody", null, rows)));
  }

  /** A line a run across an axis for each column that differs. */
  parallel(runs, columns) {
    const axes = columns.filter((column) => new Set(runs.map((run) => String(column.of(run)))).size > 1).slice(0, AXES_MAX);
    if (axes.length < 2) return null;
    const [width, height, top, bottom] = [Math.max(560, axes.length * 150), 270, 48, 26];
    const x = (i) => 60 + (i * (width - 120)) / (axes.length - 1);
    const scales = axes.map((axis) => scaleOf(runs.map(axis.of)));
    const y = (share) => top + (1 - share) * (height - top - bottom);
    const lines = runs.map((run) => {
      const points = axes.map((axis, i) => [x(i), scales[i].place(axis.of(run))]).filter(([, share]) => share !== null).map(([at, share]) => `${at},${y(share).toFixed(1)}`);
      const isStrong = state.selected.has(run);
      return s("polyline", { points: points.join(" "), fill: "none", stroke: colorOf(run, state.selected.size && !isStrong ? 0.25 : 0.85), "stroke-width": isStrong ? 3.5 : 2 }, s("title", null, shown(run)));
    });
    const marks = axes.flatMap((axis, i) => [
      s("line", { x1: x(i), x2: x(i), y1: y(0), y2: y(1), class: "axis" }),
      s("text", { x: x(i), y: 16, "text-anchor": "middle", class: axis.isMetric ? "title metric" : "title" }, axis.title.length > 20 ? `${axis.title.slice(0, 19)}\u2026` : axis.title, s("title", null, axis.title)),
      ...scales[i].marks.map(([share, text]) => mark(x(i), y(share), share, text)),
    ]);
    return h("div", { class: "scroll parallel", tabIndex: 0, role: "region", "aria-label": "Parallel coordinates; the table below says the same" }, s("svg", { viewBox: `0 0 ${width} ${height}`, width, height, role: "img", "aria-label": `Parallel coordinates of ${runs.length} runs` }, ...lines, ...marks));
  }
}

/** A label beside an axis; at its ends above and below it, clear of the lines. */
function mark(x, y, share, text) {
  if (share > 0 && share < 1) return s("text", { x: x + 6, y: y + 4, class: "mark" }, text);
  return s("text", { x, y: share ? y - 6 : y + 15, "text-anchor": "middle", class: "mark" }, text);
}

/** Places of values on an axis from 0 to 1: numbers by size (by magnitude if they span some), other things in their order. */
function scaleOf(values) {
  const numbers = values.filter((value) => Number.isFinite(value));
  if (numbers.length && values.every((value) => value === undefined || value === null || typeof value === "number")) { // NaN has no place
    const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
    const isLog = low > 0 && high / low > 50;
    const warp = isLog ? Math.log : (value) => value;
    const span = warp(high) - warp(low) || 1;
    const place = (value) => (Number.isFinite(value) ? (warp(value) - warp(low)) / span : null);
    const middle = isLog ? Math.sqrt(low * high) : (low + high) / 2;
    return { place, marks: [low, middle, high].map((value) => [place(value), format.number(value, 3)]) };
  }
  const kinds = [...new Set(values.filter((value) => value !== undefined && value !== null).map(String))].sort();
  const place = (value) => (value === undefined || value === null ? null : kinds.length > 1 ? kinds.indexOf(String(value)) / (kinds.length - 1) : 0.5);
  return { place, marks: kinds.slice(0, 12).map((kind) => [place(kind), shown(kind).slice(0, 14)]) };
}

function compared(a, b) {
  const isMissing = (value) => value === undefined || value === null || Number.isNaN(value);
  if (isMissing(a) || isMissing(b)) return isMissing(a) - isMissing(b);
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a) < String(b) ? -1 : String(a) > String(b) ? 1 : 0;
}

function cell(value) {
  if (value === undefined || value === null) return "";
  return typeof value === "number" ? format.number(value, 6) : shown(String(value));
}
