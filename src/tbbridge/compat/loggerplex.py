"""`LoggerplexClient`: Loggerplex's client over a tbbridge server, which keeps one log for each client id.

Calls append to the bounded queue of `tbbridge.Client` and return; a server that is away costs nothing but the oldest records.
What is printed locally goes through the standard library's formatter. The path continues in client/run.py, `log`.
"""

from __future__ import annotations

import contextlib
import logging
import re
import sys
import time
import traceback
from collections.abc import Callable
from typing import Final, TypeAlias

from tbbridge import limits
from tbbridge.client.address import find_address
from tbbridge.compat.shared import shared_client
from tbbridge.errors import InvalidItem
from tbbridge.logs.fit import fitting_record
from tbbridge.logs.levels import level_name, read_level

_NUMBERED: Final = re.compile(r"(debug|info)([1-9])(fmt)?")
_STREAMS: Final = {"out": "stdout", "stdout": "stdout", "err": "stderr", "stderr": "stderr"}
# Loggerplex's names for usual forms of the time.
_TIME_FORMATS: Final = {
    "yd": "%m-%d-%y",
    "ydhm": "%m-%d-%y %H:%M",
    "ydhms": "%m-%d-%y %H:%M:%S",
    "dhm": "%m-%d %H:%M",
    "dhms": "%m-%d %H:%M:%S",
    "hms": "%H:%M:%S",
    "hm": "%H:%M",
}

LogCall: TypeAlias = Callable[..., None]


