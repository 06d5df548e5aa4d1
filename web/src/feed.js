// The live feed: GET /api/v1/live, server-sent events. Read with fetch, since EventSource can send no token. When the connection
// ends it is made again, from the last event on; whoever listens hears of a gap by `hello` with `resumed` false.

import { Refused, ask, path } from "./api.js";

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 2000;
// The bridge sends a line at least every 15 s; a connection that is silent for longer is dead, whatever the system believes.
const SILENCE_MS = 40000;

/** Reads events until it is stopped: `onEvent(name, data)`, and `onState("connecting" | "live" | "away", why)`. */
export class Feed {
  constructor(onEvent, onState) {
    this.onEvent = onEvent;
    this.onState = onState;
    this.lastId = null;
    this.abort = new AbortController();
    this.isStopped = false;
  }

  async run() {
    let wait = FIRST_WAIT_MS;
    while (!this.isStopped) {
      this.onState("connecting");
      this.heard = false;
      let why = "the connection ended";
      try {
        await this.listen();
      } catch (error) {
        why = error instanceof Refused ? error.message : "the bridge does not answer";
      }
      if (this.isStopped) return;
      if (this.heard) wait = FIRST_WAIT_MS;
      this.onState("away", why);
      await new Promise((done) => setTimeout(done, wait * (0.75 + Math.random() / 2)));
      wait = Math.min(wait * 2, LONGEST_WAIT_MS);
    }
  }

  stop() {
    this.isStopped = true;
    this.abort.abort();
  }

  async listen() {
    this.abort = new AbortController();
    const headers = { Accept: "text/event-stream" };
    if (this.lastId !== null) headers["Last-Event-ID"] = this.lastId;
    const answer = await ask(path("api/v1/live", { logs: "true" }), { headers, signal: this.abort.signal });
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    const parser = new Parser((event) => this.take(event));
    let silence = this.watch();
    try {
      for (;;) {
        const { done, value } = await reader.read();
        if (done) return;
        clearTimeout(silence);
        silence = this.watch();
        parser.feed(value);
      }
    } finally {
      clearTimeout(silence);
    }
  }

  watch() {
    return setTimeout(() => this.abort.abort(), SILENCE_MS);
  }

  take({ id, name, data }) {
    if (id !== null) this.lastId = id;
    if (!this.heard) {
      this.heard = true;
      this.onState("live");
    }
    try {
      this.onEvent(name, JSON.parse(data));
    } catch (error) {
      reportError(error); // a mistake of the page's: it is seen in the console, and what comes next is shown all the same
    }
  }
}

/** Server-sent events out of pieces of text. Lines end with LF, CR LF or CR; a line may come in two pieces. */
export class Parser {
  constructor(onEvent) {
    this.onEvent = onEvent;
    this.rest = "";
    this.begin();
  }

  begin() {
    this.id = null;
    this.name = "message";
    this.data = [];
  }

  feed(text) {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop();
    for (const line of lines) this.line(line.endsWith("\r") ? line.slice(0, -1) : line);
  }

  line(line) {
    if (line === "") {
      if (this.data.length) this.onEvent({ id: this.id, name: this.name, data: this.data.join("\n") });
      this.begin();
      return;
    }
    const [field, value] = line.split(/:\s?(.*)/s);
    if (field === "id") this.id = value ?? "";
    else if (field === "event") this.name = value ?? "";
    else if (field === "data") this.data.push(value ?? "");
  }
}
