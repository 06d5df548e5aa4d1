"""A purge that travels with the first body is not lost with it: it belongs to the run, not to the values beside it."""

from __future__ import annotations

import pytest

from tbbridge.client.answers import Answer
from tbbridge.client.backlog import Note
from tbbridge.client.outbox import Outbox
from tbbridge.model import run_name, tag_name
from tbbridge.v1 import write_pb2

RUN = run_name("r")


def purges(outbox: Outbox, tag: str) -> list[int | None]:
    """What the next body asks for, which carries one text."""
    outbox.backlog.add(Note(RUN, tag_name(tag), "x", 100, 1.0))
    outbox.all_due()
    sending = outbox.next_body()
    assert sending is not None
    assert sending.body is not None
    return [run.purge_step for run in sending.body.runs]


@pytest.mark.parametrize(("status", "again"), [(200, None), (413, 100)])
def test_a_purge_goes_with_the_next_body_if_the_first_was_too_large(status: int, again: int | None) -> None:
    outbox = Outbox("x", max_points=1000, max_bytes=10**6, batch_bytes=10**6)
    outbox.purge(RUN, 100)
    assert purges(outbox, "first") == [100]
    outbox.answered(Answer(status, "application/x-protobuf", "", write_pb2.WriteResponse(accepted=1).SerializeToString()))
    assert purges(outbox, "second") == [again]
