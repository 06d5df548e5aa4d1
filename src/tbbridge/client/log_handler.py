"""`LogHandler`: the standard library's logging, into a run's log on the server.

A record is formatted where it is logged, since its arguments may change in the next line, and appended to the client's bounded
queue; the client's sender does the rest. So logging never waits for the server, and never fails with it.
"""

from __future__ import annotations

import logging
import threading
from typing import Any, Final

from tbbridge.client.base import BaseClient
from tbbridge.client.client import Client
from tbbridge.client.run import Run
from tbbridge.errors import InvalidItem
from tbbridge.logs.fit import fitting_record

# Ours, and those of what we send with: a record about sending would have to be sent too, and so on for ever.
_LEFT_OUT: Final = frozenset({"tbbridge", "httpx", "httpcore"})
_SENDER_THREAD: Final = "tbbridge-sender"
# Whoever else holds logging's lock lets it go sooner than this.
_LOCK_WAIT_S: Final = 0.2


class LogHandler(logging.Handler):
    """Sends log records to a run's log: `logging.getLogger().addHandler(tbbridge.LogHandler(client, 'node-7'))`.

    Args:
        target: a `Run`; or a `Client`, `AsyncClient` or address such as '127.0.0.1:6007', and the name of the run as `run`.
        run: the run to whose log the records go; left out with a `Run`.
        level: the lowest level that is sent, as for every handler.

    Tracebacks are kept, as later lines of the message. What outgrows the client's queue drops the oldest, as for all it sends;
    what is logged after the run or client was closed is counted in `dropped`. Records of tbbridge's and httpx's own loggers are
    left out. `flush` sends soon and does not wait; a client that was made here, from an address, is closed by `close`.

    Raises `InvalidItem` if it is not clear which run is meant.
    """

    def __init__(self, target: Run | BaseClient[Any] | str, run: str = "", level: int | str = logging.NOTSET) -> None:
        super().__init__(level)
        # A format of its own, or logging.basicConfig would give it one that repeats the level and the logger.
        self.setFormatter(logging.Formatter("%(message)s"))
        self.dropped = 0
        self._own: Client | None = None
        if isinstance(target, Run):
            if run not in ("", target.name):
                raise InvalidItem("run", f"the run is given twice, {target.name!a} and {run!a}; leave out run=", "run")
            self._run = target
            return
        if not run:
            raise InvalidItem("run", "with a client or an address the name of the run is needed too: give run='node-7'", "run")
        if isinstance(target, str):
            target = self._own = Client(target)
        self._run = target.run(run)

    @property
    def run(self) -> Run:
        """The run to whose log the records go."""
        return self._run

    def handle(self, record: logging.LogRecord) -> bool:
        """Emit the record unless it is about sending: that would go round for ever.

        It is left out before this handler's lock is asked for, which `logging.shutdown` holds while it waits for the sender.
        """
        if record.name.partition(".")[0] in _LEFT_OUT or record.threadName == _SENDER_THREAD:
            return False
        return bool(super().handle(record))  # from Python 3.12 on, the record itself

    def emit(self, record: logging.LogRecord) -> None:
        """Append one record to the queue; nothing is raised."""
        try:
            message = self.format(record)
        except Exception:  # noqa: BLE001 - what the user logs may raise anything; the standard library has a way to tell
            self.dropped += 1
            self.handleError(record)
            return
        fitting = fitting_record(message, record.levelno, record.name, record.created)
        try:
            self._run.log(fitting.message, fitting.level, fitting.logger, fitting.wall_time)
        except RuntimeError:  # closed, perhaps while the interpreter ends
            self.dropped += 1

    def flush(self) -> None:
        """Have what was logged sent soon; returns at once. `client.flush()` waits for it."""
        self._run.send()

    def close(self) -> None:
        """Send what is left, and close the client if it was made here."""
        self.flush()
        if self._own is not None:
            _close(self._own)
        super().close()


def _close(client: Client) -> None:
    """Close `client` and wait for it; but not inside of logging.config, which closes all handlers before it makes new ones.

    There this thread holds the lock of the module logging, which the sender needs for its own log calls: to wait for it here
    would be to wait for ourselves. Then it is closed a moment later, by a thread that the interpreter waits for.
    """
    is_free = threading.Event()

    def close() -> None:
        logging.getLogger(__name__)  # asks for that lock
        is_free.set()
        client.close()

    closer = threading.Thread(target=close, name="tbbridge-closer")
    try:
        closer.start()
    except RuntimeError:  # the interpreter is ending, where nobody configures logging any more
        client.close()
        return
    if is_free.wait(_LOCK_WAIT_S):
        closer.join()
