"""What the routes of the old clients share: routes that cost little, errors as one line of plain text, queries read leniently.

Their paths are the ones that their clients know, and are no part of the OpenAPI document: docs/compat/ describes them. Each
dialect's routes are in routes/<name>.py, what several of them share (`/`, `/data`, archives) in routes/shared.py and
routes/backups.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import Final, TypeAlias, TypeVar
from urllib.parse import parse_qsl, unquote

from fastapi import FastAPI
from starlette.convertors import Convertor, register_url_convertor
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tbbridge import limits
from tbbridge.errors import InvalidItem, InvalidQuery, TBBridgeError, Unready, UnsupportedMedia
from tbbridge.model import Batch
from tbbridge.server import request_ids
from tbbridge.server.answers import Answer, Headers
from tbbridge.server.bodies import BodyHead, body_of, read_head
from tbbridge.server.queries import repeats_in
from tbbridge.server.routes.write import DirectRoute
from tbbridge.server.service import Service

T = TypeVar("T")

Handler: TypeAlias = Callable[[Scope, Receive], Awaitable[Response]]
Refusal: TypeAlias = Callable[[TBBridgeError], Response]


class _AnyName(Convertor[str]):
    """A part of a path that holds anything, line breaks too, so that a name with one is refused as a name."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("anyname", _AnyName())

_TEXT: Final = b"text/plain; charset=utf-8"


def plain(text: str, status: int = 200, headers: Sequence[tuple[bytes, bytes]] = ()) -> Answer:
    """One line of text."""
    return Answer(text.encode(errors="replace"), _TEXT, status, [*headers])


def always_400(error: TBBridgeError) -> Answer:
    """An error as crayon's and pastalog's clients know it: 400 and a text. What passes by itself says so by its own status."""
    return _refusal(error, error.status if isinstance(error, Unready) else 400)


def with_status(error: TBBridgeError) -> Answer:
    """An error with the status that says what it is; what is wrong in the body is 400."""
    return _refusal(error, 400 if error.status in (415, 422) else error.status)


def _refusal(error: TBBridgeError, status: int) -> Answer:
    request_ids.note_problem(error.code)
    headers: Headers = []
    if isinstance(error, Unready):
        headers.append((b"retry-after", b"%d" % max(1, round(error.retry_after_s))))
    return plain(error.message, status, headers)


def add_route(app: FastAPI, path: str, handlers: Mapping[str, Handler], refusal: Refusal, *, first: bool = False) -> None:
    """Answer `path` by method, past FastAPI's own handling; a `TBBridgeError` is answered by `refusal`.

    `first`: try this route right behind that of /api/v1/write, for those that are asked all the time: each costs a microsecond.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await handlers[scope["method"]](scope, receive)
        except TBBridgeError as error:
            response = refusal(error)
        await response(scope, receive, send)

    class Route(DirectRoute):
        direct = staticmethod(answer)

    async def endpoint() -> None:
        raise AssertionError("requests go to Route.direct")

    app.router.add_api_route(path, endpoint, methods=list(handlers), include_in_schema=False, route_class_override=Route)
    if first:
        app.router.routes.insert(1, app.router.routes.pop())


def query_of(scope: Scope) -> Mapping[str, str]:
    """The query's parameters, each of which comes once. Raises `InvalidItem` and `InvalidQuery`."""
    raw: bytes = scope["query_string"]
    return _kept_query(raw) if len(raw) <= limits.QUERY_KEPT_MAX_BYTES else _read_query(raw)


def _read_query(raw: bytes) -> Mapping[str, str]:
    try:
        pairs = parse_qsl(raw.decode("latin-1"), keep_blank_values=True, errors="strict", max_num_fields=20)
    except ValueError:
        message = "the query is not UTF-8, or has too many parameters; encode names as UTF-8 and then with % signs"
        raise InvalidItem("query", message, "query") from None
    wrong = repeats_in(name for name, _ in pairs)
    if wrong:
        raise InvalidQuery(wrong)
    return MappingProxyType(dict(pairs))


_kept_query = lru_cache(limits.QUERIES_KEPT)(_read_query)


def path_name(scope: Scope, before: str, after: str = "") -> str:
    """The name between `before` and `after` in the path. Raises `InvalidItem` where the server itself would put a U+FFFD."""
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    try:
        path = unquote(raw.partition(b"?")[0].decode("ascii"), errors="strict")
    except UnicodeDecodeError:
        raise InvalidItem("not-utf8", "the path is not UTF-8; encode names as UTF-8 and then with % signs", "path") from None
    return path.removeprefix(before).removesuffix(after)


def json_head(scope: Scope) -> BodyHead:
    """The head of a body that has to be JSON: the old servers asked for that too, and no page of strangers can send it.

    Raises `UnsupportedMedia`.
    """
    head = read_head(scope)
    if head.content_type != b"application/json" and head.content_type.partition(b";")[0].strip().lower() != b"application/json":
        came = f"Content-Type {head.content_type[:60].decode('latin-1')!a}" if head.content_type else "no Content-Type"
        raise UnsupportedMedia(f"{came} came; send application/json")
    return head


async def write(scope: Scope, receive: Receive, service: Service, decode: Callable[[bytes], Batch]) -> None:
    """Decode the request's JSON body, and store what it holds; all of it is on disk when this returns."""
    batch = await read_json(scope, receive, service, decode)
    if batch.runs:
        await service.door.submit(batch)


async def read_json(scope: Scope, receive: Receive, service: Service, decode: Callable[[bytes], T]) -> T:
    """What `decode` makes of the request's JSON body; of a long one in a thread, so that other requests go on."""
    async with body_of(json_head(scope), receive, service) as body:
        if len(body) <= limits.DECODE_INLINE_MAX_BYTES:
            return decode(body)
        return await asyncio.to_thread(decode, body)
