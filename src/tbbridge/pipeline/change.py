"""Changes to runs as the journal holds them: with nothing left open, so that playing one again means the same.

door.py has them as they are asked for; changes.py turns those into these and does what they say on the disk.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from tbbridge.pipeline.ledger import Run


@dataclass(frozen=True, slots=True)
class Removed:
    """These runs are gone."""

    runs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rewritten:
    """The run's event files are replaced by one, which holds all of them but `tag`; `staged` is the folder it waits in."""

    run: str
    tag: str
    staged: str
    file: str
    length: int


@dataclass(frozen=True, slots=True)
class Renamed:
    """The run's folder, and so all runs below it, has another name."""

    run: str
    to: str


@dataclass(frozen=True, slots=True)
class Installed:
    """What the run held is replaced by what waits in the folder `staged`. `known`: readers may have seen the run before.

    `then`: the run as it is afterwards, to be written on in its newest file; None: that file is not whole.
    """

    run: str
    staged: str
    known: bool
    then: Run | None = None


SettledChange: TypeAlias = Removed | Rewritten | Renamed | Installed


def renamed(name: str, change: Renamed) -> str | None:
    """What the run `name` is called after `change`; None if it does not concern it."""
    if name == change.run:
        return change.to
    if name.startswith(change.run + "/"):
        return change.to + name[len(change.run) :]
    return None
