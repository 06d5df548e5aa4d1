// How the reader looks at things: the view, which runs are shown, zoom, smoothing. All of it lives in the address behind the #, so
// that an address that is passed on shows the same. The token is not part of it.

const VIEWS = ["scalars", "histograms", "images", "audio", "texts", "hparams", "logs", "health"];
const CHOICES = { x: ["step", "relative", "wall"], dense: ["auto", "line", "band", "candles"], sort: ["name", "newest", "status"] };
// Beyond this, an address does not pass through every mail program and proxy; what is left out is shown as by default.
const ADDRESS_NAMES_MAX = 200;

export const state = {
  view: "scalars",
  x: "step",
  dense: "auto",
  sort: "name",
  smooth: 0,
  clip: false,
  wide: false,
  runFilter: "",
  tagFilter: "",
  listed: { only: false, names: new Set() }, // the runs that are hidden, or with `only` the ones that are shown
  selected: new Set(), // runs that stand out
  log: new Set(), // tags with a logarithmic axis
  zoom: new Map(), // tag -> [x from, x to], in units of `x`
  open: new Map(), // group of charts -> true or false, where the reader opened or closed it
  logRun: "",
  logLevel: "0",
};

const listeners = new Set();

/** `listener(names)` hears which fields changed. Returns what ends it. */
export function onChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Sets fields, tells everybody, and writes the address. Another view is a step of its own, that Back undoes. */
export function change(fields) {
  const isStep = fields.view !== undefined && fields.view !== state.view;
  if (isStep) writeAddress(); // as it was left: what was done last may not be written yet
  Object.assign(state, fields);
  if (isStep) history.pushState(SITTING, "", address()); // before anybody changes the title, which is still the other view's
  changed(...Object.keys(fields));
}

/** Says that what a field holds was changed in place. */
export function changed(...names) {
  for (const listener of [...listeners]) listener(new Set(names));
  remember();
}

// Marks the entries of the browser's history that this loading of the page wrote.
const SITTING = globalThis.performance.timeOrigin;

let timer = 0;

function remember() {
  clearTimeout(timer);
  timer = setTimeout(writeAddress, 150);
}

/** Writes the state into the address now. */
export function writeAddress() {
  clearTimeout(timer);
  history.replaceState(SITTING, "", address());
}

/**
 * The address became another: if the reader went back or forward to a view that he had here, it is shown, with all else as he chose it
 * since, and the answer is true. What somebody typed, or another loading of the page wrote, is to be read as a whole.
 */
export function wentBack() {
  if (history.state !== SITTING) return false;
  state.view = viewIn(location.hash);
  changed("view");
  return true;
}

function viewIn(hash) {
  const [view] = hash.replace(/^#\/?/, "").split("?");
  return VIEWS.includes(view) ? view : "scalars";
}

/** This page's address with all of the state. */
export function address() {
  return `${location.pathname}${location.search}#${text()}`;
}

function text() {
  const query = new URLSearchParams();
  for (const name of ["x", "dense", "sort"]) if (state[name] !== CHOICES[name][0]) query.set(name, state[name]);
  if (state.smooth) query.set("smooth", String(state.smooth));
  if (state.clip) query.set("clip", "1");
  if (state.wide) query.set("wide", "1");
  if (state.runFilter) query.set("runs", state.runFilter);
  if (state.tagFilter) query.set("tags", state.tagFilter);
  for (const run of first(state.listed.names)) query.append(state.listed.only ? "only" : "hide", run);
  if (state.listed.only && state.listed.names.size === 0) query.append("only", "");
  for (const run of first(state.selected)) query.append("select", run);
  for (const tag of first(state.log)) query.append("log", tag);
  for (const [tag, [from, to]] of first(state.zoom)) query.append("zoom", `${from}:${to}:${tag}`);
  for (const [group, isOpen] of first(state.open)) query.append(isOpen ? "open" : "closed", group);
  if (state.logRun) query.set("log-run", state.logRun);
  if (state.logLevel !== "0") query.set("level", state.logLevel);
  const rest = query.toString();
  return `/${state.view}${rest ? `?${rest}` : ""}`;
}

function first(all) {
  return [...all].slice(0, ADDRESS_NAMES_MAX);
}

/** Takes the state from the address. What it does not say, or says wrongly, is as by default. */
export function readAddress() {
  const [, rest] = location.hash.split(/\?(.*)/s);
  const query = new URLSearchParams(rest ?? "");
  state.view = viewIn(location.hash);
  for (const name of ["x", "dense", "sort"]) {
    const value = query.get(name);
    state[name] = CHOICES[name].includes(value) ? value : CHOICES[name][0];
  }
  const weight = Number(query.get("smooth"));
  state.smooth = weight > 0 && weight < 1 ? weight : 0;
  state.clip = query.get("clip") === "1";
  state.wide = query.get("wide") === "1";
  state.runFilter = query.get("runs") ?? "";
  state.tagFilter = query.get("tags") ?? "";
  const only = query.has("only");
  state.listed = { only, names: new Set(query.getAll(only ? "only" : "hide").filter(Boolean)) };
  state.selected = new Set(query.getAll("select"));
  state.log = new Set(query.getAll("log"));
  state.zoom = new Map();
  for (const one of query.getAll("zoom")) {
    const found = /^([^:]+):([^:]+):(.*)$/s.exec(one);
    const [from, to] = [Number(found?.[1]), Number(found?.[2])];
    if (found && Number.isFinite(from) && Number.isFinite(to) && from < to) state.zoom.set(found[3], [from, to]);
  }
  state.open = new Map([...query.getAll("open").map((name) => [name, true]), ...query.getAll("closed").map((name) => [name, false])]);
  state.logRun = query.get("log-run") ?? "";
  state.logLevel = query.get("level") ?? "0";
  history.replaceState(SITTING, ""); // the first view is one to go back to, too
}

/** A filter as a function of a name, and what is wrong with it if it is no regular expression (then it lets all pass). */
export function matcher(filter) {
  if (!filter) return { matches: () => true, wrong: "" };
  try {
    const expression = new RegExp(filter, "iu");
    return { matches: (name) => expression.test(name), wrong: "" };
  } catch (error) {
    return { matches: () => true, wrong: error.message.replace(/^Invalid regular expression: /, "") };
  }
}

/** True unless the reader switched this run off. */
export function isListed(run) {
  return state.listed.names.has(run) === state.listed.only;
}

/** Switches runs on or off. */
export function list(runs, on) {
  for (const run of runs) {
    if (on === state.listed.only) state.listed.names.add(run);
    else state.listed.names.delete(run);
  }
  changed("listed");
}

/** A run is called otherwise: what the reader chose goes with it. */
export function renamed(run, to) {
  const now = (name) => (name === run ? to : name);
  state.listed = { ...state.listed, names: new Set([...state.listed.names].map(now)) };
  state.selected = new Set([...state.selected].map(now));
  changed("listed", "selected");
  if (state.logRun === run) change({ logRun: to });
}

/** Shows these runs and no other. */
export function listOnly(runs) {
  change({ listed: { only: true, names: new Set(runs) } });
}

/** Shows all runs, those too that are to come. */
export function listAll() {
  change({ listed: { only: false, names: new Set() } });
}
