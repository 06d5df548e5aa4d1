// A chart's card: its title, tools, the line that says what is under the cursor, and the same as a table.

import { ask, path } from "./api.js";
import { Chart } from "./chart.js";
import { colorOf, themed } from "./colors.js";
import { askToDelete } from "./dialogs.js";
import { fileName, h, iconButton, notice, save, shown, throttled } from "./dom.js";
import * as format from "./format.js";
import { addGestures } from "./gestures.js";
import { fitted, legend } from "./legend.js";
import { toggleMenu } from "./menus.js";
import { tagsOf } from "./model.js";
import { changed, state } from "./state.js";

const TIP_ROWS = 8;
// Below a chart that is saved as a picture; a longer legend would be more of it than the chart.
const LEGEND_LINES = 12;

let isFirstDrawn = false;

export class Card {
  constructor(tag, group) {
    this.tag = tag;
    this.isVisible = false;
    this.isTable = false;
    this.runs = [];
    const rest = group && tag.startsWith(`${group}/`) ? tag.slice(group.length + 1) : tag;
    this.reset = iconButton("reset", "Show all (double-click)", () => this.chart.reset(), { hidden: true });
    this.tableButton = iconButton("table", "Show as a table", () => this.toggleTable(), { "aria-pressed": "false" });
    this.more = iconButton("more", `More for ${shown(tag)}`, () => toggleMenu(this.more, this.menu()), { "aria-haspopup": "menu", "aria-expanded": "false" });
    this.expand = iconButton("expand", "Large or small", () => this.toggleWide(), { "aria-pressed": "false" });
    this.plot = h("div", { class: "plot", tabIndex: 0, role: "application", "aria-roledescription": "chart", "aria-label": `Chart of ${shown(tag)}` });
    this.tip = h("div", { class: "tip", hidden: true });
    this.table = h("div", { class: "table-view", hidden: true, tabIndex: 0, role: "region", "aria-label": `${shown(tag)} as a table` });
    this.note = h("p", { class: "note", hidden: true });
    this.spoken = h("p", { class: "sr", "aria-live": "polite" });
    this.element = h(
      "article",
      { class: "card", data: { tag } },
      h("header", null, h("h3", { title: shown(tag) }, h("bdi", null, shown(rest))), h("div", { class: "tools" }, this.reset, this.tableButton, this.expand, this.more)),
      h("div", { class: "stage" }, this.plot, this.tip, this.table, this.note),
      this.spoken,
    );
    this.chart = new Chart(this.plot, tag, {
      loading: (is) => this.element.classList.toggle("loading", is),
      drawn: () => this.drawn(),
      moved: () => this.moved(),
      cursor: (rows, left, top) => this.showTip(rows, left, top),
    });
    addGestures(this.chart, this.plot, () => this.hint());
    this.plot.addEventListener("pointerenter", () => (this.chart.isPointedAt = true));
    this.plot.addEventListener("pointerleave", () => this.left());
    this.plot.addEventListener("blur", () => this.left());
    this.plot.addEventListener("focus", () => this.describe());
    this.describeSoon = throttled(() => this.describe(), 1000);
  }

  setVisible(is) {
    this.isVisible = is;
    if (is) this.chart.mount();
    else this.chart.unmount();
  }

  setRuns(runs) {
    this.runs = runs;
    this.chart.setRuns(runs);
  }

  destroy() {
    this.chart.unmount();
  }

  append(column) {
    this.chart.append(column);
  }

  // --- what the chart says ------------------------------------------------------------------------------------------------

  drawn() {
    this.reset.hidden = this.chart.zoom === null && this.chart.yFixed === null;
    const { chart } = this;
    const isEmpty = this.runs.length === 0;
    const text = isEmpty ? "No shown run has this series." : chart.error || (chart.isBelow ? "No value here is above 0: a logarithmic axis cannot show them." : "");
    if (this.note.textContent !== text) this.note.textContent = text;
    this.note.hidden = !text;
    if (!isFirstDrawn && chart.runs.some((run) => chart.seriesOf(run) !== undefined)) {
      isFirstDrawn = true;
      performance.mark("first-chart"); // what benchmarks/page.py measures
    }
    const isDense = chart.runs.some((run) => chart.seriesOf(run)?.isDense);
    this.element.dataset.drawn = String(Number(this.element.dataset.drawn ?? 0) + 1);
    this.element.dataset.dense = isDense ? chart.dense : "points";
    if (this.isTable) this.fillTable();
    this.describeSoon();
  }

  moved() {
    changed("zoom");
  }

  hint() {
    this.note.textContent = "Click the chart first, or hold Ctrl, to zoom with the wheel.";
    this.note.hidden = false;
    clearTimeout(this.hinting);
    this.hinting = setTimeout(() => this.drawn(), 1600);
  }

