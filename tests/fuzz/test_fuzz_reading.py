"""Fuzzing of what is read back: event files, tables of embeddings and logs that somebody else wrote, or that were damaged."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from budget import fuzz
from damage import TEXTS, damaged, spoiled
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from one_of_each import one_of_each
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary

from tbbridge.events.embeddings import encode_embedding
from tbbridge.events.encode import encode_run
from tbbridge.events.summaries import encode_file_start
from tbbridge.events.tfrecord import End, Frame, frame, read_frame
from tbbridge.logs.lines import encode_record
from tbbridge.logs.names import log_path
from tbbridge.model import PROJECTOR_CONFIG, Embedding, LogRecord, RunBatch, RunName, ScalarColumns, run_name, tag_name
from tbbridge.server.app import build_app
from tbbridge.server.settings import ServerSettings
from tbbridge.wire.json_v1_schema import WRITE_EXAMPLE

RUN = run_name("stranger")
KINDS = (
    *("histograms", "texts", "images", "audio", "graphs", "run_metadata", "pr_curves", "meshes", "embeddings", "hparams"),
    *("custom_scalars", "tensors", "values"),
)


class Reading:
    """An app in this process over a folder that holds one run, in which a log and embeddings are, too."""

    def __init__(self) -> None:
        self.logdir = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None))
        self.runner = asyncio.Runner()
        self.app = build_app(ServerSettings(logdir=self.logdir))
        self.lifespan = self.app.router.lifespan_context(self.app)
        self.runner.run(self.lifespan.__aenter__())

    def close(self) -> None:
        self.runner.run(self.lifespan.__aexit__(None, None, None))
        self.runner.close()
        shutil.rmtree(self.logdir)

    def put(self, run: str, files: dict[str, bytes]) -> None:
        for name, data in files.items():
            (self.logdir / run / name).parent.mkdir(parents=True, exist_ok=True)
            (self.logdir / run / name).write_bytes(data)

    def ask_all(self, *questions: tuple[str, dict[str, object]]) -> list[httpx.Response]:
        async def ask() -> list[httpx.Response]:
            transport = httpx.ASGITransport(self.app)  # an answer that breaks off raises here
            async with httpx.AsyncClient(transport=transport, base_url="http://bridge") as client:
                return [await client.get(path, params=query) for path, query in questions]  # type: ignore[arg-type]

        return self.runner.run(ask())

    def post(self, path: str, body: bytes, **query: object) -> httpx.Response:
        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://bridge") as client:
                return await client.post(path, content=body, params=query, headers={"content-type": "application/json"})  # type: ignore[arg-type]

        return self.runner.run(ask())


@pytest.fixture(scope="module")
def reading() -> Iterator[Reading]:
    made = Reading()
    yield made
    made.close()


def stored_values() -> list[Summary.Value]:
    """One of each kind as our encoder stores it, and the older forms of some."""
    every = tuple(one for one in one_of_each().values() if not isinstance(one, Embedding))
    data, at, found = bytes(encode_run(RunBatch(RunName("r"), summaries=every), ())), 0, []
    while isinstance(record := read_frame(data, at), Frame):
        found += Event.FromString(bytes(record.payload)).summary.value
        at = record.end
    old = Summary.Value(tag="old")
    old.histo.bucket_limit.extend([1.0, 2.0])
    old.histo.bucket.extend([3.0, 4.0])
    picture = Summary.Value(tag="picture")
    picture.image.encoded_image_string = b"\x89PNG"
    sound = Summary.Value(tag="sound")
    sound.audio.encoded_audio_string = b"RIFF"
    return [*found, old, picture, sound, Summary.Value(tag="x", simple_value=1)]


VALUES = [json_format.MessageToDict(value, preserving_proto_field_name=True) for value in stored_values()]
PLUGINS = [
    "text",
    "images",
    "audio",
    "histograms",
    "pr_curves",
    "mesh",
    "hparams",
    "custom_scalars",
    "graphs",
    "mine",
    "scalars",
]


@st.composite
def odd_values(draw: DrawFn) -> Summary.Value:
    """A value as no writer should make it: fields of other kinds, sizes that do not fit, another plugin's name."""
    made = Summary.Value()
    said = draw(st.sampled_from(VALUES))
    for _ in range(draw(st.integers(1, 4))):
        changed = draw(spoiled(st.just(said)))
        try:
            json_format.ParseDict(changed, Summary.Value())
        except (json_format.ParseError, ValueError, TypeError, AttributeError, SystemError):
            continue
        said = changed
    json_format.ParseDict(said, made)
    if not draw(st.integers(0, 3)):
        made.metadata.plugin_data.plugin_name = draw(st.sampled_from(PLUGINS))
    if not draw(st.integers(0, 3)):
        made.metadata.plugin_data.content = draw(damaged(st.just(made.metadata.plugin_data.content)))
    if not draw(st.integers(0, 3)) and made.tensor.tensor_content:
        made.tensor.tensor_content = draw(damaged(st.just(made.tensor.tensor_content)))
    if not draw(st.integers(0, 3)) and made.tensor.tensor_shape.dim:
        made.tensor.tensor_shape.dim[0].size = draw(st.sampled_from([0, -1, 1, 2, 2**31, 2**62, -(2**63)]))
    return made


