"""https: with a certificate of the test's own, as a user makes one; clients check it, and a renewal needs no restart."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import socket
import ssl
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tbbridge import limits
from tbbridge.client import AsyncClient
from tbbridge.errors import InvalidSetting
from tbbridge.server.serve import serve
from tbbridge.server.settings import ServerSettings
from tbbridge.server.tls import Certificate


def make_certificate(folder: Path, name: str, *more: str) -> tuple[Path, Path]:
    """A certificate that signs itself, for this machine by address."""
    folder.mkdir(exist_ok=True)
    cert, key = folder / f"{name}.pem", folder / f"{name}.key"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", "2"]
    command += ["-keyout", str(key), "-out", str(cert), "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([*command, *(more or ("-nodes",))], check=True, capture_output=True)
    return cert, key


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("certificates")
    return [make_certificate(folder, name) for name in ("first", "second")]


@asynccontextmanager
async def bridge(tmp_path, **settings):
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(
        serve(ServerSettings(logdir=tmp_path / "runs", port=0, **settings), on_ready=ready.set_result)
    )
    try:
        await asyncio.wait({ready, running}, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            await running
        yield await ready
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def test_a_client_that_trusts_the_certificate_writes_and_one_that_does_not_refuses(tmp_path, made, monkeypatch):
    cert, key = made[0]
    async with bridge(tmp_path, tls_cert=cert, tls_key=key) as address:
        assert address.startswith("https://127.0.0.1:")
        async with httpx.AsyncClient() as stranger:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                await stranger.get(address + "/healthz")
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
        async with AsyncClient(address) as client:
            client.run("r").add_scalar("t", 0.5, 1)
            await client.flush(timeout_s=20)
        async with httpx.AsyncClient() as friend:
            points = (await friend.get(address + "/api/v1/scalars", params={"run": "r", "tag": "t"})).json()
    assert points["values"] == [0.5]


async def test_plain_http_at_the_tls_port_is_refused_and_harms_nobody(tmp_path, made, caplog):
    cert, key = made[0]
    async with bridge(tmp_path, tls_cert=cert, tls_key=key) as address:
        async with httpx.AsyncClient() as client:
            with pytest.raises(httpx.TransportError):
                await client.get(address.replace("https", "http") + "/healthz")
        async with httpx.AsyncClient(verify=ssl.create_default_context(cafile=cert)) as client:
            assert (await client.get(address + "/healthz")).status_code == 200
    assert [record for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


async def test_a_handshake_that_never_ends_is_given_up(tmp_path, made, monkeypatch):
    monkeypatch.setattr(limits, "TLS_HANDSHAKE_S", 0.2)
    cert, key = made[0]
    async with bridge(tmp_path, tls_cert=cert, tls_key=key) as address:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
        with contextlib.suppress(ConnectionError):
            assert await reader.read() == b""
        writer.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
async def test_old_versions_of_tls_are_not_spoken(tmp_path, made, version):
    cert, key = made[0]
    async with bridge(tmp_path, tls_cert=cert, tls_key=key) as address:
        context = ssl.create_default_context(cafile=cert)
        context.minimum_version = context.maximum_version = version
        context.set_ciphers("ALL:@SECLEVEL=0")

        def shake_hands() -> None:
            host, port = address.removeprefix("https://").split(":")
            with socket.create_connection((host, int(port))) as plain, context.wrap_socket(plain, server_hostname=host):
                pass

        with pytest.raises(ssl.SSLError):
            await asyncio.to_thread(shake_hands)


async def test_a_renewed_certificate_is_used_without_a_restart(tmp_path, made):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    shutil.copy(made[0][0], cert)
    shutil.copy(made[0][1], key)
    async with bridge(tmp_path, tls_cert=cert, tls_key=key) as address:
        for number in (0, 1):
            trusting = ssl.create_default_context(cafile=made[number][0])
            if number:
                for source, target in zip(made[1], (cert, key), strict=True):  # one by one, as renewals do it
                    shutil.copy(source, tmp_path / "new")
                    (tmp_path / "new").replace(target)
            async with asyncio.timeout(20):
                while True:
                    async with httpx.AsyncClient(verify=trusting) as client:
                        with contextlib.suppress(httpx.ConnectError):  # once a second it looks
                            assert (await client.get(address + "/healthz")).status_code == 200
                            break
                    await asyncio.sleep(0.05)


def test_half_of_a_renewal_leaves_the_old_pair_and_says_so(tmp_path, made, caplog):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    shutil.copy(made[0][0], cert)
    shutil.copy(made[0][1], key)
    certificate = Certificate(cert, key)
    shutil.copy(made[1][0], cert)
    certificate.look()
    certificate.look()
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "stays as it was" in caplog.text
    shutil.copy(made[1][1], key)
    certificate.look()
    assert len(caplog.records) == 1 or caplog.records[-1].levelname == "INFO"


WRONG = {
    "no file": (lambda cert, key, folder: (folder / "none.pem", key), "cannot be read"),
    "a folder": (lambda cert, key, folder: (folder, key), "cannot be read"),
    "not PEM": (lambda cert, key, folder: (Path(__file__), key), "no certificate with its key"),
    "another's key": (lambda cert, key, folder: (cert, make_certificate(folder, "other")[1]), "no certificate with its key"),
    "no key": (lambda cert, key, folder: (cert, None), "no certificate with its key"),
    "a key with a password": (
        lambda cert, key, folder: make_certificate(folder, "locked", "-passout", "pass:secret"),
        "must have no password",
    ),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG.keys())
async def test_what_is_no_certificate_is_one_line_before_the_folder_is_touched(tmp_path, made, case):
    choose, says = case
    cert, key = choose(*made[0], tmp_path)
    with pytest.raises(InvalidSetting, match=says) as refused:
        async with bridge(tmp_path, tls_cert=cert, tls_key=key):
            pass
    assert "--tls-cert" in refused.value.message
    assert not (tmp_path / "runs").exists()


def test_certificate_and_key_in_one_file_are_enough(tmp_path, made):
    both = tmp_path / "both.pem"
    both.write_text(made[0][0].read_text() + made[0][1].read_text())
    os.chmod(both, 0o600)
    assert Certificate(both, None).context.minimum_version >= ssl.TLSVersion.TLSv1_2


def test_a_key_that_everybody_can_read_is_warned_of(tmp_path, made, caplog):
    key = tmp_path / "key.pem"
    shutil.copy(made[0][1], key)
    for mode, warnings in ((0o640, 0), (0o644, 1)):
        key.chmod(mode)
        Certificate(made[0][0], key)
        assert len(caplog.records) == warnings
    assert "chmod o-r" in caplog.text


def test_a_key_without_a_certificate_is_refused():
    with pytest.raises(InvalidSetting, match="--tls-cert"):
        ServerSettings(tls_key=Path("key.pem"))
