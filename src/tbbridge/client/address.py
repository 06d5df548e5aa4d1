"""Where the server is: everything a user may write for an address becomes one URL here, or an error that says what to write.

Pure: it looks nothing up and connects to nothing; only `from_environment` reads the environment. The path continues in
transport.py, which sends to `Address.url`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

from tbbridge.errors import InvalidItem

# As in lapiz: 6006 is TensorBoard, 6007 the bridge.
DEFAULT_PORT: Final = 6007
DEFAULT_HOST: Final = "127.0.0.1"
ENVIRONMENT_VARIABLE: Final = "TBBRIDGE_URL"
# Where on the server everything is written to.
WRITE_PATH: Final = "/api/v1/write"
_LOGIN: Final = re.compile(r"^([^/]*//)?[^/]*@")


@dataclass(frozen=True, slots=True)
class Address:
    """A server's address. `url` has no slash at its end; `shown` is the same without a password, for messages."""

    url: str = field(repr=False)
    shown: str
    is_loopback: bool


def find_address(address: str | None = None, port: int | None = None, hostname: str | None = None) -> Address:
    """The address meant by `Client`'s arguments: 'host', 'host:port', a URL, or nothing (TBBRIDGE_URL, else this machine).

    A URL without a port means its scheme's own, since something else listens in front; a plain host means port 6007.
    Raises `InvalidItem`, which is a ValueError.
    """
    if address is not None and hostname is not None:
        raise _wrong(f"both an address ({_shown(address)}) and a hostname ({_shown(hostname)}) are given; give one of the two")
    given = hostname if address is None else address
    if given is None and port is None:
        given = from_environment()
    if given is None:
        given = DEFAULT_HOST
    if not isinstance(given, str):
        raise _wrong(f"the server's address is a text such as '127.0.0.1:6007', not {type(given).__name__}")
    if port is not None and (isinstance(port, bool) or not isinstance(port, int)):
        raise _wrong(f"the port is a number such as 6007, not {port!a}")
    return _parse(given.strip(), port)


def from_environment() -> str | None:
    """What TBBRIDGE_URL says, if anything."""
    return os.environ.get(ENVIRONMENT_VARIABLE, "").strip() or None


def _parse(given: str, port: int | None) -> Address:
    if "://" in given:
        text, fallback = given, None
    else:
        text, fallback = f"http://{_bracketed(given)}", DEFAULT_PORT
    try:
        parts = urlsplit(text)
        own_port = parts.port
    except ValueError as error:
        reason = "its port is no number" if "@" in given else str(error)  # the system's words quote what was given
        raise _wrong(f"the address {_shown(given)} cannot be read ({reason}); write it like '127.0.0.1:6007'") from None
    _check(parts, given)
    if port is not None and own_port is not None and port != own_port:
        raise _wrong(f"the address {_shown(given)} says port {own_port} and the argument says {port}; give one of the two")
    chosen = own_port if own_port is not None else port if port is not None else fallback
    if chosen is not None and not 1 <= chosen <= 65535:
        raise _wrong(f"port {chosen} does not exist; ports go from 1 to 65535, tbbridge's is {DEFAULT_PORT}")
    host = parts.hostname or ""
    place = (f"[{host}]" if ":" in host else host) + ("" if chosen is None else f":{chosen}")
    path = parts.path.rstrip("/")
    user = parts.netloc.rpartition("@")[0]
    shown = f"{parts.scheme}://{place}{path}"
    return Address(f"{parts.scheme}://{user}@{place}{path}" if user else shown, shown, _is_loopback(host))


def _bracketed(host: str) -> str:
    """A bare IPv6 address gets the brackets that a URL wants around it."""
    try:
        return f"[{host}]" if isinstance(ip_address(host), IPv6Address) else host
    except ValueError:
        return host


def _check(parts: SplitResult, given: str) -> None:
    if parts.scheme not in ("http", "https"):
        raise _wrong(f"the address {_shown(given)} starts with '{parts.scheme}://'; tbbridge speaks http:// and https://")
    if not parts.hostname or any(not character.isprintable() or character in " \\,;" for character in parts.netloc):
        raise _wrong(f"the address {_shown(given)} names no host; write it like '127.0.0.1:6007' or 'http://host:6007'")
    if parts.query or parts.fragment:
        raise _wrong(f"the address {_shown(given)} has a '?' or '#' part; give only host, port and perhaps a path")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _shown(given: object) -> str:
    """What was given, for a message: without a user and password."""
    return ascii(_LOGIN.sub(r"\1...@", given) if isinstance(given, str) else given)


def _wrong(message: str) -> InvalidItem:
    return InvalidItem("address", message, "address")
