"""One file out of a form that comes in pieces of any size; what is no form is refused."""

from __future__ import annotations

import pytest

from tbbridge import limits
from tbbridge.errors import MalformedBody
from tbbridge.wire.multipart import FormFile

TYPE = "multipart/form-data; boundary=xYz"


def form(*parts: tuple[bytes, bytes], boundary: bytes = b"xYz") -> bytes:
    pieces = [b"--%s\r\n%s\r\n\r\n%s\r\n" % (boundary, head, content) for head, content in parts]
    return b"".join(pieces) + b"--%s--\r\n" % boundary


ARCHIVE = b'Content-Disposition: form-data; name="archive"; filename="backup.zip"'
OTHER = b'Content-Disposition: form-data; name="mysubmit"'

FILES = {
    "plain": b"PK\x03\x04 content",
    "empty": b"",
    "line breaks": b"\r\n\r\n--\r\n",
    "nearly the boundary": b"\r\n--xY\r\n--xYx\r\n--x",
    "the boundary in a line": b"a--xYz b",
    "long": bytes(range(256)) * 500,
}


def read(body: bytes, size: int, content_type: str = TYPE) -> bytes:
    reader = FormFile(content_type, "archive")
    got = b"".join(reader.feed(body[start : start + size]) for start in range(0, len(body), size))
    reader.close()
    return got


@pytest.mark.parametrize("size", [1, 2, 7, 100, 10**6])
@pytest.mark.parametrize("content", FILES.values(), ids=FILES.keys())
def test_the_file_is_found_whatever_the_pieces(content, size):
    if size == 1 and len(content) > 10_000:
        content = content[:10_000]
    assert read(form((OTHER, b"Go"), (ARCHIVE, content)), size) == content
    assert read(form((ARCHIVE + b"\r\nContent-Type: application/zip", content), (OTHER, b"")), size) == content


@pytest.mark.parametrize(
    ("head", "content_type"),
    [
        (b"content-disposition: form-data; filename=b.zip; name=archive", TYPE),
        (b'Content-Type: text/plain\r\nContent-Disposition:form-data;name="archive"', 'Multipart/Form-Data; boundary="xYz"'),
    ],
)
def test_headers_are_read_as_clients_write_them(head, content_type):
    assert read(form((head, b"zip")), 5, content_type) == b"zip"


def test_what_stands_before_and_behind_the_form_is_read_over():
    assert read(b"preamble\r\n" + form((ARCHIVE, b"zip")) + b"epilogue --xYz", 3) == b"zip"


def test_spaces_behind_a_boundary_are_allowed():
    assert read(form((ARCHIVE, b"zip")).replace(b"--xYz\r\n", b"--xYz \t\r\n", 1), 3) == b"zip"


@pytest.mark.parametrize("size", [1, 10**6])
@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "ends early"),
        (form((ARCHIVE, b"zip"))[:-8], "ends early"),
        (form((ARCHIVE, b"zip"))[:30], "ends early"),
        (form((OTHER, b"Go")), "has no field 'archive'"),
        (form((ARCHIVE, b"1"), (ARCHIVE, b"2")), "has the field 'archive' twice"),
        (b"--xYzz\r\n" + form((ARCHIVE, b"1")), "behind a boundary"),
        (b"--xYz\r\n" + b"a" * 20_000, "header is too long"),
        (b"--xYz" + b" " * 20_000, "line does not end"),
        (form((ARCHIVE, b"zip"), boundary=b"other"), "ends early"),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_what_is_no_whole_form_with_the_file_is_refused(body, says, size):
    with pytest.raises(MalformedBody, match=says):
        read(body, size)


def many_parts(count: int) -> bytes:
    return form(*[(b"X: %d" % number, b"") for number in range(count - 1)], (ARCHIVE, b"zip"))


@pytest.mark.parametrize("size", [7, 10**6])
def test_a_form_of_tiny_parts_is_refused_soon_and_not_copied_for_each(size):
    """4 MB of them kept the event loop busy for many seconds: each part copied all that stood behind it."""
    assert read(many_parts(limits.FORM_PARTS_MAX), size) == b"zip"
    with pytest.raises(MalformedBody, match=f"over {limits.FORM_PARTS_MAX} parts"):
        read(many_parts(limits.FORM_PARTS_MAX + 1), size)
    reader = FormFile(TYPE, "archive")
    with pytest.raises(MalformedBody, match="parts"):
        reader.feed(b"\r\n--xYz\r\nX:1\r\n\r\n" * 200_000)


@pytest.mark.parametrize(
    "content_type", ["multipart/form-data", "application/zip; boundary=x", f"multipart/form-data; boundary={'x' * 71}"]
)
def test_a_type_without_a_boundary_is_refused(content_type):
    with pytest.raises(MalformedBody, match="names no boundary"):
        FormFile(content_type, "archive")
