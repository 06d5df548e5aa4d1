// The runs at the left: which are shown, in which colour, how they are; and what can be done with them.

import { ask, hasToken, path } from "./api.js";
import { colorOf, onTheme } from "./colors.js";
import { askToDelete, askToRename, askToRestore } from "./dialogs.js";
import { Growing, fileName, fill, h, iconButton, notice, save, shown } from "./dom.js";
import * as format from "./format.js";
import { natural } from "./maths.js";
import { toggleMenu } from "./menus.js";
import { model, onModel, shownRuns } from "./model.js";
import { change, changed, isListed, list, listAll, listOnly, matcher, onChange, state } from "./state.js";
import { tensorboardOf } from "./tensorboard.js";

const ROWS_AT_ONCE = 120;
const AGES_MS = 5000;
const STATUSES = { running: "running", finished: "finished", failed: "failed", lost: "lost: it runs, and has been silent" };
const ORDER = { running: 0, lost: 1, failed: 2, finished: 3 };

export class Runs {
  constructor(host) {
    this.host = host;
    this.rows = new Map();
    this.filter = h("input", {
      type: "search",
      id: "run-filter",
      placeholder: "Filter runs (regular expression)",
      "aria-label": "Filter runs by a regular expression",
      value: state.runFilter,
      spellcheck: false,
      on: { input: () => change({ runFilter: this.filter.value }) },
    });
    this.all = h("input", { type: "checkbox", "aria-label": "Show all runs", on: { change: () => (this.all.checked ? listAll() : listOnly([])) } });
    this.count = h("span", { class: "count-text" });
    const sort = h("select", { "aria-label": "Order of the runs", on: { change: () => change({ sort: sort.value }) } },
      [["name", "Name"], ["newest", "Newest"], ["status", "Status"]].map(([value, text]) => h("option", { value, selected: state.sort === value }, text)));
    this.list = h("div", { class: "run-list", role: "list", "aria-label": "Runs" });
    this.growing = new Growing(this.list, ({ make }) => make(), { step: ROWS_AT_ONCE, root: this.list, key: ({ key }) => key, gone: ({ run }) => run && this.rows.delete(run) });
    this.bar = h("div", { class: "selection", hidden: true });
    const file = h("input", { type: "file", accept: ".zip,application/zip", hidden: true, on: { change: () => this.restore(file) } });
    const back = iconButton("upload", "Put a run back from a zip", () => file.click());
    const tools = h("div", { class: "run-tools" }, h("label", { class: "check" }, this.all, this.count), sort, back, file);
    fill(host, h("div", { class: "run-head" }, this.filter, tools), this.list, this.bar);
    onModel((what) => (what.has("runs") ? this.update() : this.refresh()));
    onChange((names) => {
      if (names.has("runFilter") || names.has("sort")) this.update();
      else if (names.has("listed") || names.has("selected")) this.refresh();
    });
    onTheme(() => this.refresh());
    setInterval(() => this.refreshAges(), AGES_MS);
  }

  update() {
    const { matches, wrong } = matcher(state.runFilter);
    this.filter.classList.toggle("bad", Boolean(wrong));
    this.filter.title = wrong;
    this.matching = [...model.runs.values()].filter((run) => matches(run.run)).sort(BY[state.sort]);
    const groups = new Map();
    for (const run of this.matching) {
      const folder = run.run.includes("/") ? run.run.slice(0, run.run.indexOf("/")) : "";
      if (!groups.has(folder)) groups.set(folder, []);
      groups.get(folder).push(run);
    }
    const signature = `${state.sort}\n${this.matching.map((run) => run.run).join("\n")}`;
    if (signature !== this.signature) {
      this.signature = signature;
      const items = [];
      for (const [folder, runs] of groups) {
        const isGroup = folder !== "" && runs.length > 1;
        const names = runs.map((run) => run.run);
        if (isGroup) items.push({ key: `/${names.join("\n")}`, make: () => this.groupRow(folder, names) });
        for (const run of names) items.push({ key: `${isGroup} ${run}`, run, make: () => this.row(run, isGroup ? folder : "") });
      }
      this.growing.show(items);
      if (items.length === 0) fill(this.list, h("p", { class: "dim none" }, model.runs.size ? "No run matches." : model.isLoaded ? "No runs yet." : "\u2026"));
    }
    this.refresh();
  }

  groupRow(folder, runs) {
    const box = h("input", { type: "checkbox", "aria-label": `Show the group ${shown(folder)}`, on: { change: () => list(runs, box.checked) } });
    const only = h("button", { type: "button", class: "only", on: { click: () => listOnly(runs) } }, "only");
    only.setAttribute("aria-label", `Show only the group ${shown(folder)}`);
    const element = h("div", { class: "run-group", role: "listitem" }, box, h("span", { class: "name" }, h("bdi", null, shown(folder)), "/"), only);
    element.refresh = () => {
      const on = runs.filter(isListed).length;
      box.checked = on === runs.length;
      box.indeterminate = on > 0 && on < runs.length;
    };
    return element;
  }

