"""An embedding's files in a local run folder, where TensorBoard's Projector finds them.

Each embedding gets a folder that nobody had before, complete on the disk before `projector_config.pbtxt` names it; the entry is
appended in one write, so that several processes may log to one run.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Final

from tbbridge import disk
from tbbridge.events.embeddings import encode_embedding
from tbbridge.kinds import Embedding

_FOLDER: Final = "projector"
_CONFIG: Final = "projector_config.pbtxt"
_NAME_MAX: Final = 60


def write_embedding(run_folder: Path, embedding: Embedding) -> None:
    """Write the files of a settled embedding and list it. Raises OSError; nothing is listed then, and it may be tried again."""
    folder = _new_folder(run_folder, embedding)
    config = run_folder / _CONFIG
    listed = config.read_bytes() if config.exists() else b""
    name = embedding.display_name or embedding.tag
    encoded = encode_embedding(embedding, folder)
    number = 2
    while _tensor_name(encoded.config) in listed:  # the Projector shows one embedding of a name
        encoded = encode_embedding(replace(embedding, display_name=f"{name} ({number})"), folder)
        number += 1
    try:
        for path, content in encoded.files:
            _write(run_folder / path, content)
        disk.sync_path(run_folder / folder)
        # Its own line break first: whoever wrote the last line may have left it open.
        _append(config, b"\n" * bool(listed) + encoded.config)
    except OSError:
        shutil.rmtree(run_folder / folder, ignore_errors=True)  # the next try makes another: do not fill the disk with halves
        raise
    disk.sync_path(run_folder)


def _new_folder(run_folder: Path, embedding: Embedding) -> str:
    safe = re.sub(r"[^\w.-]", "_", embedding.tag, flags=re.ASCII)[:_NAME_MAX]
    name = f"{_FOLDER}/{embedding.step:05d}-{safe}".replace("tfevents", "_")  # TensorBoard reads what is called so
    chosen, number = name, 2
    (run_folder / _FOLDER).mkdir(parents=True, exist_ok=True)
    while True:
        try:
            (run_folder / chosen).mkdir()
        except FileExistsError:
            chosen, number = f"{name}-{number}", number + 1
        else:
            return chosen


def _tensor_name(config: bytes) -> bytes:
    return next(line for line in config.splitlines() if b"tensor_name:" in line)


def _write(path: Path, content: bytes) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_EXCL, 0o644)
    try:
        disk.write_all(fd, content, 0)
        disk.sync_data(fd)
    finally:
        os.close(fd)


def _append(path: Path, content: bytes) -> None:
    """Append in one call, since others may list theirs at the same time; half an entry would take the page down, so it goes."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_APPEND, 0o644)
    try:
        if (written := os.write(fd, content)) < len(content):
            os.ftruncate(fd, os.fstat(fd).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        disk.sync_data(fd)
    finally:
        os.close(fd)
