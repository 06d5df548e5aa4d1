"""The state of a log folder, looked at and left as it is: for `tbbridge doctor`.

It goes the way that a start goes (lock, checkpoint, journal, event files, see recovery.py) and writes nothing. Each thing seen
is a `Finding` in words for an operator; what is done about it is his. Beside a bridge that runs, only what stands still for a
moment is judged.
"""

from __future__ import annotations

import contextlib
import enum
import os
import shutil
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from tbbridge import layout, limits
from tbbridge.errors import InvalidBatch, MalformedBody, TooLarge
from tbbridge.logs.names import LOGS_FOLDER
from tbbridge.model import STATE_FOLDER
from tbbridge.pipeline import codec
from tbbridge.pipeline.acknowledged import NAME as ACKNOWLEDGED_FILE
from tbbridge.pipeline.changes import DONE_FILE
from tbbridge.pipeline.checkpoint import read_checkpoint
from tbbridge.pipeline.journal import Damage, JournalReader, list_segments
from tbbridge.pipeline.ledger import Ledger, Run
from tbbridge.pipeline.lock import NAME as LOCK_FILE
from tbbridge.pipeline.lock import owner_of
from tbbridge.pipeline.publish import writes_of
from tbbridge.wire.groups_v1 import decode_groups

# A bridge that runs deletes journal segments while we read: look again so often.
_TRIES: Final = 5
# Findings of one kind beyond this are only counted.
_SHOWN: Final = 10


