"""The bridge is killed with SIGKILL twenty times while writers write, and every point is there exactly once, in order."""

from __future__ import annotations

import contextlib
import random
import signal
import struct
import sys
import time
from pathlib import Path

from processes import Process, TensorBoard, address_in, serve, tensorboard, until
from tensorboard.compat.proto.event_pb2 import Event

KILLS = 20
# Each with the acknowledgement it waits for: what is killed between the journal and the event file differs.
WRITERS = {"a": "journaled", "b": "journaled", "c": "written"}
HERE = Path(__file__).parent


def size_of(logdir: Path) -> int:
    """Bytes in the event files of the log folder."""
    return sum(path.stat().st_size for path in logdir.rglob("*tfevents*"))


def series_in(logdir: Path) -> dict[tuple[str, str], list[tuple[int, float]]]:
    """(step, value) of every scalar by (run, tag), in the order in which the files hold them; read with none of our code."""
    found: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for path in sorted(logdir.rglob("*tfevents*")):
        run = path.parent.relative_to(logdir).as_posix()
        content = path.read_bytes()
        offset = 0
        while offset < len(content):
            (length,) = struct.unpack_from("<Q", content, offset)
            event = Event.FromString(content[offset + 12 : offset + 12 + length])
            for value in event.summary.value:
                found.setdefault((run, value.tag), []).append((event.step, value.simple_value))
            offset += 16 + length
        assert offset == len(content), f"{path} ends inside a record"
    return found


def shown_by(viewer: TensorBoard, run: str, tag: str) -> list[tuple[int, float]]:
    return [(step, value) for _, step, value in viewer.scalars(run, tag)]


def test_twenty_kills_under_load_lose_nothing_and_repeat_nothing(logdir: Path, tmp_path: Path) -> None:
    stop = tmp_path / "stop"
    chance = random.Random(20)
    with contextlib.ExitStack() as stack:
        logdir.mkdir()
        viewers = [stack.enter_context(tensorboard(logdir, load_fast)) for load_fast in ("true", "false")]
        server = stack.enter_context(serve(logdir))
        url = address_in(server)
        port = int(url.rpartition(":")[2])
        commands = [[sys.executable, str(HERE / "kill_writer.py"), url, name, ack, str(stop)] for name, ack in WRITERS.items()]
        writers = [stack.enter_context(Process(command)) for command in commands]
        for _ in range(KILLS):
            before = size_of(logdir)
            until(lambda before=before: size_of(logdir) > before, "points arrive in the event files")
            time.sleep(chance.uniform(0, 0.1))  # so that the kill falls anywhere in the server's work
            assert server.end(signal.SIGKILL) == -signal.SIGKILL, server.output
            server = stack.enter_context(serve(logdir, port=port))
            address_in(server)
        stop.touch()
        for writer in writers:
            assert writer.wait() == 0, writer.output
        said = {name: writer.lines[-1].split() for name, writer in zip(WRITERS, writers, strict=True)}
        counts = {name: int(count) for name, (count, _) in said.items()}
        assert sum(int(retries) for _, retries in said.values()) >= KILLS, "nearly every kill met requests under way"
        expected = {
            series: [(position, float(position)) for position in range(count)]
            for name, count in counts.items()
            for series in ((f"own/{name}", "position"), ("shared", name))
        }
        until(lambda: sum(map(len, series_in(logdir).values())) >= sum(map(len, expected.values())), "all is in the files")
        assert series_in(logdir) == expected
        for viewer in viewers:
            for (run, tag), points in expected.items():
                until(
                    lambda at=(viewer, run, tag, points): len(shown_by(*at[:3])) >= len(at[3]), f"TensorBoard shows {run} {tag}"
                )
                assert shown_by(viewer, run, tag) == points
        assert server.end() == 0, server.output
    assert series_in(logdir) == expected
