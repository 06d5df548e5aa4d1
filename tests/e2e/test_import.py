"""`tbbridge import`: folders by other writers, and what both of TensorBoard's readers show of the source and of the result."""

from __future__ import annotations

import json
import shutil
import subprocess
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorboardX
import torch.utils.tensorboard
from processes import TBBRIDGE, Process, TensorBoard, address_in, environment, get, post, serve, tensorboard, until

from tbbridge.events import event_pb2 as pb
from tbbridge.events.tfrecord import frame

PLUGINS = ("histograms", "images", "audio", "text", "pr_curves", "graphs")
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Run a command with a cache folder of its own; `fresh_cache` gives it another one."""

    def call(*arguments: str, cache: str = "cache") -> subprocess.CompletedProcess[str]:
        variables = environment(XDG_CACHE_HOME=str(tmp_path / cache))
        return subprocess.run([TBBRIDGE, *arguments], capture_output=True, text=True, timeout=110, env=variables)

    return call


def points(folder: Path, writer: type = tensorboardX.SummaryWriter, *, steps: range = range(100), **options: object) -> None:
    with writer(str(folder), **options) as made:
        for step in steps:
            made.add_scalar("loss", 1 / (step + 1), step)


def one_file(folder: Path) -> Path:
    (file,) = (path for path in folder.iterdir() if "tfevents" in path.name)
    return file


def fill(folder: Path) -> None:
    """Runs by tensorboardX and torch with most kinds, one with a torn tail, one resumed with a purge."""
    for name, writer in (("tbx", tensorboardX.SummaryWriter), ("torch", torch.utils.tensorboard.SummaryWriter)):
        with writer(str(folder / name / "run")) as made:
            for step in range(300):
                made.add_scalar("loss", 1 / (step + 1), step, walltime=1e9 + step / 7)
            for step in (1, 2):
                made.add_scalar("odd", float("nan") if step == 1 else float("-inf"), step)
                made.add_histogram("weights", np.arange(100) * step, step)
                made.add_image("picture", np.full((3, 8, 8), step / 2), step)
                made.add_text("note", f"number *{step}*", step)
                made.add_pr_curve("curve", np.array([0, 1, 1, 0]), np.array([0.1, 0.9, 0.4, 0.2]), step)
            made.add_hparams({"lr": 0.1, "name": "x"}, {"accuracy": 1.0})
            made.add_graph(torch.nn.Linear(3, 2), torch.zeros(1, 3))
    with torch.utils.tensorboard.SummaryWriter(str(folder / "torch" / "run")) as made:
        made.add_audio("sound", np.sin(np.arange(1000))[None], 1)
    points(folder / "torn")
    with one_file(folder / "torn").open("ab") as file:
        file.write(one_file(folder / "torn").read_bytes()[:40][:20])
    points(folder / "resumed", steps=range(50), purge_step=0)
    first = one_file(folder / "resumed")
    first.rename(first.with_name("events.out.tfevents.1000000000.first"))
    points(folder / "resumed", steps=range(30, 60), purge_step=30)


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("source") / "logs"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's, of the tracing that add_graph does
        fill(folder)
    return folder


def shown(board: TensorBoard) -> dict[str, object]:
    """All that one TensorBoard shows: every scalar's points, every other plugin's tags and what they hold."""
    every: dict[str, object] = {"runs": sorted(board.runs())}
    for run_name, tags in board.ask("plugin/scalars/tags").items():
        for tag in tags:
            every[f"scalars {run_name} {tag}"] = sorted(map(repr, board.scalars(run_name, tag)))
    for plugin in PLUGINS:
        answer = board.ask(f"plugin/{plugin}/{'info' if plugin == 'graphs' else 'tags'}")
        every[plugin] = {name: sorted(tags["tags"] if plugin == "graphs" else tags) for name, tags in answer.items() if tags}
    for run_name in ("tbx/run", "torch/run"):
        every[f"weights {run_name}"] = board.ask("plugin/histograms/histograms", run=run_name, tag="weights")
        every[f"text {run_name}"] = board.ask("plugin/text/text", run=run_name, tag="note/text_summary")
        every[f"curve {run_name}"] = board.ask("plugin/pr_curves/pr_curves", run=run_name, tag="curve")
        every[f"picture {run_name}"] = [
            (image["step"], image["wall_time"], board.raw(f"plugin/images/individualImage?{image['query']}&unused="))
            for image in board.ask("plugin/images/images", run=run_name, tag="picture", sample=0)
        ]
        every[f"graph {run_name}"] = board.raw("plugin/graphs/graph", run=run_name, conceptual="false")[1]
    every["hparams"] = board.post_json("plugin/hparams/experiment", {})["hparamInfos"]
    return every


def settled(board: TensorBoard) -> dict[str, object]:
    """What it shows once it has read everything: the same in two looks, with every run there."""

    def twice() -> dict[str, object] | None:
        if len(board.runs()) < 6 or len(board.scalars("torn", "loss")) < 100 or len(board.scalars("resumed", "loss")) < 30:
            return None
        first = shown(board)
        return first if first == shown(board) else None

    return until(twice, "TensorBoard has read everything")


@pytest.mark.parametrize("load_fast", ["true", "false"])
def test_both_readers_show_the_same_of_source_and_result(
    source: Path, bridge: str, logdir: Path, run: Run, load_fast: str
) -> None:
    done = run("import", str(source), "--url", bridge)
    assert (done.returncode, done.stderr) == (0, "")
    torn = next(line for line in done.stdout.splitlines() if line.startswith("torn\t"))
    assert "torn tail at byte" in torn
    get(f"{bridge}/api/v1/runs")  # which waits for the event files
    with tensorboard(source, load_fast) as board:
        expected = settled(board)
    with tensorboard(logdir, load_fast) as board:
        assert settled(board) == expected


def projected(board: TensorBoard) -> dict[str, object] | None:
    """Every embedding that TensorBoard shows: its numbers, labels and picture."""
    every: dict[str, object] = {}
    for name in ("one", "two"):
        config = board.ask("plugin/projector/info", run=name)
        if config is None:
            return None
        for entry in config["embeddings"]:
            asked = {"run": name, "name": entry["tensorName"]}
            numbers = np.frombuffer(board.raw("plugin/projector/tensor", **asked)[1], np.float32)
            labels = board.raw("plugin/projector/metadata", **asked)[1] if "metadataPath" in entry else None
            sprite = entry.get("sprite", {}).get("singleImageDim")
            every[f"{name} {entry['tensorName']}"] = (numbers.tolist(), labels, sprite)
    return every


def test_embeddings_come_along(tmp_path: Path, bridge: str, logdir: Path, run: Run) -> None:
    pictures = np.random.default_rng(0).random((3, 3, 4, 4))
    for name in ("one", "two"):
        with tensorboardX.SummaryWriter(str(tmp_path / "logs" / name)) as made:
            made.add_scalar("loss", 1, 1)
            made.add_embedding(np.eye(3), global_step=1)
            made.add_embedding(np.eye(3) / 3, ["a", "ä", "c"], pictures, global_step=7, tag="named")
            made.add_embedding(np.eye(3), [("a", "1"), ("b", "2"), ("c", "3")], tag="table", metadata_header=["x", "y"])
    for cache in ("cache", "cache", "elsewhere"):
        done = run("import", str(tmp_path / "logs"), "--url", bridge, cache=cache)
        assert (done.returncode, done.stderr) == (0, "")
    get(f"{bridge}/api/v1/runs")
    with tensorboard(tmp_path / "logs", "false") as board:
        expected = until(lambda: projected(board), "it shows the source's embeddings")
    assert len(expected) == 6
    with tensorboard(logdir, "false") as board:
        until(lambda: projected(board) == expected, "it shows the same embeddings")


def counts(bridge: str) -> dict[str, int]:
    return {entry["run"]: entry["points"] for entry in get(f"{bridge}/api/v1/runs")["runs"]}


def test_a_repeat_stores_nothing_twice(source: Path, bridge: str, run: Run) -> None:
    assert run("import", str(source), "--url", bridge).returncode == 0
    before = counts(bridge)
    for cache in ("cache", "elsewhere"):  # with its record, and from another machine
        done = run("import", str(source), "--url", bridge, "--json", cache=cache)
        assert done.returncode == 0
        files = json.loads(done.stdout)["files"]
        assert sum(file["sent"] for file in files) == 0
        assert counts(bridge) == before
    assert sum(file["had"] for file in files) == sum(before.values())


def test_what_was_appended_is_fetched(tmp_path: Path, bridge: str, run: Run) -> None:
    """A file that was cut in the middle of a record, and of a window, goes on from there."""
    points(tmp_path / "logs" / "run", steps=range(1000))
    file = one_file(tmp_path / "logs" / "run")
    content = file.read_bytes()
    for size in (0, 10, 5000, 5001, len(content) - 1, len(content)):
        file.write_bytes(content[:size])
        assert run("import", str(tmp_path / "logs"), "--url", bridge).returncode == 0
    stored = get(f"{bridge}/api/v1/scalars", run="run", tag="loss")
    assert stored["steps"] == list(range(1000))


def test_an_interrupted_import_goes_on(tmp_path: Path, logdir: Path, run: Run) -> None:
    """The bridge is killed and comes back; what was on its way is neither lost nor doubled."""
    points(tmp_path / "logs" / "a", steps=range(500))
    points(tmp_path / "logs" / "b", steps=range(500))
    with serve(logdir) as process:
        address = address_in(process)
        shutil.copytree(tmp_path / "logs" / "a", tmp_path / "part" / "a")
        assert run("import", str(tmp_path / "part"), "--url", address).returncode == 0
        process.process.kill()
        process.wait()
        done = run("import", str(tmp_path / "logs"), "--url", address, "--timeout", "0.5")
        assert done.returncode == 1
        assert "no answer" in done.stderr
    with serve(logdir) as process:
        address = address_in(process)
        assert run("import", str(tmp_path / "logs"), "--url", address).returncode == 0
        for name in ("a", "b"):
            assert get(f"{address}/api/v1/scalars", run=name, tag="loss")["steps"] == list(range(500))
        process.end()


def test_a_run_that_was_deleted_is_imported_anew(tmp_path: Path, bridge: str, run: Run) -> None:
    points(tmp_path / "logs" / "run")
    for cache in ("cache", "cache", "elsewhere", "cache"):
        assert run("import", str(tmp_path / "logs"), "--url", bridge, cache=cache).returncode == 0
        assert counts(bridge) == {"run": 100}
        assert run("delete", "run", "--yes", "--url", bridge).returncode == 0
    assert run("import", str(tmp_path / "logs"), "--url", bridge).returncode == 0
    assert run("import", str(tmp_path / "logs"), "--url", bridge, "--again").returncode == 0
    assert counts(bridge) == {"run": 200}


def tensors(path: Path, steps: range, *, described: bool) -> None:
    """An event file of tensors, a number and a text a step, as TensorFlow writes them: the first say what they are."""
    events = [pb.Event(wall_time=1.0, file_version="brain.Event:2")]
    for step in steps:
        event = pb.Event(wall_time=10.0 + step, step=step)
        number, text = event.summary.value.add(tag="loss"), event.summary.value.add(tag="note")
        number.tensor.dtype, text.tensor.dtype = pb.DT_FLOAT, pb.DT_STRING
        number.tensor.float_val.append(step)
        text.tensor.tensor_shape.dim.add(size=1)
        text.tensor.string_val.append(b"number %d" % step)
        if described and step == steps[0]:
            number.metadata.plugin_data.plugin_name, number.metadata.data_class = "scalars", pb.DATA_CLASS_SCALAR
            number.metadata.summary_description = "how far off"
            text.metadata.plugin_data.plugin_name, text.metadata.data_class = "text", pb.DATA_CLASS_TENSOR
        events.append(event)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(frame(event.SerializeToString()) for event in events))


@pytest.mark.parametrize("imported_before", [False, True])
def test_a_second_file_that_does_not_say_again_what_its_tags_are_arrives(
    tmp_path: Path, bridge: str, run: Run, *, imported_before: bool
) -> None:
    """TensorBoard takes all files of a folder for one run. An import lost every value of the second file, and said nothing."""
    folder = tmp_path / "logs" / "run"
    tensors(folder / "events.out.tfevents.1", range(3), described=True)
    if imported_before:  # what its first file said is then no longer sent, but has to be known
        assert run("import", str(tmp_path / "logs"), "--url", bridge).returncode == 0
    tensors(folder / "events.out.tfevents.2", range(3, 6), described=False)
    tensors(tmp_path / "logs" / "run2" / "events.out.tfevents.1", range(3), described=False)  # and no other run is meant
    assert run("import", str(tmp_path / "logs"), "--url", bridge).returncode == 0
    series = get(f"{bridge}/api/v1/scalars", run="run", tag="loss")
    assert (series["steps"], series["values"]) == ([*range(6)], [*map(float, range(6))])
    texts = get(f"{bridge}/api/v1/texts", run="run", tag="note")["values"]
    assert [(one["step"], one["texts"]) for one in texts] == [(step, [f"number {step}"]) for step in range(6)]
    (other,) = get(f"{bridge}/api/v1/runs", run="run2")["runs"]
    assert "scalar" not in other["tag_counts"]


def test_a_damaged_file_is_salvaged_up_to_the_damage(tmp_path: Path, bridge: str, run: Run) -> None:
    points(tmp_path / "logs" / "run")
    file = one_file(tmp_path / "logs" / "run")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    done = run("import", str(tmp_path / "logs"), "--url", bridge)
    assert done.returncode == 1
    assert "DAMAGED at byte" in done.stdout
    assert str(file) in done.stderr
    assert "checksum" in done.stderr
    steps = get(f"{bridge}/api/v1/scalars", run="run", tag="loss")["steps"]
    assert steps == list(range(len(steps)))
    assert 40 < len(steps) < 60


def test_what_the_bridge_refuses_is_told(tmp_path: Path, bridge: str, run: Run) -> None:
    points(tmp_path / "logs" / "run")
    text = {"kind": "text", "tag": "loss", "step": 1, "text": "taken"}
    post(f"{bridge}/api/v1/write", {"runs": [{"run": "run", "summaries": [text]}]})
    done = run("import", str(tmp_path / "logs"), "--url", bridge, "--json")
    assert done.returncode == 1
    (left,) = json.loads(done.stdout)["left_out"]
    assert left["values"] == 100
    assert "holds text values" in left["reason"]


def test_a_dry_run_sends_nothing(source: Path, bridge: str, run: Run) -> None:
    done = run("import", str(source), "--url", bridge, "--dry-run", "--json")
    assert done.returncode == 0
    assert sum(file["sent"] for file in json.loads(done.stdout)["files"]) > 800
    assert counts(bridge) == {}


def test_a_prefix_puts_the_runs_in_a_folder(tmp_path: Path, bridge: str, run: Run) -> None:
    points(tmp_path / "logs")
    points(tmp_path / "logs" / "below")
    assert run("import", str(tmp_path / "logs"), "--url", bridge, "--run-prefix", "old/2024").returncode == 0
    assert counts(bridge) == {"old/2024": 100, "old/2024/below": 100}


def test_a_bridge_does_not_import_its_own_folder(bridge: str, logdir: Path, run: Run) -> None:
    post(f"{bridge}/api/v1/write", {"runs": [{"run": "run", "scalars": [{"tag": "loss", "values": [1]}]}]})
    get(f"{bridge}/api/v1/runs")
    done = run("import", str(logdir), "--url", bridge)
    assert done.returncode == 1
    assert "would double it" in done.stderr
    assert counts(bridge) == {"run": 1}


@pytest.mark.parametrize("arguments", [("nowhere",), (".",)], ids=["missing", "empty"])
def test_a_folder_without_event_files_is_one_line(tmp_path: Path, run: Run, arguments: tuple[str, ...]) -> None:
    done = run("import", *(str(tmp_path / argument) for argument in arguments), "--url", "127.0.0.1:1")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1


@pytest.fixture
def many(tmp_path: Path) -> Path:
    """A file of several windows."""
    with tensorboardX.SummaryWriter(str(tmp_path / "logs" / "run")) as made:
        for step in range(100):
            made.add_text("note", "x" * 100_000, step)
            made.add_scalar("loss", step, step)
    return tmp_path / "logs"


def test_a_file_of_several_windows_arrives_whole(many: Path, bridge: str, run: Run) -> None:
    for cache in ("cache", "elsewhere"):
        assert run("import", str(many), "--url", bridge, cache=cache).returncode == 0
        assert counts(bridge) == {"run": 200}
    assert get(f"{bridge}/api/v1/scalars", run="run", tag="loss")["steps"] == list(range(100))


def test_an_import_that_was_killed_goes_on(many: Path, tmp_path: Path, bridge: str, run: Run) -> None:
    """Killed as soon as something is on its way, so that nobody knows whether it arrived."""
    records = tmp_path / "cache" / "tbbridge" / "import"
    with Process(
        [TBBRIDGE, "import", str(many), "--url", bridge], env=environment(XDG_CACHE_HOME=str(tmp_path / "cache"))
    ) as killed:
        until(lambda: records.exists() and any(path.suffix == ".json" for path in records.iterdir()), "it sends")
        killed.process.kill()
        killed.wait()
    assert run("import", str(many), "--url", bridge).returncode == 0
    assert counts(bridge) == {"run": 200}
    assert get(f"{bridge}/api/v1/scalars", run="run", tag="loss")["steps"] == list(range(100))
