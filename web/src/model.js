// What the bridge holds: runs, tags, and which run has which. Filled by the read interface, kept right by the feed.

import { getJson } from "./api.js";
import { isListed, matcher, state } from "./state.js";

export const model = {
  runs: new Map(), // name -> what /api/v1/runs says of it, and `place`, from which its colour comes
  tags: new Map(), // kind -> Map of tag -> Map of run -> count
  isLoaded: false,
};

const listeners = new Set();

/** `listener(what)` hears of changes: a Set of "runs", "tags", "status". */
export function onModel(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

let waiting = null;

/** Tells listeners in the next frame, all that happened until then at once. */
function tell(...what) {
  if (waiting === null) {
    waiting = new Set();
    setTimeout(() => {
      const told = waiting;
      waiting = null;
      for (const listener of [...listeners]) listener(told);
    }, 0);
  }
  for (const one of what) waiting.add(one);
}

let places = 0;

function newRun(run) {
  return { run, status: null, points: 0, first_wall_time: null, last_wall_time: null, last_step: null, size_bytes: 0, place: places++ };
}

// What the feed told while runs and tags were read: it may be newer than the answer, and is told once more behind it.
let meanwhile = [];

/** Reads all runs and tags again. */
export async function load() {
  meanwhile = [];
  const [{ runs }, tags] = await Promise.all([getJson("api/v1/runs"), getJson("api/v1/tags")]);
  const before = model.runs;
  model.runs = new Map();
  for (const described of runs) {
    const place = before.get(described.run)?.place ?? places++;
    model.runs.set(described.run, { ...described, place });
  }
  model.tags = new Map();
  for (const { tag, kind, runs: holders, counts } of tags.tags) {
    const counted = new Map();
    holders.forEach((holder, i) => counted.set(tags.runs[holder], counts[i]));
    ofKind(kind).set(tag, counted);
  }
  model.isLoaded = true;
  const again = meanwhile;
  meanwhile = [];
  for (const [took, ...told] of again) took(...told);
  tell("runs", "tags");
}

function ofKind(kind) {
  let found = model.tags.get(kind);
  if (found === undefined) model.tags.set(kind, (found = new Map()));
  return found;
}

/** The tags of a kind: Map of tag -> Map of run -> count. */
export function tagsOf(kind) {
  return model.tags.get(kind) ?? new Map();
}

/** The tags that a run has: [{tag, kind, count}]. */
export function tagsOfRun(run) {
  const found = [];
  for (const [kind, tags] of model.tags) for (const [tag, runs] of tags) if (runs.has(run)) found.push({ tag, kind, count: runs.get(run) });
  return found.sort((a, b) => (a.tag < b.tag ? -1 : 1));
}

/** The names of the runs that are shown: they match the filter, and the reader did not switch them off. Sorted by place. */
export function shownRuns() {
  const { matches } = matcher(state.runFilter);
  return [...model.runs.values()].filter((run) => matches(run.run) && isListed(run.run)).map((run) => run.run);
}

// --- what the feed tells ------------------------------------------------------------------------------------------------

// More than this since the last reading is only told once; the reading is done long before.
const MEANWHILE_MAX = 10000;

function keep(...told) {
  if (meanwhile.length < MEANWHILE_MAX) meanwhile.push(told);
}

export function runsCame(runs) {
  keep(runsCame, runs);
  for (const { run, status, tags } of runs) {
    let known = model.runs.get(run);
    if (known === undefined) model.runs.set(run, (known = newRun(run)));
    if (status !== undefined) known.status = status;
    for (const { tag, kind } of tags ?? []) {
      const of = ofKind(kind);
      if (!of.has(tag)) of.set(tag, new Map());
      if (!of.get(tag).has(run)) of.get(tag).set(run, 0);
    }
  }
  tell("runs", "tags");
}

/** Points or other values came: counted, so that ages and sizes are right. */
export function valuesCame(run, kind, tag, count, wallTime, step) {
  const known = model.runs.get(run);
  const counted = ofKind(kind).get(tag);
  if (known === undefined || !counted?.has(run)) {
    runsCame([{ run, tags: [{ tag, kind }] }]);
    return valuesCame(run, kind, tag, count, wallTime, step);
  }
  counted.set(run, counted.get(run) + count);
  known.points += count;
  known.first_wall_time ??= wallTime;
  if (!(known.last_wall_time > wallTime)) known.last_wall_time = wallTime;
  if (step !== undefined && !(known.last_step > step)) known.last_step = step;
}

export function statusCame(run, status) {
  keep(statusCame, run, status);
  const known = model.runs.get(run);
  if (known === undefined) return;
  known.status = status;
  tell("status");
}

/** A run is called otherwise: its place, and so its colour, goes with it, and its tags, so that no chart goes before all is read again. */
export function movedRun(run, to) {
  const known = model.runs.get(run);
  if (known === undefined) return;
  model.runs.delete(run);
  model.runs.set(to, { ...known, run: to });
  for (const tags of model.tags.values()) {
    for (const holders of tags.values()) {
      if (!holders.has(run)) continue;
      holders.set(to, holders.get(run));
      holders.delete(run);
    }
  }
  tell("runs", "tags");
}

export function deleted(run, tag) {
  keep(deleted, run, tag);
  for (const tags of model.tags.values()) {
    for (const [name, runs] of tags) {
      if (tag !== undefined && name !== tag) continue;
      runs.delete(run);
      if (runs.size === 0) tags.delete(name);
    }
  }
  if (tag === undefined) model.runs.delete(run);
  tell("runs", "tags");
}
