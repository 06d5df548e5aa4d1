"""The bridge's settings as flags: generated from the one table in `tbbridge.server.settings`, never written twice."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tbbridge.errors import InvalidSetting
from tbbridge.server.settings import NO_FILE, SETTINGS, ServerSettings, SettingsFile, from_environment

CONFIG_VARIABLE: Final = "TBBRIDGE_CONFIG"


def add_setting_flags(parser: argparse.ArgumentParser) -> None:
    """Give `parser` a flag for every setting, with its help, its variable and its default."""
    wins = "A flag wins over its variable, a variable over the settings file, the file over the default."
    group = parser.add_argument_group("settings of the bridge", wins)
    group.add_argument(
        "--config",
        metavar="FILE",
        help='A settings file in TOML: these settings by name (queue-max-bytes = "64MiB"), and the table [groups], '
        f"which no request may change. [{CONFIG_VARIABLE}, default none]",
    )
    for setting in SETTINGS:
        told = f"{setting.help} [{setting.variable}, default {setting.default_text}]"
        help_text = told.replace("%", "%%")
        if setting.is_switch:
            group.add_argument(
                setting.flag, dest=setting.name, nargs="?", const="true", metavar=setting.metavar, help=help_text
            )
        else:
            group.add_argument(setting.flag, dest=setting.name, metavar=setting.metavar, help=help_text)


def settings_from(arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> ServerSettings:
    """The settings that the command line, the environment and the settings file say. Raises `InvalidSetting`.

    A command without these flags is asked what `serve` would do in its environment.
    """
    flags = {setting.name: getattr(arguments, setting.name, None) for setting in SETTINGS}
    named = getattr(arguments, "config", None) or environ.get(CONFIG_VARIABLE)
    return from_environment(environ, flags, _file(named) if named else NO_FILE)


def _file(named: str) -> SettingsFile:
    from tbbridge.server.settings_file import parse_settings  # only here: it brings pydantic, which clients do not need

    try:
        text = Path(named).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidSetting(
            f"the settings file {named} cannot be read: {reason}; see --config and {CONFIG_VARIABLE}"
        ) from None
    return parse_settings(text, named)
