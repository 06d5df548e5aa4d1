"""Tokens: read, refused without showing them, found, revoked while the bridge runs; and the command that makes them."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tbbridge.cli import main
from tbbridge.errors import InvalidSetting
from tbbridge.server.tokens import PREFIX, Scope, Token, Tokens, digest_of, new_token, parse_tokens, store_tokens

WRITE = frozenset({Scope.WRITE})


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_token_is_kept_as_its_digest_only(tmp_path: Path) -> None:
    shown, token = new_token("trainers", WRITE)
    store_tokens(tmp_path / "tokens", [token])
    text = (tmp_path / "tokens").read_text()
    assert shown.startswith(PREFIX)
    assert shown not in text
    assert shown.removeprefix(PREFIX) not in text
    assert stat.S_IMODE((tmp_path / "tokens").stat().st_mode) == 0o600
    assert parse_tokens(text, "x") == [token]
    assert Tokens(tmp_path / "tokens").find(shown.encode()) == token
    assert new_token("trainers", WRITE)[0] != shown


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("tbb_mysecretmysecret", "line 1 of tokens.txt is no"),
        ("a write tbb_mysecretmysecret", "line 1 of tokens.txt is no"),
        ("a wrote sha256:" + "0" * 64, "scopes are some of write, read and admin"),
        ("a write sha256:" + "0" * 63, "is no 'name scopes"),
        ("a/b write sha256:" + "0" * 64, "is no 'name scopes"),
        (("a write sha256:" + "0" * 64 + "\n") * 2, "line 2 of tokens.txt names 'a' a second time"),
        ("\n".join(f"t{n} read sha256:{'0' * 64}" for n in range(101)), "has over 100 tokens"),
    ],
)
def test_a_line_that_is_no_token_is_named_and_never_shown(line: str, says: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        parse_tokens(line, "tokens.txt")
    assert says in caught.value.message
    assert "mysecret" not in caught.value.message


@pytest.mark.parametrize(
    ("value", "says"),
    [("write:short", "item 1"), ("tbb_mysecretmysecretmysecret", "item 1"), ("all:" + "x" * 30, "scopes are some of")],
)
def test_a_variable_that_holds_no_token_is_refused_without_showing_it(value: str, says: str) -> None:
    with pytest.raises(InvalidSetting) as caught:
        Tokens(None, value)
    assert says in caught.value.message
    assert "mysecret" not in caught.value.message


def test_tokens_of_the_environment() -> None:
    tokens = Tokens(None, f"write,read:{'a' * 20} admin:{'b' * 20}")
    assert tokens.required
    first, second = tokens.find(b"a" * 20), tokens.find(b"b" * 20)
    assert first is not None
    assert second is not None
    assert [first.allows(scope) for scope in Scope] == [True, True, False]
    assert [second.allows(scope) for scope in Scope] == [True, True, True]
    assert tokens.find(b"c" * 20) is None
    assert tokens.find(b"") is None
    assert not Tokens(None).required


def test_a_token_is_revoked_and_another_one_let_in_without_a_restart(tmp_path: Path) -> None:
    clock, path = Clock(), tmp_path / "tokens"
    one, two = Token("one", WRITE, digest_of(b"one")), Token("two", WRITE, digest_of(b"two"))
    store_tokens(path, [one])
    tokens = Tokens(path, clock=clock)
    store_tokens(path, [two])
    assert tokens.find(b"one") == one, "it is not looked at for each request"
    clock.now = 1.5
    assert tokens.find(b"one") is None
    assert tokens.find(b"two") == two


@pytest.mark.parametrize("damage", ["gone", "garbage"])
def test_a_file_that_goes_bad_lets_nobody_in_and_says_so(tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture) -> None:
    clock, path = Clock(), tmp_path / "tokens"
    store_tokens(path, [Token("one", WRITE, digest_of(b"one"))])
    tokens = Tokens(path, clock=clock)
    if damage == "gone":
        path.unlink()
    else:
        path.write_text("one write\n")
    clock.now = 2
    assert tokens.find(b"one") is None
    assert tokens.required
    assert "until this is mended" in caplog.text
    store_tokens(path, [Token("one", WRITE, digest_of(b"one"))])
    clock.now = 4
    assert tokens.find(b"one") is not None


def test_a_bridge_does_not_start_with_a_tokens_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InvalidSetting, match="cannot be read"):
        Tokens(tmp_path / "missing")


def test_the_command_makes_lists_and_revokes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(tmp_path / "tokens.txt")
    assert main(["token", "new", "trainers", "--scopes", "write", "--file", file]) == 0
    shown = capsys.readouterr().out.strip()
    assert main(["token", "new", "people", "--file", file]) == 0
    capsys.readouterr()
    assert main(["token", "list", "--file", file]) == 0
    assert capsys.readouterr().out == "trainers\twrite\npeople\tread,write\n"
    found = Tokens(Path(file)).find(shown.encode())
    assert found is not None
    assert found.name == "trainers"
    assert main(["token", "revoke", "trainers", "--file", file]) == 0
    assert Tokens(Path(file)).find(shown.encode()) is None
    for wrong in (
        ["revoke", "trainers", "--file", file],
        ["new", "people", "--file", file],
        ["list", "--file", file + "x"],
        ["new", "x", "--scopes", "all", "--file", file],
        ["new", "x y", "--file", file],
    ):
        assert main(["token", *wrong]) in (1, 2)
        assert capsys.readouterr().err
    assert os.listdir(tmp_path) == ["tokens.txt"]
