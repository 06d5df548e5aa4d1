"""A writer in JSON with numbers of its own, run as a process: sends batch after batch, each until it is acknowledged.

Arguments: URL, tag, notes file, stop file, seed, acknowledgement, and the runs, each of which gets the same steps of two tags,
the first one a log record for each batch too.
Exits 0 when the stop file is there and the last batch is acknowledged, 1 if the bridge refuses one for good.
"""

from __future__ import annotations

import http.client
import json
import random
import sys
import time
import urllib.parse
import uuid
from pathlib import Path

from positions import Notes, log_line, value_at

TRY_AGAIN = {408, 429, 500, 502, 503, 504, 507}


class Sender:
    def __init__(self, url: str, ack: str) -> None:
        self.address = urllib.parse.urlsplit(url).netloc
        self.path = f"/api/v1/write?ack={ack}"
        self.connection: http.client.HTTPConnection | None = None

    def send(self, body: bytes) -> None:
        """Until it is acknowledged."""
        while not self._attempt(body):
            time.sleep(0.03)

    def _attempt(self, body: bytes) -> bool:
        if self.connection is None:
            self.connection = http.client.HTTPConnection(self.address, timeout=3)
        try:
            self.connection.request("POST", self.path, body, {"Content-Type": "application/json"})
            answer = self.connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException):
            self.connection.close()
            self.connection = None
            return False
        if answer.status in TRY_AGAIN:
            return False
        if answer.status != 200:
            sys.exit(f"refused with {answer.status}: {content[:500]!r}")
        return True


def main(url: str, tag: str, notes_path: str, stop: str, seed: str, ack: str, *runs: str) -> None:
    chance, notes, sender, writer = random.Random(seed), Notes(Path(notes_path)), Sender(url, ack), uuid.uuid4().hex
    position, seq = 0, 0
    while not Path(stop).exists():
        seq += 1
        count = chance.choice((1, 1, 2, 5, 30))
        steps = list(range(position, position + count))
        columns = [
            {"tag": name, "steps": steps, "values": [value_at(name, step) for step in steps]}
            for name in (f"{tag}/x", f"{tag}/y")
        ]
        parts: list[dict[str, object]] = [{"run": run, "scalars": columns} for run in runs]
        parts[0]["logs"] = [{"message": log_line(tag, seq)}]
        body = json.dumps({"writer": writer, "seq": seq, "runs": parts})
        notes.begin(position, count)
        sender.send(body.encode())
        notes.done()
        position += count
        time.sleep(chance.uniform(0, 0.02))


if __name__ == "__main__":
    main(*sys.argv[1:])
