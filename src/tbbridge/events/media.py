"""The records of pictures, sounds and graphs: bytes that TensorBoard hands on to the browser as they are.

One picture or clip goes in the older field of its own, which every reader of event files knows; several, in a tensor.
"""

from __future__ import annotations

from typing import Final

from tbbridge.events import event_pb2 as pb
from tbbridge.events.tfrecord import frame
from tbbridge.events.values import describe, event_of, set_shape
from tbbridge.foreign import plugins_pb2
from tbbridge.media import read_picture, read_sound
from tbbridge.model import Audio, Graph, Image, RunMetadata

# Without the encoding TensorBoard serves a clip as application/octet-stream, which no browser plays.
_WAV: Final = plugins_pb2.AudioPluginData(encoding=plugins_pb2.AudioPluginData.WAV).SerializeToString()


def encode_image(image: Image, *, described: bool) -> bytes:
    """One record: Summary.Image, or strings [width, height, image, ...] for several."""
    event = event_of(image)
    value = event.summary.value.add(tag=image.tag)
    if not described:
        describe(value, image, "images", data_class=pb.DATA_CLASS_BLOB_SEQUENCE)
    first = read_picture(image.images[0], "images[0]")
    if len(image.images) == 1:
        value.image.height = first.height
        value.image.width = first.width
        value.image.colorspace = first.colorspace
        value.image.encoded_image_string = image.images[0]
    else:
        value.tensor.dtype = pb.DT_STRING
        set_shape(value.tensor, 2 + len(image.images))
        value.tensor.string_val.extend((str(first.width).encode(), str(first.height).encode(), *image.images))
    return frame(event.SerializeToString())


def encode_audio(audio: Audio, *, described: bool) -> bytes:
    """One record: Summary.Audio, or strings [clip, ...] for several."""
    event = event_of(audio)
    value = event.summary.value.add(tag=audio.tag)
    if not described:
        describe(value, audio, "audio", _WAV, pb.DATA_CLASS_BLOB_SEQUENCE)
    if len(audio.clips) == 1:
        sound = read_sound(audio.clips[0], "clips[0]")
        value.audio.sample_rate = sound.rate_hz
        value.audio.num_channels = sound.channels
        value.audio.length_frames = sound.frames
        value.audio.encoded_audio_string = audio.clips[0]
        value.audio.content_type = "audio/wav"
    else:
        value.tensor.dtype = pb.DT_STRING
        set_shape(value.tensor, len(audio.clips))
        value.tensor.string_val.extend(audio.clips)
    return frame(event.SerializeToString())


def encode_graph(graph: Graph) -> bytes:
    """One record: the event's own field for a run's graph."""
    event = event_of(graph)
    event.graph_def = graph.graph_def
    return frame(event.SerializeToString())


def encode_run_metadata(metadata: RunMetadata) -> bytes:
    """One record: the event's own field for what a step used."""
    event = event_of(metadata)
    event.tagged_run_metadata.tag = metadata.tag
    event.tagged_run_metadata.run_metadata = metadata.run_metadata
    return frame(event.SerializeToString())
