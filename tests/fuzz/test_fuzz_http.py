"""Fuzzing of a live bridge: what its OpenAPI document allows and what it does not, and raw bytes on its port."""

from __future__ import annotations

import functools
import io
import json
import re
import socket
import urllib.parse
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from budget import fuzz
from damage import TEXTS, damaged
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from processes import Process, address_in, serve
from schemathesis import GenerationMode
from schemathesis.checks import (
    content_type_conformance,
    negative_data_rejection,
    not_a_server_error,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tbbridge.events.summaries import encode_file_start
from tbbridge.server.app import build_app
from tbbridge.server.settings import ServerSettings
from tbbridge.wire.json_v1_schema import WRITE_EXAMPLE

# Nothing that was sent may be the reason for a delay of more than this.
PATIENCE_S = 30.0
MOMENT_S = 0.3
NAMES = st.sampled_from(["digits/lr=1e-3", "digits", "other", "deep/er/run", ".", "a" * 300])
TAGS = st.sampled_from(["loss/train", "accuracy", "settings", "weights", "sample", "voice"])


def fill(address: str) -> None:
    """Something of every kind to be read, in two runs."""
    for run in ("digits/lr=1e-3", "other"):
        content = {**WRITE_EXAMPLE, "writer": run, "runs": [{**WRITE_EXAMPLE["runs"][0], "run": run}]}
        assert requests.post(f"{address}/api/v1/write", json=content, timeout=PATIENCE_S).status_code == 200


@pytest.fixture(scope="module")
def bridge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a live bridge. Whatever was asked of it, it is alive and ready at the end, and logged no traceback."""
    logdir = tmp_path_factory.mktemp("fuzz") / "runs"
    with serve(logdir, "--veil-s", "0.01") as process:
        address = address_in(process)
        fill(address)
        yield address
        assert_well(process, address)


def assert_well(process: Process, address: str) -> None:
    assert requests.get(f"{address}/readyz", timeout=PATIENCE_S).status_code == 200, process.output[-5000:]
    assert process.end() == 0
    assert "Traceback" not in process.output, process.output[-5000:]


# --- what the document says -----------------------------------------------------------------------------------------------

DOCUMENT: dict[str, Any] = build_app(ServerSettings()).openapi()
# To schemathesis a zip is bytes like any others.
schemathesis.serializer.alias("application/zip", "application/octet-stream")
SCHEMA = schemathesis.openapi.from_dict(DOCUMENT)
OPERATIONS = {f"{found.ok().method.upper()} {found.ok().path}": found.ok() for found in SCHEMA.get_all_operations()}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]


@functools.cache
def cases(name: str) -> st.SearchStrategy[schemathesis.Case]:
    operation = OPERATIONS[name]
    return st.one_of(
        operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
        operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
        operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
    )


@pytest.mark.parametrize("name", [name for name in OPERATIONS if name != "GET /api/v1/live"])  # an answer without an end
@fuzz("the OpenAPI document", examples=10, weight=0.2)
@given(st.data())
def test_every_answer_is_one_that_the_document_declares(bridge: str, name: str, data: st.DataObject) -> None:
    """No request, whether the document allows it or not, gets an answer of 500 or one that the document does not know."""
    case = data.draw(cases(name))
    query = case.query
    if query and data.draw(st.booleans()):  # else hardly any would ask for a run that is there
        query.update({key: data.draw(names) for key, names in (("run", NAMES), ("tag", TAGS)) if key in query})
    if query:
        query.pop("follow", None)  # such an answer ends when the reader goes
    response = case.call(base_url=bridge, timeout=PATIENCE_S)
    case.validate_response(response, checks=CHECKS)


# --- what nobody documents -------------------------------------------------------------------------------------------------

PATHS = st.sampled_from(sorted({
    *DOCUMENT["paths"], "/", "/docs", "/openapi.json", "/nothing", "/data", "/data/scalars", "/data/histograms", "/data/runs",
    "/backup", "/data/run/other/summary", "/data/run/%2e%2e%2fx/summary", "/data/run/%ff/summary", "/data/run//summary",
    "/data/run/a%0ab/summary", "/data/backup/other", "/backup/other", "/health", "*", "//", "/%00",
    "/api/v1/../../etc/passwd", "http://elsewhere/api/v1/runs",
}))  # fmt: skip
METHODS = st.sampled_from([*["GET", "POST", "PUT", "DELETE"] * 4, "HEAD", "OPTIONS", "PATCH", "TRACE", "get", "BREW"])
QUERIES = st.lists(
    st.tuples(
        st.sampled_from(
            ["run", "tag", "xp", "name", "tobuild", "force", "ack", "partial", "format", "max_points", "tail", "below", "x"]
        ),
        st.one_of(TEXTS, NAMES, TAGS, st.sampled_from(["true", "1", "0", "-1", "queued", "csv", "9" * 30, "nan", "1e9"])),
    ),
    max_size=3,
).map(lambda pairs: urllib.parse.urlencode(pairs, errors="surrogatepass"))
# What the routes take, mostly.
KNOWN = st.sampled_from([
    *(name.split(" ") for name in OPERATIONS if not name.endswith(("logs", "live"))),
    ["GET", "/"], ["GET", "/docs"], ["GET", "/data"],
    ["DELETE", "/data"], ["POST", "/data"], ["GET", "/data/scalars"], ["POST", "/data/scalars"], ["GET", "/data/histograms"],
    ["POST", "/data/histograms"], ["GET", "/data/runs"], ["GET", "/backup"], ["POST", "/backup"], ["POST", "/backup/other"],
    ["GET", "/data/backup/other"], ["POST", "/data/run/other/summary"], ["GET", "/health"], ["GET", "/api/v1/logs"],
])  # fmt: skip


def archive() -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as made:
        made.writestr("run/events.out.tfevents.1", encode_file_start(1.0, session_start=True))
    return raw.getvalue()


JSON, FORM = b"application/json", b"multipart/form-data; boundary=x"
BODIES = st.one_of(
    st.sampled_from([
        (JSON, b"{}"), (JSON, b'"experiment"'), (JSON, b'{"modelName": "m", "pointType": "t", "pointValue": 1}'),
        (JSON, b"[1.5, 3, 0.5]"), (JSON, b"[1.5, 3, [1, 2]]"),
        (JSON, b'{"step": 1, "summaries": [{"tag": "t", "type": "scalar", "value": 1}]}'),
        (JSON, json.dumps(WRITE_EXAMPLE).encode()), (JSON, b'{"groups": []}'), (JSON, b'{"run": "a", "to": "b"}'),
        (JSON, b""), (b"application/zip", archive()), (b"application/zip", b"PK\x05\x06" + bytes(18)),
        (b"application/x-protobuf", b"\x0a\x03\x0a\x01a"),
        (FORM, b'--x\r\nContent-Disposition: form-data; name="archive"\r\n\r\n' + archive() + b"\r\n--x--\r\n"),
        (FORM, b"--x--"),
    ]),
    st.tuples(st.sampled_from([JSON, FORM, b"application/x-protobuf"]), st.binary(max_size=60)),
)  # fmt: skip
HEADERS = st.sampled_from([
    b"Content-Type: application/json", b"Content-Type: application/json; charset=latin-1",
    b"Content-Type: application/x-protobuf", b"Content-Type: multipart/form-data; boundary=x",
    b"Content-Type: multipart/form-data; boundary=", b"Content-Type: \xff\xfe", b"Content-Type: application/zip",
    b"Content-Encoding: gzip", b"Content-Encoding: zstd", b"Content-Encoding: br, gzip", b"Accept: text/html",
    b"Accept: \xff", b"Host: evil.example", b"Host: ", b"Host: [::1", b"Host: a:b:c", b"Origin: http://evil.example",
    b"Origin: null", b"Authorization: Bearer x", b"Authorization: \xff", b"Authorization: Basic Og==", b"Range: bytes=0-1",
    b"Expect: 100-continue", b"Transfer-Encoding: chunked", b"Content-Length: 5", b"Content-Length: -1",
    b"Content-Length: 9" + b"9" * 30, b"X-Request-ID: \xe9", b"X-Request-ID: " + b"a" * 500, b"Cookie: " + b"c" * 3000,
    b"X: " + b"y" * 70_000, b"Upgrade: websocket", b"Access-Control-Request-Method: PUT", b"If-None-Match: *",
    b"Sec-Fetch-Site: cross-site", b"Bad Header: x", b"no colon",
])  # fmt: skip


@st.composite
def exchanges(draw: DrawFn) -> bytes:
    method, path = draw(st.one_of(KNOWN, KNOWN, st.tuples(METHODS, PATHS)))
    query, (kind, body) = draw(QUERIES), draw(BODIES)
    headers = draw(st.lists(HEADERS, max_size=2))
    if draw(st.integers(0, 9)):
        headers = [b"Host: 127.0.0.1", b"Content-Length: %d" % len(body), b"Content-Type: " + kind, *headers]
    start = f"{method} {path}{'?' + query if query else ''} HTTP/1.1".encode("latin-1", errors="replace")
    return draw(damaged(st.just(b"\r\n".join([start, *headers, b"Connection: close", b"", body])), most=1))


def answer_to(address: str, raw: bytes) -> tuple[int | None, bytes]:
    """The status and all bytes of the answer to `raw`; no status if the connection was closed without one.

    A request that promises more than it has is ended after a moment, which may cut its answer off.
    """
    place = urllib.parse.urlsplit(address)
    with socket.create_connection((place.hostname or "", place.port or 0), timeout=MOMENT_S) as connection:
        came = io.BytesIO()
        try:
            connection.sendall(raw)
            try:
                receive_all(connection, came)
            except TimeoutError:
                connection.settimeout(PATIENCE_S)
                connection.shutdown(socket.SHUT_WR)
                receive_all(connection, came)
        except (ConnectionResetError, BrokenPipeError):  # it has answered and let the rest go
            pass
    found = re.match(rb"(?:HTTP/1\.1 1\d\d .*?\r\n\r\n)*HTTP/1\.1 (\d\d\d) ", came.getvalue(), re.DOTALL)
    assert found or not came.getvalue(), came.getvalue()[:500]
    return int(found[1]) if found else None, came.getvalue()


def receive_all(connection: socket.socket, into: io.BytesIO) -> None:
    while piece := connection.recv(1 << 16):
        into.write(piece)


@fuzz("raw requests", examples=100, weight=3)
@given(exchanges())
def test_whatever_comes_over_the_wire_is_answered_below_500_or_not_at_all(bridge: str, raw: bytes) -> None:
    """No bytes on the port bring out an internal error, a traceback, or a connection that hangs; 501 and 505 are HTTP's own."""
    status, body = answer_to(bridge, raw)
    assert status is None or status < 500, (status, body)
    assert b"Traceback" not in body
