"""Scripts as people write them for tensorboardX and torch, changed in nothing but the import; into a folder and a bridge."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from processes import Process, address_in, environment, get, serve, until

import tbbridge

# A training loop with the habits of both: positions, torch tensors, no steps, a writer that is never closed.
TRAINING = """
import os, sys
import numpy as np
import torch
from {module} import SummaryWriter

torch.manual_seed(0)
writer = SummaryWriter({logdir})
model = torch.nn.Linear(4, 2)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
for epoch in range(5):
    inputs, labels = torch.randn(8, 4), torch.randint(0, 2, (8,))
    loss = torch.nn.functional.cross_entropy(model(inputs), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    writer.add_scalar('Loss/train', loss, epoch)
    writer.add_scalar('Loss/part', loss.item(), epoch + 0.5)
    writer.add_scalars('Accuracy', {'train': epoch / 5, 'val': np.float32(epoch / 6)}, epoch)
    for name, parameter in model.named_parameters():
        writer.add_histogram(name, parameter, epoch)
        writer.add_histogram(name + '.grad', parameter.grad.data.cpu().numpy(), epoch)
    writer.add_image('inputs', torch.rand(3, 8, 8), epoch)
    writer.add_images('normalized', torch.randn(4, 3, 8, 8), epoch)
    writer.add_text('note', 'epoch ' + str(epoch), epoch)
writer.add_pr_curve('pr', np.random.randint(0, 2, 50), np.random.rand(50), 0)
writer.add_embedding(torch.randn(6, 3), metadata=list('abcdef'), label_img=torch.rand(6, 3, 4, 4))
writer.add_hparams({'lr': 0.1, 'bsize': 8}, {'hparam/accuracy': 0.5})
writer.flush()
{end}
"""
MODULES = ["tensorboardX", "torch.utils.tensorboard", "tbbridge"]


# Importing torch takes longer than all that a script does, so each runs in a copy of a process that has it: it begins as a
# program does and ends as one, with all that an interpreter does at its end.
RUNNER = """
import json, os, sys
import tensorboardX, torch._dynamo, torch.utils.tensorboard  # an optimizer asks for dynamo

for source, variables in json.load(sys.stdin):
    child = os.fork()
    if not child:
        os.environ.update(variables)
        exec(compile(source, "training.py", "exec"), {"__name__": "__main__"})
        sys.exit()
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    if code:
        sys.exit(f"{source} ended with {code}")
"""


def script(module: str, logdir: str, end: str) -> str:
    return TRAINING.replace("{module}", module).replace("{logdir}", logdir).replace("{end}", end)


def run(cwd: Path, *scripts: tuple[str, dict[str, str]]) -> None:
    """Each script with these variables, one after the other."""
    command = [sys.executable, "-W", "ignore", "-c", RUNNER]
    given = json.dumps(scripts)
    ended = subprocess.run(command, cwd=cwd, input=given, capture_output=True, text=True, timeout=100, env=environment())
    assert ended.returncode == 0, ended.stderr


@pytest.fixture
def reading(logdir: Path) -> Iterator[Process]:
    with serve(logdir) as process:
        yield process
        assert process.end() == 0, process.output


def scalars(address: str, run: str, tag: str) -> tuple[list[int], list[float]] | None:
    known = {entry["run"]: entry for entry in get(f"{address}/api/v1/runs")["runs"]}
    if run not in known:
        return None
    found = get(f"{address}/api/v1/scalars", run=run, tag=tag)
    return found["steps"], found["values"]


@pytest.mark.parametrize("end", ["writer.close()", ""], ids=["closed", "never closed"])
def test_the_same_script_logs_the_same_with_another_import(tmp_path: Path, reading: Process, logdir: Path, end: str) -> None:
    address = address_in(reading)
    by_environment = script("tbbridge", "", end).replace("SummaryWriter()", "SummaryWriter(run='by environment')")
    run(
        tmp_path,
        *((script(module, f"log_dir={str(logdir / module)!r}", end), {}) for module in MODULES),
        (script("tbbridge", f"{address!r}, run='bridge'", end), {}),
        (by_environment, {"TBBRIDGE_URL": address}),
    )
    for tag in ("Loss/train", "Loss/part"):
        expected = until(lambda: scalars(address, "torch.utils.tensorboard", tag), "the bridge reads torch's file")  # noqa: B023
        assert expected[0] == list(range(5))
        for name in ("tensorboardX", "tbbridge", "bridge", "by environment"):
            assert scalars(address, name, tag) == expected, name
    for name in ("tensorboardX", "tbbridge", "bridge", "by environment"):
        assert scalars(address, f"{name}/Accuracy/val", "Accuracy") == scalars(
            address, "torch.utils.tensorboard/Accuracy_val", "Accuracy"
        )


def test_a_writer_over_a_bridge_reopens_without_purging_again(reading: Process, monkeypatch: pytest.MonkeyPatch) -> None:
    address = address_in(reading)
    monkeypatch.setenv("TBBRIDGE_URL", address)
    writer = tbbridge.SummaryWriter(f"tbbridge://{address.removeprefix('http://')}/a/b", purge_step=3)
    assert writer.logdir == f"{address}/a/b"
    writer.add_scalar("loss", 1.0, 0, None, "Shown")
    writer.close()
    writer.add_scalar("loss", 2.0, 1)
    writer.flush()
    assert scalars(address, "a/b", "loss") == ([0, 1], [1.0, 2.0])
    writer.close()
    with tbbridge.SummaryWriter("tbbridge:///c") as other:
        other.add_scalars("loss", {"x": 1.0})
        other.flush()
        assert scalars(address, "c/loss/x", "loss") == ([0], [1.0])


def test_a_server_that_is_away_is_told_by_flush_only() -> None:
    writer = tbbridge.SummaryWriter("http://127.0.0.1:9", run="away")
    writer.add_scalar("loss", 1.0, 0)
    with pytest.raises(tbbridge.Unavailable, match=r"127\.0\.0\.1:9"):
        writer._destination._client.flush(0.1)  # type: ignore[attr-defined]
    writer._destination._client.close(0.0)  # type: ignore[attr-defined]
