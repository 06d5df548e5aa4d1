"""A bridge from afar: what runs it has, what is in them, and runs deleted, renamed, taken away and put back.

For scripts and the command line, where somebody waits for the answer: each method makes one call, never retries, and raises
what went wrong. Points are logged with `Client`, not here. HTTP itself is transport.py's.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import BinaryIO, Final, NotRequired, Self, TypedDict, cast

from tbbridge import limits
from tbbridge.client.address import find_address
from tbbridge.client.answers import Answer, retry_after_s, words_of
from tbbridge.client.live import EVENT_STREAM, LiveEvent, read_events
from tbbridge.client.transport import Caller, Reply, TransportFailed
from tbbridge.errors import Rejected, Unavailable

DEFAULT_TIMEOUT_S: Final = 60.0
ZIP_TYPE: Final = "application/zip"
_UNAVAILABLE: Final = frozenset({408, 429, 502, 503, 504, 507})


class TagEntry(TypedDict):
    """One tag of a run, as the bridge lists it."""

    tag: str
    kind: str
    count: int
    first_step: int
    last_step: int
    first_wall_time: float
    last_wall_time: float


class RunEntry(TypedDict):
    """One run, as the bridge lists it; `tags` only if asked for by name, `status` running, finished, failed or lost."""

    run: str
    tag_counts: dict[str, int]
    points: int
    first_step: int | None
    last_step: int | None
    first_wall_time: float | None
    last_wall_time: float | None
    size_bytes: int
    status: str | None
    tags: list[TagEntry] | None


class Notice(TypedDict):
    """Something to know about a change that was made all the same."""

    path: str
    code: str
    message: str


class Outcome(TypedDict):
    """What a change did."""

    runs: list[str]
    warnings: list[Notice]


class Restored(TypedDict):
    """What was put back."""

    run: str
    files: int
    size_bytes: int
    warnings: list[Notice]


class Columns(TypedDict):
    """The points of a scalar tag; `values` holds NaN and infinities as texts, and may hold more columns.

    `sampled`, if points were left out: positions of those to average, taken evenly and not for being low or high.
    """

    run: str
    tag: str
    count: int
    steps: list[int]
    values: NotRequired[list[float | str]]
    wall_times: NotRequired[list[float]]
    sampled: NotRequired[list[int]]


class GroupPattern(TypedDict):
    """Members of a combined group whose names match `pattern` share the charts of `bin`."""

    pattern: str
    bin: str


class GroupEntry(TypedDict):
    """One group, as the bridge lists and takes it; `kind` is normal, indexed (with `bin_size`) or combined (`patterns`)."""

    name: str
    kind: str
    bin_size: NotRequired[int]
    patterns: NotRequired[list[GroupPattern]]


class Remote:
    """One bridge. Close it, or use it in a `with` block. For one thread at a time. `token`: left out, TBBRIDGE_TOKEN.

    Raises `Unavailable` if the bridge cannot be reached, is full or stops, and `Rejected` with its words if it refuses.
    """

    def __init__(
        self,
        address: str | None = None,
        port: int | None = None,
        *,
        hostname: str | None = None,
        timeout_s: float = DEFAULT_TIMEOUT_S,
        token: str | None = None,
    ) -> None:
        self._address = find_address(address, port, hostname)
        self._caller = Caller(self._address, timeout_s, token)

    @property
    def address(self) -> str:
        """The bridge's address, without a password."""
        return self._address.shown

    def runs(self) -> list[RunEntry]:
        """All runs, by name."""
        return self._runs()

    def run(self, name: str) -> RunEntry:
        """One run with its tags."""
        return self._runs(run=name)[0]

    def scalars(
        self,
        run: str,
        tag: str,
        *,
        min_step: int | None = None,
        max_step: int | None = None,
        max_points: int | None = None,
        downsample: str | None = None,
    ) -> Columns:
        """The points of a scalar tag, in the order of writing."""
        query = {"min_step": min_step, "max_step": max_step, "max_points": max_points, "downsample": downsample}
        return cast("Columns", self.get("/api/v1/scalars", run=run, tag=tag, **query))

    def delete(self, run: str, tag: str | None = None, *, below: bool = False) -> Outcome:
        """Delete a run, or one tag of it; with `below` all runs below it too."""
        query = _query(run=run, tag=tag, below="true" if below else None)
        return cast("Outcome", self._json("DELETE", "/api/v1/runs", query))

    def rename(self, run: str, to: str) -> Outcome:
        """Rename a run, with all runs below it."""
        body = json.dumps({"run": run, "to": to}).encode()
        headers = {"Content-Type": "application/json"}
        return cast("Outcome", self._json("POST", "/api/v1/runs/rename", (), body, headers))

    def archive(self, run: str, file: BinaryIO) -> int:
        """Write the run to `file` as a zip; returns its length. If it breaks off, `Unavailable` is raised: throw it away."""
        size = 0
        for piece in self.stream("/api/v1/archive", [("run", run)]):
            file.write(piece)
            size += len(piece)
        return size

    def restore(self, run: str, file: BinaryIO, *, replace: bool = False) -> Restored:
        """Make the zip in `file` the run's content; with `replace` in place of what it holds."""
        query = _query(run=run, replace="true" if replace else None)
        pieces = iter(lambda: file.read(limits.ARCHIVE_PIECE_BYTES), b"")
        headers = {"Content-Type": ZIP_TYPE}
        if file.seekable():  # its length, by which a bridge refuses what is too large before it is sent
            start = file.tell()
            headers["Content-Length"] = str(file.seek(0, os.SEEK_END) - start)
            file.seek(start)
        return cast("Restored", self._json("PUT", "/api/v1/archive", query, pieces, headers))

    def export(self, runs: Sequence[str] = (), tags: Sequence[str] = (), *, form: str = "csv") -> Iterator[bytes]:
        """Every point of these runs and tags (none: of all) as `csv`, `jsonl` or `tensorboard-json`, in pieces."""
        query = [*(("run", run) for run in runs), *(("tag", tag) for tag in tags), ("format", form)]
        return self.stream("/api/v1/export", query)

    def groups(self) -> list[GroupEntry]:
        """The groups whose members may log here."""
        return cast("list[GroupEntry]", self.get("/api/v1/groups")["groups"])

    def put_groups(self, groups: Sequence[GroupEntry]) -> None:
        """Replace the groups; they are kept over restarts."""
        body = json.dumps({"groups": list(groups)}).encode()
        self._json("PUT", "/api/v1/groups", (), body, {"Content-Type": "application/json"})

    def get(self, path: str, **query: object) -> Mapping[str, object]:
        """The JSON that the bridge has at `path`; of a list each element is sent, parameters that are None are left out."""
        return self._json("GET", path, _query(**query))

    def live(
        self,
        runs: Sequence[str] = (),
        tags: Sequence[str] = (),
        *,
        logs: bool = False,
        health: bool = True,
        last_id: str = "",
    ) -> Iterator[LiveEvent]:
        """What happens to these runs and tags (none: all), as it happens; see docs/live.md. `last_id`: of the last event seen.

        It goes on until the bridge ends it, and raises `Unavailable` when nothing comes for `timeout_s`; then come back.
        """
        query = [*(("run", run) for run in runs), *(("tag", tag) for tag in tags)]
        query += [("logs", "true")] if logs else []
        query += [] if health else [("health", "false")]
        headers = {"Accept": EVENT_STREAM, **({"Last-Event-ID": last_id} if last_id else {})}
        yield from read_events(self.stream("/api/v1/live", query, headers))

    def stream(self, path: str, query: Sequence[tuple[str, str]], headers: Mapping[str, str] | None = None) -> Iterator[bytes]:
        """What the bridge has at `path`, in pieces as they come."""
        with self._called("GET", path, query, b"", headers) as reply:
            yield from self._pieces(reply)

    def close(self) -> None:
        """Give the connection back."""
        self._caller.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _runs(self, **query: object) -> list[RunEntry]:
        found = self.get("/api/v1/runs", **query).get("runs")
        if not isinstance(found, list):
            raise Rejected(f"what answers at {self.address} is no tbbridge server; check host, port and path", status=200)
        return cast("list[RunEntry]", found)

    def _json(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        body: bytes | Iterable[bytes] = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Mapping[str, object]:
        with self._called(method, path, query, body, headers) as reply:
            raw = b"".join(self._pieces(reply))
        try:
            found = json.loads(raw)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            answer = Answer(reply.status, reply.content_type, reply.retry_after, raw)
            raise Rejected(f"{self.address}{path}: {words_of(answer)}", status=reply.status)
        return found

    @contextmanager
    def _called(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        body: bytes | Iterable[bytes] = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[Reply]:
        try:
            with self._caller.call(method, path, query, body, headers) as reply:
                if reply.status >= 400:
                    self._refuse(Answer(reply.status, reply.content_type, reply.retry_after, reply.read()))
                yield reply
        except TransportFailed as error:
            message = f"no answer from {self.address} ({error}); is a bridge running there? `tbbridge up` starts one"
            raise Unavailable(message) from error

    def _pieces(self, reply: Reply) -> Iterator[bytes]:
        try:
            yield from reply.pieces()
        except TransportFailed as error:
            raise Unavailable(f"the answer of {self.address} broke off ({error}); ask again") from error

    def _refuse(self, answer: Answer) -> None:
        message = f"{self.address} says: {words_of(answer)}"
        if answer.status in _UNAVAILABLE:
            raise Unavailable(message, retry_after_s(answer.retry_after, time.time()) or 1.0)
        raise Rejected(message, status=answer.status)


def _query(**given: object) -> list[tuple[str, str]]:
    return [
        (name, str(one))
        for name, value in given.items()
        for one in (value if isinstance(value, list) else (value,))
        if one is not None
    ]
