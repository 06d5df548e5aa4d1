"""The public surface: these names, these signatures, and nothing heavy behind `import tbbridge`."""

from __future__ import annotations

import inspect
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import tbbridge
from tbbridge import client

SURFACE = [
    "AsyncClient",
    "Buckets",
    "Client",
    "ClientStats",
    "GlobalSummaryWriter",
    "InvalidItem",
    "LogHandler",
    "PointsLost",
    "Rejected",
    "Remote",
    "Run",
    "SummaryWriter",
    "TBBridgeError",
    "Unavailable",
    "WriteFailed",
    "__version__",
]
RUN = {
    "aclose": "()",
    "add_audio": "(tag, sound, step=None, sample_rate=44100, wall_time=None, *, clip=False)",
    "add_custom_scalars": "(layout, *, step=None, wall_time=None)",
    "add_embedding": "(matrix, metadata=None, label_img=None, step=None, tag='default', metadata_header=None, wall_time=None)",
    "add_figure": "(tag, figure, step=None, close=True, wall_time=None)",
    "add_graph": "(model, input_to_model=None, verbose=False, use_strict_trace=True, *, step=None, wall_time=None)",
    "add_histogram": "(tag='weights', weights=None, histo=None, step=None, wall_time=None)",
    "add_hparams": "(hparam_dict, metric_dict=None, step=None, wall_time=None, *, group_name='', status=None)",
    "add_image": "(tag, img, step=None, wall_time=None, dataformats=None, *, clip=False)",
    "add_image_with_boxes": (
        "(tag, img, boxes, step=None, wall_time=None, dataformats=None, labels=None, *, rescale=1.0, clip=False)"
    ),
    "add_images": "(tag, imgs, step=None, wall_time=None, dataformats=None, *, clip=False)",
    "add_mesh": "(tag, vertices, colors=None, faces=None, config=None, step=None, wall_time=None)",
    "add_onnx_graph": "(model, *, step=None, wall_time=None)",
    "add_openvino_graph": "(model, *, step=None, wall_time=None)",
    "add_pr_curve": "(tag, labels, predictions, step=None, num_thresholds=127, weights=None, wall_time=None)",
    "add_pr_curve_raw": (
        "(tag, true_positives, false_positives, true_negatives, false_negatives, precision, recall, step=None, wall_time=None)"
    ),
    "add_run_metadata": "(tag, metadata, step=None, wall_time=None)",
    "add_scalar": "(tag='accuracy', value=None, step=None, wall_time=None)",
    "add_scalars": "(values, step=None, wall_time=None)",
    "add_summary": "(summary, step=None, wall_time=None)",
    "add_tensor": "(tag, values, step=None, wall_time=None, *, plugin_name='', plugin_content=b'')",
    "add_text": "(tag, text, step=None, wall_time=None)",
    "add_video": "(tag, frames, step=None, fps=4, wall_time=None, dataformats='NTCHW', *, clip=False)",
    "close": "()",
    "describe": "(tag, display_name='', description='')",
    "finish": "(status='finished')",
    "log": "(message, level=20, logger='', wall_time=None)",
    "save": "()",
    "send": "()",
    "step": "(number=None)",
    "wall_time": "(seconds)",
}
CLIENT = {
    "close": "(timeout_s=10.0)",
    "flush": "(timeout_s=60.0)",
    "groups": "()",
    "member": "(name, step=0)",
    "put_groups": "(groups)",
    "run": "(name, step=0)",
}
REMOTE = {
    "archive": "(run, file)",
    "close": "()",
    "delete": "(run, tag=None, *, below=False)",
    "export": "(runs=(), tags=(), *, form='csv')",
    "get": "(path, **query)",
    "groups": "()",
    "live": "(runs=(), tags=(), *, logs=False, health=True, last_id='')",
    "put_groups": "(groups)",
    "rename": "(run, to)",
    "restore": "(run, file, *, replace=False)",
    "run": "(name)",
    "runs": "()",
    "scalars": "(run, tag, *, min_step=None, max_step=None, max_points=None, downsample=None)",
    "stream": "(path, query, headers=None)",
}
# Called by the other parts of the client, not by users.
INTERNAL = {"end", "forget", "hand_over", "wake"}


def methods(kind: type) -> dict[str, str]:
    found = {}
    for name, member in inspect.getmembers(kind, inspect.isfunction):
        if not name.startswith("_") and name not in INTERNAL:
            signature = inspect.signature(member)
            parameters = [p.replace(annotation=inspect.Parameter.empty) for p in list(signature.parameters.values())[1:]]
            found[name] = str(signature.replace(parameters=parameters, return_annotation=inspect.Signature.empty))
    return found


def test_the_names() -> None:
    assert sorted(tbbridge.__all__) == SURFACE
    assert set(SURFACE) <= set(dir(tbbridge))
    for name in SURFACE:
        assert getattr(tbbridge, name) is getattr(tbbridge, name)
    for name in client.__all__:
        assert getattr(client, name) is getattr(tbbridge, name)


@pytest.mark.parametrize("module", [tbbridge, client])
def test_other_names_are_told_as_usual(module: object) -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Klient'"):
        _ = module.Klient  # type: ignore[attr-defined]


def test_the_log_calls() -> None:
    assert methods(tbbridge.Run) == RUN


@pytest.mark.parametrize("kind", [tbbridge.Client, tbbridge.AsyncClient])
def test_both_clients_have_the_same_calls(kind: type) -> None:
    assert methods(kind) == CLIENT


def test_the_calls_of_remote() -> None:
    assert methods(tbbridge.Remote) == REMOTE


def test_both_clients_take_the_same_arguments() -> None:
    assert inspect.signature(tbbridge.Client) == inspect.signature(tbbridge.AsyncClient)
    assert list(inspect.signature(tbbridge.Client).parameters)[:3] == ["address", "port", "hostname"]


def test_the_version_is_that_of_the_package() -> None:
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert tbbridge.__version__ == project["version"]


# What a program loads for each step. A training job should not pay for a server, nor a script that only reads an address.
WEIGHT = {
    "import tbbridge": ("tbbridge.", "numpy", "httpx", "google", "fastapi", "pydantic", "uvicorn", "starlette"),
    "import tbbridge.client.address": ("numpy", "httpx", "google", "fastapi", "pydantic", "uvicorn", "starlette"),
    "import tbbridge; tbbridge.Client().run('r').add_scalar('a', 1); tbbridge.AsyncClient(); tbbridge.LogHandler": (
        "fastapi",
        "pydantic",
        "uvicorn",
        "starlette",
        "tensorboard",
        "tbbridge.server",
        "tbbridge.pipeline",
        "tbbridge.store",
    ),
    "import tbbridge; tbbridge.SummaryWriter('folder', write_to_disk=False).add_scalar('a', 1)": (
        "httpx",
        "fastapi",
        "pydantic",
        "torch",
        "PIL",
        "matplotlib",
        "tensorboard",
        "tbbridge.server",
        "tbbridge.store",
    ),
}


@pytest.mark.parametrize(("program", "unwanted"), WEIGHT.items(), ids=WEIGHT.keys())
def test_importing_is_light(program: str, unwanted: tuple[str, ...]) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", f"import sys, os; {program}; print(*sys.modules); sys.stdout.flush(); os._exit(0)"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    loaded = ended.stdout.split()
    assert "tbbridge" in loaded
    assert [name for name in loaded if name.startswith(unwanted)] == []
