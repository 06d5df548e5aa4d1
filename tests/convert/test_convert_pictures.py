"""Arrays in every layout become the picture that tensorboardX makes of them; mistakes of shape, type and range are told."""

from __future__ import annotations

import io
import sys

import matplotlib as mpl
import numpy as np
import PIL.Image
import pytest
import tensorboardX.summary
import tensorboardX.utils
import torch

from tbbridge import convert
from tbbridge.convert.pictures import grid
from tbbridge.errors import InvalidItem
from tbbridge.kinds import Image

mpl.use("Agg")
RANDOM = np.random.default_rng(0)


def decoded(png: bytes) -> np.ndarray:
    return np.array(PIL.Image.open(io.BytesIO(png)).convert("RGBA"))


def seen(made: Image) -> np.ndarray:
    assert len(made.images) == 1
    return decoded(made.images[0])


LAYOUTS = [
    ("HW", (8, 9)),
    ("CHW", (1, 8, 9)),
    ("CHW", (3, 8, 9)),
    ("CHW", (4, 8, 9)),
    ("HWC", (8, 9, 1)),
    ("HWC", (8, 9, 3)),
    ("HWC", (8, 9, 4)),
    ("NCHW", (11, 3, 5, 6)),
    ("NCHW", (2, 1, 5, 6)),
    ("NHWC", (9, 5, 6, 3)),
    ("NCHW", (5, 4, 5, 6)),
]


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64", "bool"])
@pytest.mark.parametrize(("layout", "shape"), LAYOUTS)
def test_a_picture_is_the_one_tensorboardx_makes(layout: str, shape: tuple[int, ...], dtype: str) -> None:
    """Named or seen from the shape; a batch is one grid."""
    array = RANDOM.random(shape)
    array = (array * 256 if dtype == "uint8" else array.round() if dtype == "bool" else array).astype(dtype)
    expected = decoded(tensorboardX.summary.image("t", array, dataformats=layout).value[0].image.encoded_image_string)
    calls = [convert.image("t", array, layout), convert.image("t", array), convert.image("t", array, layout.lower())]
    if "N" in layout:
        calls += [
            convert.images("t", array, layout),
            convert.images("t", list(array), layout[1:]),
            convert.images("t", list(array)),
        ]
    for made in calls:
        assert np.array_equal(expected, seen(made))


def test_any_order_of_the_letters_is_a_layout() -> None:
    array = RANDOM.random((3, 8, 9))
    expected = seen(convert.image("t", array, "CHW"))
    assert np.array_equal(expected, seen(convert.image("t", array.transpose(2, 0, 1), "WCH")))
    assert np.array_equal(expected, seen(convert.image("t", torch.tensor(array, requires_grad=True))))


def test_where_both_ends_could_be_channels_the_first_is() -> None:
    array = RANDOM.random((3, 5, 4))
    assert seen(convert.image("t", array)).shape == (5, 4, 4)


def test_a_list_of_grey_pictures_is_a_grid() -> None:
    made = convert.images("t", [np.zeros((4, 5)), np.ones((4, 5))])
    assert seen(made)[0, :, 0].tolist() == [0] * 5 + [255] * 5


def test_a_grid_is_filled_row_by_row_and_ends_in_black() -> None:
    cells = np.arange(1, 12, dtype=np.uint8).reshape(11, 1, 1, 1)
    assert grid(cells)[:, :, 0].tolist() == [[1, 2, 3, 4, 5, 6, 7, 8], [9, 10, 11, 0, 0, 0, 0, 0]]


def test_integers_of_0_and_1_are_a_mask_as_in_tensorboardx() -> None:
    assert seen(convert.image("t", np.eye(3, dtype=np.int64)))[:, :, 0].tolist() == (np.eye(3) * 255).tolist()


def test_clip_brings_a_normalized_picture_into_range_as_torch_does() -> None:
    made = convert.image("t", np.array([[-2.0, 0.5, 3.0, np.nan]]), clip=True)
    assert seen(made)[0, :, 0].tolist() == [0, 127, 255, 0]


