"""The settings file: TOML with the names of the flags, and a `[groups]` table. Text in, texts by setting out; reads no file.

Each value goes the way of a typed flag, so a file, a variable and a flag mean the same by the same text. `commands` reads the
file; settings.py says who wins.
"""

from __future__ import annotations

import difflib
import tomllib

from tbbridge.errors import InvalidBatch, InvalidSetting
from tbbridge.server.settings import SETTINGS, SettingsFile
from tbbridge.wire.groups_v1 import groups_from_table

GROUPS_TABLE = "groups"


def parse_settings(text: str, shown: str) -> SettingsFile:
    """What `text` says; `shown` is the file's path, for messages. Raises `InvalidSetting`."""
    try:
        said = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # of the latter kinds: a number of thousands of digits, lists a thousand deep
        raise InvalidSetting(f"the settings file {shown} is not TOML: {error}") from None
    groups = None
    if GROUPS_TABLE in said:
        try:
            groups = groups_from_table(said.pop(GROUPS_TABLE))
        except InvalidBatch as error:
            raise InvalidSetting(f"the settings file {shown} has groups that cannot be: {error.message}") from None
    texts: dict[str, str] = {}
    for key, value in said.items():
        name = _name(key, shown)
        if name in texts:
            raise InvalidSetting(f"the settings file {shown} says '{name}' twice, with '-' and with '_'; keep one")
        texts[name] = _text(key, value, shown)
    return SettingsFile(shown, texts, groups)


def _name(key: str, shown: str) -> str:
    name = key.replace("-", "_")
    names = [setting.name for setting in SETTINGS]
    if name not in names:
        close = difflib.get_close_matches(name, [*names, GROUPS_TABLE], 1)
        meant = f"did you mean '{close[0]}'?" if close else "the flags of `tbbridge serve --help` without '--' are settings"
        raise InvalidSetting(f"'{key[:60]}' in the settings file {shown} is no setting; {meant}")
    return name


def _text(key: str, value: object, shown: str) -> str:
    """A value as one would type it behind the flag."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return value
        case int() | float():
            return str(value)
        case list() if all(isinstance(part, str) for part in value):
            return ",".join(value)
    raise InvalidSetting(f"'{key[:60]}' in {shown} is no text and no number; write it as behind the flag, such as \"64MiB\"")
