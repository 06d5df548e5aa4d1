"""The file that keeps the groups that came over HTTP: `groups.json` in the state folder. Never changes one in part.

The server reads it once at its start and replaces it at each PUT; `tbbridge.groups` says what groups are.
"""

from __future__ import annotations

from pathlib import Path

from tbbridge.disk import is_full, replace_durably
from tbbridge.errors import InvalidBatch, InvalidSetting, MalformedBody, StorageFailed, TooLarge
from tbbridge.groups import NO_GROUPS, Groups
from tbbridge.layout import GROUPS_FILE
from tbbridge.names import STATE_FOLDER
from tbbridge.wire.groups_v1 import decode_groups, encode_groups


def load_groups(logdir: Path) -> Groups:
    """The groups kept in `logdir`; none if there is no file.

    Raises `InvalidSetting` for a file that cannot be read: to go on without it would refuse what members send.
    """
    path = logdir / STATE_FOLDER / GROUPS_FILE
    try:
        return decode_groups(path.read_bytes())
    except FileNotFoundError:
        return NO_GROUPS
    except OSError as error:
        raise InvalidSetting(f"the groups in {path} cannot be read: {error.strerror or error}") from None
    except (InvalidBatch, MalformedBody, TooLarge) as error:
        raise InvalidSetting(f"the groups in {path} are damaged ({error.message}); correct the file or remove it") from None


def save_groups(logdir: Path, groups: Groups) -> None:
    """Keep `groups`, on the disk itself when this returns. Raises `StorageFailed`; the file is then as before."""
    path = logdir / STATE_FOLDER / GROUPS_FILE
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_durably(path, encode_groups(groups))
    except OSError as error:
        reason = error.strerror or error
        raise StorageFailed(f"the groups cannot be kept: {reason}; the old ones hold", full=is_full(error)) from None
