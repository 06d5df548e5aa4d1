"""Bearer tokens: who may write, read or administer. Kept as SHA-256 digests, since tokens of ours are 256 random bits.

They come from a file, which is looked at again when it changes, so that a token is revoked without a restart, or from the
environment. Whoever cannot be told apart from a stranger is one: if the file vanishes or is damaged, its tokens are not valid.
This file knows no HTTP; guard.py asks it.
"""

from __future__ import annotations

import enum
import hashlib
import hmac
import logging
import os
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tbbridge import limits
from tbbridge.errors import InvalidSetting

log = logging.getLogger(__name__)

# Makes a token that was pasted somewhere recognisable, for people and for scanners of leaked secrets.
PREFIX: Final = "tbb_"
_NAME: Final = re.compile(rf"(?!{PREFIX})[A-Za-z0-9._-]{{1,64}}")  # names are logged: a token that was pasted there is none
_DIGEST: Final = re.compile(r"sha256:([0-9a-f]{64})")


class Scope(enum.StrEnum):
    """What a token allows. `admin` allows everything."""

    WRITE = "write"  # send points, and nothing else
    READ = "read"  # all GETs
    ADMIN = "admin"  # delete, rename, restore, change groups


@dataclass(frozen=True, slots=True)
class Token:
    """One token, without itself: its name, what it allows, and the digest by which it is known."""

    name: str
    scopes: frozenset[Scope]
    digest: bytes

    def allows(self, scope: Scope) -> bool:
        """True if it is good for `scope`."""
        return scope in self.scopes or Scope.ADMIN in self.scopes

    def line(self) -> str:
        """It as a line of the file."""
        return f"{self.name} {','.join(sorted(self.scopes))} sha256:{self.digest.hex()}"


def digest_of(token: bytes) -> bytes:
    """What is kept of a token."""
    return hashlib.sha256(token).digest()


def new_token(name: str, scopes: frozenset[Scope]) -> tuple[str, Token]:
    """A new random token, to be shown once, and what is kept of it. Raises `InvalidSetting` for a name that cannot be."""
    if not _NAME.fullmatch(name):
        raise InvalidSetting(f"a token's name has 1 to 64 of A-Z a-z 0-9 . _ -, and {name!r} has not; name it after its user")
    shown = PREFIX + secrets.token_urlsafe(32)
    return shown, Token(name, scopes, digest_of(shown.encode()))


def read_scopes(text: str) -> frozenset[Scope]:
    """`write,read` as scopes. Raises ValueError."""
    try:
        return frozenset(Scope(part.strip()) for part in text.split(","))
    except ValueError:
        raise ValueError("scopes are some of write, read and admin, with commas between them") from None


def parse_tokens(text: str, source: str) -> list[Token]:
    """The tokens of a file: a line `name scopes sha256:digest` each; empty lines and lines with # are left out.

    Raises `InvalidSetting`, which names the line and never shows what is in it: it may be a token pasted in the wrong place.
    """
    tokens: dict[str, Token] = {}
    for number, line in enumerate(text.splitlines(), 1):
        parts = line.partition("#")[0].split()
        if not parts:
            continue
        where = f"line {number} of {source}"
        if len(parts) != 3 or not _NAME.fullmatch(parts[0]) or not (found := _DIGEST.fullmatch(parts[2])):
            raise InvalidSetting(f"{where} is no 'name scopes sha256:digest'; make one with `tbbridge token new`")
        try:
            scopes = read_scopes(parts[1])
        except ValueError as error:
            raise InvalidSetting(f"{where}: {error}") from None
        if parts[0] in tokens:
            raise InvalidSetting(f"{where} names {parts[0]!r} a second time; names tell tokens apart")
        tokens[parts[0]] = Token(parts[0], scopes, bytes.fromhex(found[1]))
        if len(tokens) > limits.TOKENS_MAX:
            raise InvalidSetting(f"{source} has over {limits.TOKENS_MAX} tokens; share one among senders of a kind")
    return list(tokens.values())


def tokens_of_environment(value: str) -> list[Token]:
    """The tokens of TBBRIDGE_TOKENS: `scopes:token` each, several with blanks between them. Raises `InvalidSetting`."""
    tokens = []
    for number, item in enumerate(value.split(), 1):
        scopes, _, secret = item.partition(":")
        if len(secret) < limits.TOKEN_MIN_CHARACTERS:
            least = limits.TOKEN_MIN_CHARACTERS
            raise InvalidSetting(
                f"item {number} of TBBRIDGE_TOKENS is no 'scopes:token' with a token of {least} characters or more, "
                "such as 'write,read:' and what `tbbridge token new` prints"
            )
        try:
            tokens.append(Token(f"environment-{number}", read_scopes(scopes), digest_of(secret.encode())))
        except ValueError as error:
            raise InvalidSetting(f"item {number} of TBBRIDGE_TOKENS: {error}") from None
    return tokens


class Tokens:
    """The tokens that are valid now."""

    def __init__(self, path: Path | None, environment: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        """Raises `InvalidSetting` if the file or the variable cannot be read: better no start than an open door."""
        self._path = path
        self._fixed = tokens_of_environment(environment)
        self._clock = clock
        self._looked_at = clock()
        self._seen: tuple[int, int, int] | None = None
        self._tokens: list[Token] = []
        self._known: dict[bytes, Token] = {}  # what came and was good; a dict's hash has a secret of its own, so no time tells
        if path is not None:
            self._seen = _identity(path)
            self._tokens = _load(path)

    @property
    def required(self) -> bool:
        """True if nobody is let in without a token."""
        return self._path is not None or bool(self._fixed)

    def find(self, secret: bytes) -> Token | None:
        """The token that `secret` is. Takes as long for one that is nearly right as for any other."""
        self._look_again()
        found = self._known.get(secret)
        if found is not None:
            return found
        digest = digest_of(secret)
        for token in (*self._fixed, *self._tokens):
            if hmac.compare_digest(token.digest, digest):
                found = self._known[secret] = token
        return found

    def _look_again(self) -> None:
        if self._path is None or self._clock() - self._looked_at < limits.TOKENS_LOOK_S:
            return
        self._looked_at = self._clock()
        seen = _identity(self._path)
        if seen == self._seen:
            return
        self._known.clear()
        try:
            self._tokens = _load(self._path)
            log.info("read %d tokens from %s", len(self._tokens), self._path)
        except InvalidSetting as error:
            self._tokens = []
            log.error("no token of the file is valid until this is mended: %s", error)  # noqa: TRY400 - the cause is in the line
        self._seen = seen


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _load(path: Path) -> list[Token]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise InvalidSetting(f"the tokens file {path} cannot be read: {reason}; make one with `tbbridge token new`") from None
    return parse_tokens(text, str(path))


def store_tokens(path: Path, tokens: list[Token]) -> None:
    """Write a tokens file, readable by its owner only, whole or not at all. Raises OSError."""
    text = "# tokens of tbbridge: name, scopes, digest; see `tbbridge token --help`\n"
    text += "".join(token.line() + "\n" for token in tokens)
    temporary = path.with_name(path.name + ".new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
