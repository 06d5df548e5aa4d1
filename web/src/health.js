// How the bridge is: what the feed says every second, with a line of the last minutes, and counters of /metrics.

import { ask } from "./api.js";
import { themed } from "./colors.js";
import { fill, h, s } from "./dom.js";
import * as format from "./format.js";
import { state } from "./state.js";

const KEPT = 300; // seconds
const METRICS_MS = 5000;

const TILES = [
  ["points_per_s", "Points a second", (value) => format.number(value, 3)],
  ["requests_per_s", "Requests a second", (value) => format.number(value, 3)],
  ["p50_ms", "Latency, median", (value) => `${format.number(value, 3)} ms`],
  ["p99_ms", "Latency, 99%", (value) => `${format.number(value, 3)} ms`],
  ["queue_bytes", "Queue", (value, all) => `${format.bytes(value)} of ${format.bytes(all.queue_max_bytes)}`],
  ["connections", "Connections", (value, all) => `${value}, ${all.listeners} watching`],
  ["writers", "Clients that write", (value) => format.count(value)],
  ["disk_free_bytes", "Disk left", (value) => format.bytes(value)],
];

const METRICS = [
  ["tbbridge_points_total", "Values written", format.count],
  ["tbbridge_batches_total", "Batches", format.count],
  ["tbbridge_duplicate_batches_total", "Repeats that were answered as done", format.count],
  ["tbbridge_journal_bytes_total", "Journal", format.bytes],
  ["tbbridge_event_bytes_total", "Event files", format.bytes],
  ["tbbridge_rejects_total", "Requests refused", format.count],
  ["tbbridge_storage_failures_total", "Times the disk refused", format.count],
  ["tbbridge_lost_entries_total", "Damaged places in the journal", format.count],
  ["process_resident_memory_bytes", "Memory", format.bytes],
  ["process_cpu_seconds_total", "Processor time", (value) => format.duration(value)],
];

export class Health {
  constructor() {
    this.past = [];
    this.banner = h("p", { class: "banner", role: "status", hidden: true });
    this.tiles = new Map();
    const tiles = TILES.map(([name, title]) => {
      const value = h("p", { class: "value num" }, "\u2013");
      const line = s("polyline", { fill: "none", points: "" });
      const element = h("article", { class: "tile" }, h("h3", null, title), value, s("svg", { class: "spark", viewBox: "0 0 300 48", preserveAspectRatio: "none", "aria-hidden": "true" }, line));
      this.tiles.set(name, { value, line });
      return element;
    });
    this.table = h("tbody");
    this.body = h(
      "div",
      { class: "health" },
      this.banner,
      h("div", { class: "tiles" }, tiles),
      h("section", null, h("h2", null, "Since its start"), h("table", { class: "plain" }, this.table)),
      h("p", { class: "dim" }, "All metrics for Prometheus: ", h("a", { href: "metrics" }, "/metrics"), ". The interface: ", h("a", { href: "docs" }, "/docs"), "."),
    );
  }

  attach(main) {
    fill(main, this.body);
    this.draw();
    this.readMetrics();
    this.timer = setInterval(() => this.readMetrics(), METRICS_MS);
  }

  detach() {
    clearInterval(this.timer);
  }

  health(data) {
    this.past.push(data);
    if (this.past.length > KEPT) this.past.shift();
    if (state.view === "health") this.draw();
  }

  draw() {
    const now = this.past.at(-1);
    if (now === undefined) return;
    this.banner.hidden = now.ready;
    this.banner.textContent = now.ready ? "" : `Points are not taken now: ${now.reason ?? "the bridge is not ready"}`;
    for (const [name, , text] of TILES) {
      const { value, line } = this.tiles.get(name);
      value.textContent = now[name] === undefined || now[name] === null ? "\u2013" : text(now[name], now);
      const all = this.past.map((one) => one[name] ?? 0);
      const most = Math.max(...all, name === "queue_bytes" ? now.queue_max_bytes / 50 : 1e-9);
      line.setAttribute("points", all.map((one, i) => `${(300 - (all.length - 1 - i)).toFixed(0)},${(46 - (one / most) * 42).toFixed(1)}`).join(" "));
      line.setAttribute("stroke", themed("--accent"));
    }
  }

  async readMetrics() {
    let text;
    try {
      text = await (await ask("metrics")).text();
    } catch {
      return; // the feed's state says that the bridge is away
    }
    const totals = new Map();
    for (const line of text.split("\n")) {
      const found = /^([a-z_]+)(?:\{.*\})? ([-+.\deE]+)$/.exec(line);
      if (found) totals.set(found[1], (totals.get(found[1]) ?? 0) + Number(found[2]));
    }
    fill(this.table, METRICS.filter(([name]) => totals.has(name)).map(([name, title, show]) => h("tr", null, h("th", { scope: "row" }, title), h("td", { class: "num" }, show(totals.get(name))))));
  }
}
