"""The bridge's certificate: loaded at the start, and again when its files change, so that a renewal needs no restart.

TLS 1.2 or newer, said here since Debian's Python leaves it to the system's settings; for the rest Python's own defaults for
servers hold, and OpenSSL's list of sound ciphers. Clients are told apart by tokens,
not by certificates.
"""

from __future__ import annotations

import logging
import os
import ssl
import stat
from pathlib import Path

from tbbridge.errors import InvalidSetting

log = logging.getLogger(__name__)


class Certificate:
    """A certificate with its key, ready for use."""

    def __init__(self, cert: Path, key: Path | None) -> None:
        """Raises `InvalidSetting` if they cannot be read or do not belong together."""
        self._cert = cert
        self._key = key
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._seen = self._identity()
        self._load(self.context)
        private = cert if key is None else key
        if private.stat().st_mode & stat.S_IROTH:
            log.warning("every user of this machine can read the private key in %s; chmod o-r %s", private, private)

    def look(self) -> None:
        """Load the files again if they have changed; those that cannot be loaded leave the certificate as it was."""
        seen = self._identity()
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._load(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))  # half of a pair must not get into the real one
            self._load(self.context)
        except InvalidSetting as error:
            log.error("the certificate stays as it was: %s", error)  # noqa: TRY400 - the cause is in the line
        else:
            log.info("the certificate was read again from %s", self._cert)

    def _load(self, context: ssl.SSLContext) -> None:
        files = f"--tls-cert {self._cert}" + (f" and --tls-key {self._key}" if self._key is not None else "")
        try:
            context.load_cert_chain(self._cert, self._key, password=_no_password)
        except ssl.SSLError as error:
            reason = (error.reason or str(error)).lower().replace("_", " ")
            raise InvalidSetting(
                f"{files}: no certificate with its key in PEM form can be read there ({reason}); a key must have no password"
            ) from None
        except OSError as error:
            raise InvalidSetting(f"{files}: a file cannot be read ({error.strerror}); check path and permissions") from None

    def _identity(self) -> tuple[tuple[int, int, int] | None, ...]:
        return tuple(_identity(path) for path in (self._cert, self._key) if path is not None)


def _no_password() -> str:
    """Instead of OpenSSL's own way, which asks on the terminal and waits."""
    return ""


def _identity(path: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
