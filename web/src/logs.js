// The log of a run, followed as it grows: GET /api/v1/logs with follow, a line of JSON a record.

import { Refused, ask, path } from "./api.js";
import { fill, h, settled, shown } from "./dom.js";
import * as format from "./format.js";
import { natural } from "./maths.js";
import { model, onModel } from "./model.js";
import { change, onChange, state } from "./state.js";

// Records held and shown: what a browser scrolls through without trouble.
const RECORDS_MAX = 5000;
const AT_FIRST = 1000;
const AGAIN_MS = 2000;
const LEVELS = [["0", "All levels"], ["10", "Debug"], ["20", "Info"], ["30", "Warning"], ["40", "Error"], ["50", "Critical"]];

export class Logs {
  constructor() {
    this.records = [];
    this.cursor = null;
    this.others = new Set();
    this.run = h("select", { "aria-label": "Run", on: { change: () => change({ logRun: this.run.value }) } });
    const level = h("select", { "aria-label": "Lowest level", on: { change: () => change({ logLevel: level.value }) } }, LEVELS.map(([value, text]) => h("option", { value, selected: value === state.logLevel }, text)));
    this.level = level;
    this.search = h("input", { type: "search", placeholder: "Search", "aria-label": "Search in the log", spellcheck: false, on: { input: settled(() => this.render(), 120) } });
    this.follow = h("input", { type: "checkbox", checked: true });
    this.count = h("span", { class: "dim num" });
    this.toolbar = h("div", { class: "toolbar", role: "toolbar", "aria-label": "Log" }, h("label", { class: "control" }, "Run", this.run), level, this.search, h("label", { class: "control check" }, this.follow, "Follow"), this.count);
    this.list = h("div", { class: "log", tabIndex: 0, role: "log", "aria-label": "Log records", "aria-live": "off" });
    this.list.addEventListener("scroll", () => {
      const isAtEnd = this.list.scrollTop + this.list.clientHeight >= this.list.scrollHeight - 8;
      if (this.follow.checked !== isAtEnd) this.follow.checked = isAtEnd;
    });
    onModel((what) => what.has("runs") && state.view === "logs" && this.fillRuns());
    onChange((names) => state.view === "logs" && (names.has("logRun") || names.has("logLevel")) && !names.has("view") && this.begin());
  }

  attach(main) {
    fill(main, this.toolbar, this.list);
    this.fillRuns();
    this.begin();
  }

  detach() {
    this.abort?.abort();
  }

  fillRuns() {
    if (state.logRun) this.others.add(state.logRun);
    const runs = [...new Set([...model.runs.keys(), ...this.others])].sort(natural);
    const signature = runs.join("\n");
    if (signature === this.signature) return;
    this.signature = signature;
    fill(this.run, runs.map((run) => h("option", { value: run, selected: run === state.logRun }, shown(run))));
    if (!state.logRun && runs.length) {
      state.logRun = runs[0];
      if (state.view === "logs") this.begin();
    }
  }

  /** Records of any run came by the feed: of a run that has only its log, it is all that is known. */
  heard(records) {
    for (const { run } of records) this.others.add(run);
    if (state.view === "logs") this.fillRuns();
  }

  /** A run is called otherwise: the list has its new name only. */
  renamed(run, to) {
    if (this.others.delete(run)) this.others.add(to);
  }

  /** Shows another log, or the same from another level on. */
  begin() {
    this.abort?.abort();
    this.records = [];
    this.cursor = null;
    this.run.value = state.logRun;
    this.level.value = state.logLevel;
    this.render();
    if (state.logRun) this.listen(state.logRun, (this.abort = new AbortController()).signal);
  }

  async listen(run, signal) {
    while (!signal.aborted) {
      try {
        const query = { run, level: state.logLevel, follow: "true", ...(this.cursor === null ? { limit: AT_FIRST } : { after: this.cursor }) };
        const answer = await ask(path("api/v1/logs", query), { signal });
        await this.take(answer.body.pipeThrough(new TextDecoderStream()).getReader());
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof Refused && !error.passes) {
          fill(this.list, h("p", { class: "dim none" }, error.message));
          return;
        }
      }
      await new Promise((done) => setTimeout(done, AGAIN_MS));
    }
  }

  async take(reader) {
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      const records = lines.filter(Boolean).map((line) => JSON.parse(line));
      if (records.length === 0) continue;
      this.cursor = records.at(-1).cursor;
      this.records.push(...records);
      if (this.records.length > RECORDS_MAX) this.records.splice(0, this.records.length - RECORDS_MAX);
      this.append(records);
    }
  }

  matches() {
    const text = this.search.value.toLowerCase();
    return (record) => !text || record.message.toLowerCase().includes(text) || record.logger.toLowerCase().includes(text);
  }

  render() {
    this.list.replaceChildren();
    if (this.records.length === 0) {
      fill(this.list, h("p", { class: "dim none" }, state.logRun ? "Nothing yet; records appear here as they come: " : "No runs yet.", state.logRun && h("code", null, "tbbridge.LogHandler")));
    }
    this.append(this.records);
  }

  append(records) {
    const found = records.filter(this.matches());
    if (found.length && this.list.firstElementChild?.classList.contains("none")) this.list.replaceChildren();
    this.list.append(...found.map((record) => line(record)));
    while (this.list.childElementCount > RECORDS_MAX) this.list.firstElementChild.remove();
    this.count.textContent = `${this.list.querySelectorAll(".record").length} of ${this.records.length} records`;
    if (this.follow.checked) this.list.scrollTop = this.list.scrollHeight;
  }
}

function line({ time, level, logger, message }) {
  const name = level >= 50 ? "critical" : level >= 40 ? "error" : level >= 30 ? "warning" : level >= 20 ? "info" : "debug";
  return h(
    "div",
    { class: `record ${name}` },
    h("time", { dateTime: time ?? "", title: time ?? "" }, time ? format.clock(time) : ""),
    h("span", { class: "level" }, name.toUpperCase()),
    h("span", { class: "logger" }, shown(logger)),
    h("span", { class: "message" }, message.split("\n").map(shown).join("\n")),
  );
}
