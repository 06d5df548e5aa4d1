"""What happens to bytes on disks and on the way: cut, flipped, zeroed, doubled, exchanged. And values at the edges."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from tbbridge.names import INT64_MAX, INT64_MIN


@st.composite
def damaged(draw: DrawFn, good: SearchStrategy[bytes], most: int = 4) -> bytes:
    """What is left of `good` bytes after up to `most` mishaps; now and then nothing happened to them."""
    data = draw(good)
    for _ in range(draw(st.integers(0, most))):
        data = draw(_mishap(data))
    return data


@st.composite
def _mishap(draw: DrawFn, data: bytes) -> bytes:
    place = draw(st.integers(0, len(data)))
    span = draw(st.integers(1, 64))
    match draw(st.sampled_from(["flip", "set", "cut", "zero", "insert", "remove", "double", "tail"])):
        case "flip" if place < len(data):
            return data[:place] + bytes([data[place] ^ (1 << draw(st.integers(0, 7)))]) + data[place + 1 :]
        case "set":
            return data[:place] + draw(st.binary(min_size=1, max_size=9)) + data[place + 9 :]
        case "cut":
            return data[:place]
        case "zero":
            return data[:place] + bytes(min(span, len(data) - place)) + data[place + span :]
        case "insert":
            return data[:place] + draw(st.binary(min_size=1, max_size=16)) + data[place:]
        case "remove":
            return data[:place] + data[place + span :]
        case "double":
            return data[: place + span] + data[place:]
        case "tail":
            return data + draw(st.sampled_from([b"\0" * 64, b"\0" * 7, b"\xff" * 12, data[:64]]))
    return data


STEPS = st.one_of(
    st.integers(0, 300),
    st.sampled_from([0, 1, -1, 127, 128, 2**31 - 1, 2**31, 2**32, 2**53 + 1, INT64_MAX, INT64_MIN]),
    st.integers(INT64_MIN, INT64_MAX),
)
NUMBERS = st.one_of(st.floats(), st.floats(width=32), st.integers(-9, 9).map(float))
TIMES = st.one_of(st.floats(1.6e9, 1.8e9), st.floats(allow_nan=False, allow_infinity=False))
TEXTS = st.one_of(
    st.text(max_size=12),
    st.text(st.characters(codec="utf-8"), max_size=40),
    st.sampled_from(["", ".", "..", "a/b", "/", "a//b", "tfevents", ".tbbridge", "\0", "\ud800", "a" * 300, "ö" * 600, "loss"]),
)
RUNS = st.sampled_from(["a", "b", "a/b", "ünï code", "x" * 200])
TAGS = st.one_of(
    st.sampled_from(["loss", "loss/train", "ä", "t" * 130]), st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
)


# Anything that JSON can say, and the tokens NaN and Infinity, which Python's json writes.
JSON_VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), STEPS, st.integers(), NUMBERS, TEXTS),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXTS, inner, max_size=4)),
    max_leaves=8,
)


@st.composite
def spoiled(draw: DrawFn, good: SearchStrategy[object]) -> object:
    """A `good` JSON value of which a part or two are exchanged, left out or added."""
    value = draw(good)
    for _ in range(draw(st.integers(0, 3))):
        value = draw(_spoiled_once(value))
    return value


@st.composite
def _spoiled_once(draw: DrawFn, value: object) -> object:
    if isinstance(value, dict) and value and draw(st.integers(0, 9)):
        name = draw(st.sampled_from(sorted(value)))
        match draw(st.sampled_from(["deeper", "deeper", "deeper", "out", "new", "renamed"])):
            case "deeper":
                return {**value, name: draw(_spoiled_once(value[name]))}
            case "out":
                return {key: kept for key, kept in value.items() if key != name}
            case "new":
                return {**value, draw(TEXTS): draw(JSON_VALUES)}
            case _:
                return {(draw(TEXTS) if key == name else key): kept for key, kept in value.items()}
    if isinstance(value, list) and value and draw(st.integers(0, 9)):
        place = draw(st.integers(0, len(value) - 1))
        match draw(st.sampled_from(["deeper", "deeper", "out", "twice", "many"])):
            case "deeper":
                return [*value[:place], draw(_spoiled_once(value[place])), *value[place + 1 :]]
            case "out":
                return value[:place] + value[place + 1 :]
            case "twice":
                return [*value[: place + 1], *value[place:]]
            case _:
                return value * draw(st.integers(2, 40))
    return draw(JSON_VALUES)
