"""`SummaryWriter`: the class that scripts written for tensorboardX and torch.utils.tensorboard use, with their methods.

Here are its arguments only. core.py has the path of a point, pictures.py, plots.py and about.py the other methods by theme,
place.py says what a log folder means, local.py and remote.py write and send.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

from tbbridge.client.values import Step
from tbbridge.summary_writer.about import AboutTheRun
from tbbridge.summary_writer.pictures import Pictures
from tbbridge.summary_writer.plots import Plots

logger = logging.getLogger("tbbridge.summary_writer")


class SummaryWriter(Pictures, Plots, AboutTheRun):
    """Logs one run for TensorBoard, into a local event file or to a bridge; a context manager that closes itself.

    Args:
        logdir: a folder, 'runs/exp1'; or a bridge, 'http://host:6007' or 'tbbridge://host:6007/exp1'. Left out: the bridge of
            TBBRIDGE_URL if that is set, else a folder of its own, runs/<date>_<time>_<host><comment>.
        comment: the end of that name; without effect if `logdir` names the run.
        purge_step: a training that is resumed from this step hides what was logged from it on.
        max_queue: how many values may wait before they are written.
        flush_secs: how long a value may wait; it never waits longer than a second.
        filename_suffix: the end of the event file's name.
        write_to_disk: False checks everything and keeps nothing.
        log_dir: torch's name for `logdir`.
        comet_config: tensorboardX's; not supported.
        run: the run's name at a bridge that `logdir` gives without one.
        token: the bridge's token, if it asks for one; left out: TBBRIDGE_TOKEN.
        mode: of the way to a bridge: 'online', 'offline' or 'disabled', as for `Client`; left out: TBBRIDGE_MODE.

    Log calls cost about a quarter of a microsecond for a scalar and may come from any thread; a forked child goes on in a file
    of its own. They raise `InvalidItem` (a ValueError) for what is wrong in the call, and `WriteFailed` (an OSError) while the
    disk refuses; nothing is dropped meanwhile that fits in memory.
    """

    def __init__(
        self,
        logdir: str | os.PathLike[str] | None = None,
        comment: str = "",
        purge_step: Step | None = None,
        max_queue: int | None = 10,
        flush_secs: float | None = 120,
        filename_suffix: str = "",
        write_to_disk: bool = True,
        log_dir: str | os.PathLike[str] | None = None,
        comet_config: Mapping[str, object] | None = None,
        *,
        run: str | None = None,
        token: str | None = None,
        mode: str | None = None,
    ) -> None:
        super().__init__(
            log_dir if logdir is None else logdir,
            comment,
            purge_step,
            max_queue,
            flush_secs,
            filename_suffix,
            write_to_disk,
            run,
            token,
            mode,
        )
        if comet_config is not None and not comet_config.get("disabled", False):
            logger.warning("comet_config is not supported: nothing is sent to Comet")
