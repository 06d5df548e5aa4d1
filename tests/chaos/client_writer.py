"""A training with the real client, run as a process: logs a few steps, flushes until all is on disk, and goes on.

Arguments: URL, tag, notes file, stop file, seed, acknowledgement, and the runs.
Exits 0 like raw_writer.py, 1 if points are lost.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

from positions import Notes, value_at

from tbbridge import Client
from tbbridge.errors import Unavailable


def main(url: str, tag: str, notes_path: str, stop: str, seed: str, ack: str, *names: str) -> None:
    chance, notes = random.Random(seed), Notes(Path(notes_path))
    position = 0
    with Client(url, ack=ack) as client:
        runs = [client.run(name) for name in names]
        while not Path(stop).exists():
            count = chance.choice((1, 3, 20))
            notes.begin(position, count)
            for step in range(position, position + count):
                for run in runs:
                    run.step(step)
                    values = {name: value_at(name, step) for name in (f"{tag}/x", f"{tag}/y")}
                    if chance.random() < 0.5:
                        run.add_scalars(values, step)  # a row, but for the first
                    else:
                        for name, value in values.items():
                            run.add_scalar(name, value)
            flush(client)
            notes.done()
            position += count
            time.sleep(chance.uniform(0, 0.02))


def flush(client: Client) -> None:
    while True:
        try:
            client.flush(timeout_s=5)
        except Unavailable:
            continue
        return


if __name__ == "__main__":
    main(*sys.argv[1:])
