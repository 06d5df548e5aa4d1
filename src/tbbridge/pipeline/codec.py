"""Entries and checkpoints as the protobuf messages that the journal's and the checkpoint's frames hold. Pure."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from google.protobuf.message import DecodeError

from tbbridge.errors import InvalidBatch
from tbbridge.events.tfrecord import Frame, frame, read_frame
from tbbridge.logs.lines import encode_record
from tbbridge.model import LogRecord, RunBatch, RunName, RunStatus, run_name
from tbbridge.pipeline import journal_pb2 as pb
from tbbridge.pipeline.change import Installed, Removed, Renamed, Rewritten, SettledChange
from tbbridge.pipeline.journal import MAGIC
from tbbridge.pipeline.kind import Kind
from tbbridge.pipeline.ledger import Entry, Ledger, Opening, Run
from tbbridge.pipeline.logbook import Lines, Log, LogFile
from tbbridge.wire.collect import ItemErrors
from tbbridge.wire.protobuf_v1 import run_from_message, run_to_message

# Writers, or logs, in one frame of a checkpoint: keeps a frame near 64 KiB.
_WRITERS_A_FRAME = 1000


def encode_entry(entry: Entry, durable_below: int) -> bytes:
    """`entry` as one frame of the journal. `durable_below`: entries before this index are on the disk already."""
    message = pb.Entry(magic=MAGIC, index=entry.index, durable_below=durable_below, writer=entry.writer.encode(), seq=entry.seq)
    for opening in entry.openings:
        message.opened.add(
            run=opening.run.encode(),
            name=opening.file,
            wall_time=opening.wall_time,
            first_of_run=opening.first_of_run,
            config_length=opening.config_length,
        )
    message.runs.extend(run_to_message(batch) for batch in entry.batches)
    for lines in entry.lines:
        message.runs.append(run_to_message(RunBatch(lines.run, logs=lines.records)))
        message.logs.add(run=lines.run.encode(), generation=lines.generation, offset=lines.offset)
    for file in entry.dropped_logs:
        message.dropped_logs.add(run=file.run.encode(), generation=file.generation)
    return frame(message.SerializeToString())


def encode_change(change: SettledChange, index: int) -> bytes:
    """A change as one frame of the journal, in which it stands alone: all before it is on the disk."""
    message = pb.Entry(magic=MAGIC, index=index, durable_below=index)
    match change:
        case Removed(runs):
            message.change.removed.runs.extend(run.encode() for run in runs)
        case Rewritten(run, tag, staged, file, length):
            message.change.rewritten.MergeFrom(
                pb.Rewritten(run=run.encode(), tag=tag.encode(), staged=staged, file=file, length=length)
            )
        case Renamed(run, to):
            message.change.renamed.MergeFrom(pb.Renamed(run=run.encode(), to=to.encode()))
        case Installed(run, staged, known, then):
            said = None if then is None else _run_message(then)
            message.change.installed.MergeFrom(pb.Installed(run=run.encode(), staged=staged, known=known, then=said))
    return frame(message.SerializeToString())


def change_of(message: pb.Entry) -> SettledChange | None:
    """The change that an entry holds; None if it holds a batch."""
    match message.change.WhichOneof("what"):
        case "removed":
            return Removed(tuple(run.decode() for run in message.change.removed.runs))
        case "rewritten":
            rewritten = message.change.rewritten
            return Rewritten(rewritten.run.decode(), rewritten.tag.decode(), rewritten.staged, rewritten.file, rewritten.length)
        case "renamed":
            return Renamed(message.change.renamed.run.decode(), message.change.renamed.to.decode())
        case "installed":
            installed = message.change.installed
            then = _run_from(installed.then) if installed.HasField("then") else None
            return Installed(installed.run.decode(), installed.staged, installed.known, then)
    return None


def play_entry(message: pb.Entry, ledger: Ledger) -> Entry:
    """Apply an entry from the journal to `ledger`. Raises `InvalidBatch` if it holds what this version refuses."""
    openings = [
        Opening(RunName(opened.run.decode()), opened.name, opened.wall_time, opened.first_of_run, opened.config_length)
        for opened in message.opened
    ]
    errors = ItemErrors(partial=False)
    batches: list[RunBatch] = []
    logs: dict[bytes, tuple[LogRecord, ...]] = {}
    for position, run in enumerate(message.runs):
        batch = run_from_message(run, errors, f"runs[{position}]")
        if batch is not None and batch.logs:
            logs[run.run] = batch.logs
        elif batch is not None:
            batches.append(batch)
    if errors.kept:
        raise InvalidBatch(errors.kept)
    lines = [
        Lines(RunName(place.run.decode()), place.generation, place.offset, records, b"".join(map(encode_record, records)))
        for place in message.logs
        if (records := logs.get(place.run))
    ]
    dropped = [LogFile(RunName(file.run.decode()), file.generation) for file in message.dropped_logs]
    return ledger.apply(message.index, message.writer.decode(), message.seq, openings, batches, lines, dropped)


def encode_checkpoint(ledger: Ledger, next_segment: int) -> bytes:
    """All of `ledger` as a checkpoint file: what the journal before `next_segment` led to."""
    marks = list(ledger.marks.items())
    chunks = [marks[start : start + _WRITERS_A_FRAME] for start in range(0, len(marks), _WRITERS_A_FRAME)]
    log_frames = _log_frames(ledger)
    header = pb.CheckpointHeader(
        next_segment=next_segment,
        next_index=ledger.next_index,
        runs=len(ledger.runs),
        writer_chunks=len(chunks),
        log_chunks=len(log_frames),
    )
    frames = [frame(header.SerializeToString())]
    frames += [frame(_run_message(run).SerializeToString()) for run in ledger.runs.values()]
    for chunk in chunks:
        message = pb.WriterMarks(writers=[writer.encode() for writer, _ in chunk], seqs=[seq for _, seq in chunk])
        frames.append(frame(message.SerializeToString()))
    return b"".join(frames + log_frames)


def _log_frames(ledger: Ledger) -> list[bytes]:
    newest = [(log.run, log.generation, log.length) for log in ledger.logs.current.values()]
    full = [(file.run, file.generation, length) for file, length in ledger.logs.rotated.items()]
    frames = []
    for files, is_full in ((newest, False), (full, True)):
        for start in range(0, len(files), _WRITERS_A_FRAME):
            runs, generations, lengths = zip(*files[start : start + _WRITERS_A_FRAME], strict=True)
            names = [run.encode() for run in runs]
            message = pb.LogCheckpoint(runs=names, generations=generations, lengths=lengths, full=is_full)
            frames.append(frame(message.SerializeToString()))
    ended = [("", ledger.logs.ended_floor), *ledger.logs.ended.items()]
    if ended == [("", 0)]:
        return frames
    for start in range(0, len(ended), _WRITERS_A_FRAME):
        paths, numbers = zip(*ended[start : start + _WRITERS_A_FRAME], strict=True)
        message = pb.LogCheckpoint(runs=[path.encode() for path in paths], generations=numbers, ended=True)
        frames.append(frame(message.SerializeToString()))
    return frames


def _run_message(run: Run) -> pb.RunCheckpoint:
    tags = [*run.tags.items(), *run.embeddings.items()]
    steps = np.array([step for _, (_, step) in tags], dtype="<i8")
    return pb.RunCheckpoint(
        run=run.name.encode(),
        file=run.file,
        length=run.length,
        tags=[tag.encode() for tag, _ in tags],
        kinds=[kind for _, (kind, _) in tags],
        last_steps=steps.tobytes(),
        config_length=run.config_length,
        status=0 if run.status is None else run.status.number,
    )


def decode_checkpoint(data: bytes, ledger: Ledger) -> int | None:
    """Fill `ledger` (empty before) from a checkpoint file and return its next segment; None if the file is damaged."""
    payloads = list(_payloads(data))
    try:
        header = pb.CheckpointHeader.FromString(payloads[0]) if payloads else None
        if header is None or len(payloads) != 1 + header.runs + header.writer_chunks + header.log_chunks:
            return None
        logs_from = 1 + header.runs + header.writer_chunks
        for payload in payloads[1 : 1 + header.runs]:
            run = _run_from(pb.RunCheckpoint.FromString(payload))
            ledger.runs[run.name] = run
        for payload in payloads[1 + header.runs : logs_from]:
            chunk = pb.WriterMarks.FromString(payload)
            for writer, seq in zip(chunk.writers, chunk.seqs, strict=True):
                ledger.mark(writer.decode(), seq)
        for payload in payloads[logs_from:]:
            logs = pb.LogCheckpoint.FromString(payload)
            if logs.ended:
                for path, number in zip(logs.runs, logs.generations, strict=True):
                    ledger.logs.know_ended(path.decode(), number)
                continue
            for name, generation, length in zip(logs.runs, logs.generations, logs.lengths, strict=True):
                ledger.logs.know(Log(RunName(name.decode()), generation, length), is_full=logs.full)
    except (DecodeError, ValueError):  # the latter, and InvalidItem among it, for what no version of ours wrote
        return None
    ledger.next_index = header.next_index
    return header.next_segment


def _payloads(data: bytes) -> Iterator[bytes]:
    offset = 0
    while isinstance(found := read_frame(data, offset), Frame):
        yield bytes(found.payload)
        offset = found.end


def _run_from(message: pb.RunCheckpoint) -> Run:
    steps = np.frombuffer(message.last_steps, dtype="<i8").tolist()
    kinds = map(Kind, message.kinds)
    if "/" in message.file or "\0" in message.file:
        raise ValueError("the event file lies in another folder")
    run = Run(
        run_name(message.run.decode()),
        message.file,
        message.length,
        config_length=message.config_length,
        status=RunStatus.of_number(message.status),
    )
    for tag, kind, step in zip(message.tags, kinds, steps, strict=True):
        tags = run.embeddings if kind is Kind.EMBEDDING else run.tags
        tags[tag.decode()] = (kind, step)
    return run
