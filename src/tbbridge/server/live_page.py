"""The live page at `/`, with its script, style and icon: made from web/ (npm), kept as package data, served as they are.

The page shows what strangers named and wrote. So its headers let it run its own script and style only, ask this bridge only,
and never make HTML out of a string (trusted types): a name that got through all else would still be text. Whoever needs a token
gets the page without one, and is asked for it there.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from html import escape
from importlib.resources import files
from typing import Final

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from tbbridge.server.answers import Answer, Headers
from tbbridge.server.pages import SHARED_HEADERS
from tbbridge.server.service import Service

# Where the parts are; guard.py lets everybody have them.
PATHS: Final = {
    "/page/app.js": ("app.js", b"text/javascript; charset=utf-8"),
    "/page/app.css": ("app.css", b"text/css; charset=utf-8"),
    "/page/icon.svg": ("icon.svg", b"image/svg+xml"),
}
_HTML: Final = b"text/html; charset=utf-8"
_POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src blob:; connect-src 'self'; "
    b"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS: Final[Headers] = [(b"content-security-policy", _POLICY), *SHARED_HEADERS]
# The files change with the bridge's version: a browser asks each time, and is told with a few bytes that nothing did.
_CACHING: Final = (b"cache-control", b"no-cache")


@dataclass(frozen=True, slots=True)
class _Part:
    """One file, as it is sent."""

    content: bytes
    packed: bytes
    content_type: bytes
    etag: bytes

    def answer(self, scope: Scope) -> Answer:
        """What a browser gets that has it, takes gzip, or neither."""
        asked = dict(reversed(scope["headers"]))
        headers = [*_HEADERS, _CACHING, (b"etag", self.etag), (b"vary", b"accept, accept-encoding")]
        if self.etag in asked.get(b"if-none-match", b""):
            unchanged = Answer(b"", self.content_type, 304)
            unchanged.raw_headers = headers  # the length would be that of a body
            return unchanged
        if b"gzip" in asked.get(b"accept-encoding", b"").lower():
            return Answer(self.packed, self.content_type, 200, [*headers, (b"content-encoding", b"gzip")])
        return Answer(self.content, self.content_type, 200, headers)


class LivePage:
    """The page with what the settings say put in."""

    def __init__(self, service: Service) -> None:
        address = service.settings.tensorboard_url
        self._tensorboard = "" if address == "none" else address

    def answer(self, scope: Scope) -> Answer:
        """The page itself."""
        return _page(self._tensorboard).answer(scope)

    def add_routes(self, app: FastAPI) -> None:
        """Add the routes of its parts; they are no part of the OpenAPI document."""

        async def part(request: Request) -> Response:
            return _file(request.scope["path"]).answer(request.scope)

        add: Callable[..., None] = app.router.add_api_route
        for path in PATHS:
            add(path, part, methods=["GET", "HEAD"], include_in_schema=False)


@cache
def _file(path: str) -> _Part:
    name, content_type = PATHS[path]
    return _made(_read(name), content_type)


@cache
def _page(tensorboard: str) -> _Part:
    return _made(_read("index.html").replace(b"{tensorboard}", escape(tensorboard).encode()), _HTML)


def _read(name: str) -> bytes:
    return files("tbbridge.server").joinpath("web", name).read_bytes()


def _made(content: bytes, content_type: bytes) -> _Part:
    etag = b'"' + hashlib.sha256(content).hexdigest()[:32].encode() + b'"'
    return _Part(content, gzip.compress(content, 9, mtime=0), content_type, etag)
