// What stands where nothing is yet: what it would be, and how to make it.

import { h, iconButton, notice } from "./dom.js";

function code(text) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      notice("Copied");
    } catch {
      notice("This browser does not let pages copy here; select the text instead", "error");
    }
  };
  return h("div", { class: "code" }, h("pre", { tabIndex: 0, role: "region", "aria-label": "Code" }, h("code", null, text)), iconButton("copy", "Copy", copy));
}

const here = () => location.origin + location.pathname.replace(/\/$/, "");

const STATES = {
  nothing: () => [
    h("h2", null, "Nothing here yet. Send the first point."),
    h("p", null, "It is drawn on this page a moment later, and TensorBoard shows it at its next reload."),
    h("h3", null, "From Python"),
    code(`import tbbridge

with tbbridge.Client("${here()}") as client:
    run = client.run("hello")
    for step in range(1000):
        run.add_scalar("loss", 1 / (step + 1), step)`),
    h("h3", null, "From a shell, or any language that speaks HTTP"),
    code(`curl ${here()}/api/v1/write -H 'Content-Type: application/json' -d '
  {"runs": [{"run": "hello", "scalars": [{"tag": "loss", "steps": [1, 2, 3], "values": [0.9, 0.5, 0.3]}]}]}'`),
    h("h3", null, "Or just look"),
    code("tbbridge demo"),
    h("p", { class: "dim" }, "You can also drop the zip of a run on this page. ", h("a", { href: "docs" }, "The whole interface"), "."),
  ],
  "no-scalars": () => [h("h2", null, "No scalars yet."), h("p", null, "The runs here hold other things; the tabs above show them. A scalar is one number for a step:"), code('run.add_scalar("loss", 0.5, step)')],
  "runs-filtered": () => [h("h2", null, "No shown run has scalars."), h("p", null, "The list at the left says which runs are shown; the box above it shows all of them.")],
  "charts-filtered": () => [h("h2", null, "No chart matches."), h("p", null, "The filter above is a regular expression, and looks anywhere in a tag: "), code("^loss/|accuracy")],
  histogram: () => [h("h2", null, "No histograms yet."), h("p", null, "A histogram shows how values, such as a layer's weights, spread over time:"), code('run.add_histogram("weights/dense", weights, step)')],
  image: () => [h("h2", null, "No images yet."), h("p", null, "Arrays, PIL images and matplotlib figures all work:"), code('run.add_image("samples", picture, step)')],
  audio: () => [h("h2", null, "No audio yet."), code('run.add_audio("speech", samples, step, sample_rate=16000)')],
  text: () => [h("h2", null, "No texts yet."), h("p", null, "Markdown is shown as such:"), code('run.add_text("notes", "**Best** so far: `lr=1e-3`", step)')],
  hparams: () => [h("h2", null, "No hyperparameters yet."), h("p", null, "A run that says what it was made with can be compared by it:"), code('run.add_hparams({"lr": 1e-3, "layers": 4}, {"accuracy": 0.97})')],
};

/** What to show where nothing is. */
export function emptyState(name) {
  return h("div", { class: "empty" }, STATES[name]());
}
