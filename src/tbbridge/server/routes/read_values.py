"""GET /api/v1/histograms, texts, images ...: values of every kind but scalars, as stored; and GET /api/v1/blob for their bytes.

One route a kind, all of one shape: the values of a tag in the order of writing. What a browser can show (pictures, sound) or
nobody reads as text (graphs) is listed with its size, and fetched one by one from /blob.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Final, Literal

from fastapi import FastAPI, Query
from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json
from starlette.responses import Response

from tbbridge.errors import InvalidQuery, ItemError, NotFound
from tbbridge.model import INT64_MAX, INT64_MIN
from tbbridge.server.answers import Answer, json_answer
from tbbridge.server.routes import read_values_schema as schema
from tbbridge.server.routes.read import READ_ERRORS
from tbbridge.server.service import Service
from tbbridge.store import values
from tbbridge.store.catalog import EMBEDDING, Catalog
from tbbridge.store.values import OCTETS, Blob, StoredTensor, StoredValue
from tbbridge.wire.json_fields import named

# TensorBoard's own names of what a run has one of (tensorboard/plugins/graph/metadata.py, custom_scalar/metadata.py).
RUN_GRAPH: Final = "__run_graph__"
LAYOUT: Final = "custom_scalars__config__"
# Kinds whose values are bytes of their own.
_BLOB_KINDS: Final = ("image", "audio", "graph", "run_metadata", EMBEDDING)
_TSV: Final = "text/tab-separated-values; charset=utf-8"
# Nothing in these answers is a page: whatever the bytes are, a browser must not run them.
_HARMLESS: Final = [(b"content-security-policy", b"default-src 'none'; sandbox")]


class ValuesQuery(BaseModel):
    """Parameters of the routes that read one tag's values."""

    model_config = ConfigDict(extra="forbid")
    run: Annotated[str, Field(examples=["digits/lr=1e-3"])]
    tag: Annotated[str | None, Field(description="Left out only where a run has one of the kind.")] = None
    min_step: Annotated[int | None, Field(ge=INT64_MIN, le=INT64_MAX, description="Only values from this step on.")] = None
    max_step: Annotated[int | None, Field(ge=INT64_MIN, le=INT64_MAX, description="Only values up to this step.")] = None


class BlobQuery(BaseModel):
    """Parameters of GET /api/v1/blob."""

    model_config = ConfigDict(extra="forbid")
    run: Annotated[str, Field(examples=["digits/lr=1e-3"])]
    tag: Annotated[str, Field(examples=["samples"])]
    kind: Annotated[
        Annotated[Literal["image", "audio", "graph", "run_metadata", "embedding"], Field(json_schema_extra=named("BlobKind"))]
        | None,
        Field(description="Needed only if the tag has values of several kinds."),
    ] = None
    step: Annotated[int | None, Field(ge=INT64_MIN, le=INT64_MAX, description="The newest value of this step.")] = None
    index: Annotated[int | None, Field(ge=0, description="The value of this `index` in the list. Neither: the newest.")] = None
    sample: Annotated[int, Field(ge=0, description="Which of the value's pictures or clips.")] = 0
    part: Annotated[
        Literal["tensors", "metadata", "sprite"],
        Field(description="Of an embedding: which of its files.", json_schema_extra=named("EmbeddingPart")),
    ] = "tensors"


@dataclass(frozen=True, slots=True)
class _Kind:
    """One route: the path's last part, the kind in our words, what it answers, and how that is read."""

    path: str
    summary: str
    model: type[Any]
    read: Callable[[Catalog, ValuesQuery], list[dict[str, Any]]]
    tag: str | None = None  # if there is one a run
    needs_tag: bool = True


def add_routes(app: FastAPI, service: Service) -> None:
    """Add the routes for values to `app`."""
    for kind in _KINDS:
        app.add_api_route(
            f"/api/v1/{kind.path}",
            _endpoint(service, kind),
            methods=["GET"],
            operation_id=f"read{kind.path.title().replace('_', '')}",
            tags=["read"],
            summary=kind.summary,
            response_model=kind.model,
            responses=READ_ERRORS,
        )

    @app.get(
        "/api/v1/blob",
        operation_id="readBlob",
        tags=["read"],
        summary="Read one picture, clip or file",
        response_class=Response,
        responses={200: {"content": _BLOB_CONTENT}, **READ_ERRORS},
    )
    async def read_blob(query: Annotated[BlobQuery, Query()]) -> Response:
        """The bytes as they were written. Their type is seen from themselves; what is unknown is application/octet-stream."""
        if query.step is not None and query.index is not None:
            raise InvalidQuery([ItemError("index", "query", "step and index are given; one of them says which value")])
        await service.door.settled()
        blob = await service.read(_blob, service.catalog, query)
        return Answer(blob.content, blob.content_type.encode(), 200, [*_HARMLESS])


