// Questions to the reader: the browser's own dialog element, which keeps the focus and closes on Escape.

import { deleteRun, forgetToken, hasToken, renameRun, restoreRun } from "./api.js";
import * as format from "./format.js";
import { h, notice, shown } from "./dom.js";
import { model, tagsOfRun } from "./model.js";

/** Shows `body` with buttons, and returns what `submit()` returned, or null if the reader closed it. An error is shown, and asked again. */
function ask(title, body, { action, submit, isDangerous = false, cancel = "Cancel" }) {
  return new Promise((resolve) => {
    const wrong = h("p", { class: "wrong", role: "alert", hidden: true });
    const go = h("button", { type: "submit", class: isDangerous ? "button danger" : "button primary" }, action);
    const close = h("button", { type: "button", class: "button", on: { click: () => dialog.close() } }, cancel);
    const form = h("form", { method: "dialog" }, h("h2", { id: "dialog-title" }, title), body, wrong, h("div", { class: "buttons" }, close, go));
    const dialog = h("dialog", { "aria-labelledby": "dialog-title" }, form);
    let result = null;
    form.addEventListener("submit", async (event) => {
      event.preventDefault();
      go.disabled = true;
      wrong.hidden = true;
      try {
        result = (await submit()) ?? true;
        dialog.close();
      } catch (error) {
        wrong.textContent = error.message;
        wrong.hidden = false;
      } finally {
        go.disabled = false;
      }
    });
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(result);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
}

/** Asks for a token, once; null if the reader has none. */
export function askForToken(reason) {
  const field = h("input", { type: "password", id: "token", autocomplete: "off", spellcheck: false, required: true });
  const body = [
    h("p", null, reason || "This bridge shows its runs to those who have a token."),
    h("label", { class: "field", htmlFor: "token" }, "Token", field),
    h("p", { class: "dim" }, "It is kept in this tab until you close it, and is never part of an address. `tbbridge token new` makes one."),
  ];
  return ask("Token needed", body, { action: "Continue", submit: () => field.value.trim(), cancel: "Not now" }).then((token) => {
    if (token === null) notice("Nothing is shown without a token; load the page again to enter one.", "error");
    return token;
  });
}

/** Forgets the token, and starts again. */
export function signOut() {
  forgetToken();
  location.reload();
}

export { hasToken };

/** Asks what is to be deleted of `runs`, and deletes it. */
export async function askToDelete(runs, tag = null) {
  const many = runs.length > 1;
  const whole = h("input", { type: "radio", name: "what", value: "run", checked: tag === null });
  const one = h("input", { type: "radio", name: "what", value: "tag", checked: tag !== null });
  const tags = many ? [...new Set(runs.flatMap((run) => tagsOfRun(run).map((found) => found.tag)))].sort() : tagsOfRun(runs[0]).map((found) => found.tag);
  const choice = h(
    "select",
    { "aria-label": "Series", on: { change: () => (one.checked = true) } },
    tags.map((name) => h("option", { value: name, selected: name === tag }, shown(name))),
  );
  const body = [
    h("ul", { class: "names" }, runs.slice(0, 8).map((run) => h("li", null, shown(run))), many && runs.length > 8 && h("li", { class: "dim" }, `and ${runs.length - 8} more`)),
    h("label", { class: "choice" }, whole, many ? `These ${runs.length} runs, with all that they hold` : `The whole run: ${format.count(model.runs.get(runs[0])?.points ?? 0)} values`),
    tags.length > 0 && h("label", { class: "choice" }, one, "Only one series: ", choice),
    h("p", { class: "dim" }, "This cannot be undone. TensorBoard shows it at its next reload."),
  ];
  const submit = async () => {
    for (const run of runs) {
      try {
        await deleteRun(run, one.checked ? choice.value : undefined);
      } catch (error) {
        if (!(many && error.status === 404)) throw error; // of several runs, some may not have the series
      }
    }
    return one.checked ? `Deleted ${shown(choice.value)} of ${many ? `${runs.length} runs` : shown(runs[0])}` : `Deleted ${many ? `${runs.length} runs` : shown(runs[0])}`;
  };
  const done = await ask(many ? `Delete from ${runs.length} runs?` : "Delete?", body, { action: "Delete", submit, isDangerous: true });
  if (done) notice(done);
  return done !== null;
}

export async function askToRename(run) {
  const field = h("input", { type: "text", id: "new-name", value: run, required: true, spellcheck: false });
  const body = [h("label", { class: "field", htmlFor: "new-name" }, "New name", field), h("p", { class: "dim" }, "Slashes make folders. Runs below it come along.")];
  const submit = async () => {
    const to = field.value;
    if (to !== run) await renameRun(run, to);
    return to;
  };
  const to = await ask("Rename run", body, { action: "Rename", submit });
  if (to && to !== run) notice(`Renamed to ${shown(to)}`);
  return to;
}

/** Asks what the run in `file` (a zip) is to be called, and puts it back. */
export async function askToRestore(file) {
  const field = h("input", { type: "text", id: "restore-name", value: file.name.replace(/\.zip$/i, ""), required: true, spellcheck: false });
  const replace = h("input", { type: "checkbox" });
  const body = [
    h("p", null, `${shown(file.name)}, ${format.bytes(file.size)}`),
    h("label", { class: "field", htmlFor: "restore-name" }, "Name of the run", field),
    h("label", { class: "choice" }, replace, "Replace the run if there is one of this name"),
  ];
  const submit = async () => {
    await restoreRun(field.value, file, replace.checked);
    return field.value;
  };
  const run = await ask("Put a run back", body, { action: "Restore", submit });
  if (run) notice(`Restored ${shown(run)}`);
  return run;
}
