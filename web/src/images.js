// Images: each tag and run with a slider over its steps. The bytes are fetched for the step that is shown, and shown as a picture only.

import { getBlob, getJson } from "./api.js";
import { colorOf } from "./colors.js";
import { h, settled, shown } from "./dom.js";
import * as format from "./format.js";
import { Gallery, StepSlider, panelHead } from "./gallery.js";

// While a slider is moved, a picture is asked for when it rests so long.
const REST_MS = 60;

class Panel {
  constructor(tag, run) {
    this.tag = tag;
    this.run = run;
    this.swatch = h("span", { class: "swatch" });
    this.swatch.style.background = colorOf(run);
    this.pictures = h("div", { class: "pictures" });
    this.slider = new StepSlider(shown(tag), (value) => `step ${format.step(value.step)} \u00b7 ${format.moment(value.wall_time)}`, (i) => this.chosen(i));
    this.element = h("article", { class: "panel" }, panelHead(tag, run, this.swatch), this.pictures, this.slider.element);
    this.fetch = settled(() => this.show(), REST_MS);
    this.urls = [];
  }

  themed() {
    this.swatch.style.background = colorOf(this.run);
  }

  say(text) {
    this.pictures.replaceChildren(h("p", { class: "dim" }, text));
  }

  async read() {
    const { values } = await getJson("api/v1/images", { run: this.run, tag: this.tag });
    this.values = values;
    this.slider.set(values);
    await this.show();
  }

  chosen(i) {
    this.at = i;
    this.fetch();
  }

  async show() {
    const value = this.values?.[this.at];
    if (value === undefined || value === this.showing) return;
    this.showing = value;
    this.abort?.abort();
    this.abort = new AbortController();
    try {
      const samples = value.samples.map((_, sample) => getBlob("api/v1/blob", { run: this.run, tag: this.tag, index: value.index, sample, kind: "image" }, this.abort.signal));
      const blobs = await Promise.all(samples);
      this.stop();
      this.urls = blobs.map((blob) => (blob.type.startsWith("image/") ? URL.createObjectURL(blob) : null));
      this.pictures.replaceChildren(
        ...this.urls.map((url, i) => {
          if (url === null) return h("p", { class: "dim" }, "This is no PNG, JPEG or GIF.");
          const alt = `${shown(this.tag)}${blobs.length > 1 ? `, sample ${i + 1}` : ""} of ${shown(this.run)} at step ${value.step}`;
          return h("img", { src: url, alt, on: { click: (event) => event.target.classList.toggle("actual") } });
        }),
      );
    } catch (error) {
      if (error.name !== "AbortError") this.say(error.message);
    }
  }

  stop() {
    for (const url of this.urls) if (url) URL.revokeObjectURL(url);
    this.urls = [];
  }
}

export class Images extends Gallery {
  constructor() {
    super("images", "image", Panel);
  }

  detach() {
    for (const panel of this.panels.values()) {
      panel.isRead = false;
      panel.showing = null;
    }
    super.detach();
  }
}