  describe() {
    const parts = this.runs.slice(0, 4).map((run) => {
      const series = this.chart.seriesOf(run);
      if (!series?.count) return shown(run);
      const { lastStep, lastValue, low, high } = series.summary();
      return `${shown(run)}: ${format.number(lastValue)} at step ${format.step(lastStep)}, from ${format.number(low)} to ${format.number(high)}`;
    });
    const rest = this.runs.length > 4 ? `; and ${this.runs.length - 4} more runs` : "";
    const label = `Chart of ${shown(this.tag)}. ${parts.join("; ")}${rest}. Arrows move, plus and minus zoom, 0 shows all, Shift and arrows read values.`;
    if (this.plot.getAttribute("aria-label") !== label) this.plot.setAttribute("aria-label", label);
  }

  // --- under the cursor ---------------------------------------------------------------------------------------------------

  left() {
    this.chart.isPointedAt = false;
    this.tip.hidden = true;
    if (this.chart.marked !== null) {
      this.chart.marked = null;
      this.chart.redraw();
    }
  }

  showTip(rows, left, top) {
    rows.sort((a, b) => Math.abs(a.y - top) - Math.abs(b.y - top));
    const nearestRun = rows.length && Math.abs(rows[0].y - top) < 40 ? rows[0].run : null;
    if (nearestRun !== this.chart.marked) {
      this.chart.marked = nearestRun;
      if (this.runs.length > 1) this.chart.redraw();
    }
    if (rows.length === 0) {
      this.tip.hidden = true;
      return;
    }
    const seen = rows.slice(0, TIP_ROWS).sort((a, b) => a.y - b.y);
    const lines = seen.map((row) => {
      const swatch = h("span", { class: "swatch" });
      swatch.style.background = colorOf(row.run);
      const value = row.candle ? candleText(row) : row.smoothed === undefined ? format.number(row.value, 5) : `${format.number(row.smoothed, 5)} (${format.number(row.value, 4)})`;
      const where = row.steps && row.steps[0] !== row.steps[1] ? `${format.step(row.steps[0])}\u2013${format.step(row.steps[1])}` : format.step(row.step);
      return h("tr", { class: row.run === nearestRun ? "near" : "" }, h("td", null, swatch), h("th", { scope: "row" }, h("bdi", null, shown(row.run))), h("td", { class: "num" }, value), h("td", { class: "num dim" }, where));
    });
    const first = rows[0];
    const when = first.wall === undefined ? null : h("p", { class: "when" }, `${format.moment(first.wall)} \u00b7 ${format.duration(first.relative)} in`);
    const more = rows.length > TIP_ROWS ? h("p", { class: "when" }, `and ${rows.length - TIP_ROWS} more`) : null;
    this.tip.replaceChildren(h("table", null, h("tbody", null, lines)), ...[more, when].filter(Boolean));
    this.tip.hidden = false;
    const over = this.chart.plot.over;
    const stage = this.plot.clientWidth;
    const at = over.offsetLeft + left;
    const width = this.tip.offsetWidth;
    const isRight = at + 14 + width <= stage;
    const isLeft = at - 14 - width >= 2;
    const x = isRight ? at + 14 : isLeft ? at - width - 14 : Math.max(2, Math.min(at - width / 2, stage - width));
    const under = this.plot.clientHeight - 20;
    const y = isRight || isLeft ? Math.min(top + 12, under) : under; // with no room beside the cursor it would hide what it tells of
    this.tip.style.transform = `translate(${Math.round(x)}px, ${Math.round(y)}px)`;
    if (document.activeElement === this.plot && !this.plot.matches(":hover")) {
      this.spoken.textContent = seen.map((row) => `${shown(row.run)} ${format.number(row.value, 4)} at step ${format.step(row.step)}`).join(", ");
    }
  }

  // --- tools --------------------------------------------------------------------------------------------------------------

  menu() {
    const isAll = this.runs.length === tagsOf("scalar").get(this.tag)?.size; // then no names need fit the address
    const exports = path("api/v1/export", { tag: this.tag, run: isAll ? [] : this.runs, format: "csv" });
    return [
      ["Logarithmic axis", () => this.toggleLog(), { checked: state.log.has(this.tag) }],
      null,
      ["Save as PNG", () => this.savePng()],
      ["Save what is shown as CSV", () => this.saveCsv()],
      ["Save every point as CSV", () => this.saveAll(exports)],
      null,
      ["Delete this series\u2026", () => askToDelete(this.runs, this.tag), { danger: true }],
    ];
  }

  toggleLog() {
    if (!state.log.delete(this.tag)) state.log.add(this.tag);
    this.chart.yFixed = null;
    changed("log");
    this.chart.rebuild();
  }

  toggleWide() {
    const is = this.element.classList.toggle("wide");
    this.expand.setAttribute("aria-pressed", String(is));
    this.chart.resized();
  }

  toggleTable() {
    this.isTable = !this.isTable;
    this.tableButton.setAttribute("aria-pressed", String(this.isTable));
    this.table.hidden = !this.isTable;
    this.plot.classList.toggle("behind", this.isTable);
    if (this.isTable) this.fillTable();
  }