class LoggerplexClient:
    """Logs to the log of `client_id` on the server: `LoggerplexClient('agent/7', host='127.0.0.1', port=6007).info('hello')`.

    Args:
        client_id: the run whose log it is; the file is `<client_id>.log`.
        host, port: the server; left out as for `tbbridge.Client`.
        enable_local_logger: print here, too.
        local_logger_stream: 'stdout' or 'stderr'.
        local_logger_level: the lowest level that is printed, a name or a number.
        local_logger_format: what stands before the level and the message, in the `{}` style of logging, such as '{asctime} '.
        token: the server's token, if it asks for one; left out: TBBRIDGE_TOKEN.
        local_logger_time_format: 'hms', 'dhms', ... or as for time.strftime; without a format, the time is printed.

    debug1 to debug9 and info1 to info9 are levels between, each also with fmt: `info5`, `debug3fmt`. No call raises because of
    the server, nor for a format that does not fit its values, which are then logged as they are.

    Raises `InvalidItem`, a ValueError, for a client_id that cannot be a run's name or a setting that makes no sense.
    """

    DEBUG: Final = logging.DEBUG
    INFO: Final = logging.INFO
    WARNING: Final = logging.WARNING
    ERROR: Final = logging.ERROR
    CRITICAL: Final = logging.CRITICAL

    def __init__(
        self,
        client_id: str,
        *,
        host: str | None = None,
        port: int | None = None,
        enable_local_logger: bool = False,
        local_logger_stream: str = "stdout",
        local_logger_level: int | str = logging.INFO,
        local_logger_format: str | None = None,
        local_logger_time_format: str | None = None,
        token: str | None = None,
    ) -> None:
        self._client = shared_client(find_address(host, port).url, token)
        self._run = self._client.run(client_id)
        level = _level(local_logger_level)
        if local_logger_stream not in _STREAMS:
            raise InvalidItem("stream", f"the stream is {local_logger_stream!a}; give 'stdout' or 'stderr'", "stream")
        form = _formatter(local_logger_format, local_logger_time_format)
        self._local = _Local(_STREAMS[local_logger_stream], level, form) if enable_local_logger else None

    @property
    def client_id(self) -> str:
        """The run whose log it is."""
        return self._run.name

    # --- values, joined by spaces -------------------------------------------------------------------------------------

    def debug(self, *values: object, sep: str = " ") -> None:
        """Log values at level DEBUG."""
        self._send(logging.DEBUG, _joined(values, sep))

    def info(self, *values: object, sep: str = " ") -> None:
        """Log values at level INFO."""
        self._send(logging.INFO, _joined(values, sep))

    def warning(self, *values: object, sep: str = " ") -> None:
        """Log values at level WARNING."""
        self._send(logging.WARNING, _joined(values, sep))

    def error(self, *values: object, sep: str = " ") -> None:
        """Log values at level ERROR."""
        self._send(logging.ERROR, _joined(values, sep))

    def critical(self, *values: object, sep: str = " ") -> None:
        """Log values at level CRITICAL."""
        self._send(logging.CRITICAL, _joined(values, sep))

    def log(self, level: int | str, *values: object, sep: str = " ") -> None:
        """Log values at any level, a number or a name. Raises `InvalidItem` for a name that is none."""
        self._send(_level(level), _joined(values, sep))

    def exception(self, *values: object, exc: BaseException | str | None = None, sep: str = " ") -> None:
        """Log values at level ERROR, and the traceback of `exc`, by default of the exception that is handled now."""
        found = sys.exception() if exc is None else exc
        if isinstance(found, BaseException):
            found = "".join(traceback.format_exception(found)).rstrip("\n")
        self._send(logging.ERROR, _joined(values, sep) + ("" if found is None else f"\n{found}"))

    # --- a format, as for str.format ----------------------------------------------------------------------------------

    def debugfmt(self, fmt: str, *values: object, **named: object) -> None:
        """Log `fmt.format(...)` at level DEBUG."""
        self._send(logging.DEBUG, _formatted(fmt, values, named))

    def infofmt(self, fmt: str, *values: object, **named: object) -> None:
        """Log `fmt.format(...)` at level INFO."""
        self._send(logging.INFO, _formatted(fmt, values, named))

    def warningfmt(self, fmt: str, *values: object, **named: object) -> None:
        """Log `fmt.format(...)` at level WARNING."""
        self._send(logging.WARNING, _formatted(fmt, values, named))

    def errorfmt(self, fmt: str, *values: object, **named: object) -> None:
        """Log `fmt.format(...)` at level ERROR."""
        self._send(logging.ERROR, _formatted(fmt, values, named))

    def criticalfmt(self, fmt: str, *values: object, **named: object) -> None:
        """Log `fmt.format(...)` at level CRITICAL."""
        self._send(logging.CRITICAL, _formatted(fmt, values, named))

    def logfmt(self, level: int | str, fmt: str, *values: object, **named: object) -> None:
        """Log `fmt.format(...)` at any level, a number or a name. Raises `InvalidItem` for a name that is none."""
        self._send(_level(level), _formatted(fmt, values, named))

    # --- lines that part one section from the next --------------------------------------------------------------------

    def section(self, *values: object, level: int | str = logging.INFO, sep: str = "=", repeat: int = 20) -> None:
        """Log a line of `repeat` times `sep`, with the values in its middle."""
        half = sep * (repeat // 2)
        middle = _joined(values, " ")
        self._send(_level(level), f"{half} {middle} {half}" if middle else half + half)

    def debugsection(self, *values: object, sep: str = "=", repeat: int = 20) -> None:
        """`section` at level DEBUG."""
        self.section(*values, level=logging.DEBUG, sep=sep, repeat=repeat)

    def infosection(self, *values: object, sep: str = "=", repeat: int = 20) -> None:
        """`section` at level INFO."""
        self.section(*values, level=logging.INFO, sep=sep, repeat=repeat)

    def warningsection(self, *values: object, sep: str = "=", repeat: int = 20) -> None:
        """`section` at level WARNING."""
        self.section(*values, level=logging.WARNING, sep=sep, repeat=repeat)

    def errorsection(self, *values: object, sep: str = "=", repeat: int = 20) -> None:
        """`section` at level ERROR."""
        self.section(*values, level=logging.ERROR, sep=sep, repeat=repeat)

    def criticalsection(self, *values: object, sep: str = "=", repeat: int = 20) -> None:
        """`section` at level CRITICAL."""
        self.section(*values, level=logging.CRITICAL, sep=sep, repeat=repeat)

    # --- the levels between -------------------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> LogCall:
        """debug1 ... debug9, info1 ... info9, and each with fmt."""
        found = _NUMBERED.fullmatch(name)
        if found is None:
            raise AttributeError(f"{type(self).__name__!r} has no attribute {name!r}")
        level = read_level(found[1]) + int(found[2])
        call: LogCall = self.logfmt if found[3] else self.log

        def numbered(*values: object, **named: object) -> None:
            call(level, *values, **named)

        return numbered

    # --- sending ------------------------------------------------------------------------------------------------------

    def flush(self, timeout_s: float = limits.CLIENT_FLUSH_TIMEOUT_S) -> None:
        """Return when all that this process logged so far is on the server's disk; raises as `tbbridge.Client.flush`."""
        self._client.flush(timeout_s)

    def _send(self, level: int, message: str) -> None:
        record = fitting_record(message, level, "", time.time())
        with contextlib.suppress(RuntimeError):  # somebody closed the shared client: there is nothing to send with
            self._run.log(record.message, record.level, "", record.wall_time)
        if self._local is not None:
            self._local.show(level, message)


class _Local:
    """Prints records here."""

    def __init__(self, stream: str, level: int, form: logging.Formatter) -> None:
        self._stream = stream
        self._level = level
        self._form = form

    def show(self, level: int, message: str) -> None:
        """Print one record if its level is high enough; a stream that is closed is no reason to fail."""
        if level < self._level:
            return
        record = logging.LogRecord("", level, "", 0, "%s", (message,), None)
        record.levelname = level_name(max(level, 0))
        stream = getattr(sys, self._stream)  # looked up now: programs replace them
        with contextlib.suppress(OSError, ValueError):
            stream.write(self._form.format(record) + "\n")


def _formatter(form: str | None, time_format: str | None) -> logging.Formatter:
    before = form if form is not None else "" if time_format is None else "{asctime} "
    date_format = None if time_format is None else _TIME_FORMATS.get(time_format, time_format)
    try:
        return logging.Formatter(before + "{levelname}> {message}", date_format, style="{")
    except ValueError as error:
        raise InvalidItem("format", f"the format {form!a} is none in logging's style {{}}: {error}", "format") from None


def _level(level: int | str) -> int:
    return read_level(level) if isinstance(level, str) else level


def _joined(values: tuple[object, ...], sep: str) -> str:
    return sep.join(map(_text, values))


def _text(value: object) -> str:
    """`str(value)`; for a value that cannot be shown, what it is and why."""
    try:
        return str(value)
    except Exception as error:  # noqa: BLE001 - what the user logs may raise anything, and a training must not end by it
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"


def _formatted(fmt: object, values: tuple[object, ...], named: dict[str, object]) -> str:
    try:
        return str(fmt).format(*values, **named)
    except Exception as error:  # noqa: BLE001 - as in `_text`
        left = [*values, *(f"{name}={_text(value)}" for name, value in named.items())]
        return _joined((fmt, *left, f"[the format does not fit: {_text(error)}]"), " ")
