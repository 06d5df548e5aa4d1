"""What `SummaryWriter` shows and plays: images, figures, videos and sounds.

Values out of range are brought into it without a word, as torch.utils.tensorboard does: scripts written for it log normalised
images. Positions, names and defaults are tensorboardX's; what torch calls differently is said at the method.
"""

from __future__ import annotations

from collections.abc import Sequence

from tbbridge import convert
from tbbridge.client.values import Step
from tbbridge.summary_writer.core import Core


class Pictures(Core):
    """The methods for pictures and sounds."""

    def add_image(
        self,
        tag: str,
        img_tensor: object,
        global_step: Step | None = None,
        walltime: float | None = None,
        dataformats: str = "CHW",
    ) -> None:
        """Log one image: uint8, or float in [0, 1]; `dataformats` names its axes (CHW, HWC, HW)."""
        self._kind(convert.image(tag, img_tensor, dataformats, clip=True), global_step, walltime)

    def add_images(
        self,
        tag: str,
        img_tensor: object,
        global_step: Step | None = None,
        walltime: float | None = None,
        dataformats: str = "NCHW",
    ) -> None:
        """Log a batch of images as one grid: NCHW or NHWC; or a list of equal images, CHW or HWC."""
        self._kind(convert.images(tag, img_tensor, dataformats, clip=True), global_step, walltime)

    def add_image_with_boxes(
        self,
        tag: str,
        img_tensor: object,
        box_tensor: object,
        global_step: Step | None = None,
        walltime: float | None = None,
        dataformats: str | float = "CHW",
        labels: str | Sequence[str] | None = None,
        rescale: float | str | Sequence[str] | None = 1,
    ) -> None:
        """Log one image with boxes [N, 4]: left, top, right, bottom in pixels.

        torch has `rescale` before `dataformats` and `labels`; a number in the place of `dataformats` is taken for it.
        """
        if not isinstance(dataformats, str):
            formats = labels if isinstance(labels, str) else "CHW"
            names = None if isinstance(rescale, int | float) else rescale
            dataformats, labels, rescale = formats, names, dataformats
        scale = rescale if isinstance(rescale, int | float) else 1
        kind = convert.image_with_boxes(tag, img_tensor, box_tensor, labels, dataformats, rescale=scale, clip=True)
        self._kind(kind, global_step, walltime)

    def add_figure(
        self,
        tag: str,
        figure: object,
        global_step: Step | None = None,
        close: bool = True,
        walltime: float | None = None,
    ) -> None:
        """Log a matplotlib figure, or a list of equal ones as a grid; `close` closes them."""
        self._kind(convert.figure(tag, figure, close=close), global_step, walltime)

    def add_video(
        self,
        tag: str,
        vid_tensor: object,
        global_step: Step | None = None,
        fps: float | None = 4,
        walltime: float | None = None,
        dataformats: str = "NTCHW",
    ) -> None:
        """Log videos, side by side in one moving picture, at `fps` frames a second."""
        kind = convert.video(tag, vid_tensor, 4 if fps is None else fps, dataformats, clip=True)
        self._kind(kind, global_step, walltime)

    def add_audio(
        self,
        tag: str,
        snd_tensor: object,
        global_step: Step | None = None,
        sample_rate: int = 44100,
        walltime: float | None = None,
    ) -> None:
        """Log a sound: samples in [-1, 1] or int16, [L], [L, C] or [C, L] for one or two channels; or WAV bytes."""
        self._kind(convert.audio(tag, snd_tensor, sample_rate, clip=True), global_step, walltime)
