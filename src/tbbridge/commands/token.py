"""`tbbridge token`: makes, lists and revokes the tokens of a bridge. A token is shown once; the file keeps its digest."""

from __future__ import annotations

import argparse
from pathlib import Path

from tbbridge.commands.console import Commands, say
from tbbridge.errors import CommandFailed, InvalidSetting
from tbbridge.server.tokens import Token, new_token, parse_tokens, read_scopes, store_tokens

DESCRIPTION = """\
Make, list and revoke the tokens without which a bridge lets nobody in.

  tbbridge token new trainers --scopes write --file tokens.txt     prints the token, once
  tbbridge serve --host 0.0.0.0 --tokens-file tokens.txt
  TBBRIDGE_TOKEN=tbb_... python train.py                           what the token is for
  tbbridge token revoke trainers --file tokens.txt                 refused a second later, without a restart

Scopes: write sends points, read reads them back, admin does everything (delete, rename, restore too). The file holds digests
only. Give each group of senders a token of its own, so that one can be revoked alone.
"""


def add_command(commands: Commands) -> None:
    """Add `token` to the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser("token", help="make and revoke tokens", description=DESCRIPTION, formatter_class=raw)
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    made = actions.add_parser("new", help="make a token and print it")
    made.add_argument("name", help="whom it is for; letters, digits and . _ -")
    made.add_argument("--scopes", default="write,read", help="some of write,read,admin [default write,read]")
    listed = actions.add_parser("list", help="names and scopes of the tokens")
    revoked = actions.add_parser("revoke", help="take a token back")
    revoked.add_argument("name", help="as given to `new`")
    for action, run in ((made, _new), (listed, _list), (revoked, _revoke)):
        action.add_argument("--file", type=Path, required=True, help="the tokens file; `new` makes it if it is missing")
        action.set_defaults(run=run)


def _new(arguments: argparse.Namespace) -> int:
    tokens = _load(arguments.file) if arguments.file.exists() else []
    if any(token.name == arguments.name for token in tokens):
        raise CommandFailed(f"there is a token {arguments.name!r} already; revoke it first, or take another name")
    try:
        scopes = read_scopes(arguments.scopes)
    except ValueError as error:
        raise InvalidSetting(f"--scopes is {arguments.scopes!r}; {error}") from None
    shown, token = new_token(arguments.name, scopes)
    _store(arguments.file, [*tokens, token])
    say(shown)
    return 0


def _list(arguments: argparse.Namespace) -> int:
    for token in _load(arguments.file):
        say(f"{token.name}\t{','.join(sorted(token.scopes))}")
    return 0


def _revoke(arguments: argparse.Namespace) -> int:
    tokens = _load(arguments.file)
    kept = [token for token in tokens if token.name != arguments.name]
    if len(kept) == len(tokens):
        known = ", ".join(token.name for token in tokens) or "none"
        raise CommandFailed(f"there is no token {arguments.name!r} in {arguments.file}; there are: {known}")
    _store(arguments.file, kept)
    say(f"revoked {arguments.name}")
    return 0


def _load(path: Path) -> list[Token]:
    try:
        return parse_tokens(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise CommandFailed(f"{path} cannot be read: {reason}") from None


def _store(path: Path, tokens: list[Token]) -> None:
    try:
        store_tokens(path, tokens)
    except OSError as error:
        raise CommandFailed(f"{path} cannot be written: {error.strerror}") from None
