"""The bridge's settings as flags: generated from the one table in `tbbridge.server.settings`, never written twice."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping

from tbbridge.server.settings import SETTINGS, ServerSettings, from_environment


def add_setting_flags(parser: argparse.ArgumentParser) -> None:
    """Give `parser` a flag for every setting, with its help, its variable and its default."""
    group = parser.add_argument_group("settings of the bridge", "A flag wins over its variable, a variable over the default.")
    for setting in SETTINGS:
        told = f"{setting.help} [{setting.variable}, default {setting.default_text}]"
        group.add_argument(setting.flag, dest=setting.name, metavar=setting.metavar, help=told.replace("%", "%%"))


def settings_from(arguments: argparse.Namespace, environ: Mapping[str, str] = os.environ) -> ServerSettings:
    """The settings that the command line and the environment say. Raises `InvalidSetting`."""
    return from_environment(environ, {setting.name: getattr(arguments, setting.name) for setting in SETTINGS})
