"""What every query is held to: a parameter that has one value is sent once. Whoever sends two means both, or something else.

Neither the first nor the last one wins: `DELETE ?tag=x&tag=y` must not delete one of them and say that it is done. FastAPI's
routes have `refuse_repeats` as a dependency of the whole app; routes past FastAPI ask `repeats_in` of what they parsed.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Collection, Iterable
from typing import get_origin

from fastapi import Request
from fastapi.routing import APIRoute
from pydantic import BaseModel

from tbbridge.errors import InvalidQuery, ItemError


def repeats_in(names: Iterable[str], lists: Collection[str] = ()) -> list[ItemError]:
    """What is wrong with the names of a query's parameters; those in `lists` may come any number of times."""
    return [
        ItemError(ascii(name[:60])[1:-1], "query", f"this parameter comes {count} times, and has one value; send it once")
        for name, count in Counter(names).items()
        if count > 1 and name not in lists
    ]


async def refuse_repeats(request: Request) -> None:
    """The dependency: a route says by its query's model which parameters are lists. Raises `InvalidQuery`."""
    if b"&" not in request.scope["query_string"]:
        return
    route = request.scope.get("route")
    fields = route.dependant.query_params if isinstance(route, APIRoute) else ()
    for model in (field.field_info.annotation for field in fields):
        if inspect.isclass(model) and issubclass(model, BaseModel):
            lists = {name for name, field in model.model_fields.items() if get_origin(field.annotation) is list}
            wrong = repeats_in((name for name, _ in request.query_params.multi_items()), lists)
            if wrong:
                raise InvalidQuery(wrong)
