"""projector_config.pbtxt read back: the entries that list a run's embeddings, whoever wrote them. Text in, text out.

Of protobuf's text format it understands what such a file holds; what is no token is skipped. Writing it is embeddings.py's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from tbbridge.model import INT64_MAX, INT64_MIN

# One token of protobuf's text format; what is no token is skipped, as this reader needs only a part of the config.
_TOKEN: Final = re.compile(r"""#[^\n]*|"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)'|([A-Za-z_]\w*)|([{}<>:])|([0-9]+)""")
_ESCAPE: Final = re.compile(r"\\([0-7]{1,3}|x[0-9A-Fa-f]{1,2}|u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)")
_SINGLE: Final = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    "'": "'",
    '"': '"',
}
_STEP: Final = re.compile(r"(.+):(-?\d{4,20})", re.DOTALL)


def tag_and_step(name: str) -> tuple[str, int]:
    """Writers put the step behind the tag: 'tag:00007'."""
    match = _STEP.fullmatch(name)
    if match is not None and INT64_MIN <= int(match[2]) <= INT64_MAX:
        return match[1], int(match[2])
    return name or "default", 0


def entries_of(text: str) -> Iterator[dict[str, str]]:
    """Strings of each `embeddings { ... }` by field name; those of messages inside as 'message.field'.

    Whole numbers come as text, those of a repeated field with spaces between.
    """
    entry: dict[str, str] = {}
    inside: list[str] = []
    name = ""
    continues = ""  # strings that stand behind each other are one
    for match in _TOKEN.finditer(text):
        double, single, word, mark, number = match.groups()
        if word is not None:
            name, continues = word, ""
        elif mark in ("{", "<"):
            if not inside and name == "embeddings":
                entry = {}
            inside.append(name)
            continues = ""
        elif mark in ("}", ">"):
            if len(inside) == 1 and inside[0] == "embeddings":
                yield entry
            inside = inside[:-1]
            continues = ""
        elif number is not None and inside[:1] == ["embeddings"]:
            field = ".".join((*inside[1:], name))
            entry[field] = f"{entry[field]} {number}" if field in entry else number
        elif (double is not None or single is not None) and inside[:1] == ["embeddings"]:
            field = ".".join((*inside[1:], name))
            continues += _unescaped(double if double is not None else single)
            entry[field] = continues


def _unescaped(quoted: str) -> str:
    def one(match: re.Match[str]) -> str:
        said = match[1]
        if said[0] in "01234567":
            return chr(int(said, 8) & 0xFF)
        if said[0] == "x" and len(said) > 1:
            return chr(int(said[1:], 16))
        if said[0] in "uU" and len(said) > 1:
            code = int(said[1:], 16)
            is_character = code < 0xD800 or 0xDFFF < code <= 0x10FFFF
            return chr(code).encode().decode("latin-1") if is_character else match[0]
        return _SINGLE.get(said, match[0])  # an escape that protobuf does not know keeps its backslash

    if "\\" not in quoted:
        return quoted
    # Escapes are bytes of UTF-8, so the rest has to be bytes for a moment, too; latin-1 is a byte a character.
    as_bytes = _ESCAPE.sub(one, quoted.encode().decode("latin-1")).encode("latin-1")
    return as_bytes.decode(errors="replace")
