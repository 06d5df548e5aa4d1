"""Where the client sends: every way to write an address, and the errors for those that mean nothing."""

from __future__ import annotations

import pytest

from tbbridge.client.address import find_address
from tbbridge.errors import InvalidItem


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TBBRIDGE_URL", raising=False)


@pytest.mark.parametrize(
    ("address", "port", "url"),
    [
        (None, None, "http://127.0.0.1:6007"),
        (None, 7007, "http://127.0.0.1:7007"),
        ("127.0.0.1:6007", None, "http://127.0.0.1:6007"),
        ("192.168.78.36:8080", None, "http://192.168.78.36:8080"),
        ("host", None, "http://host:6007"),
        ("host", 7007, "http://host:7007"),
        ("host:7007", 7007, "http://host:7007"),
        (" host ", None, "http://host:6007"),
        ("http://host:6007", None, "http://host:6007"),
        ("http://host:6007/", None, "http://host:6007"),
        ("http://host", None, "http://host"),
        ("http://host", 6007, "http://host:6007"),
        ("https://boards.example.org/team/bridge/", None, "https://boards.example.org/team/bridge"),
        ("HTTP://Host:6007", None, "http://host:6007"),
        ("[::1]:6008", None, "http://[::1]:6008"),
        ("::1", None, "http://[::1]:6007"),
        ("fe80::1", 7, "http://[fe80::1]:7"),
        ("host/base", None, "http://host:6007/base"),
    ],
)
def test_an_address_becomes_a_url(address: str | None, port: int | None, url: str) -> None:
    assert find_address(address, port).url == url


def test_hostname_is_another_name_for_address() -> None:
    assert find_address(hostname="host", port=6008).url == "http://host:6008"


def test_the_environment_says_where_unless_an_argument_does(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TBBRIDGE_URL", "http://elsewhere:1234")
    assert find_address().url == "http://elsewhere:1234"
    assert find_address("here").url == "http://here:6007"
    assert find_address(port=8).url == "http://127.0.0.1:8"
    monkeypatch.setenv("TBBRIDGE_URL", "  ")
    assert find_address().url == "http://127.0.0.1:6007"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"address": ""}, "names no host"),
        ({"address": "http://"}, "names no host"),
        ({"address": "http://:6007"}, "names no host"),
        ({"address": "two words"}, "names no host"),
        ({"address": "host:port"}, "cannot be read"),
        ({"address": "host:99999"}, "cannot be read"),
        ({"address": "host", "port": 0}, "port 0 does not exist"),
        ({"address": "host", "port": 70000}, "port 70000 does not exist"),
        ({"address": "host", "port": "6007"}, "a number"),
        ({"address": "host", "port": True}, "a number"),
        ({"address": "host:1", "port": 2}, "port 1 and the argument says 2"),
        ({"address": "ftp://host"}, "'ftp://'"),
        ({"address": "http://host?x=1"}, "'?'"),
        ({"address": "host", "hostname": "host"}, "one of the two"),
        ({"address": 6007}, "is a text"),
        ({"address": "http://[::1"}, "cannot be read"),
    ],
)
def test_nonsense_is_refused_with_the_remedy(arguments: dict[str, object], said: str) -> None:
    with pytest.raises(InvalidItem, match=r".") as caught:
        find_address(**arguments)  # type: ignore[arg-type]
    assert said in str(caught.value)


def test_a_password_is_used_and_not_shown() -> None:
    address = find_address("https://me:secret@host/base")
    assert address.url == "https://me:secret@host/base"
    assert address.shown == "https://host/base"


@pytest.mark.parametrize(
    ("address", "is_loopback"), [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("host", False)]
)
def test_loopback_is_known(address: str, is_loopback: bool) -> None:
    assert find_address(address).is_loopback is is_loopback
