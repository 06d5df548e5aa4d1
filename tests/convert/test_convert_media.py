"""Videos and sounds: GIF and WAV files that play what was given; mistakes of shape, type and range are told."""

from __future__ import annotations

import io
import wave

import numpy as np
import PIL.Image
import PIL.ImageSequence
import pytest
import tensorboardX.utils
import torch

from tbbridge import convert
from tbbridge.errors import InvalidItem
from tbbridge.media import read_sound

RANDOM = np.random.default_rng(0)


def frames(gif: bytes) -> list[np.ndarray]:
    return [np.array(page.convert("RGB")) for page in PIL.ImageSequence.Iterator(PIL.Image.open(io.BytesIO(gif)))]


def samples(wav: bytes) -> np.ndarray:
    with wave.open(io.BytesIO(wav)) as reader:
        return np.frombuffer(reader.readframes(10**6), "<i2").reshape(-1, reader.getnchannels())


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 9])
def test_videos_stand_in_the_grid_of_tensorboardx(count: int) -> None:
    """Grey, so that the 256 colours of a GIF lose nothing."""
    video = RANDOM.integers(0, 256, (count, 3, 1, 4, 6)).astype(np.uint8)
    expected = np.rint(tensorboardX.utils._prepare_video(video) * 255)
    made = frames(convert.video("t", video).images[0])
    assert [frame[:, :, 0].tolist() for frame in made] == expected[..., 0].tolist()


def test_a_video_repeats_at_its_rate_and_in_any_layout() -> None:
    video = RANDOM.random((1, 5, 3, 8, 8)).astype(np.float32)
    made = convert.video("t", torch.tensor(video), fps=10)
    file = PIL.Image.open(io.BytesIO(made.images[0]))
    assert (file.info["duration"], file.info["loop"], file.n_frames) == (100, 0, 5)
    turned = convert.video("t", video.transpose(0, 1, 3, 4, 2), 10, "NTHWC")
    assert turned == made


def test_a_rate_that_browsers_would_slow_down_is_the_fastest_they_play() -> None:
    made = convert.video("t", RANDOM.random((1, 2, 1, 8, 8)), fps=1000)
    assert PIL.Image.open(io.BytesIO(made.images[0])).info["duration"] == 20


@pytest.mark.parametrize(
    ("video", "given", "said"),
    [
        (np.zeros((5, 3, 8, 8)), {}, "shape \\(5, 3, 8, 8\\); give NTCHW"),
        (np.zeros((1, 5, 8, 8, 3)), {}, "8 channels; give 1 or 3"),
        (np.zeros((1, 5, 4, 8, 8)), {}, "4 channels.*a GIF has no alpha"),
        (np.zeros((1, 0, 3, 8, 8)), {}, "no dimension of size 0"),
        (np.zeros((1, 5, 3, 8, 8)), {"dataformats": "TCHW"}, "'TCHW' .* is no layout"),
        (np.zeros((1, 5, 3, 8, 8)), {"fps": 0}, "fps .* is 0"),
        (np.zeros((1, 5, 3, 8, 8)), {"fps": -1}, "fps .* is -1"),
        (np.zeros((1, 5, 3, 8, 8)), {"fps": float("nan")}, "fps .* is nan"),
        (np.full((1, 5, 3, 8, 8), 128.0), {}, "from 128 to 128"),
        (b"GIF", {}, "PNG, JPEG or GIF"),
    ],
)
def test_what_is_no_video_is_told(video: object, given: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidItem, match=said):
        convert.video("t", video, **given)  # type: ignore[arg-type]


MONO, STEREO = RANDOM.uniform(-1, 1, 100), RANDOM.uniform(-1, 1, (100, 2))


@pytest.mark.parametrize(
    ("sound", "expected"),
    [
        (MONO, MONO[:, None]),
        (MONO.tolist(), MONO[:, None]),
        (MONO[:, None], MONO[:, None]),
        (MONO[None], MONO[:, None]),
        (torch.tensor(MONO)[None, None], MONO[:, None]),
        (STEREO, STEREO),
        (STEREO.T, STEREO),
        (torch.tensor(STEREO, dtype=torch.float64, requires_grad=True), STEREO),
        (STEREO[:2], STEREO[:2]),
    ],
)
def test_a_sound_plays_its_samples_to_half_a_step_of_16_bits(sound: object, expected: np.ndarray) -> None:
    made = samples(convert.audio("t", sound).clips[0])
    assert made.shape == expected.shape
    assert np.abs(made - expected * 32767).max() <= 0.5


def test_16_bit_samples_and_wav_files_travel_as_they_are() -> None:
    whole = np.array([[-32768, 32767], [0, 1]], np.int16)
    made = convert.audio("t", whole, 8000)
    assert np.array_equal(whole, samples(made.clips[0]))
    assert convert.audio("t", made.clips[0]) == made


@pytest.mark.parametrize("rate", [1, 22050, 44100.0, np.int64(48000), torch.tensor(96000)])
def test_a_rate_of_any_number_type_is_in_the_header(rate: float) -> None:
    assert read_sound(convert.audio("t", MONO, rate).clips[0], "").rate_hz == int(rate)


def test_clip_brings_loud_samples_into_range_as_tensorboardx_does() -> None:
    assert samples(convert.audio("t", [0.0, 2.0, -3.0, np.nan], clip=True).clips[0]).ravel().tolist() == [0, 32767, -32767, 0]


@pytest.mark.parametrize(
    ("sound", "rate", "said"),
    [
        (np.zeros((50, 3)), 44100, "shape \\(50, 3\\); 1 or 2 channels"),
        (np.zeros((2, 3, 4)), 44100, "give samples \\[L\\]"),
        ([], 44100, "not empty"),
        (0.5, 44100, "shape \\(\\)"),
        ([0, 1, 0], 44100, "type int64; give int16"),
        ([True], 44100, "type bool"),
        ([0.0, 12000.0], 44100, "from 0 to 12000; samples are floats from -1 to 1"),
        ([0.0, np.nan], 44100, "holds NaN"),
        (MONO, 0, "sample_rate .* is 0"),
        (MONO, 22050.5, "sample_rate .* is 22050.5"),
        (MONO, "fast", "sample_rate .* is 'fast'"),
        (MONO, True, "sample_rate .* is True"),
        (MONO, 2**31 - 1, "rate"),
        (b"mp3", 44100, "WAV"),
    ],
)
def test_what_is_no_sound_is_told(sound: object, rate: object, said: str) -> None:
    with pytest.raises(InvalidItem, match=said):
        convert.audio("t", sound, rate)  # type: ignore[arg-type]
