"""What a benchmark finds: rows of numbers that were measured side by side, and the data of its pictures, kept as JSON.

A number is a median with its lowest and highest round. A row compares ours with a peer or a floor that was measured in the same
run, round by round in turns, so that whatever else the machine does falls on both. `ratio` is how many times better ours is.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

RESULTS = Path(__file__).parent / "results"
DOCS = Path(__file__).parents[1] / "docs"


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of a few rounds, and how far they went."""

    median: float
    low: float
    high: float
    rounds: int = 1

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values), len(values))

    @classmethod
    def one(cls, value: float) -> Spread:
        """Something counted, not timed."""
        return cls(value, value, value)

    def times(self, factor: float) -> Spread:
        """The same in another unit; `factor` is positive."""
        return Spread(self.median * factor, self.low * factor, self.high * factor, self.rounds)

    def inverse(self, numerator: float = 1.0) -> Spread:
        """`numerator` over it: seconds into a rate."""
        return Spread(numerator / self.median, numerator / self.high, numerator / self.low, self.rounds)


@dataclass(frozen=True, slots=True)
class Goal:
    """What should be true: of the ratio, at least `bound`; of ours, at least or at most `bound`, whichever is better."""

    bound: float
    of: Literal["ratio", "ours"] = "ratio"


@dataclass(frozen=True, slots=True)
class Row:
    """One comparison."""

    name: str
    unit: str  # of `ours` and `peer`
    ours: Spread
    peer: Spread | None = None
    against: str = ""  # what the peer or the floor is
    better: Literal["less", "more"] = "less"
    goal: Goal | None = None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times better ours is; of a floor, the part of what is possible that it reaches."""
        if self.peer is None or not self.ours.median or not self.peer.median:
            return None
        less = self.peer.median / self.ours.median
        return less if self.better == "less" else 1 / less

    @property
    def is_reached(self) -> bool | None:
        """Whether it is as it should be; None where nothing was asked for."""
        if self.goal is None:
            return None
        if self.goal.of == "ratio":
            return self.ratio is not None and self.ratio >= self.goal.bound
        if self.better == "less":
            return self.ours.median <= self.goal.bound
        return self.ours.median >= self.goal.bound

    @property
    def goal_text(self) -> str:
        """The goal as people write it."""
        if self.goal is None:
            return ""
        if self.goal.of == "ratio":
            return f"≥ {self.goal.bound:g}x"
        return f"{'≤' if self.better == 'less' else '≥'} {shown(self.goal.bound)} {self.unit}"


@dataclass(frozen=True, slots=True)
class Result:
    """All that one run of a benchmark found. `data` is what its pictures are drawn from: plain JSON."""

    rows: Sequence[Row] = ()
    data: Mapping[str, Any] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)  # peers that could not be measured, and why


@dataclass(frozen=True, slots=True)
class Record:
    """A result with what it was measured on."""

    benchmark: str
    size: str
    seconds: float  # that the benchmark took
    made: str  # when, UTC
    machine: Mapping[str, Any]
    versions: Mapping[str, str]
    result: Result

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(rounded(asdict(self)), indent=1, ensure_ascii=False) + "\n")

    @classmethod
    def read(cls, path: Path) -> Record:
        found = json.loads(path.read_text())
        return cls(**{**found, "result": result_from(found["result"])})


def result_from(found: Mapping[str, Any]) -> Result:
    """A result out of its JSON."""
    return Result([_row(row) for row in found["rows"]], found["data"], found["missing"])


def _row(found: Mapping[str, Any]) -> Row:
    goal, peer = found["goal"], found["peer"]
    made = {
        **found,
        "ours": Spread(**found["ours"]),
        "peer": None if peer is None else Spread(**peer),
        "goal": None if goal is None else Goal(**goal),
    }
    return Row(**made)


def read_all(folder: Path = RESULTS) -> dict[str, Record]:
    """The results that are kept, by the benchmark's name."""
    return {path.stem: Record.read(path) for path in sorted(folder.glob("*.json"))}


def rounded(value: Any) -> Any:
    """The same with four significant digits, of which the last is noise already: files that are read and compared."""
    if isinstance(value, float):
        return float(f"{value:.4g}") if value == value and abs(value) != float("inf") else None
    if isinstance(value, Mapping):
        return {str(key): rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return value


def shown(value: float) -> str:
    """A number for people: three significant digits, thousands apart."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:,.3g} M" if abs(value) < 1e9 else f"{value / 1e6:,.0f} M"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def shown_ratio(ratio: float | None) -> str:
    if ratio is None:
        return ""
    return f"{ratio:.2f}x" if ratio < 10 else f"{ratio:,.0f}x"


def print_rows(rows: Sequence[Row]) -> None:
    """Aligned columns for a terminal; spreads and notes below."""
    if not rows:
        return
    width = max(len(row.name) for row in rows)
    verdicts = {None: "", True: "reached", False: "MISSED"}
    print(f"{'':{width}}  {'tbbridge':>10}  {'peer/floor':>10}  {'unit':13}{'ratio':>9}  against, goal")
    for row in rows:
        peer = "" if row.peer is None else shown(row.peer.median)
        goal = f"{row.goal_text} {verdicts[row.is_reached]}".strip()
        numbers = f"{shown(row.ours.median):>10}  {peer:>10}  {row.unit:13}{shown_ratio(row.ratio):>9}"
        print(f"{row.name:{width}}  {numbers}  {', '.join(part for part in (row.against, goal) if part)}".rstrip())
    for row in rows:
        ours = row.ours
        rounds = (
            f"{shown(ours.low)} to {shown(ours.high)} {row.unit} in {ours.rounds} rounds"
            if row.note and ours.rounds > 1
            else ""
        )
        if said := "; ".join(part for part in (rounds, row.note) if part):
            print(f"  {row.name}: {said}")
