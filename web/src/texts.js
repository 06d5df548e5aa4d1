// Texts: Markdown as elements, tables of texts as tables, the newest step first and a slider to go back.

import { fill, h, shown } from "./dom.js";
import { Gallery, SteppedPanel } from "./gallery.js";
import { markdown } from "./markdown.js";

class Panel extends SteppedPanel {
  constructor(tag, run) {
    super(tag, run, "api/v1/texts", h("div", { class: "prose", tabIndex: 0, role: "region", "aria-label": `${shown(tag)} of ${shown(run)}` }));
  }

  show({ texts, shape }) {
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
