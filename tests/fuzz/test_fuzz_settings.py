"""Fuzzing of what an operator writes: the tokens file, TBBRIDGE_TOKENS and the settings file; and of who asks."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeVar

from budget import fuzz
from damage import JSON_VALUES, NUMBERS, TEXTS, damaged
from hypothesis import assume, example, given
from hypothesis import strategies as st

from tbbridge.errors import Forbidden, InvalidSetting, Misdirected, Unauthorized
from tbbridge.server.guard import Guard
from tbbridge.server.settings import SETTINGS
from tbbridge.server.settings_file import parse_settings
from tbbridge.server.tokens import Scope, Token, Tokens, digest_of, parse_tokens, tokens_of_environment

T = TypeVar("T")

SECRET = "tbb_" + "s3cr3t-" * 6
TOKEN = Token("trainer", frozenset({Scope.WRITE}), digest_of(SECRET.encode()))
LINES = st.one_of(
    st.just(TOKEN.line()),
    st.sampled_from([f"a write {SECRET}", SECRET, f"{SECRET} write", "# note", "x admin sha256:00", "\u2028"]),
    TEXTS,
)


@fuzz("tokens", examples=150)
@given(damaged(st.lists(LINES, max_size=4).map(lambda lines: "\n".join(lines).encode(errors="replace")), most=2))
@example(f"{SECRET} read {TOKEN.line().split()[2]}\n".encode() * 2)
def test_a_tokens_file_is_understood_or_refused_without_a_word_of_what_is_in_it(raw: bytes) -> None:
    """No file brings anything but tokens or a refusal; a secret that was pasted in there is not shown."""
    for parse in (lambda text: parse_tokens(text, "the file"), tokens_of_environment):
        text = raw.decode(errors="replace")
        tokens, said = told(lambda parse=parse, text=text: parse(text))
        assert SECRET not in said
        assert SECRET not in repr(tokens)
        if tokens is not None and parse is not tokens_of_environment:
            assert parse_tokens("\n".join(token.line() for token in tokens), "again") == tokens


def told(ask: Callable[[], T]) -> tuple[T | None, str]:
    """What `ask` returns, or the message with which it refuses."""
    try:
        return ask(), ""
    except (InvalidSetting, Unauthorized, Forbidden, Misdirected) as error:
        return None, error.message


SETTING = st.tuples(
    st.one_of(st.sampled_from([setting.name for setting in SETTINGS]), st.just("groups"), TEXTS),
    st.one_of(
        NUMBERS.map(repr), JSON_VALUES.map(json.dumps), st.sampled_from(["[[1]]", "{a = 1}", "1979-05-27", "0x_1", "9" * 5_000])
    ),
).map(lambda pair: f"{json.dumps(pair[0])} = {pair[1]}")


@fuzz("settings files", examples=150)
@given(st.lists(SETTING, max_size=3).map("\n".join))
@example("x = " + "[" * 3_000)
@example("port = " + "9" * 5_000)
@example('[groups.agent]\nkind = "indexed"\nbin_size = 10')
def test_a_settings_file_is_understood_or_refused_in_words(text: str) -> None:
    """No file ends the start with a traceback: it is settings, or a message that says what is wrong with it."""
    found, said = told(lambda: parse_settings(text, "bridge.toml"))
    assert (found is None) == (0 < len(said) < 2_000)


HOSTS = st.one_of(
    st.sampled_from(
        ["127.0.0.1:6007", "localhost", "[::1]:6007", "[::1", "evil.example", "127.0.0.1.evil.example", "a:b:c", "", "[]", ":1"]
    ),
    st.text(max_size=10),
).map(lambda text: text.encode("latin-1", errors="replace"))


@fuzz("who asks", examples=120)
@given(
    HOSTS,
    st.one_of(st.none(), HOSTS),
    st.one_of(st.none(), st.binary(max_size=12), st.just(b"Bearer " + SECRET.encode())),
    st.booleans(),
)
def test_nobody_is_let_in_by_odd_headers(
    host: bytes, origin: bytes | None, credentials: bytes | None, with_tokens: bool
) -> None:
    """Any headers are let in or refused; where tokens are asked for, only a token lets in."""
    assume(not (host and b"\n" in host))
    guard = Guard(Tokens(None, f"write:{SECRET}" if with_tokens else ""), (), ())
    headers = [(b"host", host)]
    headers += [(b"origin", origin)] if origin is not None else []
    headers += [(b"authorization", credentials)] if credentials is not None else []
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/v1/write",
        "headers": headers,
        "scheme": "http",
        "query_string": b"",
    }
    _, said = told(lambda: guard.check(scope))
    assert SECRET not in said
    if not said:
        assert not with_tokens or credentials == b"Bearer " + SECRET.encode()
        assert b"evil." not in host
        assert origin is None or b"evil." not in origin
