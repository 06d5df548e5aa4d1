// Asking the bridge. Every request of the page goes through here: the token, errors as messages, a second try where it helps.
// The token is kept in sessionStorage, for this tab only, and travels in a header; it is never in an address.

import { toNumbers } from "./maths.js";

const KEY = "tbbridge-token";

/** What the bridge refused, with its own words. */
export class Refused extends Error {
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }

  /** True if the same request may be taken in a moment. */
  get passes() {
    return this.status === 429 || this.status >= 500;
  }
}

let askForToken = async () => null;
let asking = null;
let isDeclined = false; // then nobody is asked again until the page is loaded anew

/** `ask(reason)` gets a token from the reader; called when the bridge wants one, once for all requests that wait. */
export function onTokenNeeded(ask) {
  askForToken = ask;
}

export function hasToken() {
  return sessionStorage.getItem(KEY) !== null;
}

export function forgetToken() {
  sessionStorage.removeItem(KEY);
}

function headersOf(init) {
  const headers = new Headers(init.headers);
  const token = sessionStorage.getItem(KEY);
  if (token !== null) headers.set("Authorization", `Bearer ${token}`);
  return headers;
}

async function newToken(used) {
  if (sessionStorage.getItem(KEY) !== used) return; // another request got one meanwhile
  asking ??= askForToken(used === null ? "" : "That token is not known here, or not any more.").finally(() => (asking = null));
  const token = await asking;
  if (token) sessionStorage.setItem(KEY, token);
  else isDeclined = true;
}

/** A path of the bridge with a query; relative, so that a proxy may serve the page below any path. */
export function path(name, query = {}) {
  const parts = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value === undefined || value === null) continue;
    for (const one of Array.isArray(value) ? value : [value]) parts.append(key, one);
  }
  const text = parts.toString();
  return text ? `${name}?${text}` : name;
}

/** The answer to a request, once it is a good one. Raises `Refused`, or what fetch raises. */
export async function ask(url, init = {}) {
  for (;;) {
    const used = sessionStorage.getItem(KEY);
    const answer = await fetch(url, { ...init, headers: headersOf(init), cache: "no-store" });
    if (answer.ok) return answer;
    if (answer.status === 401 && !isDeclined) {
      await newToken(used);
      continue;
    }
    let detail = `${answer.status} ${answer.statusText}`;
    try {
      const problem = await answer.json();
      detail = problem.errors?.map((one) => one.message).join("; ") || problem.detail || detail;
    } catch {
      // no JSON: a proxy's page, which says no more than its status
    }
    throw new Refused(answer.status, detail);
  }
}

export async function getJson(name, query, signal) {
  const answer = await ask(path(name, query), { signal });
  return answer.json();
}

/** A file of the bridge's as an address that an element can show; the caller revokes it. */
export async function getBlob(name, query, signal) {
  const answer = await ask(path(name, query), { signal });
  return answer.blob();
}

// --- scalars ------------------------------------------------------------------------------------------------------------

const VALUE_COLUMNS = ["values", "min", "q1", "median", "q3", "max"];

function decoded(series) {
  for (const name of VALUE_COLUMNS) if (series[name]) toNumbers(series[name]);
  return series;
}

// Names travel in the address, which proxies take up to some kilobytes.
const RUNS_OF_REQUEST = 50;
const ADDRESS_MAX = 6000;

/** One tag of several runs, thinned by the bridge: `take` gets [{run, count, steps, values, wall_times} or candlesticks] as they come. */
export async function readScalars(tag, runs, query, signal, take) {
  const batches = [];
  let size = 0;
  for (const run of runs) {
    size += encodeURIComponent(run).length + 5;
    if (batches.length === 0 || batches.at(-1).length === RUNS_OF_REQUEST || size > ADDRESS_MAX) {
      batches.push([]);
      size = 0;
    }
    batches.at(-1).push(run);
  }
  await Promise.all(
    batches.map(async (batch) => {
      const { series } = await getJson("api/v1/scalars/many", { tag, run: batch, ...query }, signal);
      take(series.map(decoded));
    }),
  );
}

// --- changing runs ------------------------------------------------------------------------------------------------------

export function deleteRun(run, tag) {
  return ask(path("api/v1/runs", { run, tag }), { method: "DELETE" });
}

export function renameRun(run, to) {
  const body = JSON.stringify({ run, to });
  return ask("api/v1/runs/rename", { method: "POST", headers: { "Content-Type": "application/json" }, body });
}

export function restoreRun(run, file, replace) {
  return ask(path("api/v1/archive", { run, replace: replace ? "true" : undefined }), {
    method: "PUT",
    headers: { "Content-Type": "application/zip" },
    body: file,
  });
}
