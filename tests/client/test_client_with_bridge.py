"""The clients against the real bridge: uvicorn, the pipeline, and the event files read by TensorBoard's own loader."""

from __future__ import annotations

import asyncio
import io
import math
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
from fake_server import free_port
from processes import get
from tensorboard.backend.event_processing.event_file_loader import RawEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.graph_pb2 import GraphDef
from tensorboard.util import tensor_util

from tbbridge import AsyncClient, Client, Rejected
from tbbridge.client import transport
from tbbridge.server.serve import serve
from tbbridge.server.settings import ServerSettings


class Bridge:
    """A real bridge in a thread of this process, which can be stopped and started again on its port and log folder."""

    def __init__(self, logdir: Path) -> None:
        self.logdir = logdir
        self.settings = ServerSettings(logdir=logdir, port=free_port(), log_level="warning")
        self.url = f"http://127.0.0.1:{self.settings.port}"

    def start(self) -> None:
        ready = threading.Event()
        self.error: BaseException | None = None

        async def run() -> None:
            self.loop = asyncio.get_running_loop()
            self.task = asyncio.create_task(serve(self.settings, on_ready=lambda _: ready.set()))
            try:
                await self.task
            except asyncio.CancelledError:
                pass
            except BaseException as error:
                self.error = error
                raise
            finally:
                ready.set()

        self.thread = threading.Thread(target=lambda: asyncio.run(run()))
        self.thread.start()
        assert ready.wait(30)
        assert self.error is None

    def stop(self) -> None:
        if self.thread.is_alive():
            self.loop.call_soon_threadsafe(self.task.cancel)
        self.thread.join(30)
        assert not self.thread.is_alive()

    def events(self, run: str) -> Iterator[Event]:
        for path in sorted((self.logdir / run).glob("*tfevents*")):
            for raw in RawEventFileLoader(str(path)).Load():
                yield Event.FromString(raw)

    def scalars(self, run: str) -> dict[str, list[tuple[int, float]]]:
        found = defaultdict(list)
        for event in self.events(run):
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    found[value.tag].append((event.step, value.simple_value))
        return found


@pytest.fixture
def bridge(tmp_path: Path) -> Iterator[Bridge]:
    made = Bridge(tmp_path / "runs")
    made.start()
    yield made
    made.stop()


def test_what_lapiz_code_logs_is_in_the_event_file(bridge: Bridge) -> None:
    weights = np.array([0.0, 1.0, 1.0, 2.0, np.nan])
    client = Client("127.0.0.1", bridge.settings.port, ack="written")
    with client.run("run0,lr=1e-3,lambda=1e-1") as run:
        run.step()
        run.add_scalar("accuracy", 1.3e-3)
        run.add_histogram("w", weights)
        run.add_text("note", "**bold**")
        run.wall_time(11.5)
        run.step(36)
        run.add_scalar("accuracy", math.inf)
    client.flush()
    scalars, others = [], {}
    for event in bridge.events("run0,lr=1e-3,lambda=1e-1"):
        for value in event.summary.value:
            if value.HasField("simple_value"):
                scalars.append((event.step, event.wall_time if event.step == 1 else None, value.simple_value))
            else:
                others[value.tag] = (event.step, event.wall_time, tensor_util.make_ndarray(value.tensor))
    assert scalars == [(1, 11.5, float(np.float32(1.3e-3))), (36, None, math.inf)]
    step, wall_time, buckets = others["w"]
    assert (step, wall_time, buckets[:, 2].sum()) == (1, 11.5, 4)
    assert others["note"][2].tolist() in ([b"**bold**"], b"**bold**")
    client.close()


def test_threads_and_runs_arrive_whole_and_in_order_while_the_bridge_restarts(bridge: Bridge) -> None:
    points = 3000
    middle = threading.Barrier(4)

    def work(number: int) -> None:
        run = client.run(f"run{number % 2}")
        for step in range(points):
            if step == points // 2:
                middle.wait(30)
            run.add_scalar(f"tag{number}", step, step)
            if step % 500 == 0:
                run.send()
        run.close()

    with Client(bridge.url, flush_interval_s=0.01, batch_max_bytes=20_000) as client:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
        for thread in threads:
            thread.start()
        middle.wait(30)
        bridge.stop()
        bridge.start()
        for thread in threads:
            thread.join()
        client.flush()
        assert client.stats.sent == 3 * points
    for number in range(3):
        found = bridge.scalars(f"run{number % 2}")[f"tag{number}"]
        assert found == [(step, float(step)) for step in range(points)]


async def test_the_asyncio_client_too(bridge: Bridge) -> None:
    async with AsyncClient(bridge.url, ack="written", compress=True) as client:
        async with client.run("r") as run:
            for step in range(5000):
                run.add_scalar("a", step, step)
        await client.flush()
        assert bridge.scalars("r")["a"] == [(step, float(step)) for step in range(5000)]