@fuzz("strangers' values", examples=30, weight=3)
@given(st.lists(odd_values(), min_size=1, max_size=3))
def test_every_value_that_an_event_file_can_hold_is_read_or_refused(reading: Reading, values: list[Summary.Value]) -> None:
    """Whatever other programs wrote, no question about it is an internal error, and no answer breaks off."""
    records = [frame(Event(step=3, wall_time=1.5, summary=Summary(value=[value])).SerializeToString()) for value in values]
    reading.put(RUN, {"events.out.tfevents.1": encode_file_start(1.0, session_start=True) + b"".join(records)})
    try:
        ask_everything(reading, [value.tag for value in values])
    finally:
        shutil.rmtree(reading.logdir / RUN)


def ask_everything(reading: Reading, tags: list[str], run: str = RUN) -> None:
    questions: list[tuple[str, dict[str, object]]] = [("/api/v1/runs", {}), ("/api/v1/runs", {"run": run})]
    questions += [("/api/v1/export", {"run": run, "format": kind}) for kind in ("csv", "jsonl", "tensorboard-json")]
    questions += [
        (f"/api/v1/{kind}", {"run": run, "tag": tag}) for kind in ("scalars", "blob", *KINDS) for tag in sorted(set(tags))
    ]
    questions += [
        ("/data/scalars", {"xp": run, "name": tags[0]}),
        ("/data/histograms", {"xp": run, "name": tags[0]}),
        ("/data", {"xp": run}),
    ]
    questions += [(f"/api/v1/{kind}", {"run": run}) for kind in ("graphs", "hparams", "custom_scalars", "archive")]
    for (path, query), answer in zip(questions, reading.ask_all(*questions), strict=True):
        assert answer.status_code < 500, (path, query, answer.text)
        if answer.headers["content-type"] == "application/json":
            json.loads(answer.content)


def embeddings() -> dict[str, bytes]:
    table = one_of_each()["embedding"]
    assert isinstance(table, Embedding)
    made = encode_embedding(dataclasses.replace(table, step=3), "embeddings.tbbridge/1")
    return {PROJECTOR_CONFIG: made.config, **dict(made.files)}


def events() -> bytes:
    every = tuple(one for one in one_of_each().values() if not isinstance(one, Embedding))
    column = ScalarColumns(tag_name("loss"), np.arange(50.0), np.arange(50), np.full(50, 1.5e9))
    return encode_file_start(1.0, session_start=True) + bytes(encode_run(RunBatch(RunName("r"), (column,), every), ()))


FILES = {"events.out.tfevents.1": events(), **embeddings()}