_BLOB_CONTENT: Final[dict[str, Any]] = {
    kind: {"schema": {"type": "string", "format": "binary"}}
    for kind in (OCTETS, "image/png", "image/jpeg", "image/gif", "audio/wav", _TSV.partition(";")[0])
}


def _endpoint(service: Service, kind: _Kind) -> Callable[..., Awaitable[Response]]:
    async def read_values(query: Annotated[ValuesQuery, Query()]) -> Response:
        if query.tag is None:
            if kind.needs_tag and kind.tag is None:
                raise InvalidQuery([ItemError("tag", "query", "this parameter is missing; add it to the query")])
            query.tag = kind.tag
        await service.door.settled()
        return await service.read(_answered, service.catalog, kind, query)

    read_values.__doc__ = f"{kind.summary}, in the order of writing."
    return read_values


def _answered(catalog: Catalog, kind: _Kind, query: ValuesQuery) -> Answer:
    return json_answer({"run": query.run, "tag": query.tag, "values": kind.read(catalog, query)})


def _reader(
    kind: str | None, read: Callable[[StoredValue], dict[str, Any] | None], *, whole: bool = True
) -> Callable[[Catalog, ValuesQuery], list[dict[str, Any]]]:
    """How the values of a kind are read; `whole` if the answer holds all of them, not just what there is."""

    def load(catalog: Catalog, query: ValuesQuery) -> list[dict[str, Any]]:
        return catalog.values(query.run, kind, query.tag, read, query.min_step, query.max_step, whole=whole)

    return load


# --- one kind each ------------------------------------------------------------------------------------------------------------


def _histogram(stored: StoredValue) -> dict[str, Any] | None:
    found = values.histogram(stored)
    if found is None:
        return None
    columns = {"lefts": found.lefts.tolist(), "rights": found.rights.tolist(), "counts": found.counts.tolist()}
    return {
        "step": found.step,
        "wall_time": found.wall_time,
        "min": found.min,
        "max": found.max,
        "num": found.num,
        "sum": found.sum,
        "sum_squares": found.sum_squares,
        **columns,
    }


def _texts(stored: StoredValue) -> dict[str, Any] | None:
    found = values.texts(stored)
    return None if found is None else asdict(found)


def _listed(stored: StoredValue) -> dict[str, Any]:
    samples = [{"content_type": blob.content_type, "size_bytes": len(blob.content)} for blob in values.blobs(stored)]
    return {"step": stored.step, "wall_time": stored.wall_time, "index": stored.index, "samples": samples}


def _curve(stored: StoredValue) -> dict[str, Any] | None:
    found = values.curve(stored)
    if found is None:
        return None
    rows = dict(zip(schema.CURVE_ROWS, found.table.tolist(), strict=True))
    return {"step": found.step, "wall_time": found.wall_time, **rows}


def _array(found: StoredTensor | None) -> dict[str, Any] | None:
    if found is None:
        return None
    content = None if found.texts is not None else base64.b64encode(found.content).decode()
    return {"dtype": found.dtype, "shape": found.shape, "content": content, "texts": found.texts}


def _tensor(stored: StoredValue) -> dict[str, Any] | None:
    found = values.tensor(stored)
    array = _array(found)
    return None if array is None else {"step": stored.step, "wall_time": stored.wall_time, **array}


def _meshes(catalog: Catalog, query: ValuesQuery) -> list[dict[str, Any]]:
    parts = catalog.values(query.run, "mesh", query.tag, values.mesh_part, query.min_step, query.max_step)
    return [
        {
            "step": found.step,
            "wall_time": found.wall_time,
            "config": _parsed(found.config),
            "vertices": _array(found.vertices),
            "faces": _array(found.faces),
            "colors": _array(found.colors),
        }
        for found in values.meshes(parts)
    ]


def _parsed(config: str) -> object:
    """A mesh's configuration; None if it is no JSON object, or nested so deeply that it cannot be written again."""
    try:
        found = json.loads(config or "{}")
        to_json(found, inf_nan_mode="strings")
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _hparams(stored: StoredValue) -> dict[str, Any] | None:
    found = values.hparams(stored)
    return None if found is None else {"tag": stored.tag, **asdict(found)}


def _layout(stored: StoredValue) -> dict[str, Any] | None:
    found = values.layout(stored)
    if found is None:
        return None
    categories = [
        {
            "title": category.title,
            "closed": category.closed,
            "charts": [
                {
                    "title": chart.title,
                    "multiline": list(chart.multiline.tag) if chart.HasField("multiline") else None,
                    "margin": [{"value": one.value, "lower": one.lower, "upper": one.upper} for one in chart.margin.series]
                    if chart.HasField("margin")
                    else None,
                }
                for chart in category.chart
            ],
        }
        for category in found.category
    ]
    return {"step": stored.step, "wall_time": stored.wall_time, "categories": categories}


