"""`tbbridge health`: is the bridge well, in one line. For health checks of containers, and for whose points do not arrive.

It asks a bridge over HTTP what `/readyz` says. Where nothing answers and the bridge would run on this machine with the settings
of this environment, it also looks for what would keep it from starting.

Containers run it every few seconds, beside the trainings of the machine, and what it loads is nearly all that it costs. So the
bridge of this machine is asked with the standard library alone; another one is asked as the clients ask it, through proxies.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

from tbbridge import limits
from tbbridge.client.address import WRITE_PATH, Address, find_address, from_environment
from tbbridge.client.options import find_token
from tbbridge.commands.console import Commands, complain, positive_seconds, require_server, say
from tbbridge.commands.setting_flags import settings_from
from tbbridge.errors import CommandFailed, InvalidItem, InvalidSetting

if TYPE_CHECKING:
    import ssl

    from tbbridge.server.settings import ServerSettings

DEFAULT_TIMEOUT_S: Final = 4.0
# The interface that this program speaks: the number in its paths.
OUR_API: Final = 1
# More is no answer to any of these questions.
ANSWER_MAX_BYTES: Final = 64 * limits.KiB
JSON_TYPE: Final = {"Content-Type": "application/json"}

DESCRIPTION = """\
Ask a bridge if it takes points, and say in one line what is wrong if it does not.

  tbbridge health                                      the bridge of this machine, or of TBBRIDGE_URL
  tbbridge health --url https://bridge.example.org     another one
  TBBRIDGE_TOKEN=tbb_... tbbridge health               also whether this token may write

The bridge of this machine is looked for where the variables of `tbbridge serve` say (TBBRIDGE_PORT, TBBRIDGE_TLS_CERT ...). If
it does not answer, the log folder (TBBRIDGE_LOGDIR) and the settings are looked at too.

