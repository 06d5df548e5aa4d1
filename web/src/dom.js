// Building and changing the page's elements. Text only ever becomes a text node: nothing here makes HTML out of a string.

/**
 * An element. `props`: `class`, `on` ({event: listener}), `data` (dataset), properties that the element has, and attributes.
 * Children are nodes or text; null, undefined and false are left out.
 */
export function h(name, props, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(props ?? {})) {
    if (value === undefined || value === null) continue;
    if (key === "class") element.className = value;
    else if (key === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else if (key === "data") Object.assign(element.dataset, value);
    else if (key in element && !key.startsWith("aria")) element[key] = value;
    else element.setAttribute(key, value === true ? "" : String(value));
  }
  add(element, children);
  return element;
}

function add(element, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) add(element, child);
    else element.append(child);
  }
}

const SVG = "http://www.w3.org/2000/svg";

/** An SVG element; `props` are attributes, and `on` as for `h`. */
export function s(name, props, ...children) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(props ?? {})) {
    if (key === "on") for (const [event, listener] of Object.entries(value)) element.addEventListener(event, listener);
    else element.setAttribute(key, String(value));
  }
  add(element, children);
  return element;
}

// Shapes of 24 by 24, drawn as lines.
const ICONS = {
  menu: ["M4 7h16M4 12h16M4 17h16"],
  more: ["M12 6h.01M12 12h.01M12 18h.01"],
  expand: ["M9 4H4v5M15 4h5v5M9 20H4v-5M15 20h5v-5"],
  table: ["M4 5h16v14H4zM4 10h16M4 15h16M10 5v14"],
  reset: ["M4 12a8 8 0 1 0 3-6.2M4 4v4h4"],
  sun: ["M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8M12 3v1M12 20v1M3 12h1M20 12h1M5.6 5.6l.8.8M17.6 17.6l.8.8M5.6 18.4l.8-.8M17.6 6.4l.8-.8"],
  moon: ["M20 14.5A8 8 0 0 1 9.5 4a8 8 0 1 0 10.5 10.5z"],
  close: ["M6 6l12 12M18 6L6 18"],
  out: ["M14 5h5v5M19 5l-9 9M11 6H5v13h13v-6"],
  link: ["M10 14a4 4 0 0 0 6 .4l3-3a4 4 0 0 0-5.7-5.7l-1 1M14 10a4 4 0 0 0-6-.4l-3 3a4 4 0 0 0 5.7 5.7l1-1"],
  chevron: ["M9 6l6 6-6 6"],
  copy: ["M9 9h11v11H9z", "M5 15H4V4h11v1"],
  upload: ["M12 15V5M8 9l4-4 4 4M5 15v4h14v-4"],
};

/** One of the icons, hidden from screen readers: the control that holds it has a label. */
export function icon(name) {
  const paths = ICONS[name].map((d) => s("path", { d }));
  return s("svg", { class: "glyph", viewBox: "0 0 24 24", "aria-hidden": "true" }, ...paths);
}

/** A button that shows an icon; its label is also its tooltip. */
export function iconButton(name, label, onclick, props = {}) {
  return h("button", { type: "button", class: "icon", "aria-label": label, title: label, on: { click: onclick }, ...props }, icon(name));
}

const INVISIBLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/gu;

/** A name as it is safe to show: what would turn the direction of writing around, or is not seen, is spelled out. */
export function shown(name) {
  return name.replace(INVISIBLE, (letter) => `\u27e8U+${letter.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}\u27e9`);
}

/** Puts these children in place of all that `element` holds. */
export function fill(element, ...children) {
  element.replaceChildren();
  add(element, children);
  return element;
}

/** Calls `work` once, in the next frame, however often it is asked before. */
export function soon(work) {
  let waiting = false;
  return () => {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame(() => {
      waiting = false;
      work();
    });
  };
}

/** Calls `work` when it has not been asked for `ms`. */
export function settled(work, ms) {
  let timer = 0;
  return (...args) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...args), ms);
  };
}

/** Calls `work` soon, and at most once every `ms` however often it is asked; the last time it is asked always counts. */
export function throttled(work, ms) {
  let timer = 0;
  let last = -Infinity;
  return () => {
    timer ||= setTimeout(() => {
      timer = 0;
      last = performance.now();
      work();
    }, Math.max(0, last + ms - performance.now()));
  };
}

/** A short message at the bottom of the page, for some seconds. */
export function notice(text, kind = "info") {
  const element = h("div", { class: `notice ${kind}` }, text);
  element.append(iconButton("close", "Dismiss", () => element.remove()));
  document.getElementById("notices").append(element);
  setTimeout(() => element.remove(), kind === "error" ? 12000 : 5000);
}

/** Saves `blob` as a file of the reader's. */
export function save(blob, name) {
  const url = URL.createObjectURL(blob);
  h("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

/** A name as it may be called on a disk. */
export function fileName(name) {
  return name.replace(/[^\p{L}\p{N}._=+-]+/gu, "_").slice(0, 120) || "chart";
}

/**
 * Elements of a long list, made as the reader scrolls: `make(item)` for the first `step`, and so on when the end comes near. When the
 * list changes, what is in both stays as it is, and `gone(item)` is called for what is not any more. `key(item)` tells items apart.
 * `root` is what scrolls.
 */
export class Growing {
  constructor(host, make, { step = 60, key = (item) => item, gone = () => {}, root = document.getElementById("main") } = {}) {
    Object.assign(this, { host, make, step, key, gone });
    this.items = [];
    this.made = new Map(); // key -> [item, element]
    this.end = h("div", { class: "list-end" });
    this.observer = new IntersectionObserver((seen) => seen.some((one) => one.isIntersecting) && this.grow(), { root, rootMargin: "600px" });
  }

  show(items) {
    this.items = items;
    const places = new Map(items.map((item, i) => [this.key(item), i]));
    let most = 0;
    for (const [key, [item, element]] of [...this.made]) {
      const place = places.get(key);
      if (place === undefined) {
        this.made.delete(key);
        element.remove();
        this.gone(item);
      } else {
        most = Math.max(most, place + 1);
      }
    }
    if (this.made.size === 0) this.host.replaceChildren();
    this.fillTo(Math.max(this.step, most));
  }

  grow() {
    this.fillTo(this.made.size + this.step);
  }

  fillTo(count) {
    const end = Math.min(count, this.items.length);
    for (let i = 0; i < end; i++) {
      const item = this.items[i];
      const key = this.key(item);
      if (!this.made.has(key)) this.made.set(key, [item, this.make(item)]);
      const [, element] = this.made.get(key);
      if (this.host.children[i] !== element) this.host.insertBefore(element, this.host.children[i] ?? null);
    }
    this.observer.unobserve(this.end);
    if (end < this.items.length) {
      this.host.append(this.end);
      this.observer.observe(this.end); // seen again, so that a list that is still too short grows on
    } else {
      this.end.remove();
    }
  }
}
