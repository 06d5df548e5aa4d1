// Where the page begins: reads the address, asks the bridge what there is, listens to the feed, and shows one view at a time.

import { Refused, onTokenNeeded } from "./api.js";
import { Audio } from "./audio.js";
import { isDark, restoreTheme, setTheme } from "./colors.js";
import { askForToken, askToRestore, hasToken, signOut } from "./dialogs.js";
import { fill, h, icon, iconButton, notice, throttled } from "./dom.js";
import { Feed } from "./feed.js";
import { HParams } from "./hparams.js";
import { Health } from "./health.js";
import { Histograms } from "./histograms.js";
import { Images } from "./images.js";
import { Logs } from "./logs.js";
import { deleted, load, model, movedRun, onModel, runsCame, statusCame, tagsOf, valuesCame } from "./model.js";
import { Runs } from "./runs.js";
import { Scalars } from "./scalars.js";
import { address, change, onChange, readAddress, renamed, state, wentBack, writeAddress } from "./state.js";
import { tensorboard } from "./tensorboard.js";
import { Texts } from "./texts.js";

const VIEWS = [
  ["scalars", "Scalars", Scalars, "scalar"],
  ["histograms", "Histograms", Histograms, "histogram"],
  ["images", "Images", Images, "image"],
  ["audio", "Audio", Audio, "audio"],
  ["texts", "Texts", Texts, "text"],
  ["hparams", "HParams", HParams, "hparams"],
  ["logs", "Logs", Logs, null],
  ["health", "Health", Health, null],
];

// What failed and may pass is asked again after this.
const AGAIN_MS = 1500;

restoreTheme();
readAddress();
onTokenNeeded(askForToken);

const main = document.getElementById("main");
const views = new Map();
let current = null;
let reloads = 0;

