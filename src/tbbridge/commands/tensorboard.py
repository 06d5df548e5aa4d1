"""The TensorBoard that `tbbridge up` runs beside the bridge: started, watched, and stopped with it.

It is the stock program in a child process (`tensorboard_child`) with its own flags. Its output is kept for the case that it
dies, and goes to the log at debug level. This file knows nothing of the bridge but the log folder.
"""

from __future__ import annotations

import collections
import errno
import http.client
import logging
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tbbridge import limits
from tbbridge.errors import CommandFailed

log = logging.getLogger(__name__)

POLL_INTERVAL_S: Final = 0.1
STOP_TIMEOUT_S: Final = 5.0
# Any answer of TensorBoard's would do; this one needs no data.
PROBE_PATH: Final = "/data/environment"
WILDCARDS: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what to connect to when it listens everywhere


def reachable(host: str) -> str:
    """An address at which this machine reaches a server that listens on `host`."""
    return WILDCARDS.get(host, host)


def address_of(host: str, port: int) -> str:
    """What to type in a browser on this machine."""
    name = reachable(host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


def find_port(host: str, port: int) -> int:
    """`port`, or a free one for 0. Raises `CommandFailed` if it is taken or the address is not this machine's."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        with socket.socket(family, kind, protocol) as probe:
            # As TensorBoard's own server does: a port that only lingers after its last owner counts as free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            return int(probe.getsockname()[1])
    except OSError as error:
        reason = "is taken" if error.errno == errno.EADDRINUSE else f"cannot be had ({error.strerror or error})"
        raise CommandFailed(
            f"TensorBoard's port {port} on {host} {reason}; stop what uses it, or choose another with --tensorboard-port"
        ) from None


class TensorBoard:
    """One TensorBoard process over `logdir`.

    `on_death(message)` is called from a thread of this object's if it ends by itself after `wait_until_up` has returned;
    the message holds the end of its output.
    """

    def __init__(self, logdir: Path, host: str, port: int, flags: Sequence[str], on_death: Callable[[str], None]) -> None:
        self.host = host
        self.port = port
        module = "tbbridge.commands.tensorboard_child"
        # One second between looks at the files: TensorBoard's default is five, and below one its data server spins.
        own = ["--logdir", str(logdir), "--host", host, "--port", str(port), "--reload_interval", "1"]
        self._command = [sys.executable, "-m", module, *own, *flags]
        self._on_death = on_death
        self._tail: collections.deque[str] = collections.deque(maxlen=limits.TENSORBOARD_TAIL_LINES)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._ended = threading.Event()
        self._up = False
        self._stopping = False

    def start(self) -> None:
        """Start the process and return at once."""
        # A session of its own: Ctrl-C reaches the bridge alone, which then stops both in order.
        self._process = subprocess.Popen(  # noqa: S603 - our own module, no shell
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._watch, args=(self._process,), name="tensorboard", daemon=True)
        self._reader.start()

    def wait_until_up(self) -> bool:
        """Return True when it answers, False if it was stopped meanwhile. Raises `CommandFailed` if it ended by itself."""
        while not self._answers():
            if self._ended.wait(POLL_INTERVAL_S):
                break
        with self._lock:
            if self._stopping:
                return False
            if self._ended.is_set():
                raise CommandFailed(self._last_words())
            self._up = True
            return True

    def stop(self) -> None:
        """Stop the process if it runs, and return when it is gone."""
        with self._lock:
            self._stopping = True
        process, reader = self._process, self._reader
        if process is None or reader is None or process.stdin is None:
            return
        process.stdin.close()  # which it takes as the order to stop
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            log.warning("TensorBoard did not stop within %g seconds; killing it", STOP_TIMEOUT_S)
            process.kill()
            process.wait()
        reader.join()

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(reachable(self.host), self.port, timeout=10)
        try:
            connection.request("GET", PROBE_PATH)
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            return False
        else:
            return True
        finally:
            connection.close()

    def _watch(self, process: subprocess.Popen[str]) -> None:
        if process.stdout is None:
            raise AssertionError("its output is a pipe")
        with process.stdout as lines:
            for line in lines:
                self._tail.append(line.rstrip())
                log.debug("TensorBoard: %s", line.rstrip())
        process.wait()
        with self._lock:
            self._ended.set()
            died = self._up and not self._stopping
        if died:
            self._on_death(self._last_words())

    def _last_words(self) -> str:
        code = self._process.returncode if self._process is not None else None
        how = f"was killed by signal {-code}" if code is not None and code < 0 else f"ended with exit code {code}"
        tail = "\n".join(f"    {line}" for line in self._tail if line) or "    (nothing)"
        return f"TensorBoard {how}; the end of its output:\n{tail}"
