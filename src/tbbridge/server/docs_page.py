"""GET /docs: the HTTP interface as one page for people, made from the OpenAPI document; and GET /openapi.json, the document.

FastAPI's own page loads its scripts from other people's servers; this one has none, and works on a machine without internet.
Both are made once, when they are first asked for. Everything that goes into the page is escaped here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from html import escape
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from fastapi import FastAPI
from pydantic_core import to_json
from starlette.responses import Response

from tbbridge.model import INT64_MAX, INT64_MIN
from tbbridge.server.answers import Answer
from tbbridge.server.openapi_shape import resolved
from tbbridge.server.pages import page

Part: TypeAlias = dict[str, Any]  # of the OpenAPI document

# What FastAPI calls an answer that a route did not describe.
_SAYS_NOTHING: Final = "Successful Response"
# Where the examples say that the bridge is.
_BASE: Final = "http://127.0.0.1:6007"


def add_routes(app: FastAPI) -> None:
    """Add both routes to `app`; they are no part of the document."""

    @cache
    def made() -> tuple[Answer, Answer]:
        document = app.openapi()
        return page(f"{document['info']['title']}: HTTP interface", "\n".join(_page(document))), Answer(
            to_json(document), b"application/json"
        )

    async def docs() -> Response:
        return made()[0]

    async def openapi() -> Response:
        return made()[1]

    add: Callable[..., None] = app.router.add_api_route
    add("/docs", docs, methods=["GET", "HEAD"], include_in_schema=False)
    add("/openapi.json", openapi, methods=["GET", "HEAD"], include_in_schema=False)


def _page(document: Part) -> Iterator[str]:
    info = document["info"]
    by_tag: dict[str, list[str]] = {tag["name"]: [] for tag in document["tags"]}
    contents: dict[str, list[str]] = {tag["name"]: [] for tag in document["tags"]}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            tag = operation["tags"][0]
            answers = {status: resolved(document, said) for status, said in operation["responses"].items()}
            by_tag[tag].append("\n".join(_operation(method.upper(), path, {**operation, "responses": answers})))
            contents[tag].append(_entry(method.upper(), path, operation))
    yield f"<h1>{escape(info['title'])}</h1>"
    yield f'<p class="dim">Version {escape(info["version"])}. {escape(info.get("summary", ""))} '
    yield 'For programs: <a href="/openapi.json">the OpenAPI document</a>.</p>'
    yield _prose(info["description"])
    yield "<nav>"
    for tag in document["tags"]:
        yield f"<p><b>{escape(tag['name'].capitalize())}</b></p><ul>{''.join(contents[tag['name']])}</ul>"
    yield "</nav>"
    for tag in document["tags"]:
        yield f"<h2>{escape(tag['name'].capitalize())}</h2>{_prose(tag['description'])}"
        yield from by_tag[tag["name"]]
    yield '<h2 id="schemas">Schemas</h2>'
    for name, schema in sorted(document["components"]["schemas"].items()):
        yield from _schema(name, schema)


def _entry(method: str, path: str, operation: Part) -> str:
    return f'<li><a href="#{escape(operation["operationId"])}">{method} {escape(path)}</a></li>'


# --- one call ------------------------------------------------------------------------------------------------------------


def _operation(method: str, path: str, operation: Part) -> Iterator[str]:
    name = escape(operation["operationId"])
    yield f'<section id="{name}"><h3><span class="method">{method}</span> <code>{escape(path)}</code></h3>'
    yield f"<p><b>{escape(operation['summary'])}.</b></p>{_prose(operation.get('description', ''))}"
    if "security" in operation:
        yield '<p class="dim">Where the bridge was started with tokens: <code>Authorization: Bearer TOKEN</code>.</p>'
    parameters = operation.get("parameters", [])
    if parameters:
        yield _table("parameter", (_parameter(parameter) for parameter in parameters))
    body = operation.get("requestBody")
    if body is not None:
        yield f"<p>Body: {_content(body['content'])}</p>{_prose(body.get('description', ''))}"
        yield from _examples(body["content"])
    yield f"<pre><code>{escape(_curl(method, path, parameters, body))}</code></pre>"
    yield from _answers(operation["responses"])
    yield "</section>"


def _parameter(parameter: Part) -> tuple[str, str, str]:
    schema = parameter["schema"]
    name = f"<code>{escape(parameter['name'])}</code>" + (
        "" if parameter.get("required") else ' <span class="dim">optional</span>'
    )
    return name, _type(schema), _described(schema, parameter.get("description", ""))


def _answers(responses: Part) -> Iterator[str]:
    good = [(status, said) for status, said in responses.items() if int(status) < 400]
    bad = [(status, said) for status, said in responses.items() if int(status) >= 400]
    yield _table(
        "answer",
        (
            (
                f"<code>{escape(status)}</code>",
                _content(said.get("content", {})),
                _inline(said["description"].replace(_SAYS_NOTHING, "")),
            )
            for status, said in good
        ),
    )
    yield f"<details><summary>{len(bad)} error answers</summary>"
    rows = []
    for status, said in bad:
        examples = [
            example["value"] for content in said["content"].values() for example in content.get("examples", {}).values()
        ]
        codes = ", ".join(f"<code>{escape(example['code'])}</code>" for example in examples)
        details = "<br>".join(escape(example["detail"]) for example in examples) or _inline(said["description"])
        rows.append((f"<code>{escape(status)}</code>", codes, details))
    yield _table("status", iter(rows), "code", "such as") + "</details>"


def _content(content: Part) -> str:
    return " or ".join(
        f"<code>{escape(kind)}</code>" + (f" ({_type(said['schema'])})" if "schema" in said else "")
        for kind, said in content.items()
    )


def _examples(content: Part) -> Iterator[str]:
    for said in content.values():
        for example in said.get("examples", {}).values():
            text = json.dumps(example["value"], indent=2, ensure_ascii=False)
            yield f"<details><summary>{_inline(example['summary'])}</summary><pre><code>{escape(text)}</code></pre></details>"


def _curl(method: str, path: str, parameters: list[Part], body: Part | None) -> str:
    asked = [(one["name"], str(one["schema"].get("examples", ["..."])[0])) for one in parameters if one.get("required")]
    query = "&".join(f"{quote(name)}={quote(value, safe='/=,.')}" for name, value in asked)
    parts = ["curl"]
    if method == "HEAD":
        parts.append("--head")
    elif method != ("GET" if body is None else "POST"):
        parts.append(f"-X {method}")
    parts.append(f"'{_BASE}{path}{'?' + query if query else ''}'")
    if body is not None:
        kind, said = next(iter(body["content"].items()))
        examples = list(said.get("examples", {}).values())
        shown = json.dumps(examples[0]["value"]) if examples else "@FILE"
        option = "-d" if examples else "--data-binary"
        parts.append(f"-H 'Content-Type: {kind}' {option} '{shown}'")
    return " \\\n  ".join(parts) if body is not None else " ".join(parts)


# --- what is sent and answered -------------------------------------------------------------------------------------------


def _schema(name: str, schema: Part) -> Iterator[str]:
    yield f'<section id="schema-{escape(name)}"><h3><code>{escape(name)}</code></h3>{_prose(schema.get("description", ""))}'
    properties = schema.get("properties", {})
    if properties:
        required = schema.get("required", [])
        rows = (
            (
                f"<code>{escape(key)}</code>" + ("" if key in required else ' <span class="dim">optional</span>'),
                _type(said),
                _described(said, said.get("description", "")),
            )
            for key, said in properties.items()
        )
        yield _table("field", rows)
    else:
        yield f"<p>{_type(schema)}</p>"
    for example in schema.get("examples", []):
        text = json.dumps(example, indent=2, ensure_ascii=False)
        yield f"<details><summary>Example</summary><pre><code>{escape(text)}</code></pre></details>"
    yield "</section>"


def _type(schema: Part) -> str:
    """What values a schema takes, in words and links."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rsplit("/", 1)[1])
        return f'<a href="#schema-{name}">{name}</a>'
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            kinds = [_type(one) for one in schema[several] if one.get("type") != "null"]
            return " or ".join(dict.fromkeys(kinds))
    if "const" in schema:
        return f"<code>{escape(json.dumps(schema['const']))}</code>"
    if "enum" in schema:
        return " or ".join(f"<code>{escape(json.dumps(value))}</code>" for value in schema["enum"])
    if schema.get("type") == "array":
        return "list of " + _type(schema["items"]) if schema.get("items") else "list"
    if isinstance(schema.get("additionalProperties"), dict):
        return "names with " + _type(schema["additionalProperties"])
    kind = str(schema.get("type", "anything")).replace("integer", "whole number")
    if schema.get("format") == "binary":
        return "bytes"
    form = schema.get("contentEncoding") or (schema.get("format") if schema.get("type") == "string" else None)
    return escape(f"{kind} ({form})" if form else kind)


