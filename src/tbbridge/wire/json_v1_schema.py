"""The JSON bodies of version 1 as types: pydantic validates with them, and the OpenAPI document is made from them.

TypedDicts, not models, because a row is then validated in half a microsecond. Strict: no text for a number, no 1.0 for a step.
Unknown fields pass here (`allow`) though the schema forbids them: pydantic would keep an error for each of a million of them;
`json_v1` finds them itself. What is said here about a value is for people who read the API; `model` is what checks it. The
newer kinds are in json_kinds_schema.py.
"""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal, NotRequired, TypeAlias

from pydantic import FailFast, Field, with_config
from typing_extensions import TypedDict  # pydantic asks for this one before Python 3.12

from tbbridge import limits
from tbbridge.wire import json_kinds_schema as kinds
from tbbridge.wire.json_fields import (
    Description,
    DisplayName,
    Finite,
    Finites,
    Int64,
    Int64s,
    Number,
    Numbers,
    Tag,
    Tagged,
    named,
    shape,
)

SCALARS_EXAMPLE: Final[dict[str, Any]] = {"tag": "loss/train", "steps": [1, 2, 3], "values": [0.9, 0.7, "NaN"]}
SCALAR_EXAMPLE: Final[dict[str, Any]] = {"kind": "scalar", "tag": "accuracy", "step": 3, "value": 0.81}
TEXT_EXAMPLE: Final[dict[str, Any]] = {"kind": "text", "tag": "settings", "text": "learning rate **1e-3**"}
HISTOGRAM_EXAMPLE: Final[dict[str, Any]] = {"kind": "histogram", "tag": "weights", "step": 3, "values": [-0.5, 0.1, 0.2, 1.25]}
LOG_EXAMPLE: Final[dict[str, Any]] = {"message": "epoch 3 done", "level": 20, "logger": "train"}
RUN_EXAMPLE: Final[dict[str, Any]] = {
    "run": "digits/lr=1e-3",
    "scalars": [SCALARS_EXAMPLE],
    "summaries": [SCALAR_EXAMPLE, TEXT_EXAMPLE, HISTOGRAM_EXAMPLE, *kinds.EXAMPLES],
    "logs": [LOG_EXAMPLE],
}
WRITE_EXAMPLE: Final[dict[str, Any]] = {"writer": "5f0c9f0e-trainer-0", "seq": 1, "runs": [RUN_EXAMPLE]}
ONE_POINT_EXAMPLE: Final[dict[str, Any]] = {"runs": [{"run": "first", "scalars": [{"tag": "loss", "values": [0.5]}]}]}


@with_config(shape(SCALARS_EXAMPLE))
class ScalarColumns(TypedDict):
    """Points of one tag, as columns of equal length, in the order in which they were made."""

    tag: Tag
    values: Annotated[Numbers, Field(description="TensorBoard keeps them as 32-bit floats.", json_schema_extra={"minItems": 1})]
    steps: NotRequired[Annotated[Int64s, Field(description="One a value. Left out: they go on from the tag's last step + 1.")]]
    wall_times: NotRequired[
        Annotated[Finites, Field(description="One a value, seconds since 1970, finite. Left out: the time of receipt.")]
    ]
    display_name: NotRequired[DisplayName]
    description: NotRequired[Description]


@with_config(shape(SCALAR_EXAMPLE))
class ScalarSummary(Tagged):
    """One point. For many points of a tag, `scalars` is shorter and faster."""

    kind: Literal["scalar"]
    value: Number


@with_config(shape(TEXT_EXAMPLE))
class TextSummary(Tagged):
    """One text, Markdown, shown on TensorBoard's Text page."""

    kind: Literal["text"]
    text: str


Bucket = Annotated[list[Finite], Field(min_length=3, max_length=3, description="Left edge, right edge, count.")]


@with_config(shape(HISTOGRAM_EXAMPLE))
class HistogramSummary(Tagged):
    """One histogram: either `values`, which the server sorts into buckets, or `buckets` that are ready."""

    kind: Literal["histogram"]
    values: NotRequired[Annotated[Numbers, Field(description="NaN and infinities are left out and reported as a warning.")]]
    buckets: NotRequired[
        Annotated[list[Bucket], FailFast(), Field(description="Ascending by edge; counts are numbers from 0 up.")]
    ]


KINDS: Final[dict[str, Any]] = {
    "scalar": ScalarSummary,
    "text": TextSummary,
    "histogram": HistogramSummary,
    "image": kinds.ImageSummary,
    "audio": kinds.AudioSummary,
    "pr_curve": kinds.PrCurveSummary,
    "mesh": kinds.MeshSummary,
    "embedding": kinds.EmbeddingSummary,
    "graph": kinds.GraphSummary,
    "run_metadata": kinds.RunMetadataSummary,
    "hparams": kinds.HParamsSummary,
    "custom_scalars": kinds.CustomScalarsSummary,
    "tensor": kinds.TensorSummary,
    "raw": kinds.RawSummary,
}
OneByOne: TypeAlias = (
    TextSummary
    | HistogramSummary
    | kinds.ImageSummary
    | kinds.AudioSummary
    | kinds.PrCurveSummary
    | kinds.MeshSummary
    | kinds.EmbeddingSummary
    | kinds.GraphSummary
    | kinds.RunMetadataSummary
    | kinds.HParamsSummary
    | kinds.CustomScalarsSummary
    | kinds.TensorSummary
    | kinds.RawSummary
)
Summary = Annotated[
    ScalarSummary | OneByOne, Field(discriminator="kind", json_schema_extra=named("Summary", "One value of any kind."))
]


