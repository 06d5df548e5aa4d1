"""What each storm did and found, for the summary at the end of the run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class Tally:
    """One storm. `failures` is 1 until it ended well."""

    name: str
    seed: str
    faults: Counter[str] = field(default_factory=Counter)
    points: int = 0
    batches: int = 0
    records: int = 0
    lost_and_told: int = 0
    failures: int = 1


TALLIES: list[Tally] = []


def summary() -> list[str]:
    """Faults by kind, what was checked, and what failed; one line each."""
    lines = []
    for name in dict.fromkeys(tally.name for tally in TALLIES):
        here = [tally for tally in TALLIES if tally.name == name]
        faults: Counter[str] = Counter()
        for tally in here:
            faults.update(tally.faults)
        lines.append(f"{name}: {len(here)} of them, seeds {here[0].seed} to {here[-1].seed}")
        lines += [f"  {count:>9,}  {kind}" for kind, count in sorted(faults.items())]
        lines.append(
            f"  {sum(tally.points for tally in here):>9,}  POINTS CHECKED, in {sum(t.batches for t in here):,} batches"
        )
        if any(tally.records for tally in here):
            lines.append(f"  {sum(tally.records for tally in here):>9,}  log records checked")
        if any(tally.lost_and_told for tally in here):
            lines.append(f"  {sum(t.lost_and_told for t in here):>9,}  batches lost to damage, each told by file and offset")
        failed = [tally.seed for tally in here if tally.failures]
        lines.append(f"  {len(failed):>9,}  FAILURES" + (f", with seeds {', '.join(failed)}" if failed else ""))
    return lines
