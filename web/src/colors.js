// The colour of each run. Hues are far apart for the first ten runs, and come again lighter and darker; the theme sets how light.

import { model } from "./model.js";

// In the order in which they are given out: neighbours in the list of runs are far apart, for readers who see less colour too.
const HUES = [255, 45, 155, 340, 95, 210, 15, 300, 125, 70];
const CHROMA = [0.155, 0.16, 0.135, 0.17, 0.13, 0.12, 0.19, 0.17, 0.15, 0.14];
const TURNS = [0, 0.11, -0.11];
const TURN_HUE = 17;

const dark = window.matchMedia("(prefers-color-scheme: dark)");

export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : dark.matches;
}

/** `listener()` is called when the colours have to be made anew. */
export function onTheme(listener) {
  dark.addEventListener("change", listener);
  window.addEventListener("tbbridge-theme", listener);
}

export function setTheme(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  try {
    if (theme) localStorage.setItem("tbbridge-theme", theme);
    else localStorage.removeItem("tbbridge-theme");
  } catch {
    // a browser that keeps nothing: the theme lasts as long as the page
  }
  window.dispatchEvent(new Event("tbbridge-theme"));
}

export function restoreTheme() {
  try {
    const theme = localStorage.getItem("tbbridge-theme");
    if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  } catch {
    // as above
  }
}

/** A run's colour, `alpha` from 0 to 1. */
export function colorOf(run, alpha = 1) {
  const place = model.runs.get(run)?.place ?? 0;
  const turn = Math.floor(place / HUES.length) % TURNS.length;
  const light = (isDark() ? 0.74 : 0.57) + TURNS[turn];
  const at = place % HUES.length;
  return `oklch(${light.toFixed(2)} ${CHROMA[at]} ${HUES[at] + turn * TURN_HUE}${alpha < 1 ? ` / ${alpha}` : ""})`;
}

/** What the style sheet says a colour is. */
export function themed(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