class Level(enum.StrEnum):
    """How much a finding matters. Only a problem needs somebody."""

    OK = "ok"
    NOTE = "note"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing seen, and for what is not as it should be, what to do. `offset`: of the damage in `file`."""

    level: Level
    subject: str
    message: str
    remedy: str = ""
    file: str = ""
    offset: int | None = None


@dataclass(slots=True)
class Inspection:
    """All that was seen. `owner`: the process id of the bridge that runs on the folder; None: none does."""

    logdir: Path
    owner: str | None = None
    findings: list[Finding] = field(default_factory=list)

    @property
    def is_healthy(self) -> bool:
        """True if nothing needs anybody."""
        return all(finding.level is not Level.PROBLEM for finding in self.findings)

    def add(
        self, level: Level, subject: str, message: str, remedy: str = "", *, at: Path | None = None, offset: int = -1
    ) -> None:
        """Note one finding."""
        place = None if offset < 0 else offset
        self.findings.append(Finding(level, subject, message, remedy, "" if at is None else str(at), place))


def obstacles(folder: Path) -> list[Finding]:
    """What would keep a bridge from starting on `folder`, which exists: permissions, no room, things in the way. Quick."""
    seen = Inspection(folder)
    _permissions(seen, _folders(folder))
    _disk(seen)
    _state_folder(seen, folder / STATE_FOLDER)
    return [finding for finding in seen.findings if finding.level is Level.PROBLEM]


def owner(logdir: Path) -> str | None:
    """The process id of the bridge that runs on `logdir`, or starts there; None if none does, or it cannot be told."""
    try:
        return owner_of(logdir / STATE_FOLDER)
    except OSError:
        return None


def inspect(logdir: Path) -> Inspection:
    """Look at `logdir`. What cannot be read is a finding too; it raises nothing for what it finds."""
    seen = Inspection(logdir)
    if not logdir.is_dir():
        seen.add(
            Level.PROBLEM, "folder", f"{logdir} is no folder", "name the folder that --logdir of the bridge names", at=logdir
        )
        return seen
    state = logdir / STATE_FOLDER
    _permissions(seen, _folders(logdir))
    _disk(seen)
    _state_folder(seen, state)
    if not state.is_dir():
        if seen.is_healthy:
            seen.add(Level.NOTE, "folder", "no bridge has used this folder yet")
        return seen
    try:
        seen.owner = owner_of(state)
        _lock(seen)
        _journal(seen, state)
        _left_from_damage(seen, state)
        _veils(seen)
        _staged(seen, state)
        _logs(seen, state)
    except OSError as error:
        message = f"{error.filename or state} cannot be read: {error.strerror or error}"
        seen.add(Level.PROBLEM, "folder", message, "look as the user that the bridge runs as, or repair the disk", at=state)
    return seen


def _folders(logdir: Path) -> list[Path]:
    state = logdir / STATE_FOLDER
    return [logdir, *([state] if os.access(logdir, os.X_OK) and state.is_dir() else [])]


def _permissions(seen: Inspection, folders: list[Path]) -> None:
    for folder in folders:
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            found = folder.stat()
            mode = stat.filemode(found.st_mode)
            seen.add(
                Level.PROBLEM,
                "permissions",
                f"{folder} ({mode}, of uid {found.st_uid}) is not readable and writable for this user (uid {os.getuid()})",
                "give it to the user that the bridge runs as, or look as that user",
                at=folder,
            )


def _disk(seen: Inspection) -> None:
    usage = shutil.disk_usage(seen.logdir)
    message = f"{_size(usage.free)} of {_size(usage.total)} free"
    if usage.free < 2 * limits.SEGMENT_BYTES:
        seen.add(Level.PROBLEM, "disk", message, "free some space: a bridge refuses points when there is none", at=seen.logdir)
    else:
        seen.add(Level.OK, "disk", message)


def _lock(seen: Inspection) -> None:
    if seen.owner is None:
        seen.add(Level.OK, "lock", "no bridge runs on this folder")
    else:
        seen.add(Level.OK, "lock", f"process {seen.owner} runs a bridge on this folder")


def _state_folder(seen: Inspection, state: Path) -> None:
    """What lies in the way of a start in the folder of ours, or of the folder itself."""
    if not os.access(state.parent, os.X_OK):
        return
    if state.is_symlink():
        message = f"{state} is a symbolic link, with which no bridge starts"
        seen.add(Level.PROBLEM, "folder", message, "put the folder that it leads to in its place, or remove the link", at=state)
    elif state.exists() and not state.is_dir():
        message = f"{state} is no folder, and no bridge starts with it"
        seen.add(Level.PROBLEM, "folder", message, "move it away: a start makes a folder of that name", at=state)
    if not os.access(state, os.X_OK):
        return
    for name, follows in ((LOCK_FILE, False), (ACKNOWLEDGED_FILE, False), (DONE_FILE, True), (layout.GROUPS_FILE, True)):
        path = state / name
        try:
            mode = (path.stat() if follows else path.lstat()).st_mode
        except (FileNotFoundError, NotADirectoryError):
            continue
        except OSError as error:
            seen.add(Level.PROBLEM, "folder", f"{path} cannot be read: {error.strerror}", "move it away", at=path)
            continue
        if not stat.S_ISREG(mode):
            message = f"{path} ({stat.filemode(mode)}) is no plain file, and no bridge starts with it"
            seen.add(Level.PROBLEM, "folder", message, "move it away: a bridge makes its own", at=path)
        elif name == layout.GROUPS_FILE:
            _groups(seen, path)


def _groups(seen: Inspection, path: Path) -> None:
    try:
        decode_groups(path.read_bytes())
    except FileNotFoundError:
        return
    except OSError as error:
        message = f"the groups in {path} cannot be read ({error.strerror}), and no bridge starts without them"
        seen.add(Level.PROBLEM, "groups", message, "look as the user that the bridge runs as, or repair the disk", at=path)
    except (InvalidBatch, MalformedBody, TooLarge) as error:
        message = f"the groups in {path} are damaged ({error.message}), and no bridge starts without them"
        seen.add(Level.PROBLEM, "groups", message, "correct the file, or remove it and put the groups again", at=path)


# --- the journal ------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Replay:
    """What a start would find."""

    ledger: Ledger
    next_segment: int | None
    damaged_checkpoints: list[Path]
    reader: JournalReader
    batches: int = 0
    changes: int = 0
    values: int = 0
    refused: list[str] = field(default_factory=list)


def _journal(seen: Inspection, state: Path) -> None:
    replay = _replayed(state, is_alone=seen.owner is None)
    for path in replay.damaged_checkpoints:
        has_other = replay.next_segment is not None
        seen.add(
            Level.PROBLEM,
            "checkpoint",
            f"{path} is damaged",
            "start the bridge: the one before it and a longer replay lead to the same"
            if has_other
            else "start the bridge: it begins with the oldest journal segment; compare the runs with their senders",
            at=path,
        )
    segments = list_segments(state)
    size = sum(path.stat().st_blocks * 512 for _, path in segments)
    last = "none" if replay.next_segment is None else f"{replay.next_segment}"
    seen.add(
        Level.OK, "journal", f"{len(segments)} segments, {_size(size)} on the disk; the checkpoint is before segment {last}"
    )
    played = f"{replay.batches} batches with {replay.values} values, and {replay.changes} changes to runs"
    if seen.owner is None:
        seen.add(Level.OK, "replay", f"a start replays {played}; {len(replay.ledger.runs)} runs are known then")
    else:
        seen.add(Level.OK, "replay", f"if the bridge died now, a start would replay {played}")
    for problem in replay.refused[:_SHOWN]:
        seen.add(Level.PROBLEM, "journal", problem, "start the version of tbbridge that wrote it", at=state)
    if replay.reader.damage is not None:
        _add_damage(seen, replay.reader.damage)
    elif seen.owner is None:
        _torn_tail(seen, replay.reader, segments)
        _event_files(seen, replay)


def _add_damage(seen: Inspection, damage: Damage) -> None:
    seen.add(
        Level.PROBLEM,
        "journal",
        f"{damage}: acknowledged entries are lost from there on, unless they are in the event files",
        "copy the folder aside if you want it looked at, and start the bridge: it plays the journal up to there, keeps the "
        "damaged segment aside and the event files as they are; then compare the last points with their senders, and the disk",
        at=damage.path,
        offset=damage.offset,
    )


def _replayed(state: Path, *, is_alone: bool) -> _Replay:
    for _ in range(_TRIES):
        with contextlib.suppress(FileNotFoundError):  # a segment was retired, or a checkpoint replaced
            replay = _play(state)
            if is_alone or replay.reader.damage is None:  # else segments may have gone between two looks
                return replay
    return _play(state)


def _play(state: Path) -> _Replay:
    ledger = Ledger()
    next_segment, damaged = read_checkpoint(state, ledger)
    replay = _Replay(ledger, next_segment, damaged, JournalReader(state, next_segment, ledger.next_index, is_owner=False))
    for message in replay.reader:
        change = codec.change_of(message)
        if change is not None:
            ledger.change(message.index, change)
            replay.changes += 1
            continue
        try:
            entry = codec.play_entry(message, ledger)
        except InvalidBatch as error:
            replay.refused.append(f"journal entry {message.index} is not valid in this version: {error}")
            break
        for _ in writes_of(entry):  # which makes the runs' lengths those that the files should have
            pass
        replay.batches += 1
        replay.values += sum(batch.points for batch in entry.batches) + sum(len(lines.records) for lines in entry.lines)
    return replay


def _torn_tail(seen: Inspection, reader: JournalReader, segments: list[tuple[int, Path]]) -> None:
    if not segments or segments[-1][0] != reader.last_number:
        return
    path = segments[-1][1]
    with path.open("rb") as file:
        file.seek(reader.last_length)
        rest = len(file.read().rstrip(b"\0"))
    if rest:
        seen.add(
            Level.NOTE,
            "journal",
            f"{path}: {rest} bytes behind byte {reader.last_length} are a write that was cut off, and that nobody was told of",
            "nothing: the next start leaves them out",
            at=path,
            offset=reader.last_length,
        )


# --- event files ------------------------------------------------------------------------------------------------------


def _event_files(seen: Inspection, replay: _Replay) -> None:
    veiled = layout.veils(seen.logdir)
    gone = 0
    behind = 0
    damaged: list[tuple[Run, Path, int]] = []
    hindered: list[tuple[Path, str]] = []
    real_logdir = Path(os.path.realpath(seen.logdir))
    for run in replay.ledger.runs.values():
        path = _path(seen.logdir, veiled, run)
        folder = seen.logdir / run.name
        if not Path(os.path.realpath(folder)).is_relative_to(real_logdir):
            hindered.append((folder, "a link that leads out of the log folder"))
            continue
        in_the_way = next((part for part in _parts(seen.logdir, run.name) if part.exists() and not part.is_dir()), None)
        if in_the_way is not None:
            hindered.append((in_the_way, "no folder"))
            continue
        try:
            found = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            gone += 1
            continue
        if not stat.S_ISREG(found.st_mode) or not os.access(path, os.R_OK | os.W_OK):
            message = f"{path} ({stat.filemode(found.st_mode)}) is no file that this user may write"
            seen.add(Level.PROBLEM, "event files", message, "clear the way, or the run goes on in another file", at=path)
        elif found.st_size > run.length:
            damaged.append((run, path, found.st_size))
        elif found.st_size < run.length:
            behind += 1
    known = len(replay.ledger.runs) - gone - len(hindered)
    seen.add(Level.OK, "event files", f"{known} runs have the event file that the journal names")
    if gone:
        message = f"{gone} event files were deleted; each of these runs begins a new one with its next batch"
        seen.add(Level.NOTE, "event files", message, "nothing, if you deleted them")
    if behind:
        seen.add(Level.NOTE, "event files", f"{behind} are behind the journal", "nothing: the next start completes them")
    for path, what in list(dict.fromkeys(hindered))[:_SHOWN]:
        seen.add(
            Level.PROBLEM,
            "event files",
            f"{path} is {what}: a bridge refuses points of the runs there, and what the journal holds for them is not written",
            "put the folder that was there back before the bridge starts, or clear the way: then these runs begin anew",
            at=path,
        )
    for run, path, size in damaged[:_SHOWN]:
        seen.add(
            Level.PROBLEM,
            "event files",
            f"{path} is {size} bytes long, but the journal accounts for {run.length} only: its end was lost, or somebody "
            "else writes to this file",
            "start the bridge: the file stays as it is, and the run goes on in a new one; let nobody else write there",
            at=path,
            offset=run.length,
        )


def _parts(logdir: Path, run: str) -> Iterator[Path]:
    """The folders on the way to a run's, its own last."""
    folder = logdir
    for part in run.split("/"):
        folder /= part
        yield folder


