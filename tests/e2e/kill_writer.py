"""A writer for test_kills.py, run as a process of its own: logs points, whose value is their position, until told to stop.

Each burst is flushed, so that a request is under way nearly all the time and a kill of the server meets one. The last line of
output is how many points went to each series, and how many requests were repeated. Exits 0 only if all is on disk.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tbbridge import Client

BURST = 3
# On a busy machine the server is down most of the time, and a client that waits longer and longer may miss it for a minute.
PATIENCE_S = 600.0


def main(url: str, name: str, ack: str, stop: Path) -> None:
    position = 0
    with Client(url, ack=ack) as client:
        own, shared = client.run(f"own/{name}"), client.run("shared")
        while not stop.exists():
            for _ in range(BURST):
                own.step(position)
                own.add_scalar("position", position)
                shared.step(position)
                shared.add_scalar(name, position)
                position += 1
            client.flush(PATIENCE_S)
        sys.stdout.write(f"{position} {client.stats.retries}\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], Path(sys.argv[4]))
