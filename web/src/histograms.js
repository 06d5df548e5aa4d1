// Histograms over steps: as ridges, one behind the other, or as a heat map. The buckets are those that were stored, redistributed to
// even ones so that steps can be compared.

import { getJson } from "./api.js";
import { colorOf, themed } from "./colors.js";
import { h, shown } from "./dom.js";
import * as format from "./format.js";
import { Gallery, panelHead } from "./gallery.js";
import { toNumbers } from "./maths.js";

const BUCKETS = 40;
// More ridges than this hide each other; of more steps an even choice is shown.
const RIDGES = 24;
const COLUMNS = 120;
let form = "ridge";

/** Counts in `n` even buckets from `low` to `high`; each stored bucket is spread evenly over its width. */
export function evenBuckets({ lefts, rights, counts }, low, high, n) {
  const out = new Float64Array(n);
  const width = (high - low) / n || 1;
  for (let i = 0; i < counts.length; i++) {
    if (!counts[i]) continue;
    const [left, right] = [lefts[i], rights[i]];
    const from = Math.max(0, Math.min(n - 1, Math.floor((left - low) / width)));
    const to = Math.max(from, Math.min(n - 1, Math.ceil((right - low) / width) - 1));
    if (!(right > left)) {
      out[from] += counts[i];
      continue;
    }
    for (let k = from; k <= to; k++) {
      const share = Math.min(right, low + (k + 1) * width) - Math.max(left, low + k * width);
      out[k] += counts[i] * Math.max(0, share / (right - left));
    }
  }
  return out;
}

class Panel {
  constructor(tag, run) {
    this.tag = tag;
    this.run = run;
    this.swatch = h("span", { class: "swatch" });
    this.canvas = h("canvas", { class: "histogram", role: "img", "aria-label": shown(tag) });
    this.says = h("p", { class: "when num" }, "\u00a0");
    this.element = h("article", { class: "panel" }, panelHead(tag, run, this.swatch), this.canvas, this.says);
    this.canvas.addEventListener("pointermove", (event) => this.point(event));
    this.canvas.addEventListener("pointerleave", () => (this.says.textContent = this.summary()));
  }

  say(text) {
    this.says.textContent = text;
  }

  themed() {
    this.draw();
  }

  async read() {
    const { values } = await getJson("api/v1/histograms", { run: this.run, tag: this.tag });
    this.values = values.filter((value) => value.counts.length);
    for (const value of this.values) for (const name of ["lefts", "rights", "counts"]) toNumbers(value[name]);
    this.low = Math.min(...this.values.map((value) => value.lefts[0]));
    this.high = Math.max(...this.values.map((value) => value.rights.at(-1)));
    this.draw();
    this.say(this.summary());
    this.canvas.setAttribute("aria-label", `Histograms of ${shown(this.tag)} of ${shown(this.run)}: ${this.summary()}`);
  }

  summary() {
    if (!this.values?.length) return "no values";
    const last = this.values.at(-1);
    return `${this.values.length} steps, the last ${format.step(last.step)}; values from ${format.number(this.low)} to ${format.number(this.high)}`;
  }

  draw() {
    this.swatch.style.background = colorOf(this.run);
    if (!this.values?.length) return;
    const ratio = devicePixelRatio;
    const [width, height] = [this.canvas.clientWidth, this.canvas.clientHeight];
    this.canvas.width = width * ratio;
    this.canvas.height = height * ratio;
    const ctx = this.canvas.getContext("2d");
    ctx.scale(ratio, ratio);
    this.picked = choose(this.values, form === "ridge" ? RIDGES : COLUMNS);
    this.rows = this.picked.map((value) => evenBuckets(value, this.low, this.high, BUCKETS));
    this.most = Math.max(...this.rows.map((row) => Math.max(...row))) || 1;
    this.area = { left: 8, right: width - 46, top: 12, bottom: height - 22, width, height };
    if (form === "ridge") this.ridges(ctx);
    else this.heat(ctx);
    this.labels(ctx);
  }

  ridges(ctx) {
    const { left, right, top, bottom } = this.area;
    const tall = (bottom - top) * 0.32;
    const pitch = this.rows.length > 1 ? (bottom - top - tall) / (this.rows.length - 1) : 0;
    this.baseOf = (i) => top + tall + i * pitch;
    const x = (k) => left + ((k + 0.5) / BUCKETS) * (right - left);
    this.rows.forEach((row, i) => {
      const base = this.baseOf(i);
      ctx.beginPath();
      ctx.moveTo(left, base);
      row.forEach((count, k) => ctx.lineTo(x(k), base - (count / this.most) * tall));
      ctx.lineTo(right, base);
      ctx.closePath();
      ctx.fillStyle = themed("--card");
      ctx.fill();
      ctx.fillStyle = colorOf(this.run, 0.15 + (0.55 * i) / Math.max(1, this.rows.length - 1));
      ctx.fill();
      ctx.strokeStyle = themed("--card");
      ctx.lineWidth = 1;
      ctx.stroke();
    });
  }

