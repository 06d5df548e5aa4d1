// What the views of histograms, images, audio and texts share: a panel for each tag and run, read when it is seen.

import { Refused, getBlob, getJson } from "./api.js";
import { colorOf, onTheme } from "./colors.js";
import { Growing, fill, h, settled, shown, throttled } from "./dom.js";
import { emptyState } from "./empty.js";
import * as format from "./format.js";
import { model, onModel, shownRuns, tagsOf } from "./model.js";
import { change, matcher, onChange, state } from "./state.js";

const PANELS_AT_ONCE = 24;
// A tag that gets a value more often is read again only so often.
const AGAIN_MS = 500;
// What failed and may pass is asked again after this.
const FAILED_MS = 1500;
// While a slider is moved, a picture or sound is asked for when it rests so long.
const REST_MS = 60;

export class Gallery {
  /** `kind`: of the tags; `Panel`: made with (tag, run), has `element`, `read()`, and perhaps `drawn()` and `stop()`. */
  constructor(view, kind, Panel) {
    this.view = view;
    this.kind = kind;
    this.Panel = Panel;
    this.panels = new Map();
    this.filter = h("input", {
      type: "search",
      placeholder: "Filter tags (regular expression)",
      "aria-label": "Filter tags by a regular expression",
      value: state.tagFilter,
      spellcheck: false,
      on: { input: () => change({ tagFilter: this.filter.value }) },
    });
    this.toolbar = h("div", { class: "toolbar", role: "toolbar", "aria-label": "Tags" }, this.filter);
    this.host = h("div", { class: `gallery ${view}` });
    this.growing = new Growing(this.host, (item) => this.panelOf(item), { step: PANELS_AT_ONCE, key: ({ key }) => key, gone: ({ key }) => this.drop(key) });
    this.seen = new IntersectionObserver((entries) => this.scrolled(entries), { root: document.getElementById("main"), rootMargin: "200px 0px" });
    onChange((names) => ["tagFilter", "listed", "runFilter"].some((name) => names.has(name)) && this.update());
    onModel((what) => what.has("tags") && this.update());
    onTheme(() => this.panels.forEach((panel) => panel.isRead && panel.themed?.()));
  }

  attach(main) {
    this.filter.value = state.tagFilter;
    fill(main, this.toolbar, this.host);
    this.update();
    for (const { element } of this.panels.values()) {
      this.seen.unobserve(element); // away and back within a frame is no change to an observer
      this.seen.observe(element);
    }
  }

  detach() {
    for (const panel of this.panels.values()) panel.stop?.();
    this.host.remove();
  }

  update() {
    if (state.view !== this.view || !model.isLoaded) return;
    const { matches, wrong } = matcher(state.tagFilter);
    this.filter.classList.toggle("bad", Boolean(wrong));
    const tags = tagsOf(this.kind);
    const runs = shownRuns();
    const items = [];
    for (const tag of [...tags.keys()].filter(matches).sort()) for (const run of runs) if (tags.get(tag).has(run)) items.push({ tag, run, key: `${tag}\n${run}` });
    this.toolbar.hidden = tags.size === 0;
    this.growing.show(items);
    if (items.length === 0) fill(this.host, tags.size ? h("p", { class: "dim none" }, "Nothing is shown: no tag or run matches.") : emptyState(this.kind));
  }

  drop(key) {
    const panel = this.panels.get(key);
    panel.stop?.();
    this.seen.unobserve(panel.element);
    this.panels.delete(key);
  }

  panelOf({ tag, run, key }) {
    let panel = this.panels.get(key);
    if (panel === undefined) {
      panel = new this.Panel(tag, run);
      panel.element.dataset.key = key;
      panel.again = throttled(() => this.read(panel), AGAIN_MS);
      this.panels.set(key, panel);
    }
    this.seen.observe(panel.element);
    return panel.element;
  }

  scrolled(entries) {
    for (const { target, isIntersecting } of entries) {
      const panel = this.panels.get(target.dataset.key);
      if (panel === undefined) continue;
      panel.isSeen = isIntersecting;
      if (isIntersecting && !panel.isRead) this.read(panel);
    }
  }

  async read(panel) {
    panel.isRead = true;
    panel.element.setAttribute("aria-busy", "true");
    try {
      await panel.read();
      panel.element.classList.remove("failed");
    } catch (error) {
      panel.isRead = false;
      panel.element.classList.add("failed");
      panel.say?.(error.message);
      if (!(error instanceof Refused) || error.passes) setTimeout(() => panel.isSeen && !panel.isRead && this.read(panel), FAILED_MS);
    } finally {
      panel.element.removeAttribute("aria-busy");
    }
  }