# How JSON Schema calls a bound, and what is said here.
_BOUNDS: Final = (
    ("minimum", "at least {}"),
    ("maximum", "at most {}"),
    ("minLength", "at least {} characters"),
    ("maxLength", "at most {} characters"),
    ("minItems", "at least {} items"),
    ("maxItems", "at most {} items"),
)


def _described(schema: Part, description: str) -> str:
    """The description of a field or parameter, with what its schema says beside the type."""
    said = [_inline(description)] if description else []
    own = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    bounds = [
        text.format(f"{one[key]:,}") for one in own[:1] for key, text in _BOUNDS if abs(one.get(key, INT64_MIN)) < INT64_MAX
    ]
    if bounds:
        said.append(f'<span class="dim">{escape(", ".join(bounds).capitalize())}.</span>')
    if schema.get("default") is not None:
        said.append(f'<span class="dim">Left out: <code>{escape(json.dumps(schema["default"]))}</code>.</span>')
    return " ".join(said)


# --- text ----------------------------------------------------------------------------------------------------------------


def _table(first: str, rows: Iterator[tuple[str, ...]], *others: str) -> str:
    """Rows of HTML cells."""
    cells = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>\n" for row in rows)
    names = (first, *(others or ("type", "")))
    return f"<table><tr>{''.join(f'<th>{name}</th>' for name in names)}</tr>\n{cells}</table>"


def _prose(text: str) -> str:
    """Paragraphs; of Markdown only `code`, which is all that our descriptions use."""
    return "".join(f"<p>{_inline(paragraph)}</p>" for paragraph in re.split(r"\n\s*\n", text.strip()) if paragraph)


def _inline(text: str) -> str:
    parts = re.split(r"`([^`]*)`", text)
    return "".join(f"<code>{escape(part)}</code>" if number % 2 else escape(part) for number, part in enumerate(parts))