  row(run, folder) {
    const box = h("input", { type: "checkbox", "aria-label": `Show ${shown(run)}`, on: { change: () => list([run], box.checked) } });
    const name = folder ? run.slice(folder.length + 1) : run;
    const title = h("button", { type: "button", class: "name", title: `${shown(run)}\nClick to make it stand out`, on: { click: () => this.select(run) } }, h("bdi", null, shown(name)));
    const status = h("span", { class: "status" });
    const age = h("span", { class: "age" });
    const only = h("button", { type: "button", class: "only", "aria-label": `Show only ${shown(run)}`, on: { click: () => listOnly([run]) } }, "only");
    const more = iconButton("more", `More for ${shown(run)}`, () => toggleMenu(more, this.menu(run)), { "aria-haspopup": "menu", "aria-expanded": "false" });
    const element = h("div", { class: folder ? "run inner" : "run", role: "listitem", data: { run } }, box, status, title, age, only, more);
    this.rows.set(run, { element, box, title, status, age });
    this.refreshRow(run);
    return element;
  }

  refresh() {
    for (const run of this.rows.keys()) this.refreshRow(run);
    for (const element of this.list.querySelectorAll(".run-group")) element.refresh();
    const seen = shownRuns().length;
    this.all.checked = seen > 0 && seen === (this.matching?.length ?? 0);
    this.all.indeterminate = seen > 0 && !this.all.checked;
    this.count.textContent = seen === model.runs.size ? `${format.count(seen)} ${seen === 1 ? "run" : "runs"}` : `${format.count(seen)} of ${format.count(model.runs.size)} runs`;
    this.refreshBar();
  }

  refreshRow(run) {
    const row = this.rows.get(run);
    const known = model.runs.get(run);
    if (known === undefined) return;
    row.box.checked = isListed(run);
    row.box.style.accentColor = colorOf(run);
    row.element.style.setProperty("--run", colorOf(run));
    row.element.classList.toggle("off", !row.box.checked);
    const isSelected = state.selected.has(run);
    row.title.setAttribute("aria-pressed", String(isSelected));
    row.element.classList.toggle("selected", isSelected);
    row.status.className = `status ${known.status ?? "unknown"}`;
    const text = STATUSES[known.status];
    row.status.title = text ?? "";
    if (text) {
      row.status.setAttribute("role", "img");
      row.status.setAttribute("aria-label", text);
    } else {
      row.status.removeAttribute("role");
      row.status.removeAttribute("aria-label");
    }
    this.refreshAge(row, known);
  }

  refreshAges() {
    for (const [run, row] of this.rows) {
      const known = model.runs.get(run);
      if (known !== undefined) this.refreshAge(row, known);
    }
  }

  refreshAge(row, known) {
    const text = known.last_wall_time === null ? "" : format.age(known.last_wall_time);
    if (row.age.textContent !== text) row.age.textContent = text;
    if (text) row.age.title = `Last value ${format.moment(known.last_wall_time)}; ${format.count(known.points)} values, step ${format.step(known.last_step ?? 0)}`;
  }

  async restore(input) {
    const [file] = input.files;
    input.value = "";
    if (file) await askToRestore(file);
  }

  // --- what can be done ---------------------------------------------------------------------------------------------------

  select(run) {
    if (!state.selected.delete(run)) state.selected.add(run);
    changed("selected");
  }

  refreshBar() {
    const runs = [...state.selected].filter((run) => model.runs.has(run));
    const signature = runs.join("\n");
    if (signature === this.barSignature) return; // what is being clicked, or has the focus, stays
    this.barSignature = signature;
    this.bar.hidden = runs.length === 0;
    if (runs.length === 0) return;
    const button = (text, action, kind = "") => h("button", { type: "button", class: `button small ${kind}`, on: { click: action } }, text);
    fill(
      this.bar,
      h("span", null, `${runs.length} selected`),
      button("Compare", () => listOnly(runs)),
      button("Delete\u2026", () => askToDelete(runs), "danger"),
      button("Clear", () => change({ selected: new Set() })),
    );
  }

  menu(run) {
    const tensorboard = tensorboardOf(run);
    return [
      ["Show only this run", () => listOnly([run])],
      [state.selected.has(run) ? "No longer stand out" : "Make it stand out", () => this.select(run)],
      tensorboard && ["Open in TensorBoard", () => window.open(tensorboard, "_blank", "noopener")],
      ["Show its log", () => change({ view: "logs", logRun: run })],
      null,
      ["Rename\u2026", () => askToRename(run)],
      ["Download as a zip", () => download(run)],
      null,
      ["Delete\u2026", () => askToDelete([run]), { danger: true }],
    ].filter((item) => item !== undefined && item !== false && item !== "");
  }
}

const byName = (a, b) => natural(a.run, b.run);
const BY = {
  name: byName,
  newest: (a, b) => (b.last_wall_time ?? 0) - (a.last_wall_time ?? 0) || byName(a, b),
  status: (a, b) => (ORDER[a.status] ?? 4) - (ORDER[b.status] ?? 4) || byName(a, b),
};

/** A run's archive. Without a token the browser takes it by itself, whatever its size; with one it goes through the memory. */
async function download(run) {
  const url = path("api/v1/archive", { run });
  if (!hasToken()) {
    h("a", { href: url, download: `${fileName(run)}.zip` }).click();
    return;
  }
  try {
    notice(`Packing ${shown(run)}\u2026`);
    save(await (await ask(url)).blob(), `${fileName(run)}.zip`);
  } catch (error) {
    notice(`The archive was not made: ${error.message}`, "error");
  }
}

