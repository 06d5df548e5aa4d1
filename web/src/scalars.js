// The view of charts: groups by the first part of the tag, and cards that come to life when they are seen.

import { Card } from "./card.js";
import { onTheme } from "./colors.js";
import { Growing, fill, h, icon, settled, shown } from "./dom.js";
import { emptyState } from "./empty.js";
import { natural } from "./maths.js";
import { model, onModel, shownRuns, tagsOf } from "./model.js";
import { change, changed, matcher, onChange, state } from "./state.js";

// Groups are open at first as long as there are so few charts; beyond, the first ones up to that number.
const OPEN_CHARTS = 24;
const CARDS_AT_ONCE = 24;
const GROUPS_AT_ONCE = 40;
// A chart that is scrolled past in less than this is not asked for.
const PASSING_MS = 60;

export class Scalars {
  constructor() {
    this.cards = new Map(); // tag -> Card, of open groups
    this.groups = new Map(); // name -> {element, ...}
    this.toolbar = h("div", { class: "toolbar", role: "toolbar", "aria-label": "Charts" }, this.controls());
    this.host = h("div", { class: "groups" });
    this.growing = new Growing(this.host, (name) => this.group(name), { step: GROUPS_AT_ONCE, gone: (name) => this.dropGroup(name) });
    this.seen = new IntersectionObserver((entries) => this.scrolled(entries), { root: document.getElementById("main"), rootMargin: "150px 0px" });
    this.sizes = new ResizeObserver((entries) => entries.forEach(({ target }) => this.cards.get(target.dataset.tag)?.chart.resized()));
    this.ends = [onChange((names) => this.changed(names)), onModel((what) => (what.has("tags") || what.has("runs")) && this.update())];
    onTheme(() => this.cards.forEach((card) => card.chart.redraw()));
    this.refilter = settled(() => this.update(), 150);
  }

  attach(main) {
    this.filter.value = state.tagFilter; // another view may have changed it
    fill(main, this.toolbar, this.host);
    this.update();
    // Away and back within a frame is no change to an observer: asked anew, it says what is seen.
    for (const { element } of this.cards.values()) {
      this.seen.unobserve(element);
      this.seen.observe(element);
    }
  }

  detach() {
    for (const card of this.cards.values()) card.setVisible(false);
    this.host.remove();
  }

  // --- the toolbar --------------------------------------------------------------------------------------------------------

  controls() {
    const filter = h("input", {
      type: "search",
      placeholder: "Filter charts (regular expression)",
      "aria-label": "Filter charts by a regular expression",
      value: state.tagFilter,
      spellcheck: false,
      id: "tag-filter",
      on: { input: () => change({ tagFilter: filter.value }) },
    });
    this.filter = filter;
    const x = select("x", "X axis", [["step", "Step"], ["relative", "Relative"], ["wall", "Wall time"]]);
    x.addEventListener("change", () => change({ zoom: new Map() })); // which was in other units
    const dense = select("dense", "Dense data", [["auto", "Auto"], ["line", "Line"], ["band", "Band"], ["candles", "Candles"]]);
    const value = h("output", null, state.smooth.toFixed(2));
    const slider = h("input", {
      type: "range",
      min: 0,
      max: 0.99,
      step: 0.01,
      value: state.smooth,
      "aria-label": "Smoothing",
      on: {
        input: () => {
          value.textContent = Number(slider.value).toFixed(2);
          change({ smooth: Number(slider.value) });
        },
      },
    });
    const clip = h("input", { type: "checkbox", checked: state.clip, on: { change: () => change({ clip: clip.checked }) } });
    const wide = h("input", { type: "checkbox", checked: state.wide, on: { change: () => change({ wide: wide.checked }) } });
    return [
      filter,
      h("label", { class: "control" }, "X", x),
      h("label", { class: "control" }, "Smoothing", slider, value),
      h("label", { class: "control" }, "Dense", dense),
      h("label", { class: "control check", title: "Scale the y axis to the middle 90% of the values" }, clip, "Clip outliers"),
      h("label", { class: "control check" }, wide, "Large charts"),
    ];
  }

  // --- groups and cards ---------------------------------------------------------------------------------------------------

  changed(names) {
    if (state.view !== "scalars") return;
    if (names.has("tagFilter")) this.refilter();
    if (names.has("listed") || names.has("runFilter") || names.has("dense")) this.update();
    if (names.has("x")) for (const card of this.cards.values()) card.chart.rebuild();
    if (names.has("smooth") || names.has("clip") || names.has("selected")) for (const card of this.cards.values()) card.chart.redraw();
    if (names.has("wide")) this.host.classList.toggle("wide", state.wide);
  }

