"""Logs through the client: they travel like values, and a program's logging neither waits for the server nor fails with it."""

from __future__ import annotations

import asyncio
import logging
import logging.config
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest
from fake_server import LOST_ANSWER, Script, Server, free_port, serve, status, until

import tbbridge
from tbbridge import limits
from tbbridge.client import AsyncClient, Client
from tbbridge.errors import InvalidItem, PointsLost
from tbbridge.model import LogRecord

pytestmark = pytest.mark.usefixtures("quick_retries")


@pytest.fixture
def program() -> Iterator[logging.Logger]:
    """A logger as a program has it, but with no parents, where pytest listens."""
    logger = logging.Logger("program.part", logging.DEBUG)  # noqa: LOG001 - on purpose: without parents
    yield logger
    for handler in list(logger.handlers):
        logger.removeHandler(handler)
        handler.close()


# --- Run.log ------------------------------------------------------------------------------------------------------------


def test_records_arrive_in_order_with_all_their_parts(server: Server) -> None:
    before = time.time()
    with Client(server.url) as client:
        run = client.run("node/7")
        run.log("first")
        run.log("second\nline", "debug3", "a.b", 12.5)
        run.add_scalar("a", 1)
        run.log("third", logging.ERROR)
    first, *rest = server.logs["node/7"]
    assert (first.message, first.level, first.logger) == ("first", 20, "")
    assert first.wall_time is not None
    assert before <= first.wall_time <= time.time()
    assert rest[0] == LogRecord("second\nline", 13, "a.b", 12.5)
    assert (rest[1].message, rest[1].level) == ("third", 40)
    assert server.values("node/7", "a") == [1]


def test_a_lost_answer_repeats_no_record() -> None:
    with serve(LOST_ANSWER, LOST_ANSWER) as server, Client(server.url) as client:
        run = client.run("r")
        for number in range(10):
            run.log(f"record {number}")
        client.flush()
        assert [record.message for record in server.logs["r"]] == [f"record {number}" for number in range(10)]
        assert server.repeats > 0


def test_a_body_that_is_too_large_is_sent_in_halves() -> None:
    with serve(max_body=2000) as server, Client(server.url) as client:
        run = client.run("r")
        for number in range(40):
            run.log(f"{number} " + "x" * 100)
        client.flush()
        assert [record.message.split()[0] for record in server.logs["r"]] == [str(number) for number in range(40)]


