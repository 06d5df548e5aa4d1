// Texts: Markdown as elements, tables of texts as tables, the newest step first and a slider to go back.

import { getJson } from "./api.js";
import { colorOf } from "./colors.js";
import { fill, h, shown } from "./dom.js";
import * as format from "./format.js";
import { Gallery, StepSlider, panelHead } from "./gallery.js";
import { markdown } from "./markdown.js";

class Panel {
  constructor(tag, run) {
    this.tag = tag;
    this.run = run;
    this.swatch = h("span", { class: "swatch" });
    this.swatch.style.background = colorOf(run);
    this.body = h("div", { class: "prose", tabIndex: 0, role: "region", "aria-label": `${shown(tag)} of ${shown(run)}` });
    this.slider = new StepSlider(shown(tag), (value) => `step ${format.step(value.step)} \u00b7 ${format.moment(value.wall_time)}`, (i) => this.show(i));
    this.element = h("article", { class: "panel" }, panelHead(tag, run, this.swatch), this.body, this.slider.element);
  }

  themed() {
    this.swatch.style.background = colorOf(this.run);
  }

  say(text) {
    fill(this.body, h("p", { class: "dim" }, text));
  }

  async read() {
    const { values } = await getJson("api/v1/texts", { run: this.run, tag: this.tag });
    this.values = values;
    this.slider.set(values);
  }

  show(i) {
    const { texts, shape } = this.values[i];
    if (shape.length === 0 || texts.length === 1) fill(this.body, markdown(texts[0] ?? ""));
    else fill(this.body, table(texts, shape));
  }
}

/** Several texts as a table: rows and columns of the last two dimensions. */
function table(texts, shape) {
  const width = shape.length > 1 ? shape.at(-1) : 1;
  const rows = [];
  for (let i = 0; i < texts.length; i += width) rows.push(h("tr", null, texts.slice(i, i + width).map((text) => h("td", null, markdown(text)))));
  return h("table", null, h("tbody", null, rows));
}

export class Texts extends Gallery {
  constructor() {
    super("texts", "text", Panel);
  }
}
