"""The server's settings: one table, from which come the command line's flags, the TBBRIDGE_* variables and the docs.

A setting is a field of `ServerSettings` with its help, its smallest value and the way its text is read; nothing about a setting
is said anywhere else. This file reads neither the process's environment nor its arguments: `cli` hands both in as mappings.
"""

# ruff: noqa: RUF009 - `_setting` only describes a dataclass field, as `field` does
from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, TypeVar

from tbbridge import limits
from tbbridge.errors import InvalidSetting
from tbbridge.groups import Groups
from tbbridge.server.setting_texts import (
    DIALECTS,
    LOG_LEVELS,
    UNITS,
    read_bytes,
    read_dialects,
    read_log_format,
    read_log_level,
    read_logs_mode,
    read_names,
    read_optional_path,
    read_origins,
    read_path,
    read_record_level,
    read_seconds,
    read_switch,
    read_tensorboard_url,
    read_text,
    read_whole,
)

T = TypeVar("T")

ENVIRONMENT_PREFIX: Final = "TBBRIDGE_"
TOKENS_VARIABLE: Final = "TBBRIDGE_TOKENS"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting as the command line, the environment and the docs see it."""

    name: str  # the field of ServerSettings
    help: str  # one sentence or two, without the default
    metavar: str
    default: object
    minimum: float | None
    maximum: float | None
    read_text: Callable[[str], object]

    @property
    def flag(self) -> str:
        """Its name on the command line."""
        return "--" + self.name.replace("_", "-")

    @property
    def variable(self) -> str:
        """Its name in the environment."""
        return ENVIRONMENT_PREFIX + self.name.upper()

    @property
    def is_switch(self) -> bool:
        """True if it is on or off; its flag alone means on."""
        return isinstance(self.default, bool)

    @property
    def default_text(self) -> str:
        """The default as one would type it."""
        if self.is_switch:
            return str(self.default).lower()
        if self.default is None:
            return "none"
        if isinstance(self.default, tuple):
            return ",".join(self.default) or "none"
        if self.read_text is not read_bytes:
            return str(self.default)
        size = int(str(self.default))
        for unit, factor in (("GiB", UNITS["gib"]), ("MiB", UNITS["mib"]), ("KiB", UNITS["kib"])):
            if size % factor == 0:
                return f"{size // factor}{unit}"
        return str(size)

    def read(self, text: str, source: str) -> object:
        """The value that `text` says; `source` names where it came from. Raises `InvalidSetting`."""
        try:
            value = self.read_text(text)
        except ValueError as error:
            raise InvalidSetting(f"{source} is {text!r}; {error}") from None
        self.check(value, source)
        return value

    def check(self, value: object, source: str) -> None:
        """Raises `InvalidSetting` if a number is out of range."""
        if not isinstance(value, int | float):
            return
        if self.minimum is not None and value < self.minimum:
            raise InvalidSetting(f"{source} is {value}; it is at least {self.minimum}")
        if self.maximum is not None and value > self.maximum:
            raise InvalidSetting(f"{source} is {value}; it is at most {self.maximum}")


def _setting(
    default: T,
    *,
    help: str,  # noqa: A002 - named as in argparse, where it ends up
    read: Callable[[str], T],
    metavar: str,
    minimum: float | None = None,
    maximum: float | None = None,
) -> T:
    said = {"help": help, "read": read, "metavar": metavar, "minimum": minimum, "maximum": maximum}
    return field(default=default, metadata=said)


@dataclass(frozen=True, slots=True)
class ServerSettings:
    """All that can be set. Checked when made: a number out of its range, or too small for another, is an `InvalidSetting`."""

    logdir: Path = _setting(
        Path("runs"),
        help="The log folder: each run becomes a folder below it, and TensorBoard is pointed at it. Made if missing.",
        read=read_path,
        metavar="FOLDER",
    )
    host: str = _setting(
        "127.0.0.1",
        help="Address to listen on. 0.0.0.0 takes connections from other machines; set tokens then.",
        read=read_text,
        metavar="ADDRESS",
    )
    port: int = _setting(
        6007, help="Port to listen on; 0 takes a free one.", read=read_whole, metavar="PORT", minimum=0, maximum=65535
    )
    tokens_file: Path | None = _setting(
        None,
        help="Tokens without which nobody is let in, made by `tbbridge token new`; looked at again when it changes. "
        "TBBRIDGE_TOKENS may hold some too.",
        read=read_optional_path,
        metavar="FILE",
    )
    allowed_hosts: tuple[str, ...] = _setting(
        (),
        help="Names by which this machine may be called, besides its own, addresses, and names without a dot; `*`: any.",
        read=read_names,
        metavar="NAMES",
    )
    allowed_origins: tuple[str, ...] = _setting(
        (),
        help="Web pages of other origins that may ask this bridge (CORS), such as https://dash.example.org.",
        read=read_origins,
        metavar="ORIGINS",
    )
    tls_cert: Path | None = _setting(
        None,
        help="Certificate (PEM, with those between it and its root behind it): the bridge speaks https then, and only that. "
        "Read again when it changes.",
        read=read_optional_path,
        metavar="FILE",
    )
    tls_key: Path | None = _setting(
        None,
        help="The certificate's private key (PEM, without a password); none: it is in the certificate's file.",
        read=read_optional_path,
        metavar="FILE",
    )
    connections_max: int = _setting(
        limits.CONNECTIONS_MAX,
        help="Open connections in all. One more gets 503 and is closed.",
        read=read_whole,
        metavar="COUNT",
        minimum=1,
    )
    connections_per_address_max: int = _setting(
        limits.CONNECTIONS_PER_ADDRESS_MAX,
        help="Open connections of one address; behind a proxy, which is one address, as many as it opens. One more gets 429.",
        read=read_whole,
        metavar="COUNT",
        minimum=1,
    )
    requests_per_address_max: int = _setting(
        limits.REQUESTS_PER_ADDRESS_MAX,
        help="Requests of one address that are worked on at one time. One more gets 429.",
        read=read_whole,
        metavar="COUNT",
        minimum=1,
    )
    runs_max: int = _setting(
        limits.RUNS_MAX,
        help="Runs that the bridge writes to in one log folder. What would begin one more is refused with 422.",
        read=read_whole,
        metavar="COUNT",
        minimum=1,
    )
    tags_per_run_max: int = _setting(
        limits.TAGS_PER_RUN_MAX,
        help="Tags of one run. What would add one more is refused with 422.",
        read=read_whole,
        metavar="COUNT",
        minimum=1,
    )
    queue_max_bytes: int = _setting(
        limits.QUEUE_MAX_BYTES,
        help="Batches that may wait for the disk, in bytes. When they are more, senders get 429 and try again.",
        read=read_bytes,
        metavar="BYTES",
        minimum=limits.KiB,
    )
    body_max_bytes: int = _setting(
        limits.BODY_MAX_BYTES, help="The largest request body, as sent.", read=read_bytes, metavar="BYTES", minimum=limits.KiB
    )
    decoded_max_bytes: int = _setting(
        limits.DECODED_MAX_BYTES,
        help="The largest request body after decompression.",
        read=read_bytes,
        metavar="BYTES",
        minimum=limits.KiB,
    )
    bodies_in_flight_max_bytes: int = _setting(
        limits.BODIES_IN_FLIGHT_MAX_BYTES,
        help="All request bodies that are being read at one time, in bytes. When they are more, senders get 429 and try again. "
        "At least the two limits of one body together.",
        read=read_bytes,
        metavar="BYTES",
        minimum=limits.KiB,
    )
    archive_max_bytes: int = _setting(
        limits.ARCHIVE_MAX_BYTES,
        help="The largest archive of a run that is put back, as sent and unpacked.",
        read=read_bytes,
        metavar="BYTES",
        minimum=limits.KiB,
    )
    segment_bytes: int = _setting(
        limits.SEGMENT_BYTES,
        help="Size of a journal segment. A start replays at most two of them.",
        read=read_bytes,
        metavar="BYTES",
        minimum=64 * limits.KiB,
    )
    open_files_max: int = _setting(
        limits.OPEN_FILES_MAX,
        help="Event files kept open. With more runs than this, the one unused for longest is closed and opened again at need.",
        read=read_whole,
        metavar="COUNT",
        minimum=1,
    )
    veil_s: float = _setting(
        limits.VEIL_S,
        help="Seconds for which what a deleted, replaced or renamed run gets next is kept from TensorBoard, so that it finds "
        "the run gone first; at least two of its reload intervals.",
        read=read_seconds,
        metavar="SECONDS",
        minimum=0,
        maximum=3600,
    )
    shutdown_timeout_s: float = _setting(
        10.0,
        help="Seconds that a stop may take in all: requests under way, the queue, and the files.",
        read=read_seconds,
        metavar="SECONDS",
        minimum=0.1,
        maximum=3600,
    )
    dialects: tuple[str, ...] = _setting(
        DIALECTS,
        help="The old clients that are served beside the interface of today, at the paths that they know: "
        + ", ".join(DIALECTS)
        + ", or none.",
        read=read_dialects,
        metavar="NAMES",
    )
    tensorboard_url: str = _setting(
        ":6006",
        help="Where TensorBoard is, for links on the page: its address, `:PORT` on the host the page was asked from, or none.",
        read=read_tensorboard_url,
        metavar="URL",
    )
    logs_mode: str = _setting(
        "append",
        help="What becomes of the runs' logs at a start: `append` goes on with them, `overwrite` begins each anew.",
        read=read_logs_mode,
        metavar="MODE",
    )
    logs_level: str = _setting(
        "notset",
        help="The lowest level of log records that are stored; those below it are taken and left out.",
        read=read_record_level,
        metavar="LEVEL",
    )
    logs_to_text: bool = _setting(
        False,
        help="Write log records as TensorBoard texts too, under the tag `logs/` and the logger's name.",
        read=read_switch,
        metavar="SWITCH",
    )
    logs_file_max_bytes: int = _setting(
        limits.LOGS_FILE_MAX_BYTES,
        help="Size of one file of a log; then the next one begins.",
        read=read_bytes,
        metavar="BYTES",
        minimum=4 * limits.KiB,
    )
    logs_max_bytes: int = _setting(
        limits.LOGS_MAX_BYTES,
        help="Size of all logs together. Beyond it the oldest full files go first, then the logs silent for longest.",
        read=read_bytes,
        metavar="BYTES",
        minimum=64 * limits.KiB,
    )
    log_level: str = _setting(
        "info", help="How much to log: " + ", ".join(LOG_LEVELS) + ".", read=read_log_level, metavar="LEVEL"
    )
    log_format: str = _setting(
        "text",
        help="How the log's lines look: `text` for people, `json` (an object a line) for what collects logs.",
        read=read_log_format,
        metavar="FORMAT",
    )

    # Only in the environment, as TBBRIDGE_TOKENS: `scopes:token` each, with blanks between them. Never shown.
    tokens: str = field(default="", repr=False)
    # Only in a settings file: the groups that no request may change. None: those that requests made.
    groups: Groups | None = None

    def __post_init__(self) -> None:
        for setting in SETTINGS:
            setting.check(getattr(self, setting.name), setting.name)
        if self.tls_key is not None and self.tls_cert is None:
            raise InvalidSetting("--tls-key is given without --tls-cert; give both, or neither for plain http")
        one_body = self.body_max_bytes + self.decoded_max_bytes  # a compressed body is held in both forms for a moment
        if self.bodies_in_flight_max_bytes < one_body:
            raise InvalidSetting(
                f"--bodies-in-flight-max-bytes is {self.bodies_in_flight_max_bytes}, less than one body may need: "
                f"--body-max-bytes {self.body_max_bytes} and --decoded-max-bytes {self.decoded_max_bytes} together; a "
                f"large body would get 429 for ever. Raise it to {one_body}, or lower those two"
            )


SETTINGS: Final = tuple(
    Setting(
        name=item.name,
        help=item.metadata["help"],
        metavar=item.metadata["metavar"],
        default=item.default,
        minimum=item.metadata["minimum"],
        maximum=item.metadata["maximum"],
        read_text=item.metadata["read"],
    )
    for item in dataclasses.fields(ServerSettings)
    if item.metadata
)


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """What a settings file says: texts by field name, as one would type them, and its groups; `shown` names it."""

    shown: str
    texts: Mapping[str, str]
    groups: Groups | None = None


NO_FILE: Final = SettingsFile("", {})


def from_environment(
    environ: Mapping[str, str], flags: Mapping[str, str | None] | None = None, file: SettingsFile = NO_FILE
) -> ServerSettings:
    """The settings that `environ` (TBBRIDGE_* variables), `flags` (by field name, as typed; None: not given) and `file` say.

    A flag wins over its variable, a variable over the file, the file over the default; an empty variable counts as not set.
    Raises `InvalidSetting`, which names the flag or the variable. Other TBBRIDGE_* variables are left alone: Kubernetes makes
    some for a service's name.
    """
    given: dict[str, object] = {"groups": file.groups, "tokens": environ.get(TOKENS_VARIABLE, "")}
    for setting in SETTINGS:
        typed = (flags or {}).get(setting.name)
        if typed is not None:
            given[setting.name] = setting.read(typed, setting.flag)
        elif environ.get(setting.variable):
            given[setting.name] = setting.read(environ[setting.variable], setting.variable)
        elif setting.name in file.texts:
            given[setting.name] = setting.read(file.texts[setting.name], f"'{setting.name}' in {file.shown}")
    return dataclasses.replace(ServerSettings(), **given)  # type: ignore[arg-type] # each `read` returns its field's type
