// The legend of a chart that is saved as a picture: what is written where. Pure, so that node tests it (test/legend.test.mjs).

/**
 * The names in two columns if all have room there, and otherwise one below the other, on at most `most` lines; the last says how many
 * more there are. `measure(text)`: how wide an entry is. Answers {lines, entries: [{place among the names or null, text, x, line}]}.
 */
export function legend(names, width, most, measure) {
  const half = width / 2;
  const isTwo = names.length > 1 && names.slice(0, 2 * most).every((name) => measure(name) <= half);
  const columns = isTwo ? 2 : 1;
  const isAll = names.length <= columns * most;
  const listed = isAll ? names : names.slice(0, columns * (most - 1));
  const entries = listed.map((name, i) => ({
    place: i,
    text: fitted(name, width / columns, measure),
    x: (i % columns) * half,
    line: Math.floor(i / columns),
  }));
  if (!isAll) entries.push({ place: null, text: `and ${names.length - listed.length} more`, x: 0, line: most - 1 });
  return { lines: entries.length ? entries.at(-1).line + 1 : 0, entries };
}

/** As much of a name as has room. The middle is left out: names often differ at their ends. */
export function fitted(name, width, measure) {
  if (measure(name) <= width) return name;
  const letters = [...name];
  const cut = (kept) => `${letters.slice(0, Math.ceil(kept / 2)).join("")}\u2026${letters.slice(letters.length - Math.floor(kept / 2)).join("")}`;
  let [low, high] = [0, letters.length - 1];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (measure(cut(middle)) <= width) low = middle;
    else high = middle - 1;
  }
  return cut(low);
}
