"""Times that the pipeline keeps of itself. What is shown of them, and under which names, server/totals.py says."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from tbbridge.measures import Histogram

# Upper bounds in seconds. A sync takes 50 us on a drive with a capacitor, 10 ms on one that turns, seconds on one that fails.
SYNC_BOUNDS_S: Final = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5, 10.0)
# A point is in its event file a millisecond after it came, behind a full body a second; while a disk refuses, much later.
LATENCY_BOUNDS_S: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 30.0, 300.0)


@dataclass(slots=True)
class DiskTimes:
    """Where the time behind the door goes. Kept by whoever is at the disk, one at a time; read at any moment.

    All but `queue` are observed once a group: each of its batches waits for all of it. `journal` and `fdatasync` are the two
    parts of `sync`, with the making of the journal's bytes in the first.
    """

    sync: Histogram = field(default_factory=lambda: Histogram(SYNC_BOUNDS_S))  # each journal write with its fdatasync
    queue: Histogram = field(default_factory=Histogram)  # each batch, from the door to the beginning of its group's work
    validate: Histogram = field(default_factory=Histogram)  # settling: kinds, steps, wall times, against what is stored
    journal: Histogram = field(default_factory=Histogram)  # making the journal's bytes and handing them to the system
    fdatasync: Histogram = field(default_factory=Histogram)
    encode: Histogram = field(default_factory=Histogram)  # making the bytes of event files
    event_write: Histogram = field(default_factory=Histogram)  # writing them, and doing the changes to runs
