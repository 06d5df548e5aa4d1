// Audio: each tag and run with a slider over its steps, and the browser's own player.

import { getBlob, getJson } from "./api.js";
import { colorOf } from "./colors.js";
import { h, shown } from "./dom.js";
import * as format from "./format.js";
import { Gallery, StepSlider, panelHead } from "./gallery.js";

class Panel {
  constructor(tag, run) {
    this.tag = tag;
    this.run = run;
    this.swatch = h("span", { class: "swatch" });
    this.swatch.style.background = colorOf(run);
    this.players = h("div", { class: "players" });
    this.slider = new StepSlider(shown(tag), (value) => `step ${format.step(value.step)} \u00b7 ${format.moment(value.wall_time)}`, (i) => this.show(i));
    this.element = h("article", { class: "panel" }, panelHead(tag, run, this.swatch), this.players, this.slider.element);
    this.urls = [];
  }

  themed() {
    this.swatch.style.background = colorOf(this.run);
  }

  say(text) {
    this.players.replaceChildren(h("p", { class: "dim" }, text));
  }

  async read() {
    const { values } = await getJson("api/v1/audio", { run: this.run, tag: this.tag });
    this.values = values;
    this.slider.set(values);
  }

  async show(i) {
    const value = this.values[i];
    if (value.index === this.showing) return;
    this.showing = value.index;
    try {
      const samples = value.samples.map((_, sample) => getBlob("api/v1/blob", { run: this.run, tag: this.tag, index: value.index, sample, kind: "audio" }));
      const blobs = await Promise.all(samples);
      if (this.showing !== value.index) return;
      this.stop();
      this.urls = blobs.map((blob) => URL.createObjectURL(blob));
      const label = (n) => `${shown(this.tag)}${blobs.length > 1 ? `, sample ${n + 1}` : ""} of ${shown(this.run)} at step ${value.step}`;
      this.players.replaceChildren(...this.urls.map((url, n) => h("audio", { src: url, controls: true, preload: "metadata", "aria-label": label(n) })));
    } catch (error) {
      this.say(error.message);
    }
  }

  stop() {
    for (const url of this.urls) URL.revokeObjectURL(url);
    this.urls = [];
  }
}

export class Audio extends Gallery {
  constructor() {
    super("audio", "audio", Panel);
  }

  detach() {
    for (const panel of this.panels.values()) {
      panel.isRead = false;
      panel.showing = undefined;
    }
    super.detach();
  }
}
