"""The encoder beside TensorFlow's own writers of event files.

As in `python -m benchmarks encoder`: ours from columns to framed bytes, theirs from a new writer to the closed file. Once by
the calls of its documentation (tf.summary), and once its C++ writer of records alone, given events that protobuf made.
TensorFlow is in an environment of its own; its import and its first writer are not counted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import count

from benchmarks.encoder import CASES, POINTS, columns, several
from benchmarks.measure import Size, in_turns
from benchmarks.peers.environments import PEERS, Missing, installed
from benchmarks.peers.tools import Tool, tool
from benchmarks.results import Result, Row, Spread
from tbbridge.events.scalars import encode_scalars


def run(size: Size) -> Result:
    """Points a second of both."""
    peer = next(peer for peer in PEERS if peer.environment == "tensorflow")
    rows: list[Row] = []
    try:
        python = str(installed(peer))
        with tool(peer.tools[0], python) as summaries, tool(peer.tools[1], python) as records:
            asked = {"tf.summary": summaries, "tf.io.TFRecordWriter": records}
            for theirs in asked.values():
                theirs.ask(work="encode", tags=1, points=10, name="first")
            version = summaries.ask(work="hello")["version"]
            for title, tags, _ in CASES:
                rows += compare(title, tags, asked, version, size)
    except (Missing, RuntimeError, OSError) as error:
        return Result(rows, {}, {"TensorFlow": str(error)})
    return Result(rows)


def compare(title: str, tags: int, tools: Mapping[str, Tool], version: str, size: Size) -> list[Row]:
    """One case with ours and each of the writers."""
    given, names = columns(tags, POINTS // tags), count()
    part = size.pick(20, 5)  # of the points: they are slow, and all count by the point
    encode_scalars(given, ())  # tables and caches are filled once in a process

    def theirs(tool: Tool) -> float:
        some = (tags, POINTS // tags // part) if tags < POINTS else (tags // part, 1)
        found = tool.ask(work="encode", tags=some[0], points=some[1], name=f"{tags}-{next(names)}")
        return float(found["seconds"]) * part

    works: dict[str, Callable[[], float]] = {"tbbridge": lambda: several(lambda: encode_scalars(given, ()), size.pick(3, 20))}
    works |= {name: partial(theirs, tool) for name, tool in tools.items()}
    found = in_turns(works, size.pick(1, 5, 9), f"encoder, {title}")
    rates = {name: Spread.of(times).inverse(POINTS) for name, times in found.items()}
    ours = rates["tbbridge"]
    return [Row(f"encode {title}", "points/s", ours, rates[name], f"{name} ({version})", "more") for name in tools]
