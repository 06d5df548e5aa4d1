"""Answers and problems as bytes, in the form the request was in: one place that decides what an error looks like outside.

A problem says the error's code, status and message, and nothing else about what happened inside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Scope

from tbbridge.errors import (
    InvalidBatch,
    InvalidItem,
    InvalidQuery,
    ItemError,
    TBBridgeError,
    Unauthorized,
    Unready,
    UnsupportedMedia,
)
from tbbridge.server import request_ids
from tbbridge.wire import compression, json_v1, protobuf_v1
from tbbridge.wire.collect import Collected

Headers = list[tuple[bytes, bytes]]

# Answers quote names that strangers chose; no browser may take one for anything but what its type says.
NO_SNIFFING: Final = (b"x-content-type-options", b"nosniff")


@dataclass(frozen=True, slots=True)
class Form:
    """One form of the interface: how it is called, read and written."""

    media_type: str
    problem_type: str
    media_type_bytes: bytes  # the same, as it stands in a header
    decode_batch: Callable[..., Collected]
    encode_response: Callable[..., bytes]
    encode_problem: Callable[[str, str, int, str, str, Sequence[ItemError], str], bytes]


JSON: Final = Form(
    "application/json",
    "application/problem+json",
    b"application/json",
    json_v1.decode_batch,
    json_v1.encode_response,
    json_v1.encode_problem,
)
PROTOBUF: Final = Form(
    "application/x-protobuf",
    "application/x-protobuf",
    b"application/x-protobuf",
    protobuf_v1.decode_batch,
    protobuf_v1.encode_response,
    protobuf_v1.encode_problem,
)

_FORMS: Final = {
    b"application/json": JSON,
    b"application/x-protobuf": PROTOBUF,
    b"application/protobuf": PROTOBUF,
    b"application/vnd.google.protobuf": PROTOBUF,
}


def form_of(content_type: bytes) -> Form:
    """The form that a Content-Type header names. Raises `UnsupportedMedia`."""
    form = _FORMS.get(content_type)
    if form is not None:
        return form
    media_type, _, parameters = content_type.partition(b";")
    form = _FORMS.get(media_type.strip().lower())
    charset = parameters.strip().lower().replace(b'"', b"")
    if form is None:
        came = f"Content-Type {content_type[:60].decode('latin-1')!a}" if content_type else "the Content-Type header"
        verb = "is not spoken here" if content_type else "is missing"
        raise UnsupportedMedia(f"{came} {verb}; send application/json or application/x-protobuf")
    if charset.startswith(b"charset=") and charset not in (b"charset=utf-8", b"charset=utf8"):
        raise UnsupportedMedia(f"{charset[:40].decode('latin-1')} is not spoken here; send UTF-8")
    return form


def form_of_scope(scope: Scope) -> Form:
    """The form in which to answer a request that failed: protobuf if it was sent so, else JSON."""
    for name, value in scope["headers"]:
        if name == b"content-type":
            return _FORMS.get(value.partition(b";")[0].strip().lower(), JSON)
    return JSON


class Answer(Response):
    """A response whose bytes are ready: starlette's own renders and encodes what is known here already."""

    def __init__(self, body: bytes, media_type: bytes, status: int = 200, headers: Headers | None = None) -> None:
        self.status_code = status
        self.body = body
        self.background = None
        self.raw_headers = [(b"content-type", media_type), (b"content-length", b"%d" % len(body)), *(headers or ())]


def json_answer(content: object, status: int = 200) -> Answer:
    """`content` as JSON; NaN and infinities as the strings of the interface."""
    return Answer(to_json(content, inf_nan_mode="strings"), b"application/json", status)


def problem(error: TBBridgeError, form: Form) -> Answer:
    """`error` as its sender sees it."""
    errors: Sequence[ItemError] = ()
    if isinstance(error, InvalidBatch | InvalidQuery):
        errors = error.errors
    elif isinstance(error, InvalidItem):
        errors = (error.at(""),)
    headers: Headers = []
    if isinstance(error, Unready):
        headers.append((b"retry-after", b"%d" % max(1, round(error.retry_after_s))))
    elif isinstance(error, Unauthorized):
        headers.append((b"www-authenticate", b'Bearer realm="tbbridge"'))
    elif isinstance(error, UnsupportedMedia):
        headers.append((b"accept", b"application/json, application/x-protobuf"))
        headers.append((b"accept-encoding", ", ".join(compression.ENCODINGS).encode()))
    return raw_problem(error.title, error.status, error.message, error.code, form, errors, headers)


def raw_problem(
    title: str,
    status: int,
    detail: str,
    code: str,
    form: Form,
    errors: Sequence[ItemError] = (),
    headers: Headers | None = None,
) -> Answer:
    """A problem that is none of our errors: an unknown route, a method that a route does not have."""
    request_ids.note_problem(code)
    body = form.encode_problem(problem_type(code), title, status, detail, code, errors, request_ids.current_id())
    return Answer(body, form.problem_type.encode(), status, headers)


def problem_type(code: str) -> str:
    """The `type` of a problem: a name, not an address to visit."""
    return f"urn:tbbridge:error:{code}"


def http_problem(status: int, detail: str, form: Form, headers: Headers | None = None) -> Answer:
    """A problem that HTTP itself has a name for."""
    phrase = HTTPStatus(status).phrase
    return raw_problem(phrase, status, detail, phrase.lower().replace(" ", "-"), form, (), headers)
