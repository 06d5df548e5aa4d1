// The part of Markdown that notes of trainings use, made into elements directly: no HTML is ever written or parsed, so a text can be
// nothing but text. HTML in it is shown as it stands; links lead to http, https and mailto only; pictures become links, since a picture
// of another site would tell that site who reads.

import { h } from "./dom.js";

// Deeper lists and quotes are shown as text: a stranger's text must not exhaust the stack.
const DEPTH_MAX = 6;
const LENGTH_MAX = 200000;

/** The text as a list of elements. */
export function markdown(text) {
  const cut = text.length > LENGTH_MAX;
  const made = blocks(text.slice(0, LENGTH_MAX).replace(/\r\n?/g, "\n").split("\n"), 0);
  if (cut) made.push(h("p", { class: "dim" }, `The rest of ${text.length.toLocaleString("en-US")} characters is left out here.`));
  return made;
}

function blocks(lines, depth) {
  const made = [];
  let paragraph = [];
  const flush = () => {
    if (paragraph.length) made.push(h("p", null, inline(paragraph.join("\n"))));
    paragraph = [];
  };
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i];
    const fence = /^\s{0,3}(```+|~~~+)/.exec(line);
    if (fence) {
      flush();
      const code = [];
      for (i++; i < lines.length && !lines[i].trimStart().startsWith(fence[1]); i++) code.push(lines[i]);
      made.push(codeBlock(code.join("\n")));
    } else if (/^(\t| {4})/.test(line) && paragraph.length === 0) {
      const code = [];
      for (; i < lines.length && (/^(\t| {4})/.test(lines[i]) || lines[i].trim() === ""); i++) code.push(lines[i].replace(/^(\t| {4})/, ""));
      i--;
      made.push(codeBlock(code.join("\n").replace(/\n+$/, "")));
    } else if (line.trim() === "") {
      flush();
    } else if (/^\s{0,3}#{1,6}\s/.test(line)) {
      flush();
      const [, marks, title] = /^\s*(#+)\s+(.*?)\s*#*\s*$/.exec(line);
      made.push(h(`h${Math.min(6, marks.length + 3)}`, null, inline(title)));
    } else if (/^\s{0,3}([-*_])(\s*\1){2,}\s*$/.test(line)) {
      flush();
      made.push(h("hr"));
    } else if (/^\s{0,3}>/.test(line) && depth < DEPTH_MAX) {
      flush();
      const quoted = [];
      for (; i < lines.length && /^\s{0,3}>/.test(lines[i]); i++) quoted.push(lines[i].replace(/^\s{0,3}> ?/, ""));
      i--;
      made.push(h("blockquote", null, blocks(quoted, depth + 1)));
    } else if (ITEM.test(line) && depth < DEPTH_MAX) {
      flush();
      const [list, next] = listAt(lines, i, depth);
      made.push(list);
      i = next - 1;
    } else if (line.includes("|") && isRule(lines[i + 1])) {
      flush();
      const [table, next] = tableAt(lines, i);
      made.push(table);
      i = next - 1;
    } else {
      paragraph.push(line);
    }
  }
  flush();
  return made;
}

function codeBlock(text) {
  return h("pre", { tabIndex: 0, role: "region", "aria-label": "Code" }, h("code", null, text));
}

const ITEM = /^(\s*)([-*+]|\d{1,9}[.)])\s+(.*)$/;

function listAt(lines, i, depth) {
  const first = ITEM.exec(lines[i]);
  const indent = first[1].length;
  const isOrdered = /\d/.test(first[2]);
  const list = h(isOrdered ? "ol" : "ul");
  if (isOrdered) list.start = Number.parseInt(first[2], 10);
  while (i < lines.length) {
    const found = ITEM.exec(lines[i]);
    if (!found || found[1].length < indent || /\d/.test(found[2]) !== isOrdered) break;
    const inner = [found[3]];
    for (i++; i < lines.length; i++) {
      const next = ITEM.exec(lines[i]);
      if (next && next[1].length <= indent) break;
      const isBlank = lines[i].trim() === "";
      if (isBlank && !/^\s+\S/.test(lines[i + 1] ?? "")) break;
      if (!isBlank && !/^\s/.test(lines[i])) break;
      inner.push(lines[i].replace(/^( {2,4}|\t)/, ""));
    }
    const made = blocks(inner, depth + 1);
    list.append(h("li", null, made.length === 1 && made[0].tagName === "P" ? [...made[0].childNodes] : made));
    while (i < lines.length && lines[i].trim() === "" && ITEM.test(lines[i + 1] ?? "")) i++;
  }
  return [list, i];
}

function isRule(line) {
  return line !== undefined && line.includes("-") && /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/.test(line);
}

function cells(line) {
  return line.trim().replace(/^\||\|$/g, "").split("|").map((cell) => cell.trim());
}

function tableAt(lines, i) {
  const head = cells(lines[i]);
  const rows = [];
  for (i += 2; i < lines.length && lines[i].includes("|"); i++) rows.push(cells(lines[i]));
  const table = h(
    "table",
    null,
    h("thead", null, h("tr", null, head.map((cell) => h("th", { scope: "col" }, inline(cell))))),
    h("tbody", null, rows.map((row) => h("tr", null, head.map((_, n) => h("td", null, inline(row[n] ?? "")))))),
  );
  return [h("div", { class: "scroll" }, table), i];
}

// Each alternative begins with a letter of its own and has no nested repetition: it takes a time in proportion to the text.
const SPAN = /(`+)([^`]+)\1|\*\*([^*\n]+)\*\*|__([^_\n]+)__|\*([^*\s][^*\n]*)\*|(?<![\p{L}\p{N}])_([^_\s][^_\n]*)_(?![\p{L}\p{N}])|~~([^~\n]+)~~|!?\[([^[\]\n]*)\]\(\s*([^()\s]+)(?:\s+"[^"\n]*")?\s*\)|(https?:\/\/[^\s<>"'`)\]]+)/gu;

function inline(text, depth = 0) {
  if (depth > DEPTH_MAX) return [text];
  const made = [];
  let at = 0;
  for (const found of text.matchAll(SPAN)) {
    made.push(...broken(text.slice(at, found.index)));
    at = found.index + found[0].length;
    const [whole, , code, strong, strong2, em, em2, gone, label, target, bare] = found;
    const inner = (part) => inline(part, depth + 1);
    if (code !== undefined) made.push(h("code", null, code.trim() || code));
    else if (strong ?? strong2) made.push(h("strong", null, inner(strong ?? strong2)));
    else if (em ?? em2) made.push(h("em", null, inner(em ?? em2)));
    else if (gone) made.push(h("del", null, inner(gone)));
    else made.push(link(bare ?? target, bare ? [bare] : inner(label || target), whole));
  }
  made.push(...broken(text.slice(at)));
  return made;
}

/** Text with its line breaks; two spaces or a backslash before one make it a break. */
function broken(text) {
  return text.split(/(?: {2,}|\\)\n/).flatMap((part, i) => (i ? [h("br"), part] : [part])).filter((part) => part !== "");
}

function link(target, children, whole) {
  let url;
  try {
    url = new URL(target);
  } catch {
    return whole;
  }
  if (!["http:", "https:", "mailto:"].includes(url.protocol)) return whole;
  return h("a", { href: url.href, rel: "noopener noreferrer nofollow", target: "_blank" }, children);
}