@pytest.mark.parametrize("encoding", ["PNG", "JPEG", "GIF"])
def test_encoded_bytes_travel_as_they_are(encoding: str) -> None:
    file = io.BytesIO()
    PIL.Image.new("RGB", (3, 2), "red").save(file, encoding)
    assert convert.image("t", file.getvalue()).images == (file.getvalue(),)
    assert convert.image("t", bytearray(file.getvalue())).images == (file.getvalue(),)


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK", "1", "LA"])
def test_a_pillow_image_of_any_mode_is_a_picture(mode: str) -> None:
    assert seen(convert.image("t", PIL.Image.new(mode, (3, 2)))).shape == (2, 3, 4)


@pytest.mark.parametrize(
    ("img", "layout", "said"),
    [
        (np.zeros((8, 9, 3)), "CHW", "8 channels in shape \\(8, 9, 3\\) read as CHW; give 1, 3 or 4"),
        (np.zeros((2, 9, 9)), None, "2 channels"),
        (np.zeros(5), None, "shape \\(5,\\); give HW, CHW or HWC"),
        (np.zeros((1, 2, 3, 4, 5)), None, "give HW, CHW or HWC, or a batch"),
        (np.zeros((1, 3, 8, 8)), "CHW", "4 dimensions and not CHW"),
        (np.zeros((8, 8)), "HH", "'HH' .* is no layout"),
        (np.zeros((3, 8, 8)), "CHX", "is no layout"),
        (np.zeros((3, 0, 8)), None, "no pixels"),
        (np.full((3, 8, 8), 200), None, "type int64.*uint8 or floats.*astype"),
        (np.full((3, 8, 8), 200.0), None, "from 200 to 200; floats are taken from 0 .black. to 1 .white.: divide"),
        (np.full((3, 8, 8), np.nan), None, "holds NaN"),
        (b"no picture", None, "PNG, JPEG or GIF"),
        ("cat.png", None, "the text 'cat.png'"),
    ],
)
def test_what_is_no_picture_is_told(img: object, layout: str | None, said: str) -> None:
    with pytest.raises(InvalidItem, match=said):
        convert.image("t", img, layout)


@pytest.mark.parametrize(
    ("imgs", "said"),
    [
        ([np.zeros((3, 4, 4)), np.zeros((3, 4, 5))], "\\(3, 4, 4\\), \\(3, 4, 5\\); give at least one, all of one shape"),
        ([], "none at all"),
        (np.zeros((3, 4, 4)), "shape \\(3, 4, 4\\); give NCHW or NHWC"),
    ],
)
def test_what_is_no_batch_is_told(imgs: object, said: str) -> None:
    with pytest.raises(InvalidItem, match=said):
        convert.images("t", imgs)


def test_boxes_are_drawn_as_tensorboardx_draws_them() -> None:
    image, boxes = RANDOM.random((3, 40, 50)), np.array([[3, 4, 30, 31], [1, 2, 20, 12.5]])
    theirs = tensorboardX.summary.image_boxes("t", image, boxes).value[0].image.encoded_image_string
    assert np.array_equal(decoded(theirs), seen(convert.image_with_boxes("t", image, boxes)))


def test_a_label_stands_on_red_at_the_lower_left_of_its_box() -> None:
    black, box = np.zeros((3, 60, 80)), [[10, 10, 70, 50]]
    plain, labelled = seen(convert.image_with_boxes("t", black, box)), seen(convert.image_with_boxes("t", black, box, "cat"))
    changed = np.argwhere((plain != labelled).any(axis=2))
    assert changed.min(axis=0)[0] > 30
    assert changed.max(axis=0)[1] < 40
    assert changed.max(axis=0)[0] <= 50