function showView() {
  const [name, title, View] = VIEWS.find(([one]) => one === state.view);
  current?.detach();
  if (!views.has(name)) views.set(name, new View());
  current = views.get(name);
  document.title = `${title} \u00b7 tbbridge`;
  main.dataset.view = name;
  current.attach(main);
  for (const link of document.querySelectorAll("#tabs a")) {
    if (link.dataset.view === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

// --- the frame ----------------------------------------------------------------------------------------------------------

const connection = h("span", { class: "connection connecting", role: "status" }, h("span", { class: "dot" }), h("span", { class: "what" }, "connecting"));

function setConnection(now, why = "") {
  connection.className = `connection ${now}`;
  connection.lastChild.textContent = { live: "live", connecting: "connecting", away: "reconnecting" }[now];
  connection.title = why;
}

function buildFrame() {
  const tabs = VIEWS.map(([name, title, , kind]) =>
    h("a", { href: `#/${name}`, data: { view: name, kind: kind ?? "" }, on: { click: (event) => (event.preventDefault(), change({ view: name })) } }, title),
  );
  fill(document.getElementById("tabs"), tabs);
  const theme = iconButton(isDark() ? "sun" : "moon", "Light or dark", () => {
    setTheme(isDark() ? "light" : "dark");
    fill(theme, icon(isDark() ? "sun" : "moon"));
  });
  const share = iconButton("link", "Copy the address of this view", async () => {
    const whole = new URL(address(), location.href).href;
    try {
      await navigator.clipboard.writeText(whole);
      notice("The address of this view is copied; it holds selection, zoom and smoothing, and no token.");
    } catch {
      writeAddress();
      notice("The address of this view is in the address bar.");
    }
  });
  const out = tensorboard();
  const away = out && h("a", { class: "external", href: out, target: "_blank", rel: "noopener noreferrer" }, "TensorBoard", icon("out"));
  const leave = hasToken() && h("button", { type: "button", class: "button small", on: { click: signOut } }, "Forget token");
  fill(document.getElementById("top-right"), connection, away, share, theme, leave);
  const toggle = document.getElementById("toggle-runs");
  toggle.append(icon("menu"));
  const setOpen = (is) => {
    document.body.classList.toggle("runs-closed", !is);
    toggle.setAttribute("aria-expanded", String(is));
  };
  toggle.addEventListener("click", () => setOpen(document.body.classList.contains("runs-closed")));
  setOpen(innerWidth >= 820);
  document.getElementById("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the fragment is the state's
    main.focus();
  });
}

function markTabs() {
  for (const link of document.querySelectorAll("#tabs a")) {
    const { kind } = link.dataset;
    link.classList.toggle("vacant", kind !== "" && model.isLoaded && tagsOf(kind).size === 0);
  }
}

// --- the feed -----------------------------------------------------------------------------------------------------------

/** Reads again what there is, and what is shown of it: after a `hello` nothing is missed that comes behind it. */
async function reloadAll() {
  const mine = ++reloads;
  const isFirst = !model.isLoaded;
  while (mine === reloads) {
    try {
      await load();
      if (!isFirst) for (const view of views.values()) view.gap?.();
      return;
    } catch (error) {
      if (error instanceof Refused && !error.passes) {
        notice(`The runs were not read: ${error.message}`, "error");
        return;
      }
      await new Promise((done) => setTimeout(done, AGAIN_MS));
    }
  }
}

const reloadShown = throttled(() => current?.gap?.(), 1000);

// Runs of which something was hidden.
const purged = new Set();
const rereadPurged = throttled(() => {
  for (const view of views.values()) view.reread?.(purged);
  purged.clear();
}, 500);

const EVENTS = {
  hello: ({ resumed }) => resumed || reloadAll(),
  points({ columns }) {
    for (const { run, tag, steps, values, wall_times: walls } of columns) {
      for (let i = 0; i < values.length; i++) if (typeof values[i] === "string") values[i] = Number(values[i]);
      valuesCame(run, "scalar", tag, steps.length, walls.at(-1), steps.at(-1));
    }
    views.get("scalars")?.points(columns);
    views.get("hparams")?.points(columns);
  },
  summaries({ summaries }) {
    for (const { run, tag, kind, step, wall_time: wall } of summaries) valuesCame(run, kind, tag, 1, wall, step);
    for (const view of views.values()) view.summaries?.(summaries);
  },
  runs: ({ runs }) => runsCame(runs),
  status: ({ run, status }) => statusCame(run, status),
  purged({ run }) {
    purged.add(run);
    rereadPurged();
  },
  deleted({ run, tag }) {
    deleted(run, tag);
    for (const view of views.values()) view.runChanged?.(run, tag);
  },
  renamed({ run, to }) {
    movedRun(run, to);
    for (const view of views.values()) view.renamed?.(run, to);
    renamed(run, to);
    reloadAll();
  },
  restored({ run }) {
    for (const view of views.values()) view.runChanged?.(run);
    reloadAll();
  },
  logs: ({ records }) => views.get("logs")?.heard(records),
  lagging: () => reloadShown(),
  health: (data) => views.get("health")?.health(data),
};

// --- dropping a zip -----------------------------------------------------------------------------------------------------

function takeDrops() {
  const veil = h("div", { class: "drop", hidden: true }, h("p", null, "Drop the zip of a run to put it back"));
  document.body.append(veil);
  let depth = 0;
  const isFiles = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragenter", (event) => {
    if (!isFiles(event)) return;
    depth += 1;
    veil.hidden = false;
  });
  addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1);
    veil.hidden = depth === 0;
  });
  addEventListener("dragover", (event) => isFiles(event) && event.preventDefault());
  addEventListener("drop", async (event) => {
    if (!isFiles(event)) return;
    event.preventDefault();
    depth = 0;
    veil.hidden = true;
    for (const file of event.dataTransfer.files) {
      if (/\.zip$/i.test(file.name)) await askToRestore(file);
      else notice(`${file.name} is no zip; an archive of a run is one`, "error");
    }
  });
}

// --- begin --------------------------------------------------------------------------------------------------------------

buildFrame();
takeDrops();
new Runs(document.getElementById("runs"));
onModel((what) => what.has("tags") && markTabs());
onChange((names) => names.has("view") && showView());
// What the page itself writes into the address tells no event.
addEventListener("hashchange", () => wentBack() || location.reload());

showView();
new Feed((name, data) => EVENTS[name]?.(data), setConnection).run();
