"""Meshes and embeddings from arrays, lists and labels; what does not fit together is told."""

from __future__ import annotations

import io

import numpy as np
import PIL.Image
import pytest
import torch

from tbbridge import convert
from tbbridge.errors import InvalidItem

POINTS = np.random.default_rng(0).normal(size=(1, 4, 3))


def test_a_mesh_has_one_sample_more_where_none_was_given() -> None:
    faces = [[0, 1, 2], [0, 2, 3]]
    made = convert.mesh("t", POINTS[0], np.full((4, 3), 255), faces, {"camera": {"cls": "PerspectiveCamera"}})
    same = convert.mesh("t", torch.tensor(POINTS), torch.full((1, 4, 3), 255), np.array([faces], float), made.config)
    assert made.config == '{"camera": {"cls": "PerspectiveCamera"}}'
    assert made.faces is not None
    assert made.colors is not None
    for one in (made, same):
        assert (one.vertices.dtype, one.vertices.shape) == (np.float32, (1, 4, 3))
        assert (one.config, made.faces.tolist(), made.faces.dtype) == (made.config, [faces], np.int32)
        assert (made.colors.min(), made.colors.dtype) == (255, np.uint8)


@pytest.mark.parametrize(
    ("colors", "expected"),
    [
        ([[0, 128, 255]] * 4, [0, 128, 255]),
        ([[0.0, 0.5, 1.0]] * 4, [0, 128, 255]),
        ([[0.0, 128.0, 255.0]] * 4, [0, 128, 255]),
        (np.uint8([[0, 128, 255]] * 4), [0, 128, 255]),
        ([[False, True, True]] * 4, [0, 1, 1]),
    ],
)
def test_colors_are_of_255_and_floats_of_1_unless_greater(colors: object, expected: list[int]) -> None:
    made = convert.mesh("t", POINTS, colors).colors
    assert made is not None
    assert made[0, 0].tolist() == expected


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"vertices": np.zeros((4, 4))}, "vertices of tag 't' have shape"),
        ({"vertices": np.zeros((0, 3))}, "not empty"),
        ({"colors": [[300, 0, 0]] * 4}, "colors .* from 0 to 300"),
        ({"colors": [[-1.0, 0, 0]] * 4}, "colors .* from -1 to 0"),
        ({"colors": [[0, 0, 0]] * 3}, "colors have the shape"),
        ({"faces": [[0, 1, 2.5]]}, "no whole numbers"),
        ({"faces": [[0, 1, np.nan]]}, "no whole numbers"),
        ({"faces": [[0, 1, 9]]}, "faces name the vertices 0 to 9"),
        ({"config": 3}, "config of tag 't' is an int"),
        ({"config": {"a": object()}}, "cannot be written as JSON"),
        ({"config": "[1]"}, "no JSON object"),
    ],
)
def test_what_is_no_mesh_is_told(given: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidItem, match=said):
        convert.mesh("t", **{"vertices": POINTS, **given})  # type: ignore[arg-type]


def test_labels_become_rows_of_text_that_the_projector_can_read() -> None:
    labels = ["a", "b\tc\nd", 3, torch.tensor(4), None, (1, 2)]
    made = convert.embedding("t", np.zeros((6, 2)), labels)
    assert made.metadata == (("a",), ("b c d",), ("3",), ("4",), ("None",), ("(1, 2)",))
    assert made.header is None
    table = convert.embedding("t", torch.zeros(2, 5), [["a", 1], ("b", 2)], metadata_header=["name", "number"])
    assert (table.metadata, table.header) == ((("a", "1"), ("b", "2")), ("name", "number"))


def test_a_header_of_one_column_is_left_out_because_the_projector_would_take_it_for_a_label() -> None:
    made = convert.embedding("t", np.zeros((2, 2)), [["cat"], "dog"], metadata_header=["animal"])
    assert (made.metadata, made.header) == ((("cat",), ("dog",)), None)


@pytest.mark.parametrize(("count", "columns"), [(1, 1), (4, 2), (5, 3), (10, 4)])
@pytest.mark.parametrize("channels_last", [False, True])
def test_pictures_stand_row_by_row_in_a_square_sprite(count: int, columns: int, channels_last: bool) -> None:
    pictures = np.zeros((count, 3, 6, 6)) + (np.arange(count) / count).reshape(-1, 1, 1, 1)
    given = pictures.transpose(0, 2, 3, 1) if channels_last else pictures
    made = convert.embedding("t", np.zeros((count, 2)), label_img=given)
    assert made.sprite is not None
    assert made.sprite_size == (6, 6)
    sheet = np.array(PIL.Image.open(io.BytesIO(made.sprite)))
    assert sheet.shape == (columns * 6, columns * 6, 3)
    for number in range(columns * columns):
        cell = sheet[number // columns * 6, number % columns * 6, 0]
        assert cell == (int(number / count * 255) if number < count else 0)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"matrix": np.zeros(3)}, "shape \\(3,\\); give one row for each vector"),
        ({"matrix": np.full((3, 2), np.nan)}, "NaN"),
        ({"metadata": ["a"]}, "3 vectors and 1 labels"),
        ({"metadata": "abc"}, "metadata .* is the text 'abc'; give a list"),
        ({"metadata": [["a"], ["b", "c"], ["d"]], "metadata_header": ["x", "y"]}, "row 0 .* 1 cells for 2 names"),
        (
            {"metadata": ["ab", "cd", "ef"], "metadata_header": ["x", "y"]},
            "row 0 .* is the text 'ab'; give a list, one cell a name",
        ),
        ({"metadata": ["a", "b", "c"], "metadata_header": 3}, "metadata_header .* is an int; give a list, one name a column"),
        ({"metadata": np.array(3)}, "metadata .* is an ndarray .*; give a list"),
        ({"matrix": [[1e300]] * 3}, "infinity"),
        ({"label_img": np.zeros((3, 3, 4, 5))}, "4 x 5 pixels .* wants squares"),
        ({"label_img": np.zeros((3, 2, 8, 8))}, "8 x 8 pixels with 2 channels"),
        ({"label_img": np.zeros((2, 3, 4, 4))}, "2 pictures for 3 vectors"),
        ({"label_img": np.zeros((3, 4, 4))}, "give one picture for each vector"),
        ({"label_img": np.zeros((3, 1, 4097, 4097), np.uint8)}, "8194 pixels wide.* scale the pictures down to 4096"),
    ],
)
def test_what_is_no_embedding_is_told(given: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidItem, match=said):
        convert.embedding("t", **{"matrix": np.zeros((3, 2)), **given})  # type: ignore[arg-type]