def test_no_boxes_leave_the_picture_as_it_is_and_rescale_resizes_it() -> None:
    image = RANDOM.random((3, 40, 50))
    assert np.array_equal(seen(convert.image("t", image)), seen(convert.image_with_boxes("t", image, [])))
    assert seen(convert.image_with_boxes("t", image, [], rescale=0.5)).shape == (20, 25, 4)


def test_corners_far_outside_are_drawn_where_they_can_be_seen() -> None:
    made = seen(convert.image_with_boxes("t", np.zeros((9, 9)), [[-1e300, 4, 1e300, 1e300]], ["x"]))
    assert made[4, :, 0].tolist() == [255] * 9


@pytest.mark.parametrize("rescale", [0, -1, 1e6, float("inf"), "half"])
def test_a_scale_that_cannot_be_is_told(rescale: float) -> None:
    with pytest.raises(InvalidItem, match=r"rescale|9000000 x 9000000 pixels|the text 'half'"):
        convert.image_with_boxes("t", np.zeros((9, 9)), [], rescale=rescale)


def test_a_picture_that_no_browser_draws_is_told_before_it_is_encoded() -> None:
    """An array of one byte that says it is large: making it would take minutes and gigabytes."""
    large = np.broadcast_to(np.uint8(0), (20_000, 20_000))
    for call in (convert.image, lambda tag, array: convert.images(tag, np.broadcast_to(array, (2, 1, 20_000, 20_000)))):
        with pytest.raises(InvalidItem, match="pixels, at most"):
            call("t", large)
    with pytest.raises(InvalidItem, match=r"all its frames, has .* pixels"):
        convert.video("t", np.broadcast_to(np.uint8(0), (1, 1000, 3, 1000, 1000)))


@pytest.mark.parametrize(
    ("boxes", "labels", "said"),
    [
        ([[1, 2, 3]], None, "shape \\(1, 3\\); give \\[N, 4\\]"),
        ([[1, 2, 3, np.inf]], None, "NaN or infinity"),
        ([[1, 2, 3, 4]], ["a", "b"], "2 labels for 1 boxes"),
    ],
)
def test_what_are_no_boxes_is_told(boxes: object, labels: list[str] | None, said: str) -> None:
    with pytest.raises(InvalidItem, match=said):
        convert.image_with_boxes("t", np.zeros((8, 8)), boxes, labels)


def test_a_figure_is_drawn_as_tensorboardx_draws_it_and_closed_if_asked() -> None:
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(3, 2))
    axes.plot([1, 2, 3])
    canvas = figure.canvas
    kept = convert.figure("t", figure, close=False)
    assert plt.fignum_exists(figure.number)
    assert figure.canvas is canvas
    closed = convert.figure("t", figure)
    assert not plt.fignum_exists(figure.number)
    expected = tensorboardX.utils.figure_to_image(figure).transpose(1, 2, 0)
    for made in (kept, closed):
        assert np.array_equal(expected, seen(made)[:, :, :3])


def test_figures_are_a_grid_and_must_be_of_one_size() -> None:
    from matplotlib.figure import Figure

    one, two, small = Figure(figsize=(2, 1)), Figure(figsize=(2, 1)), Figure(figsize=(1, 1))
    assert seen(convert.figure("t", [one, two])).shape == (100, 400, 4)
    with pytest.raises(InvalidItem, match="100x100, 200x100 pixels"):
        convert.figure("t", [one, small])
    with pytest.raises(InvalidItem, match="is an int; give a matplotlib Figure"):
        convert.figure("t", 3)


def test_without_pillow_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(ImportError, match=r"pip install 'tbbridge\[media\]'"):
        convert.image("t", np.zeros((4, 4)))


@pytest.mark.parametrize("call", [convert.image, convert.images, convert.audio, convert.tensor])
def test_a_tag_that_is_no_text_is_told(call: object) -> None:
    with pytest.raises(InvalidItem, match="the tag is an ndarray"):
        call(np.zeros((4, 4)), "loss")  # type: ignore[operator]
