"""Pictures, sounds and graphs: bytes in formats of others, whose headers or messages are checked."""

from __future__ import annotations

from dataclasses import dataclass

from tbbridge import limits
from tbbridge.foreign import checks
from tbbridge.kinds.shared import Shared, check_count, check_size, check_summary
from tbbridge.media import read_picture, read_sound
from tbbridge.names import TagName


@dataclass(frozen=True, slots=True)
class Image(Shared):
    """1 to 64 pictures, each an encoded PNG, JPEG or GIF; an animated GIF is a video."""

    tag: TagName
    images: tuple[bytes, ...]

    def __post_init__(self) -> None:
        check_summary(self)
        check_count(len(self.images), limits.IMAGES_MAX, "images", "an image summary")
        check_size(self.size_bytes, "images")
        for position, image in enumerate(self.images):
            read_picture(image, f"images[{position}]")

    @property
    def size_bytes(self) -> int:
        """About what the payload occupies in memory."""
        return sum(map(len, self.images))


@dataclass(frozen=True, slots=True)
class Audio(Shared):
    """1 to 16 clips, each a WAV file; every browser plays PCM of 16 bits."""

    tag: TagName
    clips: tuple[bytes, ...]

    def __post_init__(self) -> None:
        check_summary(self)
        check_count(len(self.clips), limits.AUDIO_CLIPS_MAX, "clips", "an audio summary")
        check_size(self.size_bytes, "clips")
        for position, clip in enumerate(self.clips):
            read_sound(clip, f"clips[{position}]")

    @property
    def size_bytes(self) -> int:
        """About what the payload occupies in memory."""
        return sum(map(len, self.clips))


@dataclass(frozen=True, slots=True)
class Graph(Shared):
    """A run's model as a serialized GraphDef, for the Graphs page. One a run: TensorBoard keeps the latest."""

    graph_def: bytes

    def __post_init__(self) -> None:
        check_summary(self)
        check_size(len(self.graph_def), "graph_def")
        checks.check_graph(self.graph_def, "graph_def")

    @property
    def tag(self) -> TagName:
        """TensorBoard's own name for it."""
        return TagName("__run_graph__")

    @property
    def size_bytes(self) -> int:
        """About what the payload occupies in memory."""
        return len(self.graph_def)


@dataclass(frozen=True, slots=True)
class RunMetadata(Shared):
    """What one step of a graph used, as a serialized RunMetadata; the Graphs page lists it by tag."""

    tag: TagName
    run_metadata: bytes

    def __post_init__(self) -> None:
        check_summary(self)
        check_size(len(self.run_metadata), "run_metadata")
        checks.check_run_metadata(self.run_metadata, "run_metadata")

    @property
    def size_bytes(self) -> int:
        """About what the payload occupies in memory."""
        return len(self.run_metadata)
