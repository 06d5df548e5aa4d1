// Menus that open at a button: arrows and Escape work, and a click elsewhere closes them.

import { h } from "./dom.js";

let open = null;

/** Opens a menu at `button`, or closes the one that it opened. `items`: [label, action, {danger?, checked?}] or null for a line. */
export function toggleMenu(button, items) {
  if (open?.button === button) {
    closeMenu();
    return;
  }
  closeMenu();
  const menu = h("div", { class: "menu", role: "menu" });
  for (const item of items) {
    if (item === null) {
      menu.append(h("div", { class: "line", role: "separator" }));
      continue;
    }
    const [label, action, { danger, checked } = {}] = item;
    const run = () => {
      closeMenu(true);
      action();
    };
    const role = checked === undefined ? "menuitem" : "menuitemcheckbox";
    menu.append(h("button", { type: "button", role, "aria-checked": checked, class: danger ? "danger" : "", tabIndex: -1, on: { click: run } }, label));
  }
  menu.addEventListener("keydown", onKey);
  document.body.append(menu);
  const box = button.getBoundingClientRect();
  const left = Math.max(8, Math.min(box.right - menu.offsetWidth, innerWidth - menu.offsetWidth - 8));
  const below = box.bottom + 4;
  const top = below + menu.offsetHeight > innerHeight - 8 ? Math.max(8, box.top - menu.offsetHeight - 4) : below;
  menu.style.left = `${left + scrollX}px`;
  menu.style.top = `${top + scrollY}px`;
  button.setAttribute("aria-expanded", "true");
  open = { button, menu };
  menu.querySelector("button").focus();
  setTimeout(() => document.addEventListener("pointerdown", outside), 0);
}

export function closeMenu(isBack = false) {
  if (open === null) return;
  open.menu.remove();
  open.button.setAttribute("aria-expanded", "false");
  if (isBack) open.button.focus();
  open = null;
  document.removeEventListener("pointerdown", outside);
}

function outside(event) {
  if (open && !open.menu.contains(event.target) && !open.button.contains(event.target)) closeMenu();
}

function onKey(event) {
  const items = [...open.menu.querySelectorAll("button")];
  const at = items.indexOf(document.activeElement);
  const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 }[event.key];
  if (to !== undefined) {
    event.preventDefault();
    items[(to + items.length) % items.length].focus();
  } else if (event.key === "Escape" || event.key === "Tab") {
    event.preventDefault();
    closeMenu(true);
  }
}