@fuzz("damaged runs", examples=20, weight=2)
@given(st.data(), st.sampled_from(sorted(FILES)))
def test_a_run_of_which_a_file_was_damaged_is_read_as_far_as_it_is_whole(
    reading: Reading, data: st.DataObject, name: str
) -> None:
    """Damage to any file of a run makes an answer shorter, or a refusal; never an internal error."""
    reading.put(RUN, {**FILES, name: data.draw(damaged(st.just(FILES[name])))})
    try:
        ask_everything(reading, ["loss", "words", "image", "numbers"])
    finally:
        shutil.rmtree(reading.logdir / RUN)


REQUESTS: list[dict[str, Any]] = [{"runs": [{"run": RUN, "summaries": [one]}]} for one in WRITE_EXAMPLE["runs"][0]["summaries"]]
REQUESTS += [WRITE_EXAMPLE, {"runs": [{"run": RUN, "scalars": WRITE_EXAMPLE["runs"][0]["scalars"] * 2, "purge_step": 3}]}]


@fuzz("writes read back", examples=25, weight=3)
@given(st.lists(spoiled(st.sampled_from(REQUESTS)), min_size=1, max_size=3), st.booleans())
def test_whatever_is_taken_is_written_so_that_tensorboard_and_our_own_readers_can_read_it(
    reading: Reading, requests: list[object], partial: bool
) -> None:
    """No write that is taken makes a file that is damaged, empty or asked for in vain."""
    for request in requests:
        answer = reading.post("/api/v1/write", json.dumps(request).encode(), ack="written", partial=partial)
        assert answer.status_code in (200, 400, 413, 422), answer.text
    files = [path for path in reading.logdir.rglob("*tfevents*") if path.is_file()]
    runs = {str(path.parent.relative_to(reading.logdir)) for path in files}
    try:
        for path in files:
            data, at = path.read_bytes(), 0
            while isinstance(record := read_frame(data, at), Frame):
                Event.FromString(bytes(record.payload))
                at = record.end
            assert isinstance(record, End)
        listed = {info["run"] for info in reading.ask_all(("/api/v1/runs", {}))[0].json()["runs"]}
        assert listed >= runs  # what other programs delete, as this test does, is missed later
        for run in runs:
            (info,) = reading.ask_all(("/api/v1/runs", {"run": run}))
            tags = [tag["tag"] for tag in info.json()["runs"][0]["tags"]]
            ask_everything(reading, tags[:3] or ["none"], run)
    finally:
        for path in reading.logdir.iterdir():
            if path.name != ".tbbridge":
                shutil.rmtree(path)


LOG = b"".join(encode_record(LogRecord(f"line {number}\n  more", 20, "train.loop", 1.7e9 + number)) for number in range(6))


@fuzz("damaged logs", examples=40)
@given(
    damaged(st.just(LOG)),
    st.fixed_dictionaries(
        {},
        optional={
            "limit": st.integers(0, 9),
            "level": st.sampled_from(["info", "error", "debug3", "x"]),
            "since": st.one_of(st.sampled_from(["1.7e9", "2023-11-14T22:13:22Z", "nan", "-1e400"]), TEXTS),
            "after": st.one_of(st.builds("{}:{}".format, st.integers(0, 3), st.integers(0, 400)), TEXTS),
        },
    ),
)
def test_a_log_that_was_damaged_is_read_without_an_error(reading: Reading, log: bytes, query: dict[str, object]) -> None:
    """Any bytes in a log's file are records, lines of nobody's, or left out; and any question about them has an answer."""
    reading.put(".tbbridge/logs", {log_path(RUN): log})
    query = {name: value.encode(errors="replace") if isinstance(value, str) else value for name, value in query.items()}
    for answer in reading.ask_all(("/api/v1/logs", {"run": RUN}), ("/api/v1/logs", {"run": RUN, **query})):
        assert answer.status_code < 500, answer.text
        for line in answer.text.splitlines() if answer.status_code == 200 else ():
            json.loads(line or "{}")
