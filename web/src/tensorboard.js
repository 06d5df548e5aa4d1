// Where TensorBoard is: what the bridge's setting says, an address or the port on this page's host.

function base() {
  const said = document.querySelector("meta[name=tensorboard]")?.content ?? "";
  if (/^https?:\/\//.test(said)) return said.replace(/\/$/, "");
  if (/^:\d+$/.test(said)) return `http://${location.hostname}${said}`;
  return "";
}

/** TensorBoard's address, "" if there is none. */
export function tensorboard() {
  return base();
}

/** TensorBoard with a filter on one run; "" if there is none. */
export function tensorboardOf(run) {
  const address = base();
  if (!address) return "";
  const exactly = `^${run.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`;
  return `${address}/?runFilter=${encodeURIComponent(exactly)}#timeseries`;
}
