"""pastalog's body: one point a request, `{"modelName", "pointType", "pointValue", "globalStep"}`.

The model becomes a run and the point's type a tag. Pure; the route is in server/routes/shared.py.
"""

from __future__ import annotations

from typing import Final

from tbbridge.errors import InvalidItem
from tbbridge.model import Batch
from tbbridge.wire import family

_FIELDS: Final = ("modelName", "pointType", "pointValue", "globalStep")


def point_of(came: dict[str, object]) -> Batch:
    """One point. Without globalStep its step is the tag's last + 1. Raises `InvalidItem`."""
    missing = [name for name in _FIELDS[:3] if came.get(name) is None or came[name] == ""]
    if missing:
        message = f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} missing or empty; send {', '.join(_FIELDS)}"
        raise InvalidItem("missing", message, missing[0])
    unknown = [name for name in came if name not in _FIELDS]
    if unknown:
        message = f"{family.shown(unknown[0])} is no field of a point; it has {', '.join(_FIELDS)}"
        raise InvalidItem("unknown-field", message, "body")
    run = family.run(family.text(came["modelName"], "modelName"), "modelName")
    tag = family.tag(family.text(came["pointType"], "pointType"), "pointType")
    step = came.get("globalStep")
    value = family.number(came["pointValue"], "pointValue")
    return family.one_point(run, tag, value, None if step is None else family.whole(step, "globalStep"), None)
