"""Fuzzing of what stands behind an acknowledgement: the checkpoint, the journal, and the whole pipeline against a model."""

from __future__ import annotations

import asyncio
import logging
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path

import numpy as np
from budget import TRIED, fuzz, fuzz_settings, fuzzed
from damage import STEPS, damaged
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, rule, run_state_machine_as_test

from tbbridge import layout
from tbbridge.errors import Conflict, InvalidBatch, NotFound
from tbbridge.events.reader import read_events
from tbbridge.events.tfrecord import End, Frame, frame, read_frame
from tbbridge.model import Batch, LogRecord, RunBatch, ScalarColumns, Text, run_name, tag_name
from tbbridge.pipeline import codec
from tbbridge.pipeline.door import Ack, DeleteRun, DeleteTag, RenameRun
from tbbridge.pipeline.kind import Kind
from tbbridge.pipeline.ledger import Ledger, Run
from tbbridge.pipeline.pipeline import Pipeline, PipelineSettings
from tbbridge.store.catalog import Catalog

# (run, tag) -> its points in order.
Points = dict[tuple[str, str], list[tuple[int, float]]]


@contextmanager
def folder() -> Iterator[Path]:
    """A real folder, in memory where there is one."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as made:
        yield Path(made)


def column(tag: str, values: list[float], steps: list[int] | None = None) -> ScalarColumns:
    return ScalarColumns(tag_name(tag), np.array(values, float), None if steps is None else np.array(steps, np.int64))


async def opened(logdir: Path, **settings: object) -> Pipeline:
    return await Pipeline.open(PipelineSettings(logdir, **{"segment_bytes": 2_000, "veil_s": 0.01, **settings}))  # type: ignore[arg-type]


async def closed(pipeline: Pipeline) -> None:
    """Close without the wait for veils: nobody is there who has to notice that a run is gone."""
    pipeline._veils_lifted = partial(asyncio.sleep, 0)  # type: ignore[method-assign]
    await pipeline.close()


# --- checkpoints --------------------------------------------------------------------------------------------------------


def ledger() -> Ledger:
    made = Ledger()
    made.next_index = 7
    tags = {"loss": (Kind.SCALAR, -3), "ö": (Kind.SCALAR, 2**62)}
    made.runs = {name: Run(run_name(name), f"events.out.tfevents.{name}", 100, dict(tags)) for name in ("a", "ünï")}
    for number in range(3):
        made.mark(f"writer {number}", number)
    return made


CHECKPOINT = codec.encode_checkpoint(ledger(), 3)


@fuzz("checkpoints", examples=150)
@given(damaged(st.just(CHECKPOINT), most=2))
def test_a_damaged_checkpoint_is_passed_over_and_a_whole_one_read_as_it_was(data: bytes) -> None:
    """No bytes make a checkpoint that is half right: it is all that was stored, or nothing."""
    found = Ledger()
    if codec.decode_checkpoint(data, found) is None:
        assert data != CHECKPOINT
        return
    assert (found.next_index, found.runs, list(found.marks.items())) == (7, ledger().runs, list(ledger().marks.items()))


def reframed(draw: st.DrawFn, data: bytes, skipped: int) -> bytes:
    """`data` with what one of its frames holds changed, behind the first `skipped` ones, and its checksums right."""
    payloads, at = [], 0
    while isinstance(found := read_frame(data, at), Frame):
        payloads.append(bytes(found.payload))
        at = found.end
    place = draw(st.integers(skipped, len(payloads) - 1))
    payloads[place] = draw(damaged(st.just(payloads[place]), most=2))
    return b"".join(map(frame, payloads)) + data[at:]


@fuzz("checkpoints with right checksums", examples=100)
@given(st.data())
def test_a_checkpoint_that_another_version_wrote_is_read_or_passed_over(data: st.DataObject) -> None:
    """What the checksums cannot tell ends no start: a checkpoint is used, or it is none."""
    codec.decode_checkpoint(reframed(data.draw, CHECKPOINT, 0), Ledger())


# --- the journal --------------------------------------------------------------------------------------------------------


@cache
def dead() -> tuple[dict[str, bytes], Points]:
    """The files that a SIGKILL left behind a story of writes, and the points that were acknowledged."""

    async def tell(live: Path) -> dict[str, bytes]:
        pipeline = await opened(live / "logs", clock=lambda: 1.7e9)
        for number in range(30):
            columns = (column("loss", [number, number + 0.5]), column(f"tag{number % 3}", [number] * 9))
            logs = (LogRecord(f"line {number}"),) if number % 4 == 0 else ()
            runs = (RunBatch(run_name("a" if number % 2 else "b/c"), columns, logs=logs),)
            await pipeline.submit(Batch(runs, "w", number + 1), ack=Ack.WRITTEN)
        await pipeline.submit(Batch((RunBatch(run_name("gone"), (column("loss", [1]),)),)), ack=Ack.WRITTEN)
        await pipeline.change(DeleteRun(run_name("gone")))
        await pipeline.submit(Batch((RunBatch(run_name("old"), (column("loss", [1, 2]),)),)), ack=Ack.WRITTEN)
        await pipeline.change(RenameRun(run_name("old"), run_name("new")))
        files = {str(path.relative_to(live)): path.read_bytes() for path in live.rglob("*") if path.is_file()}
        await pipeline.close()
        return files

    with folder() as live:
        files = asyncio.run(tell(live))
    assert any(name.endswith(".journal") for name in files)
    assert any("checkpoint" in name for name in files)
    with folder() as place:
        put(place, files)
        return files, points(place / "logs")


def put(place: Path, files: dict[str, bytes]) -> None:
    for name, data in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(data)


def points(logdir: Path) -> Points:
    """Whatever the event files hold, veiled ones too; they are whole."""
    found: Points = {}
    veiled = [(run, path) for run, files in layout.veils(logdir).items() for path in sorted(files.glob("*tf~vents*"))]
    own = [(str(path.parent.relative_to(logdir)), path) for path in sorted(logdir.rglob("*tfevents*"))]
    for run, path in [*own, *veiled]:
        chunk = read_events(path.read_bytes())
        assert isinstance(chunk.stopped, End), f"{path} is damaged"
        for tag, series in chunk.scalars.items():
            found.setdefault((run, tag), []).extend(zip(series.steps.tolist(), series.values.tolist(), strict=True))
    return found


@st.composite
def hurt(draw: st.DrawFn) -> tuple[str, bytes | None]:
    """One of our own files, and what became of it: bytes, or None if it is gone."""
    files = dead()[0]
    name = draw(st.sampled_from(sorted(name for name in files if ".journal" in name or "checkpoint" in name)))
    whole = files[name].rstrip(b"\0")
    return name, draw(st.one_of(st.none(), damaged(st.just(whole), most=3).map(lambda data: data + b"\0" * 50)))


@fuzz("damaged journals", examples=30, weight=2)
@given(st.lists(hurt(), min_size=1, max_size=2, unique_by=lambda one: one[0]))
def test_damage_to_journal_and_checkpoints_takes_nothing_from_the_event_files_and_needs_no_hand(
    damage: list[tuple[str, bytes | None]],
) -> None:
    """Whatever happened to our own files: a start succeeds, what was shown stays, once and in order, and new points follow.

    A deletion or a renaming may come undone if its record was damaged, and nothing else may.
    """
    files, acknowledged = dead()
    changed = dict(files)
    for name, data in damage:
        changed.pop(name)
        if data is not None:
            changed[name] = data

    async def restart(logdir: Path) -> None:
        for value in (100.0, 200.0):
            pipeline = await opened(logdir)
            await pipeline.submit(Batch((RunBatch(run_name("a"), (column("after", [value], [int(value)]),)),)), ack=Ack.WRITTEN)
            await pipeline.close()

    logging.getLogger("tbbridge").setLevel(logging.CRITICAL + 1)
    with folder() as place:
        put(place, changed)
        asyncio.run(restart(place / "logs"))
        found = points(place / "logs")
        for undone in ("gone", "old"):  # the record of what became of them may be what was damaged
            series = found.pop((undone, "loss"), [])
            assert series == [(0, 1.0), (1, 2.0)][: len(series)]
        assert found == {**acknowledged, ("a", "after"): [(100, 100.0), (200, 200.0)]}


@fuzz("journals with right checksums", examples=20)
@given(st.data())
def test_an_entry_that_another_version_wrote_ends_no_start(data: st.DataObject) -> None:
    """What the checksums cannot tell costs an entry at the most, and needs no hand: the bridge starts and takes points."""
    files, _ = dead()
    name = data.draw(
        st.sampled_from(sorted(name for name in files if name.endswith(".journal") and len(files[name].rstrip(b"\0")) > 100))
    )

    async def restart(logdir: Path) -> None:
        pipeline = await opened(logdir)
        await pipeline.submit(Batch((RunBatch(run_name("fresh"), (column("after", [1], [1]),)),)), ack=Ack.WRITTEN)
        await pipeline.close()

    logging.getLogger("tbbridge").setLevel(logging.CRITICAL + 1)
    with folder() as place:
        put(place, {**files, name: reframed(data.draw, files[name].rstrip(b"\0") + b"\0" * 50, 1)})
        asyncio.run(restart(place / "logs"))
        assert (place / "logs" / "fresh").is_dir()


# --- all of it against a model ------------------------------------------------------------------------------------------

RUNS = st.sampled_from(["a", "b", "a/x", "a/x/y"])
TAGS = st.sampled_from(["loss", "t/1", "ö"])
VALUES = st.lists(st.integers(-1000, 1000).map(float), min_size=1, max_size=3)


class Bridge(RuleBasedStateMachine):
    """The pipeline on a real folder, beside dictionaries that say what should be in it."""

    names = Bundle("names")

    def __init__(self) -> None:
        super().__init__()
        TRIED["the pipeline against a model"] += 1
        self.runner = asyncio.Runner()
        self.place = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self.generation = 0
        self.runs: dict[str, dict[str, list[tuple[int, float]]]] = {}
        self.texts: set[tuple[str, str]] = set()
        self.seqs: Counter[str] = Counter()
        self.fresh = 0

    @property
    def logdir(self) -> Path:
        return self.place / str(self.generation)

    @initialize(veil_s=st.sampled_from([0.001, 1000.0]), segment_bytes=st.sampled_from([300, 5_000, 1_000_000]))
    def start(self, veil_s: float, segment_bytes: int) -> None:
        self.settings = {"veil_s": veil_s, "segment_bytes": segment_bytes, "clock": lambda: 1.7e9}
        self._open()

    def _open(self) -> None:
        self.pipeline = self.runner.run(Pipeline.open(PipelineSettings(self.logdir, **self.settings)))  # type: ignore[arg-type]
        assert self.pipeline.stats.lost_entries == []

    @rule(target=names, name=RUNS)
    def a_name(self, name: str) -> str:
        return name

    @rule(
        run=names,
        tag=TAGS,
        values=VALUES,
        start=st.one_of(st.none(), STEPS.filter(lambda step: step < 2**63 - 5)),
        writer=st.sampled_from(["", "w1", "w2"]),
        repeat=st.booleans(),
        ack=st.sampled_from([Ack.JOURNALED, Ack.WRITTEN]),
    )
    def write(self, run: str, tag: str, values: list[float], start: int | None, writer: str, repeat: bool, ack: Ack) -> None:
        """Points, sent twice if `repeat`; with a writer the second time changes nothing."""
        steps = None if start is None else [start + number for number in range(len(values))]
        self.seqs[writer] += 1
        seq = self.seqs[writer] if writer else 0
        batch = Batch((RunBatch(run_name(run), (column(tag, values, steps),)),), writer, seq)
        last = self.runs.get(run, {}).get(tag)
        if start is None and last and last[-1][0] > 2**63 - 9:
            return  # no steps are left behind the last one, which is refused
        try:
            receipt = self.runner.run(self.pipeline.submit(batch, ack=ack))
        except InvalidBatch:
            assert (run, tag) in self.texts
            return
        assert (run, tag) not in self.texts
        assert not receipt.duplicate
        series = self.runs.setdefault(run, {}).setdefault(tag, [])
        for position, value in enumerate(values):
            series.append((steps[position] if steps else series[-1][0] + 1 if series else 0, value))
        if repeat and writer:
            assert self.runner.run(self.pipeline.submit(batch, ack=ack)).duplicate

    @rule(run=names, tag=TAGS)
    def write_text(self, run: str, tag: str) -> None:
        batch = Batch((RunBatch(run_name(run), summaries=(Text(tag_name(tag), "hello"),)),))
        try:
            self.runner.run(self.pipeline.submit(batch))
        except InvalidBatch:
            assert tag in self.runs.get(run, {})
        else:
            assert not self.runs.get(run, {}).get(tag)
            self.runs.setdefault(run, {})
            self.texts.add((run, tag))

    @rule(run=names, below=st.booleans())
    def delete(self, run: str, below: bool) -> None:
        gone = {name for name in self.runs if name == run or (below and name.startswith(run + "/"))}
        try:
            done = self.runner.run(self.pipeline.change(DeleteRun(run_name(run), below)))
        except NotFound:
            assert not gone
        else:
            assert set(done.runs) == gone
            self.runs = {name: tags for name, tags in self.runs.items() if name not in gone}
            self.texts = {key for key in self.texts if key[0] not in gone}

    @rule(run=names, tag=TAGS)
    def delete_tag(self, run: str, tag: str) -> None:
        self.runner.run(self.pipeline.settled())
        try:
            self.runner.run(self.pipeline.change(DeleteTag(run_name(run), tag_name(tag))))
        except NotFound:
            assert tag not in self.runs.get(run, {})
            assert (run, tag) not in self.texts
        else:
            self.runs[run].pop(tag, None)
            self.texts.discard((run, tag))

    @rule(target=names, run=consumes(names))
    def rename(self, run: str) -> str:
        self.fresh += 1
        to = f"new{self.fresh}" if self.fresh % 2 else f"deep/er/new{self.fresh}"
        moved = {name for name in self.runs if name == run or name.startswith(run + "/")}
        try:
            done = self.runner.run(self.pipeline.change(RenameRun(run_name(run), run_name(to))))
        except NotFound:
            assert not moved
            return run
        assert set(done.runs) == moved
        self.runs = {(to + name[len(run) :] if name in moved else name): tags for name, tags in self.runs.items()}
        self.texts = {(to + name[len(run) :] if name in moved else name, tag) for name, tag in self.texts}
        return to

    @rule(run=names)
    def rename_onto_another(self, run: str) -> None:
        """A run never takes the place of one that is there, nor its own place. (Behind a veil it would wait to be told so.)"""
        if self.settings["veil_s"] > 1:
            return
        for to in {run, f"{run}/below", *(set(self.runs) - {run})}:
            if to.startswith(run + "/") or to in self.runs:
                try:
                    self.runner.run(self.pipeline.change(RenameRun(run_name(run), run_name(to))))
                except (Conflict, NotFound):
                    continue
                raise AssertionError(f"{run} was renamed to {to}")

    @rule()
    def restart(self) -> None:
        self.runner.run(closed(self.pipeline))
        self._open()

    @rule()
    def crash(self) -> None:
        """Go on from what a SIGKILL would leave: threads are let finish, since a copy takes longer than a moment."""
        before, pipeline = self.logdir, self.pipeline
        if pipeline._checkpointing is not None:
            pipeline._checkpointing.result()
        pipeline._disk_pool.submit(int).result()
        self.generation += 1
        shutil.copytree(before, self.logdir)
        self.runner.run(closed(pipeline))
        shutil.rmtree(before)
        self._open()

    @invariant()
    def all_is_there(self) -> None:
        """What the store reads, veiled or not, is what the model says: each point once, in order."""
        if not hasattr(self, "pipeline"):
            return
        self.runner.run(self.pipeline.settled())
        catalog = Catalog(self.logdir)
        found = {info.run: catalog.run(info.run)[1] for info in catalog.runs()}
        assert set(found) == set(self.runs)
        for run, tags in found.items():
            scalars = {tag.tag for tag in tags if tag.kind == "scalar"}
            assert scalars == set(self.runs[run])
            assert {tag.tag for tag in tags if tag.kind == "text"} == {tag for name, tag in self.texts if name == run}
            for tag in scalars:
                series = catalog.series(run, tag)
                assert list(zip(series.steps.tolist(), series.values.tolist(), strict=True)) == self.runs[run][tag]

    def teardown(self) -> None:
        try:
            if hasattr(self, "pipeline"):
                self.runner.run(closed(self.pipeline))
                held = {(run, tag): series for run, tags in self.runs.items() for tag, series in tags.items()}
                assert points(self.logdir) == held, "with all veils lifted"
        finally:
            self.runner.close()
            shutil.rmtree(self.place)


@fuzzed("the pipeline against a model", weight=6)
def test_any_row_of_writes_changes_restarts_and_crashes_leaves_what_the_model_says() -> None:
    """Acknowledged points are there once and in order, whatever is deleted, renamed, repeated or killed in between."""
    run_state_machine_as_test(Bridge, settings=fuzz_settings(15))
