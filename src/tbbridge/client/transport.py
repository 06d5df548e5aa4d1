"""HTTP itself: posts one body, returns the answer or raises `TransportFailed`. The only file of tbbridge that imports httpx.

It knows nothing of batches, and never retries: outbox.py decides, with the answer judged by answers.py. All other calls are
made by `Caller`, for remote.py. It uses httpx's transports without its `Client`, which logs a line for every request into the
log of the training job it runs in.
"""

from __future__ import annotations

import base64
import encodings.idna
import gzip
import ssl
import urllib.request
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import unquote, urlencode, urlsplit

import httpcore
import httpx

from tbbridge.client.address import WRITE_PATH, Address
from tbbridge.client.answers import PROTOBUF_TYPE, Answer
from tbbridge.client.options import find_token
from tbbridge.errors import InvalidItem

# httpx and socket load these at their first use, which is in the sender's thread: a fork in the middle of that would leave
# the child with half a module. So they are loaded here, with the client.
_LOADED_EARLY = (httpcore, encodings.idna)

# Reaching a host that is switched off should not use up the patience meant for a slow disk.
_CONNECT_TIMEOUT_S = 5.0


class TransportFailed(Exception):
    """No answer: the connection could not be made, broke, or took too long. The body may have arrived all the same."""


class Transport(Protocol):
    """What a sender that may block needs."""

    def post(self, body: bytes, timeout_s: float | None = None, report: str = "") -> Answer:
        """Send one body, waiting for at most `timeout_s` if that is less than usual. Raises `TransportFailed`.

        `report`: what the client says of itself, for the server's metrics.
        """

    def close(self) -> None:
        """Give the connection back."""


class AsyncTransport(Protocol):
    """What a sender on an event loop needs."""

    async def post(self, body: bytes, report: str = "") -> Answer:
        """Send one body. Raises `TransportFailed`."""

    async def aclose(self) -> None:
        """Give the connection back."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how to post; opens transports."""

    address: Address
    ack: str
    timeout_s: float
    compress: bool
    token: str | None = field(default_factory=lambda: find_token(None), repr=False)
    # Made with the client, for the reason above: a fork while another thread is inside OpenSSL may leave its lock held.
    tls: ssl.SSLContext = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "tls", httpx.create_ssl_context(verify=self.address.url.startswith("https:")))
        try:
            self.request(b"")
        except (httpx.InvalidURL, ValueError) as error:
            raise InvalidItem(
                "address", f"{self.address.shown} is no address that can be reached: {error}", "address"
            ) from None

    def request(self, body: bytes, timeout_s: float | None = None, report: str = "") -> httpx.Request:
        """The write call. With `partial`, one wrong item does not hold back the others of its batch."""
        headers = {"Content-Type": PROTOBUF_TYPE, "Accept": PROTOBUF_TYPE, **_shared_headers(self.address, self.token)}
        if report:
            headers["Tbbridge-Client"] = report
        if self.compress:
            headers["Content-Encoding"] = "gzip"
            body = gzip.compress(body, compresslevel=1, mtime=0)  # no time in it: a retry sends the same bytes
        wait_s = self.timeout_s if timeout_s is None else min(self.timeout_s, timeout_s)
        timeout = httpx.Timeout(wait_s, connect=min(_CONNECT_TIMEOUT_S, wait_s))
        return httpx.Request(
            "POST",
            f"{self.address.shown}{WRITE_PATH}?partial=true&ack={self.ack}",
            headers=headers,
            content=body,
            extensions={"timeout": timeout.as_dict()},
        )

    def open(self) -> Transport:
        """A transport that blocks; it connects when it first posts."""
        return _Blocking(self, httpx.HTTPTransport(verify=self.tls, proxy=_proxy(self.address)))

    def open_async(self) -> AsyncTransport:
        """A transport for the running event loop."""
        return _Async(self, httpx.AsyncHTTPTransport(verify=self.tls, proxy=_proxy(self.address)))


