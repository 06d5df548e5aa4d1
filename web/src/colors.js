// The colour of each run, and the theme.

import { model } from "./model.js";
import { COLORS } from "./palette.js";

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
  const [hue, ...themes] = COLORS[(model.runs.get(run)?.place ?? 0) % COLORS.length];
  const [light, chroma] = themes[Number(isDark())];
  return `oklch(${light} ${chroma} ${hue}${alpha < 1 ? ` / ${alpha}` : ""})`;
}

/** What the style sheet says a colour is. */
export function themed(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
