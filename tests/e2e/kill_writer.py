"""A writer for test_kills.py, run as a process of its own: logs points, whose value is their position, until told to stop.

Its last line of output is how many it logged to each series. Exits 0 only if all of them are on the server's disk.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from tbbridge import Client

BURST = 20
PAUSE_S = 0.02
FLUSH_TIMEOUT_S = 60.0


def main(url: str, name: str, stop: Path) -> None:
    position = 0
    with Client(url) as client:
        own, shared = client.run(f"own/{name}"), client.run("shared")
        while not stop.exists():
            for _ in range(BURST):
                own.step(position)
                own.add_scalar("position", position)
                shared.step(position)
                shared.add_scalar(name, position)
                position += 1
            time.sleep(PAUSE_S)
        client.flush(FLUSH_TIMEOUT_S)
    sys.stdout.write(f"{position}\n")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], Path(sys.argv[3]))
