"""What a look at a run found, and how the catalog tells it: the run in a line, its tags, and which of them it has not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tbbridge.errors import NotFound
from tbbridge.store.eventfiles import SCALAR, TagKey, TagTotals
from tbbridge.store.folders import RunFolder, did_you_mean
from tbbridge.store.overviews import FileRead
from tbbridge.store.projector import StoredEmbedding

EMBEDDING: Final = "embedding"


@dataclass(frozen=True, slots=True)
class TagInfo:
    """One tag of a run; first and last in the order of writing."""

    tag: str
    kind: str
    count: int
    first_step: int
    last_step: int
    first_wall_time: float
    last_wall_time: float


@dataclass(frozen=True, slots=True)
class RunInfo:
    """One run. Steps and wall times are the lowest first and the highest last one of its tags; None without values."""

    run: str
    tag_counts: Mapping[str, int]  # by kind
    points: int
    first_step: int | None
    last_step: int | None
    first_wall_time: float | None
    last_wall_time: float | None
    size_bytes: int  # of its event files, and of the files of its embeddings


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at a run found."""

    folder: RunFolder
    tags: Mapping[TagKey, TagTotals]
    embeddings: list[StoredEmbedding]
    size_bytes: int
    files: list[FileRead]  # its event files

    def run_info(self) -> RunInfo:
        """The run by itself."""
        every = self.tags.values()
        return RunInfo(
            self.folder.run,
            Counter(kind for kind, _ in self.tags),
            sum(totals.count for totals in every),
            min((totals.first_step for totals in every), default=None),
            max((totals.last_step for totals in every), default=None),
            min((totals.first_wall_time for totals in every), default=None),
            max((totals.last_wall_time for totals in every), default=None),
            self.size_bytes,
        )

    def tag_infos(self) -> list[TagInfo]:
        """Its tags, in order of appearance."""
        return [_tag_info(key, totals) for key, totals in self.tags.items()]

    def require(self, kind: str | None, tag: str | None) -> None:
        """Raises `NotFound` unless the run holds such values."""
        run = self.folder.run
        kinds = [found for found, name in self.tags if name == tag]
        if tag is None:
            if not any(found == kind for found, _ in self.tags):
                raise NotFound(f"run {run!a} holds no values of kind {kind}")
        elif not kinds:
            raise NotFound(f"run {run!a} has no tag {tag[:100]!a}{did_you_mean(tag, [name for _, name in self.tags])}")
        elif kind is not None and kind not in kinds:
            wanted = "scalars" if kind == SCALAR else f"values of kind {kind}"
            raise NotFound(f"tag {tag[:100]!a} of run {run!a} holds values of kind {' and '.join(kinds)}, not {wanted}")
        elif kind is None and not [found for found in kinds if found not in (SCALAR, EMBEDDING)]:
            raise NotFound(
                f"tag {tag[:100]!a} of run {run!a} holds values of kind {kinds[0]}; GET /api/v1/{kinds[0]}s reads those"
            )


def _tag_info(key: TagKey, totals: TagTotals) -> TagInfo:
    kind, tag = key
    return TagInfo(
        tag,
        kind,
        totals.count,
        totals.first_step,
        totals.last_step,
        totals.first_wall_time,
        totals.last_wall_time,
    )
