"""Every kind through the client that openapi-python-client generates; prints what came of it as one line of JSON."""

from __future__ import annotations

import base64
import json
import sys
import time
from typing import Any

from bridge import Client
from bridge.api.manage import get_archive, put_archive
from bridge.api.read import list_runs, read_blob, read_hparams, read_scalars, read_texts
from bridge.api.write import write
from bridge.models import (
    AudioSummary,
    Category,
    Chart,
    CustomScalarsSummary,
    EmbeddingSummary,
    GraphSummary,
    HistogramSummary,
    HParamsSummary,
    HParamsSummaryValues,
    ImageSummary,
    LogRecord,
    MeshSummary,
    PrCurveSummary,
    Problem,
    RawSummary,
    RunBatch,
    RunMetadataSummary,
    ScalarColumns,
    ScalarSeries,
    ScalarSummary,
    SessionStatus,
    SpecialNumber,
    TensorSummary,
    TextSummary,
    WriteRequest,
    WriteResponse,
)
from bridge.types import File

RUN = "python/all"
client = Client(base_url=sys.argv[1])
samples: dict[str, str] = json.loads(sys.argv[2])  # base64 of a picture, a sound and messages of TensorFlow's

values = HParamsSummaryValues()
values.additional_properties = {"lr": 0.001, "optimizer": "adam", "augment": True}
run = RunBatch(
    run=RUN,
    scalars=[
        ScalarColumns(
            tag="loss",
            steps=[1, 2, 3, 4],
            values=[0.5, SpecialNumber.NAN, SpecialNumber.INFINITY, SpecialNumber.NEGATIVE_INFINITY],
        )
    ],
    summaries=[
        ScalarSummary(tag="accuracy", step=5_000_000_000, value=0.75),
        TextSummary(tag="note", text="learning **well**"),
        HistogramSummary(tag="weights", values=[-1.0, 0.0, 0.5, 2.0]),
        ImageSummary(tag="picture", images=[samples["png"]]),
        AudioSummary(tag="tone", samples=[0.0, 0.5, 0.0, -0.5], sample_rate=8000),
        PrCurveSummary(tag="curve", labels=[1, 0, 1], predictions=[0.9, 0.2, 0.6]),
        MeshSummary(tag="triangle", vertices=[[0, 0, 0], [1, 0, 0], [0, 1, 0]], faces=[[0, 1, 2]]),
        EmbeddingSummary(tag="words", matrix=[[0.0, 1.0], [1.0, 0.0]], metadata=[["cat"], ["dog"]]),
        GraphSummary(graph_def=samples["graph"]),
        RunMetadataSummary(tag="profile", run_metadata=samples["run_metadata"]),
        HParamsSummary(values=values, status=SessionStatus.SUCCESS),
        CustomScalarsSummary(categories=[Category(title="all", charts=[Chart(title="loss", multiline=["loss"])])]),
        TensorSummary(tag="confusion", values=[[5, 1], [0, 7]]),
        RawSummary(value=samples["raw"]),
    ],
    logs=[LogRecord(message="done", level=20)],
)


def main() -> dict[str, Any]:
    """What the bridge answered to each request."""
    body = WriteRequest(writer="python-1", seq=1, runs=[run])
    first, again = write.sync(client=client, body=body), write.sync(client=client, body=body)
    assert isinstance(first, WriteResponse)
    assert isinstance(again, WriteResponse)
    series = read_scalars.sync(client=client, run=RUN, tag="loss")
    assert isinstance(series, ScalarSeries)
    far = read_scalars.sync(client=client, run=RUN, tag="accuracy", min_step=4_000_000_000)
    assert isinstance(far, ScalarSeries)
    texts, hparams = read_texts.sync(client=client, run=RUN, tag="note"), read_hparams.sync(client=client, run=RUN)
    runs = list_runs.sync(client=client, run=RUN)
    picture = read_blob.sync(client=client, run=RUN, tag="picture")
    archive = get_archive.sync(client=client, run=RUN)
    assert isinstance(picture, File)
    assert isinstance(archive, File)
    restored = put_archive.sync(client=client, run="python/copy", body=archive)
    given = [one.values for one in hparams.values if one.values]

    wrong = ScalarColumns(tag="loss", steps=[1], values=[1.0, 2.0])
    refused = write.sync_detailed(client=client, body=WriteRequest(runs=[RunBatch(run=RUN, scalars=[wrong])]))
    assert isinstance(refused.parsed, Problem)

    busy = WriteRequest(runs=[RunBatch(run="busy/python", scalars=[ScalarColumns(tag="loss", values=[1.0])])])
    no = write.sync_detailed(client=client, body=busy)
    assert isinstance(no.parsed, Problem)
    time.sleep(int(no.headers["retry-after"]))
    yes = write.sync(client=client, body=busy)
    return {
        "accepted": first.accepted,
        "duplicate": again.duplicate,
        "values": [str(value) if isinstance(value, SpecialNumber) else value for value in series.values],
        "far_steps": far.steps,
        "text": texts.values[0].texts[0],
        "hparams": given[0].additional_properties,
        "kinds": sorted({tag.kind for tag in runs.runs[0].tags}),
        "picture": base64.b64encode(picture.payload.read()).decode(),
        "restored": restored.run,
        "refused": [int(refused.status_code), refused.parsed.code, refused.parsed.errors[0].path],
        "busy": [int(no.status_code), no.parsed.code, yes.accepted],
    }


print(json.dumps(main()))
