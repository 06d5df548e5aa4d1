"""The encoder beside TensorFlow's own writer of event files, which is C++ below a call in Python for each point.

As in `python -m benchmarks encoder`: ours from columns to framed bytes, theirs from a new writer to the closed file. TensorFlow
is in an environment of its own; its import and its first writer are not counted.
"""

from __future__ import annotations

from benchmarks.encoder import CASES, POINTS, columns, several
from benchmarks.measure import Size, in_turns
from benchmarks.peers.environments import PEERS, Missing, installed
from benchmarks.peers.tools import tool
from benchmarks.results import Result, Row, Spread
from tbbridge.events.scalars import encode_scalars


def run(size: Size) -> Result:
    """Points a second of both."""
    peer = next(peer for peer in PEERS if peer.environment == "tensorflow")
    rows = []
    try:
        with tool("TensorFlow", str(installed(peer))) as tensorflow:
            tensorflow.ask(work="encode", tags=1, points=10, name="first")
            version = tensorflow.ask(work="hello")["version"]
            names = iter(range(1000))
            for title, tags, _ in CASES:
                given = columns(tags, POINTS // tags)

                def theirs(tags: int = tags) -> float:
                    points = POINTS // tags
                    asked = tensorflow.ask(work="encode", tags=tags, points=points, name=f"run{next(names)}")
                    return float(asked["seconds"])

                encode_scalars(given, ())  # tables and caches are filled once in a process
                works = {
                    "ours": lambda given=given: several(lambda: encode_scalars(given, ()), size.pick(3, 20)),
                    "TensorFlow": theirs,
                }
                found = in_turns(works, size.pick(1, 5, 9), f"encoder, {title}")
                ours, peers = (Spread.of(found[name]).inverse(POINTS) for name in works)
                rows.append(Row(f"encode {title}", "points/s", ours, peers, f"TensorFlow ({version})", "more"))
    except (Missing, RuntimeError, OSError) as error:
        return Result(rows, {}, {"TensorFlow": str(error)})
    return Result(rows)
