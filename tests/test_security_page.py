"""SECURITY.md says the limits as they are: each number, each setting, and each reason under which /metrics counts."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tbbridge import errors, limits
from tbbridge.server import overload
from tbbridge.server.settings import SETTINGS

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "SECURITY.md").read_text()
ROWS = [line.strip("|").split("|") for line in PAGE.split("\n## Limits")[1].splitlines() if line.startswith("| ")][1:]
CODE = "".join((ROOT / "src" / "tbbridge" / "server" / name).read_text() for name in ("connections.py", "protocols.py"))
# How a number of limits.py is written where no setting has it.
NUMBERS = {
    "requests in all": f"{limits.REQUESTS_MAX:,}",
    "time for a request's head": f"{limits.HEAD_TIMEOUT_S:g} s",
    "a head, and what": f"{limits.HEAD_MAX_BYTES // limits.KiB} KiB",
    "time in which nothing of a body": f"{limits.BODY_READ_TIMEOUT_S:g} s",
    "time over which an answer must be taken at 1 KiB/s": f"{limits.ANSWER_STALL_S * limits.ANSWER_MIN_BYTES_PER_S / 1024:g} s",
    "requests that wait on one connection": str(limits.PIPELINED_MAX),
    "an idle connection": f"{limits.KEEP_ALIVE_S} s",
    "a TLS handshake": f"{limits.TLS_HANDSHAKE_S:g} s",
    "runs, columns and summaries": f"{limits.ITEMS_MAX:,}",
    "log records of one request": f"{limits.LOG_RECORDS_MAX:,}",
    "values of one request in JSON": f"{limits.JSON_MAX_VALUES:,}",
    "archives sent or taken": str(limits.ARCHIVES_AT_ONCE),
    "requests that follow a log": str(limits.LOGS_FOLLOWERS_MAX),
}


def every_error() -> set[type[errors.TBBridgeError]]:
    found, pending = set(), [errors.TBBridgeError]
    while pending:
        kind = pending.pop()
        found.add(kind)
        pending += kind.__subclasses__()
    return found


@pytest.mark.parametrize(("beginning", "number"), NUMBERS.items(), ids=NUMBERS.keys())
def test_a_limit_has_its_number(beginning: str, number: str) -> None:
    [row] = [row for row in ROWS if row[0].strip().startswith(beginning)]
    assert row[1].strip() == number


def test_a_setting_has_its_default() -> None:
    defaults = {setting.flag: setting.default_text for setting in SETTINGS}
    named = [(flag, row[1]) for row in ROWS for flag in re.findall(r"`(--[a-z-]+)`", row[0])]
    assert len(named) >= 10
    for flag, said in named:
        default = defaults[flag]
        assert said.strip().replace(",", "").replace(" ", "").startswith(default), flag


def test_a_reason_is_one_that_is_counted_and_none_is_missing() -> None:
    shown = {reason for row in ROWS for reason in re.findall(r"`([a-z-]+)`", row[3])}
    of_connections = set(re.findall(r'refuse\("([a-z-]+)"\)', CODE)) | {overload.REASON}
    assert of_connections <= shown
    assert shown <= of_connections | {kind.code for kind in every_error()}


def test_an_answer_is_that_of_its_error() -> None:
    statuses = {kind.code: kind.status for kind in every_error()}
    for row in ROWS:
        codes = [code for code in re.findall(r"`([a-z-]+)`", row[3]) if code in statuses]
        assert all(str(statuses[code]) in row[2] for code in codes), row
