"""Our own log: one line a fact, whatever a message quotes, and the id of the request that it is about."""

from __future__ import annotations

import contextvars
import json
import logging
import sys

import pytest

from tbbridge.commands.console import set_up_logging
from tbbridge.commands.log_formats import FORMATS, JsonFormat, TextFormat
from tbbridge.server import request_ids
from tbbridge.server.setting_texts import LOG_FORMATS

FORGED = "run 'a\n2026-11-20 08:50:35,123 ERROR   all is lost\x1b[2J\u2028'"


def record(message: str, *values: object, error: BaseException | None = None) -> logging.LogRecord:
    told = (type(error), error, error.__traceback__) if error is not None else None
    return logging.LogRecord("tbbridge.server", logging.WARNING, "file.py", 1, message, values, told)


def for_request(chosen: bytes, form: logging.Formatter) -> str:
    def formatted() -> str:
        request_ids.begin([(request_ids.HEADER, chosen)])
        return form.format(record("%s is odd", "run"))

    return contextvars.copy_context().run(formatted)


@pytest.mark.parametrize("form", [TextFormat(), JsonFormat()], ids=["text", "json"])
def test_no_message_begins_a_line_of_its_own(form):
    line = form.format(record("%s is odd", FORGED))
    assert len(line.splitlines()) == 1
    assert "\x1b" not in line


def test_text_names_the_request():
    assert for_request(b"job-7", TextFormat()).endswith("WARNING run is odd [request job-7]")
    assert TextFormat().format(record("started")).endswith("WARNING started")


def test_json_has_what_a_collector_asks_for():
    line = json.loads(for_request(b"job-7", JsonFormat()))
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "tbbridge.server",
        "message": "run is odd",
        "template": "%s is odd",
        "request": "job-7",
    }


def test_json_keeps_a_traceback_in_the_line():
    try:
        int("x")
    except ValueError as error:
        text = JsonFormat().format(record("failed", error=error))
    assert len(text.splitlines()) == 1
    line = json.loads(text)
    assert "Traceback" in line["error"]
    assert line["error"].endswith("'x'")
    assert "template" not in line


def test_every_format_of_the_setting_is_one():
    assert tuple(FORMATS) == LOG_FORMATS


def test_the_format_can_be_chosen_after_logging_was_set_up(capsys, monkeypatch):
    """The command line sets it up before it has read the settings."""
    root = logging.getLogger()
    monkeypatch.setattr(root, "handlers", [])
    set_up_logging("warning")
    set_up_logging("info", "json")
    logging.getLogger("tbbridge.test").info("listening on %s", "port 7")
    (line,) = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "listening on port 7"
    assert [handler.stream for handler in root.handlers] == [sys.stderr]