def _path(logdir: Path, veiled: dict[str, Path], run: Run) -> Path:
    plain = logdir / run.name / run.file
    folder = veiled.get(run.name)
    return plain if folder is None or plain.exists() else folder / layout.veiled_name(run.file)


# --- what lies about --------------------------------------------------------------------------------------------------


def _left_from_damage(seen: Inspection, state: Path) -> None:
    left = sorted(state.glob("*.damaged"))
    if left:
        size = sum(path.lstat().st_size for path in left)
        names = ", ".join(path.name for path in left[:_SHOWN]) + (", ..." if len(left) > _SHOWN else "")
        message = f"{len(left)} files ({_size(size)}) that earlier starts found damaged and kept aside in {state}: {names}"
        seen.add(Level.NOTE, "damage", message, "delete them when nobody needs them for an inquiry", at=state)


def _veils(seen: Inspection) -> None:
    veiled = layout.veils(seen.logdir)
    names = ", ".join(ascii(run) for run in list(veiled)[:_SHOWN])
    if veiled and seen.owner is None:
        message = f"{len(veiled)} runs are hidden from TensorBoard, since they were removed or changed a moment ago: {names}"
        seen.add(Level.NOTE, "veils", message, "nothing: they are put in place some seconds after the next start")
    elif veiled:
        message = f"{len(veiled)} runs are hidden from TensorBoard for some seconds, until it has noticed a removal: {names}"
        seen.add(Level.OK, "veils", message)


def _staged(seen: Inspection, state: Path) -> None:
    staged = state / layout.STAGED
    size, count = _tree(staged)
    if count and seen.owner is None:
        message = f"{count} files ({_size(size)}) of an upload or a deletion that was cut off"
        seen.add(Level.NOTE, "staged", message, "nothing: the next start removes them", at=staged)


def _logs(seen: Inspection, state: Path) -> None:
    size, count = _tree(state / LOGS_FOLDER)
    if count:
        seen.add(Level.OK, "logs", f"{count} files, {_size(size)}")


def _tree(folder: Path) -> tuple[int, int]:
    sizes = list(_sizes(folder))
    return sum(sizes), len(sizes)


def _sizes(folder: Path) -> Iterator[int]:
    for path, _, names in os.walk(folder):
        for name in names:
            try:
                yield os.lstat(os.path.join(path, name)).st_size
            except FileNotFoundError:
                continue  # gone meanwhile


def _size(size: float) -> str:
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
