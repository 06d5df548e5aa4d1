"""`TensorplexClient`: Tensorplex's client over a tbbridge server, whose groups name the runs and tags.

The rules of the names are in `tbbridge.groups`; each client is a member of `client.member`, and what is logged takes its path.
Signatures are those that Tensorplex took over from tensorboardX.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from tbbridge import convert, limits
from tbbridge.client.address import find_address
from tbbridge.client.remote import GroupEntry, Remote
from tbbridge.client.values import Number, Step
from tbbridge.compat.shared import shared_client
from tbbridge.kinds import Summary
from tbbridge.logs.names import fitting_name
from tbbridge.summary_writer.core import step_of


class TensorplexClient:
    """Logs as `client_id`, which is `group/name`: `TensorplexClient('agent/17', host='127.0.0.1', port=6007)`.

    The server need not be there yet, and may come and go: values wait in a bounded queue. The groups are made on the server (by
    PUT /api/v1/groups, a settings file, or `tbbridge groups --put`); values of a member that they do not know are refused, and
    that is said in the log and by `flush`. All clients of one process and address share a connection.

    `token`: the server's, if it asks for one; left out: TBBRIDGE_TOKEN. Raises `InvalidItem`, a ValueError, for a client_id
    without exactly one `/`.
    """

    def __init__(self, client_id: str, host: str | None = None, port: int | None = None, *, token: str | None = None) -> None:
        self._url = find_address(host, port).url
        self._token = token
        self._client = shared_client(self._url, token)
        self._member = self._client.member(client_id)

    @property
    def client_id(self) -> str:
        """The member's name."""
        return self._member.name

    # --- what to log --------------------------------------------------------------------------------------------------

    def add_scalar(
        self, tag: str, scalar_value: Number, global_step: Step | None = None, walltime: float | None = None
    ) -> None:
        """Log one number."""
        self._member.add_scalar(tag, scalar_value, _step(global_step), walltime)

    def add_scalars(self, tag_scalar_dict: Mapping[str, Number], global_step: Step | None = None) -> None:
        """Log several numbers, {tag: value}: as many `add_scalar`, and not what tensorboardX calls so."""
        self._member.add_scalars(tag_scalar_dict, _step(global_step), time.time())

    def add_histogram(
        self,
        tag: str,
        values: object,
        global_step: Step | None = None,
        bins: str | int | Sequence[float] = "tensorflow",
        walltime: float | None = None,
        max_bins: int | None = None,
    ) -> None:
        """Log how numbers are distributed."""
        self._add(convert.histogram(tag, values, bins, max_bins), global_step, walltime)

    def add_image(
        self,
        tag: str,
        img_tensor: object,
        global_step: Step | None = None,
        walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:
        """Log one image: uint8, or float in [0, 1]; `dataformats` names its axes (CHW, HWC, HW)."""
        self._add(convert.image(tag, img_tensor, dataformats, clip=True), global_step, walltime)

    def add_audio(
        self,
        tag: str,
        snd_tensor: object,
        global_step: Step | None = None,
        sample_rate: int = 44100,
        walltime: float | None = None,
    ) -> None:
        """Log a sound: samples in [-1, 1] or int16, one or two channels; or WAV bytes."""
        self._add(convert.audio(tag, snd_tensor, sample_rate, clip=True), global_step, walltime)

    def add_text(self, tag: str, text_string: str, global_step: Step | None = None, walltime: float | None = None) -> None:
        """Log a text; TensorBoard shows it as Markdown."""
        self._member.add_text(tag, text_string, _step(global_step), walltime)

    def add_embedding(
        self,
        mat: object,
        metadata: Iterable[object] | None = None,
        label_img: object = None,
        global_step: Step | None = None,
        tag: str = "default",
        metadata_header: Sequence[object] | None = None,
    ) -> None:
        """Log vectors [N, D] for the Projector, with a label and a picture for each."""
        self._add(convert.embedding(tag, mat, metadata, label_img, metadata_header), global_step, None)

    def _add(self, kind: Summary, global_step: Step | None, walltime: float | None) -> None:
        self._member.add_summary(kind, _step(global_step), walltime)

    # --- reading back and ending --------------------------------------------------------------------------------------

    def export_json(self, json_dir: str | os.PathLike[str]) -> None:
        """Write the scalars of all members of all groups below the folder `json_dir` of this machine, a file a run.

        The file of the run agent/17 is agent.17.json: {tag: [[wall_time, step, value], ...]}; a name that is too long for a
        file is cut, and ends with a hash of itself. What was logged before is sent first. Raises what `Client.flush` does, and
        `Unavailable` if the server is away.
        """
        self.flush()
        folder = Path(json_dir).expanduser()
        folder.mkdir(parents=True, exist_ok=True)
        taken: set[str] = set()
        with Remote(self._url, token=self._token) as remote:
            groups = remote.groups()
            for run in (entry["run"] for entry in remote.runs()):
                if not _is_of(groups, run):
                    continue
                name = fitting_name(run.replace("/", "."))
                if name in taken:
                    name = fitting_name(quote(run, safe=""))
                taken.add(name)
                tags = remote.run(run)["tags"] or []
                points = {tag["tag"]: _points(remote, run, tag["tag"]) for tag in tags if tag["kind"] == "scalar"}
                (folder / f"{name}.json").write_text(json.dumps(points), encoding="utf-8")

    def flush(self, timeout_s: float = limits.CLIENT_FLUSH_TIMEOUT_S) -> None:
        """Return when everything that clients of this process logged is on the server's disk; raises as `Client.flush`."""
        self._client.flush(timeout_s)

    def close(self) -> None:
        """Take no more and return at once; what is left is sent. Other clients of this process go on."""
        self._member.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<TensorplexClient {self.client_id!r} at {self._client.address}>"


def _step(global_step: Step | None) -> int:
    """Without a step everything is at step 0, as in tensorboardX."""
    return 0 if global_step is None else step_of(global_step)


def _is_of(groups: Sequence[GroupEntry], run: str) -> bool:
    first, slash, rest = run.partition("/")
    kinds = {group["name"]: group["kind"] for group in groups}
    if first not in kinds:
        return False
    return not slash if kinds[first] == "normal" else bool(rest) and "/" not in rest


def _points(remote: Remote, run: str, tag: str) -> list[tuple[float, int, float]]:
    columns = remote.scalars(run, tag)
    values = [float(value) for value in columns["values"]]  # NaN and infinities come as texts
    return list(zip(columns["wall_times"], columns["steps"], values, strict=True))
