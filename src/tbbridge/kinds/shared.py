"""What all kinds of summaries share: the fields that each has, and the checks of them.

The kinds themselves are in the other files of this package; `tbbridge.kinds` has all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from tbbridge import limits
from tbbridge.errors import InvalidItem
from tbbridge.names import TagName, check_shown_names, check_step, check_wall_time, tag_name, utf8_length


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """The fields that all kinds but the first two share, by keyword only."""

    step: int | None = None
    wall_time: float | None = None
    display_name: str = ""
    description: str = ""


class AnySummary(Protocol):
    """What a summary of any kind can be asked."""

    @property
    def tag(self) -> TagName:
        """Its name in the run."""

    @property
    def step(self) -> int | None:
        """Left out: settled by the pipeline."""

    @property
    def wall_time(self) -> float | None:
        """Seconds since 1970; left out: settled by the pipeline."""

    @property
    def display_name(self) -> str:
        """Shown in place of the tag."""

    @property
    def description(self) -> str:
        """Markdown, shown beside it."""


def check_summary(summary: AnySummary) -> None:
    """The part that all kinds share: tag, step, wall time, display name and description."""
    tag_name(summary.tag)
    if summary.step is not None:
        check_step(summary.step)
    if summary.wall_time is not None:
        check_wall_time(summary.wall_time)
    if summary.display_name or summary.description:
        check_shown_names(summary.display_name, summary.description)


def check_count(count: int, most: int, where: str, what: str) -> None:
    """`InvalidItem` unless there are 1 to `most` of what a summary carries."""
    if not 1 <= count <= most:
        raise InvalidItem("too-many" if count else "empty", f"{what} has 1 to {most} {where}, this one {count}", where)


def check_size(size: int, where: str) -> None:
    """`InvalidItem` for a value that is larger than any may be."""
    if size > limits.SUMMARY_MAX_BYTES:
        message = f"the value has {size} bytes, at most {limits.SUMMARY_MAX_BYTES} are taken; send less at a time"
        raise InvalidItem("too-large", message, where)


def check_tag_at(name: str, where: str) -> None:
    """`InvalidItem` for a name, in the field `where`, that no tag could have."""
    size = utf8_length(name, "the name", where)
    if not 1 <= size <= limits.TAG_MAX_BYTES:
        message = f"a name here has 1 to {limits.TAG_MAX_BYTES} bytes of UTF-8, this one has {size}"
        raise InvalidItem("tag", message, where)