def test_what_the_bridge_refuses_is_named_and_the_rest_is_stored(bridge: Bridge, caplog: pytest.LogCaptureFixture) -> None:
    with Client(bridge.url, ack="written") as client, client.run("r") as run:
        run.add_scalar("a", 1, 0)
        client.flush()
        run.add_text("a", "the tag holds numbers already", 1)
        run.add_scalar("b", 2, 1)
        with pytest.raises(Rejected, match=r"runs\[run='r'\].summaries\[tag='a'\]: tag 'a' of this run holds scalar"):
            client.flush()
        assert (client.stats.sent, client.stats.rejected) == (2, 1)
    assert bridge.scalars("r") == {"a": [(0, 1.0)], "b": [(1, 2.0)]}
    assert "send text values under another tag" in caplog.text


def test_a_step_that_goes_back_is_stored_and_told(bridge: Bridge, caplog: pytest.LogCaptureFixture) -> None:
    with Client(bridge.url) as client, client.run("r") as run:
        for step in (5, 3, 2):
            run.add_scalar("a", step, step)
            client.flush()
    assert [record.message.partition(": ")[0] for record in caplog.records] == [
        f"{bridge.url} says about runs[run='r'].scalars[tag='a']"
    ]
    assert bridge.scalars("r")["a"] == [(5, 5.0), (3, 3.0), (2, 2.0)]


def test_every_kind_that_a_run_logs_is_on_the_bridges_disk(bridge: Bridge) -> None:
    """One of each, by plugin and tag; what TensorBoard makes of them is tests/e2e's to say."""
    random = np.random.default_rng(0)
    graph = GraphDef()
    graph.node.add(name="a", op="Const")
    picture, points = random.random((8, 9, 3)), random.normal(size=(4, 3))
    with Client(bridge.url, ack="written") as client, client.run("r", step=3) as run:
        run.describe("sample", "A sample", "of *pictures*")
        run.add_image("sample", picture)
        run.add_images("batch", random.random((3, 1, 4, 4)))
        run.add_image_with_boxes("boxes", picture, [[1, 1, 5, 5]], labels=["x"])
        run.add_video("film", random.random((1, 3, 1, 8, 8)))
        run.add_audio("audio", np.sin(np.arange(1000) / 9))
        run.add_pr_curve("pr", [0, 1, 1], [0.1, 0.4, 0.9])
        run.add_mesh("cloud", points)
        run.add_embedding(points, list("abcd"), random.random((4, 3, 6, 6)), tag="digits")
        run.add_tensor("any", points)
        run.add_graph(graph)
        run.add_run_metadata("profile", b"")
        run.add_hparams({"lr": 0.1}, {"accuracy": 0.5})
        run.add_custom_scalars({"A": {"many": ["Multiline", ["x"]]}})
        run.add_text("note", "x")
        run.add_histogram("w", points)
        client.flush()
        found, others = {}, set()
        for event in bridge.events("r"):
            for value in event.summary.value:
                assert event.step == 3
                found[value.tag] = value.metadata.plugin_data.plugin_name
                if value.tag == "sample":
                    assert (value.metadata.display_name, value.metadata.summary_description) == ("A sample", "of *pictures*")
                    shown = np.array(PIL.Image.open(io.BytesIO(value.image.encoded_image_string)))
                    assert np.array_equal(shown, (picture * 255).astype(np.uint8))
            others.add(event.WhichOneof("what"))
    assert others >= {"graph_def", "tagged_run_metadata"}
    assert {tag: plugin for tag, plugin in found.items() if not tag.startswith("cloud")} == {
        **dict.fromkeys(("sample", "batch", "boxes", "film"), "images"),
        "audio": "audio",
        "pr": "pr_curves",
        "any": "",
        "_hparams_/session_start_info": "hparams",
        "accuracy": "scalars",
        "custom_scalars__config__": "custom_scalars",
        "note": "text",
        "w": "histograms",
    }
    assert set(dict(found).values()) >= {"mesh"}
    config = (bridge.logdir / "r" / "projector_config.pbtxt").read_text(encoding="utf-8")
    assert "digits" in config


def test_a_client_of_another_version_says_so_once_and_loses_nothing(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The client asks for a version that the bridge does not have; then a bridge that has it stands in its place."""
    monkeypatch.setattr(transport, "WRITE_PATH", "/api/v2/write")
    with Client(bridge.url, flush_interval_s=0.01) as client:
        run = client.run("r")
        run.add_scalar("a", 1.0, 0)
        with pytest.raises(Rejected, match="speaks version 1 of the interface, and this client speaks version 2"):
            client.flush(timeout_s=10)
        run.add_scalar("a", 2.0, 1)
        monkeypatch.undo()
        client.flush(timeout_s=30)
        assert (client.stats.sent, client.stats.rejected, client.stats.dropped) == (2, 0, 0)
    told = [record.getMessage() for record in caplog.records if "version 2" in record.getMessage()]
    assert len(told) == 1
    assert "What is logged is kept" in told[0]
    assert get(f"{bridge.url}/api/v1/scalars", run="r", tag="a")["values"] == [1.0, 2.0]
