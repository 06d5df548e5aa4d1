// Images: each tag and run with a slider over its steps. The bytes are fetched for the step that is shown, and shown as a picture only.

import { h } from "./dom.js";
import { FilesPanel, Gallery } from "./gallery.js";

class Panel extends FilesPanel {
  constructor(tag, run) {
    super(tag, run, "api/v1/images", "image", h("div", { class: "pictures" }));
  }

  made(url, type, label) {
    if (!type.startsWith("image/")) return h("p", { class: "dim" }, "This is no PNG, JPEG or GIF.");
    return h("img", { src: url, alt: label, on: { click: (event) => event.target.classList.toggle("actual") } });
  }
}

export class Images extends Gallery {
  constructor() {
    super("images", "image", Panel);
  }
}
