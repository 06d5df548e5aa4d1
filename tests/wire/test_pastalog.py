"""pastalog's body: one point, or a text that says which of its parts is missing or wrong."""

from __future__ import annotations

import math

import pytest

from tbbridge.errors import InvalidItem
from tbbridge.wire.pastalog import point_of

POINT = {"modelName": "model1", "pointType": "validLoss", "pointValue": 2.5, "globalStep": 1}


def column_of(came):
    (run,) = point_of(came).runs
    (column,) = run.scalars
    return run.run, column


@pytest.mark.parametrize(("step", "steps"), [(1, [1]), (0, [0]), (-3, [-3]), (7.0, [7]), (None, None)])
def test_the_point_is_what_was_sent(step, steps):
    run, column = column_of({**POINT, "globalStep": step})
    assert (run, column.tag, column.values.tolist(), column.wall_times) == ("model1", "validLoss", [2.5], None)
    assert (column.steps if column.steps is None else column.steps.tolist()) == steps


def test_a_point_without_a_step_goes_on_from_the_last():
    came = {name: value for name, value in POINT.items() if name != "globalStep"}
    assert column_of(came)[1].steps is None


@pytest.mark.parametrize("value", [0, 0.0, -1, 1e300, float("inf")])
def test_every_number_is_a_value_zero_included(value):
    assert column_of({**POINT, "pointValue": value})[1].values[0] == value


def test_nan_is_a_value():
    assert math.isnan(column_of({**POINT, "pointValue": float("nan")})[1].values[0])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"modelName": None}, "modelName is missing or empty; send modelName, pointType, pointValue, globalStep"),
        ({"modelName": ""}, "modelName is missing"),
        ({"pointType": None, "pointValue": None}, "pointType and pointValue are missing"),
        ({"pointValue": ""}, "pointValue is missing"),
        ({"pointValue": "2.5"}, 'pointValue is the text "2.5"; send a number'),
        ({"pointValue": True}, "pointValue is true"),
        ({"pointValue": [1]}, "pointValue is a list"),
        ({"modelName": 3}, "modelName is 3; send a text"),
        ({"pointType": {}}, "pointType is an object"),
        ({"globalStep": 0.5}, "globalStep is 0.5; send a whole number"),
        ({"globalStep": "1"}, "globalStep is the text"),
        ({"globalStep": 2**63}, "does not fit in 64 bits"),
        ({"modelName": "../up"}, "modelName: run name '../up'"),
        ({"modelName": "a\nb"}, "modelName: run name 'a\\nb' holds the control character"),
        ({"modelName": "x" * 10_000}, "modelName: a run name has 1 to 512 bytes"),
        ({"pointType": "x" * 10_000}, "pointType: a tag has at most 1024 bytes"),
        ({"step": 3}, 'the text "step" is no field of a point'),
    ],
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_what_is_no_point_is_refused_naming_the_part(change, says):
    with pytest.raises(InvalidItem) as raised:
        point_of({**POINT, **change})
    assert says in raised.value.message
