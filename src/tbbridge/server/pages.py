"""What the pages without a script share: one style sheet, and headers that let a page show itself and do nothing else.

A page here runs no script, loads nothing, is framed by nobody, sends no form and tells no other site where its reader came
from. So even a mistake in it, or a name that a stranger chose, could not become a way in.
"""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import Final

from tbbridge.server.answers import Answer

_STYLE: Final = """
:root { color-scheme: light dark; --line: #d8dce2; --soft: #f3f5f8; --text: #1c2430; --dim: #56606e; --link: #0b5cad; }
@media (prefers-color-scheme: dark) {
  :root { --line: #39424e; --soft: #1b222b; --text: #dde3ea; --dim: #9aa6b4; --link: #7db7f5; }
  body { background: #12171e; }
}
* { box-sizing: border-box; }
body { color: var(--text); font: 1rem/1.55 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; }
h1 { margin: 0 0 .5rem; }
h2 { border-bottom: 1px solid var(--line); margin: 3rem 0 1rem; padding-bottom: .3rem; }
h3 { font-size: 1.1rem; margin: 2.5rem 0 .5rem; overflow-wrap: anywhere; }
a { color: var(--link); }
code, pre { background: var(--soft); border-radius: 4px; font: .9em/1.5 ui-monospace, monospace; overflow-wrap: anywhere; }
code { padding: .1em .3em; }
pre { overflow-x: auto; padding: .7rem .9rem; }
pre code { background: none; overflow-wrap: normal; padding: 0; }
table { border-collapse: collapse; display: block; margin: .8rem 0; overflow-x: auto; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .35rem .8rem .35rem 0; text-align: left; vertical-align: top; }
th { color: var(--dim); font-weight: 600; }
summary { color: var(--link); cursor: pointer; }
nav ul { columns: 20rem; list-style: none; padding: 0; }
.method { border: 1px solid var(--line); border-radius: 4px; display: inline-block; font-weight: 700; padding: 0 .4rem; }
.dim { color: var(--dim); }
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest())
SHARED_HEADERS: Final = [
    (b"x-frame-options", b"DENY"),  # frame-ancestors, for browsers that do not know it
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
HEADERS: Final = [
    (
        b"content-security-policy",
        b"default-src 'none'; style-src 'sha256-%s'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'" % _STYLE_HASH,
    ),
    *SHARED_HEADERS,
]


def page(title: str, body: str) -> Answer:
    """An HTML page. `title` is text; `body` is HTML, whose parts were escaped where they were put together."""
    html = (
        f'<!DOCTYPE html>\n<html lang="en">\n<meta charset="utf-8">\n<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n{body}\n</html>\n"
    )
    return Answer(html.encode(), b"text/html; charset=utf-8", 200, [*HEADERS])
