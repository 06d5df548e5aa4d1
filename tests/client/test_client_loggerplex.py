"""Loggerplex's client: each of its calls makes the record that Loggerplex would have made, here and on the server."""

# ruff: noqa: PLE1205, LOG004 - calls of Loggerplex's, which takes any values, and not of logging's

from __future__ import annotations

import sys
from collections.abc import Callable

import pytest
from fake_server import Server, free_port

from tbbridge import Client, limits
from tbbridge.compat import LoggerplexClient
from tbbridge.compat.loggerplex import LoggerplexClient as Home
from tbbridge.errors import InvalidItem


def logged(server: Server, call: Callable[[LoggerplexClient], object], **settings: object) -> list[tuple[int, str]]:
    """Level and message of each record that `call` makes."""
    client = LoggerplexClient("agent/7", host="127.0.0.1", port=server.port, **settings)  # type: ignore[arg-type]
    call(client)
    client.flush()
    return [(record.level, record.message) for record in server.logs["agent/7"]]


CALLS: dict[str, tuple[Callable[[LoggerplexClient], object], int, str]] = {
    "debug": (lambda log: log.debug("a", 1, None), 10, "a 1 None"),
    "info": (lambda log: log.info({3: "x"}, 4.5), 20, "{3: 'x'} 4.5"),
    "info with sep": (lambda log: log.info("a", 66, "b", sep=", "), 20, "a, 66, b"),
    "info of nothing": (lambda log: log.info(), 20, ""),
    "warning": (lambda log: log.warning("w"), 30, "w"),
    "error": (lambda log: log.error("e"), 40, "e"),
    "critical": (lambda log: log.critical("c"), 50, "c"),
    "braces are left alone": (lambda log: log.info("{}", 1), 20, "{} 1"),
    "debugfmt": (lambda log: log.debugfmt("{1}-{0}", "a", "b"), 10, "b-a"),
    "infofmt": (lambda log: log.infofmt("{} {:>5.1f} {name}", "a", 3.14159, name="n"), 20, "a   3.1 n"),
    "warningfmt": (lambda log: log.warningfmt("{}", 1), 30, "1"),
    "errorfmt": (lambda log: log.errorfmt("{}", 1), 40, "1"),
    "criticalfmt": (lambda log: log.criticalfmt("{}", 1), 50, "1"),
    "infosection": (lambda log: log.infosection("my", "part"), 20, "========== my part =========="),
    "debugsection": (lambda log: log.debugsection("x", sep="!", repeat=4), 10, "!! x !!"),
    "warningsection": (lambda log: log.warningsection(), 30, "=" * 20),
    "errorsection": (lambda log: log.errorsection("x", repeat=2), 40, "= x ="),
    "criticalsection": (lambda log: log.criticalsection("x", repeat=2), 50, "= x ="),
    "section": (lambda log: log.section("x", level=35, repeat=2), 35, "= x ="),
    "debug3": (lambda log: log.debug3("a", 1), 13, "a 1"),
    "info9": (lambda log: log.info9("a", sep="-"), 29, "a"),
    "info5fmt": (lambda log: log.info5fmt("{}{}", 1, 2), 25, "12"),
    "debug1fmt": (lambda log: log.debug1fmt("{x}", x=1), 11, "1"),
    "log": (lambda log: log.log(33, "a", "b"), 33, "a b"),
    "logfmt": (lambda log: log.logfmt(33, "{}", "b"), 33, "b"),
    "exception as text": (lambda log: log.exception("it", "broke", exc="Trace\n  back"), 40, "it broke\nTrace\n  back"),
    "exception without one": (lambda log: log.exception("it broke"), 40, "it broke"),
    "a constant": (lambda log: log.log(log.WARNING, "w"), 30, "w"),
}


@pytest.mark.parametrize(("call", "level", "message"), CALLS.values(), ids=CALLS.keys())
def test_every_method_of_loggerplex(
    server: Server, call: Callable[[LoggerplexClient], object], level: int, message: str
) -> None:
    assert logged(server, call) == [(level, message)]


@pytest.mark.parametrize("given", [True, False])
def test_tracebacks_arrive_as_text(server: Server, given: bool) -> None:
    def call(log: LoggerplexClient) -> None:
        try:
            int("in the middle")
        except ValueError as error:
            if given:
                log.exception("it broke", exc=error)
            else:
                log.exception("it broke")

    ((level, message),) = logged(server, call)
    assert level == 40
    assert message.startswith("it broke\nTraceback (most recent call last):\n")
    assert message.endswith("in the middle'")


@pytest.mark.parametrize(
    ("fmt", "values", "named"),
    [("{} {}", (1,), {}), ("{x}", (), {"y": 2}), ("{", (), {}), ("{:d}", ("a",), {}), ("{0.z}", (1,), {})],
)
def test_a_format_that_does_not_fit_loses_nothing(server: Server, fmt: str, values: tuple[object, ...], named: dict) -> None:
    ((_, message),) = logged(server, lambda log: log.infofmt(fmt, *values, **named))
    assert message.startswith(fmt)
    assert "[the format does not fit: " in message
    assert all(str(value) in message for value in (*values, *named.values()))


