"""The destination of write_to_disk=False: takes and checks everything, keeps nothing."""

from __future__ import annotations

from collections import deque
from typing import Self

from tbbridge.client.backlog import Note
from tbbridge.client.points import Logged
from tbbridge.model import RunName, run_name, tag_name


class Nowhere:
    """Has the face of local.py's destination, and no files."""

    def __init__(self) -> None:
        self.points: deque[Logged | None] = deque(maxlen=0)
        self.level = 0

    @property
    def is_behind(self) -> bool:
        """False: nothing waits."""
        return False

    @property
    def queue(self) -> Self:
        """Where log calls append."""
        return self

    def run_name(self, sub_run: str) -> RunName:
        """The run of this name; raises `InvalidItem`."""
        return run_name(sub_run) if sub_run else RunName("")

    def series(self, run: RunName, tag: str, display_name: str = "", description: str = "") -> int:  # noqa: ARG002
        """Checks the tag; raises `InvalidItem`."""
        tag_name(tag)
        return 0

    def add(self, note: Note) -> None:
        """Keeps nothing."""

    def rise(self) -> None:
        """Has nothing to do, as all that follow."""

    flush = close = fail = reopen = end = rise
