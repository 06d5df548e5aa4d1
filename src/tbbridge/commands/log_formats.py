"""The forms of our own log on standard error: lines for people, or JSON for whatever collects them; one line a fact in both.

A message may quote what a stranger sent. So no message can begin a line of its own: control characters are escaped in the one
form as JSON escapes them in the other. A traceback follows its line in the text, and is a field in JSON. What a line was
logged on behalf of is told by the request's id, which the answer's X-Request-ID header has too.
"""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from typing import Final

from tbbridge.server.request_ids import current_id

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


class TextFormat(logging.Formatter):
    """`2026-11-20 08:50:35,123 INFO    listening on http://127.0.0.1:6007 [request 5f1c9a02-1b]`; local time."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """The line, without a traceback."""
        line = _CONTROL.sub(_escaped, super().formatMessage(record))
        request = current_id()
        return f"{line} [request {request}]" if request else line


class JsonFormat(logging.Formatter):
    """One object a line: time (RFC 3339, UTC), level, logger, message; and where there is one, template, request, error.

    `template` is the message before its values were put in: the same for all lines that say the same of different things.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The whole line."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = {"time": time, "level": record.levelname.lower(), "logger": record.name, "message": record.getMessage()}
        if record.args:
            line["template"] = str(record.msg)
        request = current_id()
        if request:
            line["request"] = request
        if record.exc_info and record.exc_info[0] is not None:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


FORMATS: Final[dict[str, type[logging.Formatter]]] = {"text": TextFormat, "json": JsonFormat}