def test_what_is_logged_is_always_taken(server: Server) -> None:
    def call(log: LoggerplexClient) -> None:
        log.info("half a letter \ud800")
        log.log(10_000, "x" * (limits.LOG_MESSAGE_MAX_BYTES + 1))

    (_, half), (level, cut) = logged(server, call)
    assert half == "half a letter \\ud800"
    assert level == limits.LOG_LEVEL_MAX
    assert cut.endswith("are taken]")


class Unshowable:
    """A value whose own code fails, such as a tensor on a device that is gone."""

    def __str__(self) -> str:
        raise RuntimeError("gone")


def test_a_value_that_cannot_be_shown_does_not_end_the_training(server: Server) -> None:
    def call(log: LoggerplexClient) -> None:
        log.info("loss", Unshowable(), 3)
        log.infofmt("{} of {total}", Unshowable(), total=Unshowable())

    (_, joined), (_, formatted) = logged(server, call)
    shown = "<Unshowable that cannot be shown: RuntimeError>"
    assert joined == f"loss {shown} 3"
    assert formatted == f"{{}} of {{total}} {shown} total={shown} [the format does not fit: gone]"


def test_a_level_can_be_a_name(server: Server) -> None:
    def call(log: LoggerplexClient) -> None:
        log.log("warning", "a")
        log.logfmt("debug3", "{}", "b")
        with pytest.raises(InvalidItem, match="'loud' is no level"):
            log.log("loud", "c")

    assert logged(server, call) == [(30, "a"), (13, "b")]


LOCAL = {
    "as it is": ({}, "INFO> hello\nWARNING> loud\n"),
    "a level by name": ({"local_logger_level": "warning"}, "WARNING> loud\n"),
    "a level by number": ({"local_logger_level": 13}, "DEBUG5> detail\nINFO> hello\nWARNING> loud\n"),
    "a format": ({"local_logger_format": "[{levelno}] ", "local_logger_level": 30}, "[30] WARNING> loud\n"),
    "a time format that has no time": ({"local_logger_time_format": "now:", "local_logger_level": 30}, "now: WARNING> loud\n"),
}


@pytest.mark.parametrize(("settings", "printed"), LOCAL.values(), ids=LOCAL.keys())
@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_local_printing(server: Server, settings: dict, printed: str, stream: str, capsys: pytest.CaptureFixture[str]) -> None:
    def call(log: LoggerplexClient) -> None:
        log.debug("quiet")
        log.debug5("detail")
        log.info("hello")
        log.warning("loud")

    found = logged(server, call, enable_local_logger=True, local_logger_stream=stream, **settings)
    assert [message for _, message in found] == ["quiet", "detail", "hello", "loud"]
    assert getattr(capsys.readouterr(), stream[3:]) == printed


def test_the_time_is_printed_in_its_short_forms(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    logged(server, lambda log: log.info("x"), enable_local_logger=True, local_logger_time_format="hms")
    assert capsys.readouterr().out[2::3][:2] == "::"


def test_nothing_is_printed_unless_asked_for(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    logged(server, lambda log: log.critical("x"))
    assert capsys.readouterr() == ("", "")


def test_a_closed_stream_is_no_reason_to_fail(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    with (tmp_path / "closed").open("w") as file:
        monkeypatch.setattr(sys, "stdout", file)
    assert logged(server, lambda log: log.info("x"), enable_local_logger=True) == [(20, "x")]


def test_many_ids_of_one_process_share_a_connection(server: Server) -> None:
    clients = [LoggerplexClient(f"agent/{number}", host="127.0.0.1", port=server.port) for number in range(50)]
    for client in clients:
        client.info("hello")
    clients[0].flush()
    assert sorted(server.logs) == sorted(f"agent/{number}" for number in range(50))
    assert len({writer for writer, _ in server.requests}) == 1


def test_a_server_that_is_away_is_no_reason_to_fail() -> None:
    LoggerplexClient("a", host="127.0.0.1", port=free_port()).error("hello")


def test_a_client_that_was_closed_is_no_reason_to_fail(server: Server) -> None:
    log = LoggerplexClient("a", host="127.0.0.1", port=server.port)
    shared = log._client
    assert isinstance(shared, Client)
    shared.close()
    log.info("late")


WRONG = {
    "id": ({"client_id": "../x"}, "run name"),
    "stream": ({"client_id": "a", "local_logger_stream": "paper"}, "'stdout' or 'stderr'"),
    "level": ({"client_id": "a", "local_logger_level": "loud"}, "no level"),
    "format": ({"client_id": "a", "local_logger_format": "{asctime"}, "no|none in logging's style"),
}


@pytest.mark.parametrize(("settings", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_makes_no_sense_is_told_at_once(settings: dict, message: str) -> None:
    with pytest.raises(InvalidItem, match=message):
        Home(**settings, host="127.0.0.1", port=free_port(), enable_local_logger=True)


@pytest.mark.parametrize("name", ["info0", "info10", "warning3", "infosections", "debugfmt3"])
def test_there_is_no_other_method(name: str) -> None:
    with pytest.raises(AttributeError, match=name):
        getattr(LoggerplexClient("a", host="127.0.0.1", port=free_port()), name)