def _raw(stored: StoredValue) -> dict[str, Any]:
    return {"step": stored.step, "wall_time": stored.wall_time, "value": base64.b64encode(stored.value).decode()}


def _embeddings(catalog: Catalog, query: ValuesQuery) -> list[dict[str, Any]]:
    assert query.tag is not None  # noqa: S101 - the endpoint asks for it
    found = catalog.embeddings(query.run, query.tag, query.min_step, query.max_step)
    return [
        {
            "step": one.step,
            "wall_time": one.wall_time,
            "index": one.index,
            "parts": sorted(one.files),
            "size_bytes": one.size_bytes,
        }
        for one in found
    ]


_KINDS: Final = (
    _Kind("histograms", "Read the histograms of a tag", schema.HistogramValues, _reader("histogram", _histogram)),
    _Kind("texts", "Read the texts of a tag", schema.TextValues, _reader("text", _texts)),
    _Kind("images", "List the images and videos of a tag", schema.BlobValues, _reader("image", _listed, whole=False)),
    _Kind("audio", "List the sounds of a tag", schema.BlobValues, _reader("audio", _listed, whole=False)),
    _Kind("graphs", "List the graphs of a run", schema.BlobValues, _reader("graph", _listed, whole=False), tag=RUN_GRAPH),
    _Kind("run_metadata", "List the profiles of a tag", schema.BlobValues, _reader("run_metadata", _listed, whole=False)),
    _Kind("pr_curves", "Read the precision-recall curves of a tag", schema.CurveValues, _reader("pr_curve", _curve)),
    _Kind("meshes", "Read the meshes of a tag", schema.MeshValues, _meshes),
    _Kind("embeddings", "List the embeddings of a tag", schema.EmbeddingValues, _embeddings),
    _Kind("hparams", "Read the hyperparameters of a run", schema.HParamsValues, _reader("hparams", _hparams), needs_tag=False),
    _Kind("custom_scalars", "Read the layouts of a run", schema.LayoutValues, _reader("custom_scalars", _layout), tag=LAYOUT),
    _Kind("tensors", "Read the tensors of a tag of any kind", schema.TensorValues, _reader(None, _tensor)),
    _Kind("values", "Read the values of a tag of any kind as they are in the files", schema.RawValues, _reader(None, _raw)),
)


# --- bytes --------------------------------------------------------------------------------------------------------------------


def _blob(catalog: Catalog, query: BlobQuery) -> Blob:
    kind = query.kind or _blob_kind(catalog, query)
    if kind == EMBEDDING:
        return _embedding_file(catalog, query)
    chosen: list[StoredValue] = []

    def choose(stored: StoredValue) -> None:
        if query.index is None or query.index == stored.index:
            chosen[:] = [stored]

    catalog.values(query.run, kind, query.tag, choose, query.step, query.step)
    if not chosen:
        raise _not_there(query)
    found = values.blobs(chosen[0])
    if query.sample >= len(found):
        raise NotFound(f"the value of step {chosen[0].step} has {len(found)} samples; they are counted from 0")
    return found[query.sample]


def _blob_kind(catalog: Catalog, query: BlobQuery) -> str:
    _, tags = catalog.run(query.run)
    kinds = [found.kind for found in tags if found.tag == query.tag]
    with_bytes = [kind for kind in kinds if kind in _BLOB_KINDS]
    if len(with_bytes) > 1:
        message = f"the tag has values of the kinds {', '.join(with_bytes)}; say which is meant"
        raise InvalidQuery([ItemError("kind", "query", message)])
    if with_bytes:
        return with_bytes[0]
    if kinds:
        raise NotFound(f"tag {query.tag[:100]!a} of run {query.run!a} holds values of kind {kinds[0]}, which are no files")
    return _BLOB_KINDS[0]  # there is no such tag; who looks for it says so


def _embedding_file(catalog: Catalog, query: BlobQuery) -> Blob:
    found = catalog.embeddings(query.run, query.tag, query.step, query.step)
    if query.index is not None:
        found = [one for one in found if one.index == query.index]
    if not found:
        raise _not_there(query)
    content = catalog.file_of(found[-1], query.part)
    if query.part == "sprite":
        return Blob(content, values.content_type(content))
    return Blob(content, _TSV)


def _not_there(query: BlobQuery) -> NotFound:
    which = f"index {query.index}" if query.index is not None else f"step {query.step}"
    return NotFound(f"tag {query.tag[:100]!a} of run {query.run!a} has no value of {which}; its list says what there is")
