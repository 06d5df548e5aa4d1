"""The OpenAPI document in the shape that generators make good code of: pydantic says what is valid, not what types are called.

Pure: parts of a document in, parts of a document out; `server/openapi.py` says what is in them. Each rule is one that some
generator stumbled over without; `tests/clients` has the programs that use what it makes now.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from tbbridge.server.answers import JSON
from tbbridge.wire.json_fields import NAME_KEY

Part: TypeAlias = dict[str, Any]  # of the OpenAPI document

_SCHEMAS: Final = "#/components/schemas/"
_RESPONSES: Final = "#/components/responses/"
# Without a format, an integer is 32 bits to a generator, which a step is not, and a number is a 32-bit float.
_FORMATS: Final = {"integer": "int64", "number": "double"}
# What stays with a place whose schema became a component.
_OF_THE_PLACE: Final = ("default", "description", "examples")


def shaped(document: Part) -> Part:
    """The whole document, every rule applied."""
    schemas: Part = {}
    made: Part = _with_components(document, schemas)
    made["components"]["schemas"] = dict(sorted({**made["components"]["schemas"], **schemas}.items()))
    responses: Part = {}
    for path in made["paths"].values():
        for operation in path.values():
            operation["responses"] = {
                status: _shared(said, responses) if int(status) >= 400 else said
                for status, said in operation["responses"].items()
            }
            for parameter in operation.get("parameters", ()):
                parameter["schema"] = _never_null(parameter["schema"])
    made["components"]["responses"] = dict(sorted(responses.items()))
    return made


def _with_components(part: Any, schemas: Part) -> Any:
    """`part` with references in place of the schemas that carry a name, which are put into `schemas`."""
    if isinstance(part, list):
        return [_with_components(one, schemas) for one in part]
    if not isinstance(part, dict):
        return part
    # Titles are names of fields again, after which generators would call the types of the fields.
    made = {
        key: value if key == "examples" else _with_components(value, schemas)
        for key, value in part.items()
        if not _is_title(key, part)
    }
    kind = part.get("type")  # of a schema a text; among properties, a field that is called type
    if isinstance(kind, str) and kind in _FORMATS:
        made.setdefault("format", _FORMATS[kind])
    if "const" in part:
        made.setdefault("default", part["const"])  # a field of one value: no constructor needs to ask for it
    component = made.pop(NAME_KEY, None)
    if component is None:
        return made
    name = component["name"]
    placed = {key: made.pop(key) for key in _OF_THE_PLACE if key in made}
    if component["description"]:
        made = {"description": component["description"], **made}
    if schemas.setdefault(name, made) != made:
        raise ValueError(f"two schemas are called {name}: {schemas[name]} and {made}")
    return {"$ref": _SCHEMAS + name, **placed}


def _is_title(key: str, part: Part) -> bool:
    """Whether `key` is a schema's title: a problem and a chart have a field of that name, and the document itself has one."""
    return (
        key == "title"
        and isinstance(part[key], str)
        and bool({"type", "anyOf", "oneOf", "$ref", "const", "items"} & part.keys())
    )


def _never_null(schema: Part) -> Part:
    """A parameter's schema: a query has no null, a parameter is there or it is not."""
    if "anyOf" not in schema or {"type": "null"} not in schema["anyOf"]:
        return schema
    (only,) = (one for one in schema["anyOf"] if one != {"type": "null"})
    return {**only, **{key: schema[key] for key in _OF_THE_PLACE if schema.get(key) is not None}}


def _shared(answer: Part, responses: Part) -> Part:
    """A reference to an error answer, which many operations share; its name is what it may be: `InvalidBatchOrInvalidQuery`."""
    if JSON.problem_type not in answer["content"]:
        return answer
    words = answer["description"].split()
    name = "".join(word[0].upper() + word[1:] for word in words)
    if responses.setdefault(name, answer) != answer:
        raise ValueError(f"two error answers are called {name}: {responses[name]} and {answer}")
    return {"$ref": _RESPONSES + name}


def resolved(document: Part, part: Part) -> Part:
    """`part`, or what it refers to."""
    reference: str | None = part.get("$ref")
    if reference is None:
        return part
    found: Any = document
    for name in reference.removeprefix("#/").split("/"):
        found = found[name]
    return resolved(document, found)
