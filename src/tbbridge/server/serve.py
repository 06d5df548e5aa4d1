"""The bridge as a running server: binds, opens, serves, and on SIGTERM or Ctrl-C stops in that order backwards.

uvicorn speaks HTTP; the order of things is ours. The port is bound first, so that a taken one is found before any file is
touched; the pipeline opens and closes around uvicorn's life, so that its errors reach the caller as they are.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import logging
import resource
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import FrameType
from typing import Final

import uvicorn

from tbbridge import limits
from tbbridge.errors import CannotListen
from tbbridge.server import memory
from tbbridge.server.app import REQUESTS_SHARE, build_app
from tbbridge.server.connections import Connections
from tbbridge.server.protocols import protocol_class
from tbbridge.server.service import Service
from tbbridge.server.settings import ServerSettings
from tbbridge.server.tls import Certificate

log = logging.getLogger(__name__)

_BACKLOG: Final = 2048  # uvicorn's own; connections that wait while the journal is replayed


async def serve(settings: ServerSettings, *, on_ready: Callable[[str], None] | None = None) -> None:
    """Run the bridge until SIGTERM or Ctrl-C, or until this is cancelled; then stop gracefully and return.

    A signal that comes while the journal is still replayed stops that, and it returns without having listened.
    `on_ready` is called with the address (`http://127.0.0.1:6007`) as soon as points are taken. Raises `CannotListen`,
    `LogFolderBusy` or `StorageFailed` if it cannot start; KeyboardInterrupt if a second Ctrl-C forced the stop.
    """
    certificate = None if settings.tls_cert is None else Certificate(settings.tls_cert, settings.tls_key)
    with contextlib.closing(bind(settings.host, settings.port)) as listener:
        settings = with_descriptors(settings)
        app = build_app(settings)
        connections = Connections(settings.connections_max, settings.connections_per_address_max, app.state.service.refused)
        config = uvicorn.Config(
            app,
            http=protocol_class(connections),
            ws="none",
            proxy_headers=False,  # they name whatever address a sender likes; what is counted is the one that connects
            lifespan="off",  # entered here instead: uvicorn would turn an error of it into a log line and an exit
            log_config=None,
            log_level=settings.log_level,
            access_log=False,
            backlog=_BACKLOG,
            timeout_keep_alive=limits.KEEP_ALIVE_S,
            timeout_graceful_shutdown=max(1, round(settings.shutdown_timeout_s * REQUESTS_SHARE)),
            server_header=False,
        )
        service: Service = app.state.service
        service.connections = connections
        connections.is_queue_full = service.is_queue_full
        server = _Server(config, connections, certificate, lambda: _announce(listener, settings, on_ready), service.stop)
        opening = _Opening(asyncio.current_task())
        giving_back = asyncio.create_task(memory.give_back()) if memory.keep_for_reuse() else None
        try:
            with _signals_stop(server, opening):
                async with app.router.lifespan_context(app):
                    opening.end()
                    if not server.should_exit:
                        await _until_stopped(server, listener)
        except asyncio.CancelledError:
            if not opening.was_stopped():
                raise
            log.info("stopped while opening the log folder; the next start finishes from the journal")
        finally:
            if giving_back is not None:
                giving_back.cancel()


class _Opening:
    """The time until the pipeline is open, long after a crash: a signal ends it by cancelling the task it is in."""

    def __init__(self, task: asyncio.Task[None] | None) -> None:
        self._loop = asyncio.get_running_loop()
        self._task = task
        self._is_over = False
        self._was_cancelled = False

    def end(self) -> None:
        """From now on `stop` does nothing: the server stops by itself."""
        self._is_over = True

    def stop(self) -> None:
        """Called from a signal's handler, which runs at any moment; so the loop is woken to cancel the task."""
        self._loop.call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        if self._task is not None and not self._is_over and not self._was_cancelled:
            self._was_cancelled = True
            self._task.cancel()

    def was_stopped(self) -> bool:
        """Whether `stop`, and nobody else, cancelled the task, which then counts as not cancelled. Asked once."""
        return self._task is not None and self._was_cancelled and self._task.uncancel() == 0


async def _until_stopped(server: _Server, listener: socket.socket) -> None:
    running = asyncio.create_task(server.serve(sockets=[listener]), name="tbbridge-http")
    try:
        await asyncio.shield(running)
    except asyncio.CancelledError:
        server.should_exit = True
        await running
        raise
    if server.force_exit:
        raise KeyboardInterrupt


def _announce(listener: socket.socket, settings: ServerSettings, on_ready: Callable[[str], None] | None) -> None:
    address = address_of(listener, "http" if settings.tls_cert is None else "https")
    log.info("listening on %s, writing to %s", address, settings.logdir)
    if not is_loopback(listener):
        _warn_of_strangers(settings, listener.getsockname()[1])
    if on_ready is not None:
        on_ready(address)