Exit code: 0 it takes points, 1 it does not (standard error says why).
"""


def add_command(commands: Commands) -> None:
    """Add `health` to the command line."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser("health", help="say if a bridge takes points", description=DESCRIPTION, formatter_class=raw)
    parser.add_argument("--url", metavar="URL", help="where the bridge listens [TBBRIDGE_URL, default this machine's]")
    parser.add_argument(
        "--timeout",
        type=positive_seconds,
        default=DEFAULT_TIMEOUT_S,
        metavar="SECONDS",
        help=f"how long to wait for each answer (default {DEFAULT_TIMEOUT_S:g})",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Ask, and say by the exit code if points are taken."""
    try:
        url = arguments.url or from_environment()
        said = ask_there(url, arguments.timeout) if url else ask_here(os.environ, arguments.timeout)
    except (CommandFailed, InvalidItem, InvalidSetting) as error:
        complain(error.message)
        return 1
    say(said)
    return 0


@dataclass(frozen=True, slots=True)
class Said:
    """What was answered to one question."""

    status: int
    content_type: str
    body: bytes


# Asks one question: method, path and body.
Ask: TypeAlias = Callable[[str, str, bytes], Said]


def ask_there(url: str, timeout_s: float) -> str:
    """One line about a bridge that takes points. Raises `CommandFailed` with what is wrong, `InvalidItem` for a bad address."""
    from tbbridge.client.transport import Caller, TransportFailed

    address = find_address(url)

    def ask(method: str, path: str, body: bytes) -> Said:
        with caller.call(method, path, body=body, headers=JSON_TYPE) as reply:
            return Said(reply.status, reply.content_type, reply.read())

    try:
        with contextlib.closing(Caller(address, timeout_s)) as caller:
            return _judged(ask, address)
    except TransportFailed as error:
        raise CommandFailed(f"no answer from {address.shown} ({error}); is a bridge running there?") from error


def ask_here(environ: Mapping[str, str], timeout_s: float) -> str:
    """The same of the bridge that `tbbridge serve` runs in this environment, whose certificate needs no name of ours."""
    settings = settings_from(argparse.Namespace(), environ)
    address = find_address(_own_url(settings))
    token = find_token(None)
    headers = JSON_TYPE if token is None else JSON_TYPE | {"Authorization": f"Bearer {token}"}

    def ask(method: str, path: str, body: bytes) -> Said:
        connection.request(method, path, body, headers)
        with connection.getresponse() as response:
            return Said(response.status, response.getheader("content-type", ""), response.read(ANSWER_MAX_BYTES))

    try:
        with contextlib.closing(_connection(settings, timeout_s)) as connection:
            return _judged(ask, address)
    except (OSError, http.client.HTTPException) as error:
        reason = _why_not(settings) or "its log says why, if it was started; `tbbridge serve` starts one"
        raise CommandFailed(f"no answer from {address.shown} ({type(error).__name__}: {error}): {reason}") from error


def _connection(settings: ServerSettings, timeout_s: float) -> http.client.HTTPConnection:
    host = _own_host(settings)
    if settings.tls_cert is None:
        return http.client.HTTPConnection(host, settings.port, timeout=timeout_s)
    return http.client.HTTPSConnection(host, settings.port, timeout=timeout_s, context=_trusting(settings.tls_cert))


def _trusting(certificate: Path) -> ssl.SSLContext:
    """TLS with whoever holds the key of `certificate`, and nobody else."""
    import ssl

    try:
        context = ssl.create_default_context(cafile=certificate)
    except OSError as error:  # ssl's errors too
        raise InvalidItem("certificate", f"the certificate {certificate} cannot be read: {error}", "certificate") from None
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # it need not be a root: itself is what is trusted
    return context


def _judged(ask: Ask, address: Address) -> str:
    version = _version(ask, address)
    _answer(ask, address, "GET", "/readyz")
    known = ""
    if find_token(None) is not None:
        # Which writes nothing, and needs what every sender needs.
        _answer(ask, address, "POST", WRITE_PATH, b'{"runs": []}')
        known = " with this token"
    return f"tbbridge {version} at {address.shown} takes points{known}"


def _version(ask: Ask, address: Address) -> object:
    """Its version. Raises `CommandFailed` if it is no bridge, or speaks another interface than ours."""
    found = _answer(ask, address, "GET", "/api/v1/version")
    api = found.get("api")
    if not isinstance(api, int):
        raise CommandFailed(f"what answers at {address.shown} is no tbbridge server; check host, port and path")
    if api != OUR_API:
        raise CommandFailed(
            f"the bridge at {address.shown} speaks version {api} of the interface, and this program version {OUR_API}; "
            f"install tbbridge {found.get('version')} here too"
        )
    return found.get("version")


def _answer(ask: Ask, address: Address, method: str, path: str, body: bytes = b"") -> Mapping[str, object]:
    """The JSON that the bridge answers. Raises `CommandFailed` with its words if it is an error."""
    said = ask(method, path, body)
    try:
        found = json.loads(said.body) if said.status == HTTPStatus.OK else None
    except ValueError:
        found = None
    if not isinstance(found, dict):
        from tbbridge.client.answers import Answer, words_of  # only here: they bring protobuf

        raise CommandFailed(f"{address.shown} says: {words_of(Answer(said.status, said.content_type, '', said.body))}")
    return found


def _own_host(settings: ServerSettings) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 - compared, not bound


def _own_url(settings: ServerSettings) -> str:
    host = _own_host(settings)
    return f"{'http' if settings.tls_cert is None else 'https'}://{f'[{host}]' if ':' in host else host}:{settings.port}"


def _why_not(settings: ServerSettings) -> str:
    """What would keep a bridge with these settings from starting; empty if nothing is seen."""
    try:
        require_server("serve")
    except CommandFailed:  # a machine of clients, where no bridge was ever meant to run
        return ""
    from tbbridge.pipeline.inspection import obstacles, owner
    from tbbridge.server.tokens import Tokens

    try:
        Tokens(settings.tokens_file, settings.tokens)
    except InvalidSetting as error:
        return error.message
    for finding in obstacles(_nearest(settings.logdir)):
        return f"{finding.message}; {finding.remedy}"
    process = owner(settings.logdir)
    if process is not None:
        return f"process {process} has the log folder, and is still starting (a crash leaves a journal to replay) or hangs"
    return ""


def _nearest(folder: Path) -> Path:
    """`folder`, or of those above it the first that exists, in which it would be made."""
    folder = folder.absolute()
    return next(above for above in (folder, *folder.parents) if os.path.exists(above))