@with_config(shape(LOG_EXAMPLE))
class LogRecord(TypedDict):
    """One record of a program's log."""

    message: Annotated[str, Field(description="May have many lines.")]
    level: NotRequired[
        Annotated[
            int,
            Field(
                description="As in Python's logging: 10 debug, 20 info, 30 warning, 40 error, 50 critical, or between. "
                "Left out or 0: 20.",
                json_schema_extra={"minimum": 0, "maximum": limits.LOG_LEVEL_MAX},
            ),
        ]
    ]
    logger: NotRequired[Annotated[str, Field(description="The logger's name, such as `train.data`.")]]
    wall_time: NotRequired[Annotated[Finite, Field(description="Seconds since 1970. Left out: the time of receipt.")]]


@with_config(shape(RUN_EXAMPLE))
class RunBatch(TypedDict):
    """What is written to one run: to `run`, or to what the server's groups make of `member`; one of the two is given."""

    run: NotRequired[
        Annotated[
            str,
            Field(
                description=f"A folder below the log folder, 1 to {limits.RUN_MAX_BYTES} bytes of UTF-8; `/` separates levels. "
                "No empty, `.` or `..` part, no control characters, no leading `/`.",
                json_schema_extra={"minLength": 1, "maxLength": limits.RUN_MAX_BYTES},
            ),
        ]
    ]
    scalars: NotRequired[Annotated[list[ScalarColumns], FailFast(), Field(description="Many points of one tag each.")]]
    summaries: NotRequired[Annotated[list[Summary], FailFast(), Field(description="One value each, of any kind.")]]
    purge_step: NotRequired[
        Annotated[
            Int64,
            Field(
                description="A training that goes on from this step: TensorBoard stops showing what the run holds from it on, "
                "and what this and later requests bring takes its place."
            ),
        ]
    ]
    purge_wall_time: NotRequired[Annotated[Finite, Field(description="Seconds since 1970. Left out: the time of receipt.")]]
    logs: NotRequired[
        Annotated[
            list[LogRecord], FailFast(), Field(description="Lines for the run's log file. They make no run by themselves.")
        ]
    ]
    create: NotRequired[Annotated[bool, Field(description="Make the run even if nothing is written to it yet.")]]
    status: NotRequired[
        Annotated[
            Literal["running", "finished", "failed"],
            Field(
                description="How the program that makes the run is. `running`, sent at least every half a minute, is its "
                "heartbeat: a running run of which nothing is heard is listed as lost. A run that holds nothing has no status.",
                json_schema_extra=named("ReportedStatus"),
            ),
        ]
    ]
    member: NotRequired[
        Annotated[
            str,
            Field(
                description="In place of `run`: `group/name`, a member of one of the groups at `/api/v1/groups`, "
                "which make the run and the tags of it.",
                json_schema_extra={"minLength": 3, "maxLength": limits.RUN_MAX_BYTES},
            ),
        ]
    ]


@with_config(shape(WRITE_EXAMPLE))
class WriteRequest(TypedDict):
    """Points for any number of runs. All or nothing, unless `?partial=true`."""

    runs: Annotated[list[RunBatch], FailFast()]
    writer: NotRequired[
        Annotated[
            str,
            Field(
                description="Who sends, unique to one ordered stream of requests: a UUID made when the process starts will do. "
                "With `seq` it makes a retry free: a batch that was already taken is answered as done and not written again.",
                json_schema_extra={"maxLength": limits.WRITER_MAX_BYTES},
            ),
        ]
    ]
    seq: NotRequired[
        Annotated[
            Int64, Field(description="Counts the requests of `writer`: 1, 2, 3 ... Send them in order and one at a time.")
        ]
    ]


# --- answers, for the document only ------------------------------------------------------------------------------------

Path = Annotated[str, Field(description="Which item.", examples=["runs[0].scalars[2].steps[7]"])]


class ItemError(TypedDict):
    """What is wrong with one item."""

    path: Path
    code: Annotated[str, Field(description="Stable, for programs.", examples=["step"])]
    message: Annotated[str, Field(description="For people: what is wrong and what to do.")]


class ItemWarning(TypedDict):
    """Something to know about an item that was stored all the same."""

    path: Path
    code: Annotated[str, Field(description="Stable, for programs.", examples=["step-back"])]
    message: Annotated[str, Field(description="For people.")]


class WriteResponse(TypedDict):
    """What became of a write."""

    accepted: Annotated[int, Field(description="Points taken by this request; 0 for a duplicate.")]
    duplicate: Annotated[bool, Field(description="The writer's seq was seen before: all of it is already stored.")]
    rejected: Annotated[list[ItemError], Field(description="Items left out; only with `partial=true`.")]
    warnings: list[ItemWarning]


class Problem(TypedDict):
    """Every error answer, in the fields of RFC 9457."""

    type: Annotated[str, Field(description="A URI reference that names the problem.", examples=["about:blank"])]
    title: str
    status: int
    detail: Annotated[str, Field(description="What is wrong and what to do.")]
    code: Annotated[str, Field(description="Stable, for programs.", examples=["invalid-batch"])]
    errors: Annotated[NotRequired[list[ItemError]], Field(description="The items that are wrong, if it is about items.")]
    request_id: Annotated[
        NotRequired[str],
        Field(description="Of the request, as in X-Request-ID: the server's log has it.", examples=["5f1c9a02-1b"]),
    ]