def _warn_of_strangers(settings: ServerSettings, port: int) -> None:
    if not settings.tokens and settings.tokens_file is None:
        log.warning(
            "no tokens are set: whoever reaches port %d here can read, write and delete; see `tbbridge token --help`", port
        )
    elif settings.tls_cert is None:
        log.warning("tokens travel readable to port %d: set --tls-cert, or let a proxy on this machine speak TLS", port)


class _Server(uvicorn.Server):
    """uvicorn's server, told when it is ready; signals are ours, since its own way ends by raising them once more."""

    def __init__(
        self,
        config: uvicorn.Config,
        connections: Connections,
        certificate: Certificate | None,
        ready: Callable[[], None],
        stopping: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._connections = connections
        self._certificate = certificate
        self._ready = ready
        self._stopping = stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """As uvicorn's for sockets that it is given; but a TLS handshake has its time."""
        loop = asyncio.get_running_loop()
        config = self.config

        def connected() -> asyncio.Protocol:
            return config.http_protocol_class(config=config, server_state=self.server_state, app_state={}, _loop=loop)  # type: ignore[call-arg]

        self.servers = [
            await loop.create_server(
                connected,
                sock=listener,
                backlog=config.backlog,
                ssl=None if self._certificate is None else self._certificate.context,
                ssl_handshake_timeout=None if self._certificate is None else limits.TLS_HANDSHAKE_S,
                ssl_shutdown_timeout=None if self._certificate is None else limits.TLS_GOODBYE_S,
            )
            for listener in sockets or ()
        ]
        self.started = True
        if not self.should_exit:
            self._ready()

    async def on_tick(self, counter: int) -> bool:
        """What uvicorn does ten times a second; once a second, the connections and the certificate are looked at too."""
        if counter % 10 == 0:
            self._connections.look(asyncio.get_running_loop().time())
            if self._certificate is not None:
                self._certificate.look()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping()  # answers without an end must end before all are waited for
        await super().shutdown(sockets)

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override] # uvicorn's is a generator
        return contextlib.nullcontext()


@contextlib.contextmanager
def _signals_stop(server: _Server, opening: _Opening) -> Iterator[None]:
    """SIGTERM and Ctrl-C stop `opening` and `server`, until the pipeline is closed; a second Ctrl-C forces it."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread gets signals; who runs the bridge elsewhere stops it by cancelling
        return

    def handle(number: int, frame: FrameType | None) -> None:
        server.handle_exit(number, frame)
        opening.stop()

    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def with_descriptors(settings: ServerSettings) -> ServerSettings:
    """`settings` with as many event files and connections open at a time as there are descriptors for.

    Event files get at most limits.OPEN_FILES_SHARE of them, which costs some time; connections what is left, and a warning.
    """
    granted, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if granted == resource.RLIM_INFINITY:
        return settings
    event_files = max(1, min(settings.open_files_max, int(granted * limits.OPEN_FILES_SHARE)))
    files = event_files + limits.LOGS_OPEN_FILES_MAX + limits.FILES_RESERVED
    connections = max(1, min(settings.connections_max, granted - files))
    if connections < settings.connections_max:
        log.warning(
            "this process may have %d open files, so it takes %d connections at a time, not %d; raise the limit (ulimit -n)",
            granted,
            connections,
            settings.connections_max,
        )
    return replace(settings, open_files_max=event_files, connections_max=connections)


# --- the address --------------------------------------------------------------------------------------------------------


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens on `host` and `port` already. Raises `CannotListen` with the remedy."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except (socket.gaierror, UnicodeError) as error:
        raise CannotListen(f"{host!r} is no address of this machine ({error}); try --host 127.0.0.1") from None
    listener = socket.socket(family, kind, protocol)
    try:
        if hasattr(socket, "SO_REUSEPORT"):  # not on Windows, where SO_REUSEADDR would let two programs share a port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError as error:
        listener.close()
        raise CannotListen(_why_not(error, host, port)) from None
    return listener


def _why_not(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} on {host} is taken by another program; stop it, or choose another with --port (0: a free one)"
        case errno.EACCES:
            return f"port {port} may not be used by this user: those below 1024 are the system's; choose another with --port"
        case errno.EADDRNOTAVAIL:
            return f"{host} is no address of this machine; try --host 127.0.0.1, or 0.0.0.0 for all its addresses"
        case _:
            return f"cannot listen on {host} port {port}: {error.strerror or error}; choose others with --host and --port"


def is_loopback(listener: socket.socket) -> bool:
    """True if only this machine can reach it."""
    return ipaddress.ip_address(listener.getsockname()[0].partition("%")[0]).is_loopback


def address_of(listener: socket.socket, scheme: str = "http") -> str:
    """The URL under which `listener` is reached from this machine."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - compared, not bound
        host = "127.0.0.1" if host == "0.0.0.0" else "::1"  # noqa: S104
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"
