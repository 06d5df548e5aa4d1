"""What of a newer OpenAPI document breaks a client that was made from an older one; docs/api.md has the rules in words.

What is sent may only become wider: all that an old client sends must still be taken. What is answered may only become narrower,
but for new fields, which old clients do not look at. Both come down to one question, asked in opposite directions: does one
schema take every value of the other? Where it cannot be sure it says that something broke.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

from tbbridge.server.openapi_shape import resolved

Part: TypeAlias = dict[str, Any]

_LOWER = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_UPPER = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_SAME = ("format", "pattern", "multipleOf", "uniqueItems", "contentEncoding")
_JSON_TYPES = {bool: "boolean", int: "integer", float: "number", str: "string", type(None): "null"}


def breaking_changes(old: Part, new: Part) -> list[str]:
    """One line for each, naming the operation and the place; empty if every client of `old` works with `new`."""
    return [line for path, operations in old["paths"].items() for line in _of_path(path, operations, old, new)]


def _of_path(path: str, operations: Part, old: Part, new: Part) -> Iterator[str]:
    for method, operation in operations.items():
        name = f"{method.upper()} {path}"
        other = new["paths"].get(path, {}).get(method)
        if other is None:
            yield f"{name}: is gone"
            continue
        if operation["operationId"] != other["operationId"]:
            yield f"{name}: is called {other['operationId']}, was {operation['operationId']}"
        if {} in operation.get("security", [{}]) and {} not in other.get("security", [{}]):
            yield f"{name}: now needs a token always"
        yield from _of_parameters(name, operation, other, old, new)
        yield from _of_body(name, operation.get("requestBody"), other.get("requestBody"), old, new)
        yield from _of_answers(name, operation["responses"], other["responses"], old, new)


def _of_parameters(name: str, operation: Part, other: Part, old: Part, new: Part) -> Iterator[str]:
    before, after = (
        {one["name"]: one for one in (resolved(document, found) for found in said.get("parameters", ()))}
        for document, said in ((old, operation), (new, other))
    )
    for parameter, said in before.items():
        if parameter not in after:
            yield f"{name}: parameter {parameter} is gone"
        else:
            yield from _Comparison(old, new, sent=True).of(said["schema"], after[parameter]["schema"], f"{name}: {parameter}")
    for parameter, said in after.items():
        if said.get("required") and not before.get(parameter, {}).get("required"):
            yield f"{name}: parameter {parameter} is now required"


def _of_body(name: str, before: Part | None, after: Part | None, old: Part, new: Part) -> Iterator[str]:
    if before is None:
        if after is not None and after.get("required"):
            yield f"{name}: a body is now required"
    elif after is None:
        yield f"{name}: takes no body any more"
    else:
        if after.get("required") and not before.get("required"):
            yield f"{name}: a body is now required"
        for kind, said in before["content"].items():
            if kind not in after["content"]:
                yield f"{name}: a body of {kind} is no longer taken"
            else:
                taken = after["content"][kind]["schema"]
                yield from _Comparison(old, new, sent=True).of(said["schema"], taken, f"{name}: body")


def _of_answers(name: str, before: Part, after: Part, old: Part, new: Part) -> Iterator[str]:
    for status, said in before.items():
        if status not in after:
            if int(status) < 400:  # an error that cannot come any more hurts nobody
                yield f"{name}: answer {status} is gone"
            continue
        there, here = resolved(old, said).get("content", {}), resolved(new, after[status]).get("content", {})
        for kind, content in there.items():
            if kind not in here:
                yield f"{name}: answer {status} is no longer {kind}"
            elif "schema" in content:
                where = f"{name}: answer {status}"
                yield from _Comparison(old, new, sent=False).of(content["schema"], here[kind].get("schema", {}), where)
    for status in after.keys() - before.keys():
        if int(status) < 400:
            yield f"{name}: answer {status} is new, and old clients know no such success"


@dataclass(frozen=True)
class _Comparison:
    """Schemas of two documents, in one direction. `compared` keeps recursive schemas from being compared for ever."""

    old: Part
    new: Part
    sent: bool
    compared: frozenset[tuple[str, str]] = frozenset()

    def of(self, before: Part, after: Part, where: str) -> Iterator[str]:
        """What `after` breaks for those who know `before`."""
        if "$ref" in before and "$ref" in after:
            pair = (before["$ref"], after["$ref"])
            if pair in self.compared:
                return
            yield from _Comparison(self.old, self.new, self.sent, self.compared | {pair}).of(
                resolved(self.old, before), resolved(self.new, after), where
            )
            return
        first, then = _alternatives(self.old, before), _alternatives(self.new, after)
        if len(first) == len(then) == 1:
            yield from self._of_one(first[0], then[0], where)
            return
        # Each alternative that must still be taken (or was ever promised) needs a home in the other schema.
        wanted, homes = (first, then) if self.sent else (then, first)
        for one in wanted:
            tries = [list(self._of_one(*((one, home) if self.sent else (home, one)), where)) for home in homes]
            if all(tries):
                same = [found for found, home in zip(tries, homes, strict=True) if _name(home) == _name(one)]
                verb = "is no longer taken" if self.sent else "is new"
                yield from same[0] if same else [f"{where}: {_name(one)} {verb}"]

    def _of_one(self, before: Part, after: Part, where: str) -> Iterator[str]:
        wide, narrow = (after, before) if self.sent else (before, after)
        said = "was narrowed" if self.sent else "was widened"
        kinds, allowed = _types(narrow), _types(wide)
        if allowed is not None and (kinds is None or not kinds <= allowed | ({"integer"} if "number" in allowed else set())):
            yield f"{where}: {said} from {_name(before)} to {_name(after)}"
            return
        values, known = _values(narrow), _values(wide)
        if known is not None and (values is None or not values <= known):
            lost = sorted((values or set()) - known) or "any"
            yield f"{where}: the values {said}: {lost}"
        if values is None:
            yield from self._of_bounds(wide, narrow, f"{where}: {said}")
        if "items" in wide:
            yield from self.of(before.get("items", {}), after.get("items", {}), f"{where}[]")
        if "object" in (kinds or ()) and "object" in (allowed or ()):
            yield from self._of_fields(before, after, where)

    @staticmethod
    def _of_bounds(wide: Part, narrow: Part, where: str) -> Iterator[str]:
        for key in _LOWER:
            if key in wide and wide[key] > narrow.get(key, float("-inf")):
                yield f"{where}: {key} {narrow.get(key)} and {wide[key]}"
        for key in _UPPER:
            if key in wide and wide[key] < narrow.get(key, float("inf")):
                yield f"{where}: {key} {narrow.get(key)} and {wide[key]}"
        for key in _SAME:
            if key in wide and wide[key] != narrow.get(key):
                yield f"{where}: {key} {narrow.get(key)} and {wide[key]}"

    def _of_fields(self, before: Part, after: Part, where: str) -> Iterator[str]:
        fields, others = before.get("properties", {}), after.get("properties", {})
        for field, said in fields.items():
            if field not in others:
                yield f"{where}.{field}: is gone"
            else:
                yield from self.of(said, others[field], f"{where}.{field}")
        was, now = {*before.get("required", ())}, {*after.get("required", ())}
        if self.sent:
            yield from (f"{where}.{field}: is now required" for field in sorted(now - was))
        else:
            yield from (f"{where}.{field}: may now be missing" for field in sorted((was - now) & others.keys()))
        more, others_more = before.get("additionalProperties", True), after.get("additionalProperties", True)
        if isinstance(more, dict) and isinstance(others_more, dict):
            yield from self.of(more, others_more, f"{where}.*")
        elif self.sent and others_more is not True and more is not others_more and more is not False:
            yield f"{where}.*: further fields are no longer taken"


def _alternatives(document: Part, schema: Part) -> list[Part]:
    """The schemas of a union, unions in it opened; of any other schema, itself."""
    schema = resolved(document, schema)
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return [found for one in schema[key] for found in _alternatives(document, one)]
    if isinstance(schema.get("type"), list):
        return [{**schema, "type": kind} for kind in schema["type"]]
    return [schema]


def _values(schema: Part) -> set[Any] | None:
    """The only values, if the schema lists them."""
    if "const" in schema:
        return {schema["const"]}
    return {*schema["enum"]} if "enum" in schema else None


def _types(schema: Part) -> set[str] | None:
    """The JSON types; None: any."""
    if "type" in schema:
        return {schema["type"]}
    values = _values(schema)
    return None if values is None else {_JSON_TYPES[type(value)] for value in values}


def _name(schema: Part) -> str:
    """What a schema is, in a word: of the kinds of a union, the kind."""
    kind = schema.get("properties", {}).get("kind", {}).get("const")
    if kind is not None:
        return f"kind {kind}"
    return " or ".join(sorted(_types(schema) or {"anything"}))
