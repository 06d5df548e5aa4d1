"""Sound as WAV files of 16 bits, with the standard library: what TensorBoard's writers emit and every browser plays."""

from __future__ import annotations

import io
import wave
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbbridge.convert.arrays import as_numbers, in_range
from tbbridge.convert.tags import checked_tag
from tbbridge.errors import InvalidItem
from tbbridge.kinds import Audio


def audio(tag: str, sound: object, sample_rate: float = 44100, *, clip: bool = False) -> Audio:
    """One sound: samples as floats in [-1, 1] or int16, [L], [L, C] or [C, L] with 1 or 2 channels; or WAV bytes as they are.

    Where both dimensions could be channels the first is time, as in tensorboardX. Dimensions of 1 in front are taken away.
    """
    name = checked_tag(tag)
    if isinstance(sound, bytes | bytearray | memoryview):
        return Audio(name, (bytes(sound),))
    what = f"the audio of tag {tag!a}"
    samples = _time_first(as_numbers(sound, what), what)
    return Audio(name, (wav(_int16(samples, what, clip=clip), _rate(sample_rate, what)),))


def _time_first(samples: NDArray[Any], what: str) -> NDArray[Any]:
    came = samples.shape
    while samples.ndim > 2 and samples.shape[0] == 1:
        samples = samples[0]
    if samples.ndim == 1:
        samples = samples[:, np.newaxis]
    if samples.ndim != 2 or 0 in samples.shape:
        message = f"{what} has shape {came}; give samples [L], [L, channels] or [channels, L], not empty"
        raise InvalidItem("shape", message, "sound")
    if samples.shape[1] in (1, 2):
        return samples
    if samples.shape[0] in (1, 2):
        return samples.T
    message = f"{what} has shape {came}; 1 or 2 channels are accepted: choose two of them, or mix them with mean()"
    raise InvalidItem("shape", message, "sound")


def _int16(samples: NDArray[Any], what: str, *, clip: bool) -> NDArray[np.int16]:
    if samples.dtype == np.int16:
        return samples
    if samples.dtype.kind != "f":
        message = f"{what} has type {samples.dtype}; give int16, or floats in [-1, 1]: divide by the greatest value"
        raise InvalidItem("type", message, "sound")
    remedy = "samples are floats from -1 to 1, or int16: divide by the greatest value, or convert 16-bit numbers to int16"
    wide = samples if samples.dtype.itemsize >= 4 else samples.astype(np.float32)
    return np.rint(in_range(wide, -1.0, 1.0, what, remedy, clip=clip) * 32767.0).astype(np.int16)


def _rate(sample_rate: object, what: str) -> int:
    number = getattr(sample_rate, "item", lambda: sample_rate)()
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int) or not 0 < number < 2**31:
        message = f"sample_rate of {what} is {sample_rate!a}"
        raise InvalidItem("sample-rate", message + "; give whole samples a second, such as 44100", "sample_rate")
    return number


def wav(samples: NDArray[np.int16], sample_rate: int) -> bytes:
    """int16 [L, channels] as a WAV file."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(samples.shape[1])
        writer.setsampwidth(2)
        writer.setframerate(sample_rate)
        writer.writeframes(np.ascontiguousarray(samples, "<i2").tobytes())
    return file.getvalue()
