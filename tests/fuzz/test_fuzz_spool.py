"""Fuzzing of what a client keeps on disk until the server has it: spool files and the notes of how far they are sent."""

from __future__ import annotations

import io
import tempfile
from functools import cache
from pathlib import Path

from budget import fuzz
from damage import damaged
from hypothesis import example, given
from hypothesis import strategies as st

from tbbridge.client.spool import SENT_SUFFIX, SUFFIX, find_spools, load_progress, read_bodies, read_head
from tbbridge.events.tfrecord import frame

BODIES = [b"", b"first body", b"\0" * 40, bytes(range(256)), b"last"]
ABOUT = b'{"tbbridge_spool": 1, "url": "http://bridge:6007", "host": "node", "pid": 7, "created": 1.5}'
HEAD = frame(ABOUT)


@cache
def whole() -> bytes:
    return HEAD + b"".join(map(frame, BODIES))


def ends() -> list[int]:
    """Where each body ends, and the head."""
    return [len(HEAD) + sum(len(frame(body)) for body in BODIES[:count]) for count in range(len(BODIES) + 1)]


@fuzz("damaged spools", examples=120)
@given(damaged(st.just(whole()), most=3))
@example(HEAD[:-1] + b"\0" + whole())
def test_a_damaged_spool_gives_nothing_but_records_that_were_put_in_it(data: bytes) -> None:
    """No damage makes a body up or brings an error; what stands in front of it is there, in order.

    The head may come as one, if damage copies it whole to where a body would be: it is told by its place alone, and a bridge
    refuses it.
    """
    found = [(end, said) for end, said in read_bodies(io.BytesIO(data), 0)]
    bodies = [said for _, said in found if isinstance(said, bytes)]
    assert all(body in (*BODIES, ABOUT) for body in bodies)
    kept = next(
        (at for at, (ours, theirs) in enumerate(zip(whole(), data, strict=False)) if ours != theirs),
        min(len(whole()), len(data)),
    )
    intact = sum(end <= kept for end in ends()[1:]) if kept >= len(HEAD) else 0
    assert bodies[:intact] == BODIES[:intact]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a" + SUFFIX)
        path.write_bytes(data)
        assert find_spools(path.parent) == [path]
        head = read_head(path)
        assert (head is not None) == data.startswith(HEAD)


@fuzz("notes of how far a spool is sent", examples=120)
@given(
    st.one_of(
        st.integers(-5, 3 * len(whole())).map(lambda number: str(number).encode()),
        damaged(st.just(b"120")),
        st.binary(max_size=9),
    )
)
@example(b"9" * 30)
@example(b"9" * 5_000)
@example(str(2 * len(whole())).encode())
@example(str(len(whole()) - 5).encode())
def test_a_wrong_note_of_how_far_a_spool_is_sent_costs_no_body(note: bytes) -> None:
    """Whatever the note says, sending goes on at the start of a body; if the note cannot be, all are sent again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "a" + SUFFIX)
        path.write_bytes(whole())
        path.with_suffix(SENT_SUFFIX).write_bytes(note)
        offset = load_progress(path)
        with path.open("rb") as file:
            bodies = [said for _, said in read_bodies(file, offset)]
    assert offset in (0, *ends())
    assert bodies == BODIES[ends().index(offset) if offset else 0 :]