  heat(ctx) {
    const { left, right, top, bottom } = this.area;
    // Whole pixels: cells that share a part of one would show a line there.
    const x = (i) => Math.round(left + (i * (right - left)) / this.rows.length);
    const y = (k) => Math.round(bottom - (k * (bottom - top)) / BUCKETS);
    this.rows.forEach((row, i) => {
      row.forEach((count, k) => {
        if (!count) return;
        ctx.fillStyle = colorOf(this.run, 0.08 + 0.92 * Math.sqrt(count / this.most));
        ctx.fillRect(x(i), y(k + 1), x(i + 1) - x(i), y(k) - y(k + 1));
      });
    });
  }

  labels(ctx) {
    const { left, right, top, bottom, width, height } = this.area;
    ctx.fillStyle = themed("--dim");
    ctx.font = "11px system-ui, sans-serif";
    const first = this.picked[0];
    const last = this.picked.at(-1);
    if (form === "ridge") {
      ctx.textAlign = "left";
      ctx.fillText(format.number(this.low, 3), left, height - 6);
      ctx.textAlign = "right";
      ctx.fillText(format.number(this.high, 3), right, height - 6);
      const every = Math.max(1, Math.ceil(this.picked.length / 8));
      ctx.textAlign = "left";
      this.picked.forEach((value, i) => (this.picked.length - 1 - i) % every === 0 && ctx.fillText(short(value.step), right + 5, this.baseOf(i) + 3));
    } else {
      ctx.textAlign = "left";
      ctx.fillText(short(first.step), left, height - 6);
      ctx.textAlign = "right";
      ctx.fillText(short(last.step), right, height - 6);
      ctx.textAlign = "left";
      ctx.fillText(format.number(this.high, 3), right + 5, top + 8);
      ctx.fillText(format.number(this.low, 3), right + 5, bottom);
    }
    ctx.strokeStyle = themed("--grid");
    ctx.beginPath();
    ctx.moveTo(left, bottom + 0.5);
    ctx.lineTo(Math.min(right, width), bottom + 0.5);
    ctx.stroke();
  }

  point(event) {
    if (!this.rows) return;
    const box = this.canvas.getBoundingClientRect();
    const { left, right, top, bottom } = this.area;
    const across = Math.max(0, Math.min(0.999, (event.clientX - box.left - left) / (right - left)));
    const down = Math.max(0, Math.min(0.999, (event.clientY - box.top - top) / (bottom - top)));
    let [i, k] = [Math.floor(across * this.rows.length), Math.floor((1 - down) * BUCKETS)];
    if (form === "ridge") {
      k = Math.floor(across * BUCKETS);
      const y = event.clientY - box.top;
      i = this.rows.findIndex((_, n) => this.baseOf(n) >= y);
      if (i < 0) i = this.rows.length - 1;
    }
    const width = (this.high - this.low) / BUCKETS;
    const from = this.low + k * width;
    this.say(`step ${format.step(this.picked[i].step)}: about ${format.number(this.rows[i][k], 3)} values in ${format.number(from, 3)} \u2026 ${format.number(from + width, 3)}`);
  }
}

function short(step) {
  return step >= 1e4 ? format.number(step, 3).replace(/^(\d+)000$/, "$1k") : String(step);
}

function choose(values, most) {
  if (values.length <= most) return values;
  return Array.from({ length: most }, (_, i) => values[Math.round((i * (values.length - 1)) / (most - 1))]);
}

export class Histograms extends Gallery {
  constructor() {
    super("histograms", "histogram", Panel);
    const select = h(
      "select",
      {
        "aria-label": "Form of the histograms",
        on: {
          change: () => {
            form = select.value;
            for (const panel of this.panels.values()) panel.draw();
          },
        },
      },
      h("option", { value: "ridge" }, "Ridges"),
      h("option", { value: "heat" }, "Heat map"),
    );
    this.toolbar.append(h("label", { class: "control" }, "Form", select));
    this.sizes = new ResizeObserver((entries) => entries.forEach(({ target }) => this.panels.get(target.dataset.key)?.draw()));
  }

  panelOf(item) {
    const element = super.panelOf(item);
    this.sizes.observe(element);
    return element;
  }
}
