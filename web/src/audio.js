// Audio: each tag and run with a slider over its steps, and the browser's own player.

import { h } from "./dom.js";
import { FilesPanel, Gallery } from "./gallery.js";

class Panel extends FilesPanel {
  constructor(tag, run) {
    super(tag, run, "api/v1/audio", "audio", h("div", { class: "players" }));
  }

  made(url, _, label) {
    return h("audio", { src: url, controls: true, preload: "metadata", "aria-label": label });
  }
}

export class Audio extends Gallery {
  constructor() {
    super("audio", "audio", Panel);
  }
}
