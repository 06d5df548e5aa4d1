// When charts are drawn: what a reader does in the next frame, what the feed brings a few times a second, and never more than a share
// of the time, however many charts and points there are.

const LIVE_MS = 200; // within the quarter of a second in which a point should be seen, and no oftener than a fifth of one
// The share of time that drawing what came may take.
const SHARE = 0.15;

const urgent = new Set();
const live = new Set();
let frame = 0;
let timer = 0;
let lastLive = 0;
let cost = 0; // of the last drawing of what came, in ms

/** Draws `chart` in the next frame. */
export function drawNow(chart) {
  urgent.add(chart);
  frame ||= requestAnimationFrame(paint);
}

/** Draws `chart` soon, along with others. */
export function drawSoon(chart) {
  live.add(chart);
  if (timer) return;
  const wait = Math.max(0, Math.max(LIVE_MS, cost / SHARE) - (performance.now() - lastLive));
  timer = setTimeout(() => {
    for (const one of live) urgent.add(one);
    live.clear();
    timer = 0;
    isLive = true;
    frame ||= requestAnimationFrame(paint);
  }, wait);
}

let isLive = false;

function paint() {
  frame = 0;
  const began = performance.now();
  const charts = [...urgent];
  urgent.clear();
  for (const chart of charts) chart.draw();
  if (isLive) {
    isLive = false;
    lastLive = performance.now();
    cost = lastLive - began;
  }
}