  /** Brings the groups and cards in line with what there is and what is asked for. */
  update() {
    if (state.view !== "scalars" || !model.isLoaded) return;
    const { matches, wrong } = matcher(state.tagFilter);
    this.filter.classList.toggle("bad", Boolean(wrong));
    this.filter.title = wrong;
    this.shownRuns = shownRuns();
    const shown = new Set(this.shownRuns);
    const held = [...tagsOf("scalar")].filter(([, holders]) => [...holders.keys()].some((run) => shown.has(run))).map(([tag]) => tag);
    const tags = held.filter(matches).sort(natural);
    const groups = new Map();
    for (const tag of tags) {
      const name = tag.includes("/") ? tag.slice(0, tag.indexOf("/")) : "";
      if (!groups.has(name)) groups.set(name, []);
      groups.get(name).push(tag);
    }
    this.toolbar.hidden = tagsOf("scalar").size === 0;
    if (tags.length === 0) {
      this.growing.show([]);
      fill(this.host, emptyState(held.length ? "charts-filtered" : tagsOf("scalar").size ? "runs-filtered" : model.runs.size ? "no-scalars" : "nothing"));
      return;
    }
    const names = [...groups.keys()].sort((a, b) => (a === "" ? 1 : b === "" ? -1 : natural(a, b)));
    this.tagsOfGroup = groups;
    this.first = firstOpen(names, groups);
    this.host.classList.toggle("wide", state.wide);
    this.growing.show(names);
    for (const [name, group] of this.groups) this.updateGroup(name, group);
    for (const card of this.cards.values()) this.setRuns(card);
  }

  dropGroup(name) {
    this.groups.get(name)?.growing.show([]);
    this.groups.delete(name);
  }

  drop(card) {
    this.seen.unobserve(card.element);
    this.sizes.unobserve(card.element);
    card.destroy();
    this.cards.delete(card.tag);
  }

  group(name) {
    const title = name === "" ? "Other" : name;
    const count = h("span", { class: "count" });
    const button = h("button", { type: "button", class: "group-title", on: { click: () => this.toggle(name) } }, icon("chevron"), h("bdi", null, shown(title)), count);
    const grid = h("div", { class: "grid" });
    const element = h("section", { class: "group", "aria-label": shown(title) }, h("h2", null, button), grid);
    const group = { element, button, grid, count, growing: new Growing(grid, (tag) => this.card(tag, name), { step: CARDS_AT_ONCE, gone: (tag) => this.drop(this.cards.get(tag)) }) };
    this.groups.set(name, group);
    this.updateGroup(name, group);
    return element;
  }

  updateGroup(name, group) {
    const tags = this.tagsOfGroup.get(name) ?? [];
    const isOpen = state.open.get(name) ?? (Boolean(state.tagFilter && tags.length <= OPEN_CHARTS) || this.first.has(name));
    group.count.textContent = String(tags.length);
    group.button.setAttribute("aria-expanded", String(isOpen));
    group.element.classList.toggle("open", isOpen);
    group.growing.show(isOpen ? tags : []);
  }

  toggle(name) {
    const group = this.groups.get(name);
    state.open.set(name, group.button.getAttribute("aria-expanded") !== "true");
    changed("open");
    this.updateGroup(name, group);
  }

  card(tag, group) {
    let card = this.cards.get(tag);
    if (card === undefined) {
      card = new Card(tag, group);
      card.group = group;
      this.cards.set(tag, card);
    }
    this.setRuns(card);
    this.seen.observe(card.element);
    this.sizes.observe(card.element);
    return card.element;
  }

  setRuns(card) {
    const holders = tagsOf("scalar").get(card.tag);
    const runs = holders === undefined ? [] : this.shownRuns.filter((run) => holders.has(run));
    const signature = `${state.dense}\n${runs.join("\n")}`;
    if (card.signature === signature) return;
    card.signature = signature;
    card.setRuns(runs);
  }

  scrolled(entries) {
    for (const { target, isIntersecting } of entries) {
      const card = this.cards.get(target.dataset.tag);
      if (card === undefined) continue;
      clearTimeout(card.passing);
      if (!isIntersecting) card.setVisible(false);
      else if (performance.now() < 2000) card.setVisible(true); // the first charts: nobody scrolls yet
      else card.passing = setTimeout(() => card.setVisible(true), PASSING_MS);
    }
  }

  // --- what the feed tells ------------------------------------------------------------------------------------------------

  points(columns) {
    for (const column of columns) this.cards.get(column.tag)?.append(column);
  }

  /** Some points may have been missed. */
  gap() {
    for (const card of this.cards.values()) card.chart.reload();
  }

  /** Some of what these runs held is hidden from now on. */
  reread(runs) {
    for (const card of this.cards.values()) if (card.runs.some((run) => runs.has(run))) card.chart.reload();
  }

  /** What a run holds was changed otherwise than by points. */
  runChanged(run, tag) {
    for (const card of this.cards.values()) {
      if (tag !== undefined && card.tag !== tag) continue;
      card.chart.removeRun(run);
      if (tagsOf("scalar").get(card.tag)?.has(run)) card.chart.load();
    }
  }
}

function select(name, label, options) {
  const element = h(
    "select",
    { "aria-label": label, on: { change: () => change({ [name]: element.value }) } },
    options.map(([value, text]) => h("option", { value, selected: state[name] === value }, text)),
  );
  return element;
}

function firstOpen(names, groups) {
  const open = new Set();
  let charts = 0;
  for (const name of names) {
    const here = groups.get(name).length;
    if (open.size && charts + here > OPEN_CHARTS) break;
    open.add(name);
    charts += here;
  }
  return open;
}
