"""How a run is, in both forms of a write: it comes back as it went, and a word that nobody knows is refused by name."""

from __future__ import annotations

import json

import pytest

from tbbridge.errors import InvalidBatch
from tbbridge.model import Batch, RunBatch, RunStatus, run_name
from tbbridge.v1 import write_pb2
from tbbridge.wire import json_v1, protobuf_v1


@pytest.mark.parametrize("status", [*RunStatus, None])
def test_a_status_comes_back_from_the_binary_form(status: RunStatus | None) -> None:
    batch = Batch((RunBatch(run_name("r"), create=True, status=status),))
    assert protobuf_v1.decode_batch(protobuf_v1.encode_batch(batch)).batch == batch


@pytest.mark.parametrize("status", list(RunStatus))
@pytest.mark.parametrize("more", [{}, {"summaries": [{"kind": "nonsense"}]}], ids=["clean", "with something wrong beside it"])
def test_a_status_is_read_from_json_on_both_paths(status: RunStatus, more: dict[str, object]) -> None:
    body = json.dumps({"runs": [{"run": "r", "status": status.value, **more}]}).encode()
    assert json_v1.decode_batch(body, partial=True).batch.runs == (RunBatch(run_name("r"), status=status),)


def test_a_number_that_this_version_does_not_know_is_refused_by_name() -> None:
    body = write_pb2.WriteRequest(runs=[write_pb2.RunBatch(run="r", status=9)]).SerializeToString()  # type: ignore[arg-type]
    with pytest.raises(InvalidBatch, match=r"runs\[0\].status: status 9 is not known here"):
        protobuf_v1.decode_batch(body)


def test_of_two_words_about_one_run_the_later_counts() -> None:
    said = [{"run": "r", "status": "running"}, {"run": "r", "status": "failed"}, {"run": "r", "create": True}]
    (run,) = json_v1.decode_batch(json.dumps({"runs": said}).encode()).batch.runs
    assert run.status is RunStatus.FAILED