  fillTable() {
    const rows = this.runs.map((run) => {
      const series = this.chart.seriesOf(run);
      if (!series?.count) return h("tr", null, h("th", { scope: "row" }, shown(run)), h("td", { colSpan: 6, class: "dim" }, series ? "no points" : "not read yet"));
      const { count, lastStep, lastValue, isMedian, low, high, nans, areMore } = series.summary();
      const swatch = h("span", { class: "swatch" });
      swatch.style.background = colorOf(run);
      const cells = [format.count(count), format.step(lastStep), (isMedian ? "~" : "") + format.number(lastValue, 6), format.number(low, 6), format.number(high, 6), (areMore ? "\u2265 " : "") + (nans || "")];
      return h("tr", null, h("th", { scope: "row" }, swatch, h("bdi", null, shown(run))), cells.map((cell) => h("td", { class: "num" }, String(cell))));
    });
    const head = ["Run", "Points", "Last step", "Last value", "Lowest", "Highest", "NaN"].map((name) => h("th", { scope: "col" }, name));
    this.table.replaceChildren(h("table", null, h("caption", { class: "sr" }, shown(this.tag)), h("thead", null, h("tr", null, head)), h("tbody", null, rows)));
  }

  saveCsv() {
    const lines = [];
    const isCandles = this.runs.some((run) => this.chart.seriesOf(run)?.candles);
    const [from, to] = this.chart.xRange;
    const mode = this.chart.mode;
    for (const run of this.runs) {
      const series = this.chart.seriesOf(run);
      if (series === undefined) continue;
      const { candles } = series;
      candles?.median.forEach((median, i) => {
        if (candles.last_steps[i] < from || candles.first_steps[i] > to) return;
        const columns = [candles.first_steps[i], candles.last_steps[i], candles.counts[i], candles.min[i], candles.q1[i], median, candles.q3[i], candles.max[i]];
        lines.push([quoted(run), quoted(this.tag), ...columns].join(","));
      });
      const xs = series.xs(mode);
      series.values.forEach((value, i) => {
        if (xs[i] < from || xs[i] > to) return;
        const step = series.steps[i];
        const point = isCandles ? [step, step, 1, value, value, value, value, value] : [step, series.walls[i], value]; // one head for all
        lines.push([quoted(run), quoted(this.tag), ...point].join(","));
      });
    }
    const head = isCandles ? "run,tag,first_step,last_step,count,min,q1,median,q3,max" : "run,tag,step,wall_time,value";
    save(new Blob([`${[head, ...lines].join("\n")}\n`], { type: "text/csv" }), `${fileName(this.tag)}.csv`);
  }

  async saveAll(url) {
    try {
      const answer = await ask(url);
      save(await answer.blob(), `${fileName(this.tag)}.csv`);
    } catch (error) {
      notice(`The points were not saved: ${error.message}`, "error");
    }
  }

  savePng() {
    const source = this.chart.canvas;
    const ratio = source.width / this.plot.clientWidth;
    const line = 18 * ratio;
    const font = `${12 * ratio}px system-ui, sans-serif`;
    const canvas = h("canvas", { width: source.width + 16 * ratio });
    const ctx = canvas.getContext("2d");
    ctx.font = font;
    const left = 12 * ratio;
    const named = legend(this.runs.map(shown), canvas.width - 2 * left, LEGEND_LINES, (text) => ctx.measureText(text).width + 28 * ratio);
    canvas.height = source.height + 40 * ratio + line * named.lines; // which forgets the font
    ctx.fillStyle = themed("--card");
    ctx.fillRect(0, 0, canvas.width, canvas.height);
    ctx.fillStyle = themed("--text");
    ctx.font = `600 ${14 * ratio}px system-ui, sans-serif`;
    ctx.fillText(fitted(shown(this.tag), canvas.width - 2 * left, (text) => ctx.measureText(text).width), left, 22 * ratio);
    ctx.drawImage(source, 0, 32 * ratio);
    ctx.font = font;
    for (const { place, text, x: at, line: row } of named.entries) {
      const x = left + at;
      const y = source.height + 46 * ratio + row * line;
      ctx.fillStyle = place === null ? themed("--card") : colorOf(this.runs[place]);
      ctx.fillRect(x, y - 8 * ratio, 10 * ratio, 10 * ratio);
      ctx.fillStyle = themed("--text");
      ctx.fillText(text, x + 16 * ratio, y + ratio);
    }
    canvas.toBlob((blob) => save(blob, `${fileName(this.tag)}.png`), "image/png");
  }
}

function candleText({ candle }) {
  return `${format.number(candle.median, 4)} [${format.number(candle.min, 3)}, ${format.number(candle.max, 3)}] of ${format.count(candle.counts + candle.nans)}`;
}

/** A cell of CSV. A name that a spreadsheet would take for a formula gets a quote in front. */
function quoted(name) {
  const safe = /^[=+\-@\t\r]/.test(name) ? `'${name}` : name;
  return /[",\r\n]/.test(safe) ? `"${safe.replace(/"/g, '""')}"` : safe;
}