def _shared_headers(address: Address, token: str | None) -> dict[str, str]:
    """What every request says: who asks, and the token, or else the user and password of the URL."""
    parts = urlsplit(address.url)
    headers = {"User-Agent": "tbbridge-client"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    elif parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = "Basic " + base64.b64encode(login.encode()).decode()
    return headers


def _proxy(address: Address) -> str | None:
    """The environment's proxy (HTTPS_PROXY, NO_PROXY ...). Never for our own loopback, though few people exempt it."""
    parts = urlsplit(address.url)
    if address.is_loopback or urllib.request.proxy_bypass(parts.hostname or ""):
        return None
    proxies = urllib.request.getproxies()
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def _failed(error: Exception) -> TransportFailed:
    kind = type(error).__name__
    return TransportFailed(f"{kind}: {error}" if str(error) else kind)


def _answer(response: httpx.Response, body: bytes) -> Answer:
    headers = response.headers
    return Answer(response.status_code, headers.get("content-type", ""), headers.get("retry-after", ""), body)


@dataclass(frozen=True, slots=True)
class _Blocking:
    endpoint: Endpoint
    transport: httpx.HTTPTransport

    def post(self, body: bytes, timeout_s: float | None = None, report: str = "") -> Answer:
        try:
            response = self.transport.handle_request(self.endpoint.request(body, timeout_s, report))
            try:
                return _answer(response, response.read())
            finally:
                response.close()
        except (httpx.HTTPError, OSError) as error:
            raise _failed(error) from error

    def close(self) -> None:
        self.transport.close()


@dataclass(frozen=True, slots=True)
class _Async:
    endpoint: Endpoint
    transport: httpx.AsyncHTTPTransport

    async def post(self, body: bytes, report: str = "") -> Answer:
        try:
            response = await self.transport.handle_async_request(self.endpoint.request(body, report=report))
            try:
                return _answer(response, await response.aread())
            finally:
                await response.aclose()
        except (httpx.HTTPError, OSError) as error:
            raise _failed(error) from error

    async def aclose(self) -> None:
        await self.transport.aclose()


# --- all other calls --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to a call, of which the body is still to come. Belongs to the block that `Caller.call` opened."""

    status: int
    content_type: str
    retry_after: str
    response: httpx.Response = field(repr=False)

    def pieces(self) -> Iterator[bytes]:
        """The body as it arrives. Raises `TransportFailed` if it breaks off."""
        try:
            yield from self.response.iter_bytes()
        except (httpx.HTTPError, OSError) as error:
            raise _failed(error) from error

    def read(self) -> bytes:
        """All of the body."""
        return b"".join(self.pieces())


class Caller:
    """Any call to one server, made by one thread at a time. `timeout_s` is for each wait, not for a whole long answer."""

    def __init__(self, address: Address, timeout_s: float, token: str | None = None) -> None:
        self.address = address
        self._token = find_token(token)
        self._timeout = httpx.Timeout(timeout_s, connect=min(_CONNECT_TIMEOUT_S, timeout_s)).as_dict()
        tls = httpx.create_ssl_context(verify=address.url.startswith("https:"))
        self._transport = httpx.HTTPTransport(verify=tls, proxy=_proxy(address))

    @property
    def has_token(self) -> bool:
        """True if calls carry a token."""
        return self._token is not None

    @contextmanager
    def call(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]] = (),
        body: bytes | Iterable[bytes] = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[Reply]:
        """Make one call; `path` starts with a slash. Raises `TransportFailed`, and whatever an iterated body raises."""
        url = f"{self.address.shown}{path}" + (f"?{urlencode(query)}" if query else "")
        said = {**_shared_headers(self.address, self._token), **(headers or {})}
        request = httpx.Request(method, url, headers=said, content=body, extensions={"timeout": self._timeout})
        try:
            response = self._transport.handle_request(request)
        except (httpx.HTTPError, OSError) as error:
            raise _failed(error) from error
        # Made by the transport alone, it does not know its request, without which it does not decode its body.
        response.request = request
        try:
            known = response.headers
            yield Reply(response.status_code, known.get("content-type", ""), known.get("retry-after", ""), response)
        finally:
            response.close()

    def close(self) -> None:
        """Give the connection back."""
        self._transport.close()