  summaries(summaries) {
    const changed = new Set(summaries.map(({ tag, run }) => this.panels.get(`${tag}\n${run}`)));
    this.again((panel) => changed.has(panel));
  }

  reread(runs) {
    this.again((panel) => runs.has(panel.run));
  }

  gap() {
    this.again(() => true);
  }

  /** Reads those panels again that are seen, and the others when they are. */
  again(isMeant) {
    for (const panel of this.panels.values()) {
      if (!isMeant(panel)) continue;
      if (panel.isSeen) panel.again();
      else panel.isRead = false;
    }
  }
}

/** The head of a panel: the tag, and the run with its colour. */
export function panelHead(tag, run, swatch) {
  return h("header", null, h("h3", { title: shown(tag) }, h("bdi", null, shown(tag))), h("p", { class: "of-run" }, swatch, h("bdi", null, shown(run))));
}

/** A slider over the steps of values. `onStep(value)` is called when another is chosen; follows the newest until the reader moves it. */
class StepSlider {
  constructor(label, onStep) {
    this.onStep = onStep;
    this.values = [];
    this.range = h("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": `Step of ${label}`, on: { input: () => this.moved() } });
    this.says = h("output", { class: "num" });
    this.element = h("div", { class: "steps" }, this.range, this.says);
  }

  set(values) {
    const wasLast = this.values.length === 0 || Number(this.range.value) === this.values.length - 1;
    this.values = values;
    this.range.max = Math.max(0, values.length - 1);
    this.range.disabled = values.length < 2;
    if (wasLast) this.range.value = this.range.max;
    this.moved();
  }

  moved() {
    const value = this.values[Number(this.range.value)];
    if (value === undefined) return;
    const text = `step ${format.step(value.step)} \u00b7 ${format.moment(value.wall_time)}`;
    this.says.textContent = text;
    this.range.setAttribute("aria-valuetext", text);
    this.onStep(value);
  }
}

/** A panel with a slider over its steps. `path`: where its values are read; `body`: into which `show(value)` puts one of them. */
export class SteppedPanel {
  constructor(tag, run, path, body) {
    Object.assign(this, { tag, run, path, body });
    this.swatch = h("span", { class: "swatch" });
    this.themed();
    this.slider = new StepSlider(shown(tag), (value) => this.show(value));
    this.element = h("article", { class: "panel" }, panelHead(tag, run, this.swatch), body, this.slider.element);
  }

  themed() {
    this.swatch.style.background = colorOf(this.run);
  }

  say(text) {
    fill(this.body, h("p", { class: "dim" }, text));
  }

  async read() {
    const { values } = await getJson(this.path, { run: this.run, tag: this.tag });
    this.slider.set(values);
  }
}

/** One whose values are files of a `kind`, one or several a step; `made(url, type, label)` is the element that shows one. */
export class FilesPanel extends SteppedPanel {
  constructor(tag, run, path, kind, body) {
    super(tag, run, path, body);
    this.kind = kind;
    this.urls = [];
    this.load = settled(() => this.loadNow(), REST_MS);
  }

  show(value) {
    this.wanted = value;
    this.load();
  }

  async loadNow() {
    const { step, index, wall_time: wall, samples } = this.wanted;
    const which = `${index} ${wall}`;
    if (!this.isRead || which === this.showing) return;
    this.showing = which;
    this.abort?.abort();
    this.abort = new AbortController();
    try {
      const query = { run: this.run, tag: this.tag, index, kind: this.kind };
      const blobs = await Promise.all(samples.map((_, sample) => getBlob("api/v1/blob", { ...query, sample }, this.abort.signal)));
      this.revoke();
      this.urls = blobs.map((blob) => URL.createObjectURL(blob));
      const label = (i) => `${shown(this.tag)}${blobs.length > 1 ? `, sample ${i + 1}` : ""} of ${shown(this.run)} at step ${step}`;
      fill(this.body, blobs.map(({ type }, i) => this.made(this.urls[i], type, label(i))));
    } catch (error) {
      if (error.name === "AbortError") return;
      this.showing = null; // the next reading tries again
      this.say(error.message);
    }
  }

  /** It is not looked at any more: what it holds is let go, and read again when it is. */
  stop() {
    this.abort?.abort();
    this.revoke();
    this.showing = null;
    this.isRead = false;
  }

  revoke() {
    for (const url of this.urls) URL.revokeObjectURL(url);
    this.urls = [];
  }
}