WRONG = {
    "no text": ((5,), "a str"),
    "no level": (("m", "loud"), "no level"),
    "level out of range": (("m", 256), "level 256"),
    "a logger of two lines": (("m", 20, "a\nb"), "control character"),
    "a time that is none": (("m", 20, "", float("nan")), "wall_time"),
    "half a letter": (("\ud800",), "surrogate"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG.keys())
def test_what_is_wrong_in_a_call_is_told_there(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(InvalidItem, match=message):
        Client("127.0.0.1", free_port()).run("r").log(*arguments)  # type: ignore[arg-type]


def test_after_close_a_record_is_refused(server: Server) -> None:
    with Client(server.url) as client:
        run = client.run("r")
        run.close()
        with pytest.raises(RuntimeError, match="'r' is closed"):
            run.log("late")


async def test_the_asyncio_client_logs_too(server: Server) -> None:
    async with AsyncClient(server.url) as client:
        client.run("r").log("hello")
        await client.flush()
    assert [record.message for record in server.logs["r"]] == ["hello"]


# --- the handler --------------------------------------------------------------------------------------------------------


def test_a_program_logs_as_ever_and_its_records_arrive(server: Server, program: logging.Logger) -> None:
    with Client(server.url) as client:
        program.addHandler(tbbridge.LogHandler(client, "node"))
        program.info("epoch %d of %s", 3, "ten")
        program.log(13, "deeper")
        try:
            int("in the middle")
        except ValueError:
            program.exception("it broke")
        program.warning("where", stack_info=True)
        client.flush()
    plain, deeper, broken, where = server.logs["node"]
    assert (plain.message, plain.level, plain.logger) == ("epoch 3 of ten", 20, "program.part")
    assert deeper.level == 13
    assert broken.message.startswith("it broke\nTraceback (most recent call last):\n")
    assert broken.message.endswith("with base 10: 'in the middle'")
    assert "Stack (most recent call last)" in where.message


def test_arguments_are_seen_as_they_were_at_the_call(server: Server, program: logging.Logger) -> None:
    with Client(server.url) as client:
        program.addHandler(tbbridge.LogHandler(client.run("node")))
        changing = [1]
        program.info("%s", changing)
        changing.append(2)
        client.flush()
    assert server.logs["node"][0].message == "[1]"


def test_levels_and_formats_are_those_of_every_handler(server: Server, program: logging.Logger) -> None:
    with Client(server.url) as client:
        handler = tbbridge.LogHandler(client, "node", level="WARNING")
        handler.setFormatter(logging.Formatter("<%(message)s>"))
        program.addHandler(handler)
        program.info("quiet")
        program.warning("loud")
        client.flush()
    assert [record.message for record in server.logs["node"]] == ["<loud>"]


class Unprintable:
    def __str__(self) -> str:
        raise OSError("not today")


def test_nothing_that_is_logged_raises(server: Server, program: logging.Logger, capsys: pytest.CaptureFixture[str]) -> None:
    with Client(server.url) as client:
        handler = tbbridge.LogHandler(client, "node")
        program.addHandler(handler)
        program.info("%s", Unprintable())
        program.info("%d", "no number")
        program.info("half a letter \ud800")
        program.info("x" * (limits.LOG_MESSAGE_MAX_BYTES + 1))
        program.name = "program.part.\x1b[31m"
        program.info("a logger in colour")
        client.flush()
    assert handler.dropped == 2
    assert "OSError: not today" in capsys.readouterr().err
    half, cut, coloured = server.logs["node"]
    assert half.message == "half a letter \\ud800"
    assert cut.message.endswith("are taken]")
    assert coloured.logger == "program.part.\\x1b[31m"


def test_after_close_records_are_counted_and_nothing_raises(server: Server, program: logging.Logger) -> None:
    client = Client(server.url)
    handler = tbbridge.LogHandler(client, "node")
    program.addHandler(handler)
    client.close()
    program.info("too late")
    handler.flush()
    assert handler.dropped == 1


def test_a_server_that_is_away_costs_the_oldest_records_only(program: logging.Logger) -> None:
    port = free_port()
    client = Client("127.0.0.1", port, queue_max_bytes=100_000)
    program.addHandler(tbbridge.LogHandler(client, "node"))
    for number in range(1000):
        program.info("%d %s", number, "x" * 100)
    assert client.stats.queued < 200
    server = Server()
    server.start(port)
    try:
        with pytest.raises(PointsLost):
            client.flush()
        arrived = [int(record.message.split()[0]) for record in server.logs["node"]]
        assert arrived == list(range(1000 - len(arrived), 1000))
        assert client.stats.dropped + len(arrived) == 1000
    finally:
        client.close()
        server.stop()


def test_its_own_troubles_are_not_sent() -> None:
    """Else each warning about a server that is away would wait for it too, and each request make a record of the next."""
    root = logging.getLogger()
    before = root.level
    with serve(always=status(503)) as server, Client(server.url) as client:
        handler = tbbridge.LogHandler(client, "node")
        root.addHandler(handler)
        root.setLevel(logging.DEBUG)
        try:
            client.run("other").add_scalar("a", 1)
            until(lambda: client.stats.retries >= 5)
            logging.getLogger("httpcore.connection").debug("connecting")
            logging.getLogger("httpx").info("sent")
            server.always = Script()
            client.flush()
        finally:
            root.removeHandler(handler)
            root.setLevel(before)
    assert [record.logger for record in server.logs["node"] if record.logger.startswith(("tbbridge", "http"))] == []


def test_many_threads_lose_nothing(server: Server, program: logging.Logger) -> None:
    with Client(server.url) as client:
        program.addHandler(tbbridge.LogHandler(client, "node"))
        threads = [
            threading.Thread(target=lambda name=name: [program.info("%s %d", name, number) for number in range(200)])
            for name in "abcd"
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        client.flush()
    arrived = [record.message.split() for record in server.logs["node"]]
    assert len(arrived) == 800
    for name in "abcd":
        assert [int(number) for who, number in arrived if who == name] == list(range(200))


def test_it_can_be_made_by_a_logging_configuration(server: Server) -> None:
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "handlers": {"bridge": {"class": "tbbridge.LogHandler", "target": server.url, "run": "node", "level": "INFO"}},
            "loggers": {"configured": {"handlers": ["bridge"], "level": "DEBUG", "propagate": False}},
        }
    )
    logger = logging.getLogger("configured")
    logger.info("hello")
    handler = logger.handlers[0]
    logger.removeHandler(handler)
    handler.close()  # its client is its own
    assert [record.message for record in server.logs["node"]] == ["hello"]


def test_which_run_is_meant_must_be_clear(server: Server) -> None:
    with Client(server.url) as client:
        with pytest.raises(InvalidItem, match="run='node-7'"):
            tbbridge.LogHandler(client)
        with pytest.raises(InvalidItem, match="given twice"):
            tbbridge.LogHandler(client.run("a"), "b")
        assert tbbridge.LogHandler(client.run("a")).run.name == "a"


def test_what_was_logged_last_is_sent_when_the_program_ends(server: Server) -> None:
    program = f"""
import logging, tbbridge
logging.getLogger().addHandler(tbbridge.LogHandler({server.url!r}, 'node'))
logging.getLogger().setLevel('INFO')
logging.info('the last words')
raise SystemExit(3)
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (3, "")
    assert [record.message for record in server.logs["node"]] == ["the last words"]


async def test_from_worker_threads_of_an_asyncio_program(server: Server, program: logging.Logger) -> None:
    async with AsyncClient(server.url) as client:
        program.addHandler(tbbridge.LogHandler(client, "node"))
        program.info("on the loop")
        await asyncio.to_thread(program.info, "in a thread")
        await client.flush()
    assert [record.message for record in server.logs["node"]] == ["on the loop", "in a thread"]


@pytest.mark.parametrize(
    "end", ["logging.config.dictConfig({'version': 1, 'disable_existing_loggers': False})", "logging.shutdown()"]
)
def test_a_handler_that_logging_closes_does_not_wait_for_its_own_locks(server: Server, end: str) -> None:
    """Both hold a lock of logging while they close handlers, and the sender's connection logs too, here with all levels on."""
    script = f"""
import logging, logging.config, tbbridge, time
logging.basicConfig(level=1, handlers=[tbbridge.LogHandler({server.url!r}, 'node')])
logging.getLogger('work').info('the last word')
begin = time.monotonic()
{end}
print(time.monotonic() - begin < {limits.CLIENT_CLOSE_TIMEOUT_S / 2})
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert [record.message for record in server.logs["node"]] == ["the last word"]
