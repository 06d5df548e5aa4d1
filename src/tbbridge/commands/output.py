"""Files that commands write: each appears under its name when it is whole; what broke off leaves nothing behind."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from tbbridge.errors import CommandFailed


@contextlib.contextmanager
def written(target: str, *, force: bool = False) -> Iterator[BinaryIO]:
    """A file that gets its name when the block has ended well; `-` is standard output."""
    if target == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(target)
    if path.exists() and not force:
        raise CommandFailed(f"{target} is there already; name another file, or overwrite it with --force")
    unfinished = path.with_name(path.name + ".part")
    try:
        with unfinished.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        unfinished.unlink(missing_ok=True)
        raise CommandFailed(f"{target} cannot be written: {error.strerror or error}") from None
    except BaseException:  # Ctrl-C too: no half of a file stays
        unfinished.unlink(missing_ok=True)
        raise
