"""Who is let in: the Host a request was sent to, the page it comes from, and the token it carries. The edge asks first of all.

A browser that shows a stranger's page must not be a way in. A page of another origin is refused, whatever it sends (and is not
told the answer: no CORS, unless the setting names it); a name that a stranger's DNS points at us is refused, since only names
of this machine, addresses and names without a dot are ours (which no public DNS can have).
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import logging
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from starlette.types import Scope as Request

from tbbridge import limits
from tbbridge.errors import Forbidden, Misdirected, TBBridgeError, Unauthorized
from tbbridge.server.tokens import Scope, Tokens

log = logging.getLogger(__name__)

Headers = list[tuple[bytes, bytes]]

# Told to anybody: whether it lives, what it is, how it is used.
_OPEN: Final = frozenset(
    {"/", "/health", "/healthz", "/readyz", "/api/v1/version", "/openapi.json", "/docs"}
    | {"/page/app.js", "/page/app.css", "/page/icon.svg"}  # the same for everybody: the page at / asks for the token
)
_LOOKING: Final = frozenset({"GET", "HEAD"})
# What a browser asks before a page of another origin may send what a form could not.
_PREFLIGHT: Final = b"access-control-request-method"
# What lets a page of an allowed origin send what it wants to, besides the headers that `Guard.check` gives.
PREFLIGHT_ANSWER: Final = (
    (b"access-control-allow-methods", b"GET, HEAD, POST, PUT, DELETE"),
    (b"access-control-allow-headers", b"authorization, content-type, content-encoding, last-event-id"),
    (b"access-control-max-age", b"600"),
    (b"content-length", b"0"),
)


def scope_of(method: str, path: str) -> Scope | None:
    """What a token has to allow for this request; None: nothing. Whatever is not known to be harmless is for admins."""
    if method in _LOOKING:
        return None if path in _OPEN else Scope.READ
    if method == "POST" and (path in ("/api/v1/write", "/data") or path.startswith("/data/")):
        return Scope.WRITE
    return Scope.ADMIN


def own_names() -> frozenset[str]:
    """What this machine calls itself. May ask the DNS, so not on the event loop."""
    return frozenset({socket.gethostname().lower(), socket.getfqdn().lower()})


class Guard:
    """Judges requests by their heads."""

    def __init__(self, tokens: Tokens, names: Sequence[str] = (), origins: Sequence[str] = ()) -> None:
        """`names`: Host names that are ours too ('*': all); `origins`: pages that may ask, as 'https://dash.example.org'."""
        self.tokens = tokens
        self._names = frozenset(name.lower() for name in names)
        self._any_name = "*" in names
        self._origins = frozenset(origin.rstrip("/").lower().encode() for origin in origins)
        self._is_own = lru_cache(maxsize=256)(self._judge_host)

    def add_names(self, names: frozenset[str]) -> None:
        """From now on these Host names are ours too."""
        self._names |= names
        self._is_own.cache_clear()

    def check(self, request: Request) -> Headers | None:
        """Raise `Misdirected`, `Forbidden` or `Unauthorized`; else headers to add to the answer, None for none."""
        host = origin = authorization = b""
        preflight = False
        for name, value in request["headers"]:
            if name == b"host":
                host = value
            elif name == b"origin":
                origin = value
            elif name == b"authorization":
                authorization = value
            elif name == _PREFLIGHT:
                preflight = True
        if not self._any_name and not self._is_own(host):
            shown = host[:80].decode("latin-1")
            raise Misdirected(
                f"this bridge is not called {shown!a}; name it by its address or host name, or add the name to --allowed-hosts"
            )
        allowed = self._check_origin(origin, host) if origin else None
        if allowed is not None and preflight and request["method"] == "OPTIONS":
            return allowed  # which carries no token; the request itself will
        if self.tokens.required:
            needed = scope_of(request["method"], request["path"])
            if needed is not None:
                self._check_token(authorization, needed)
        return allowed

    def _check_origin(self, origin: bytes, host: bytes) -> Headers | None:
        if host and origin.lower().partition(b"://")[2] == host.lower():
            return None
        if origin.lower() not in self._origins:
            shown = origin[:80].decode("latin-1")
            raise Forbidden(f"pages of {shown!a} may not ask this bridge; add the origin to --allowed-origins if they should")
        return [(b"access-control-allow-origin", origin), (b"vary", b"origin")]

    def _check_token(self, authorization: bytes, needed: Scope) -> None:
        secret = _secret_of(authorization)
        if secret is None:
            message = "this bridge asks for a token; send 'Authorization: Bearer TOKEN' (TBBRIDGE_TOKEN for our own clients)"
            raise Unauthorized(message)
        token = self.tokens.find(secret)
        if token is None:
            raise Unauthorized("this token is not known here: mistyped, revoked, or of another bridge")
        if not token.allows(needed):
            raise Forbidden(f"the token {token.name!a} does not allow {needed}; ask for one that does")

    def _judge_host(self, host: bytes) -> bool:
        name = _host_name(host.decode("latin-1").lower())
        if "." not in name and ":" not in name:
            return True  # also the empty one: HTTP/1.0, and no browser
        if name in self._names or name.endswith(".localhost"):
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


class Denials:
    """Says in the log who is not let in, since whoever waits for points that do not come looks there first.

    A stranger must not fill the disk: one line of a kind in `limits.DENIALS_LOG_S`, which says how many there were before it.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._due: dict[str, float] = {}  # by the error's code, of which there are three
        self._unsaid: Counter[str] = Counter()

    def note(self, error: TBBridgeError, method: str, client: str) -> None:
        """One request of `client` was refused with `error`."""
        now = self._clock()
        if now < self._due.get(error.code, now):
            self._unsaid[error.code] += 1
            return
        self._due[error.code] = now + limits.DENIALS_LOG_S
        more = self._unsaid.pop(error.code, 0)
        others = f"; {more} more like it since the last such line" if more else ""
        log.warning("refused a %s of %s: %s%s", method, client or "an unknown address", error.message, others)


def _host_name(host: str) -> str:
    """The name in a Host header, without port, brackets and the dot that ends a full name."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0].rstrip(".") if host.count(":") == 1 else host.rstrip(".")


def _secret_of(authorization: bytes) -> bytes | None:
    """The token in an Authorization header: `Bearer`, or the password of `Basic`, which every HTTP client can send."""
    kind, _, value = authorization.partition(b" ")
    value = value.strip()
    if kind.lower() == b"bearer" and value:
        return value
    if kind.lower() == b"basic":
        try:
            password = base64.b64decode(value, validate=True).partition(b":")[2]
        except binascii.Error:
            return None
        return password or None
    return None
