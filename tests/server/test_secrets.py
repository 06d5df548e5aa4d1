"""A token is seen by whoever sends it, and nobody else: not in answers, logs, metrics, messages or what may be printed."""

from __future__ import annotations

import logging
import pprint

import pytest

from tbbridge.cli import main
from tbbridge.errors import InvalidSetting
from tbbridge.server.app import build_app
from tbbridge.server.settings import ServerSettings, from_environment
from tbbridge.server.tokens import Tokens, parse_tokens

GOOD = "good-secret-of-this-very-test"
WRONG = "wrong-secret-of-this-very-test"
ONE = {"runs": [{"run": "r", "scalars": [{"tag": "t", "values": [1.0]}]}]}


def settings(tmp_path) -> ServerSettings:
    return from_environment({"TBBRIDGE_LOGDIR": str(tmp_path / "runs"), "TBBRIDGE_TOKENS": f"write,read:{GOOD}"})


@pytest.mark.parametrize("how", ["Bearer {}", "bearer  {}", "Basic {}", "{}", "Digest {}"])
@pytest.mark.parametrize("secret", [GOOD, WRONG])
async def test_no_answer_log_line_or_metric_shows_a_token(running, tmp_path, caplog, how, secret):
    said = ""
    with caplog.at_level(logging.DEBUG):
        async with running(build_app(settings(tmp_path))) as client:
            headers = {"authorization": how.format(secret)}
            for method, path, more in (
                ("POST", "/api/v1/write", {"json": ONE}),
                ("POST", "/api/v1/write", {"content": b"{", "headers": {"content-type": "application/json"}}),
                ("GET", "/api/v1/runs", {}),
                ("GET", "/api/v1/runs?run=none", {}),
                ("GET", "/api/v1/runs?nothing=1", {}),
                ("DELETE", "/api/v1/runs?run=r", {}),
                ("GET", "/no/such/path", {}),
            ):
                answer = await client.request(method, path, **{**more, "headers": {**headers, **more.get("headers", {})}})
                said += f"{answer.status_code} {answer.headers} {answer.text}\n"
            said += (await client.get("/metrics", headers={"authorization": f"Bearer {GOOD}"})).text
    assert "401" in said or secret == GOOD
    assert secret not in said
    assert secret not in caplog.text
    advice = "send 'authorization: bearer token'"
    assert "authorization" not in caplog.text.lower().replace(advice, ""), "no header is logged"


def test_nothing_that_may_be_printed_shows_a_token(tmp_path):
    made = settings(tmp_path)
    app = build_app(made)
    tokens = Tokens(None, made.tokens)
    tokens.find(GOOD.encode())
    shown = repr([made, app, app.state.service, vars(app.state), tokens, tokens.find(GOOD.encode())]) + pprint.pformat(made)
    assert GOOD not in shown
    assert GOOD in made.tokens  # else this test shows nothing


@pytest.mark.parametrize("text", [f"write:{GOOD} {WRONG}", f"all:{GOOD}", GOOD])
def test_a_variable_that_is_wrong_is_refused_without_its_secret(tmp_path, text, capsys, monkeypatch):
    monkeypatch.setenv("TBBRIDGE_TOKENS", text)
    with pytest.raises(InvalidSetting) as refused:
        Tokens(None, text)
    assert GOOD not in refused.value.message
    assert main(["serve", "--logdir", str(tmp_path), "--port", "0"]) != 0
    assert GOOD not in "".join(capsys.readouterr())


def test_a_token_pasted_in_the_tokens_file_is_refused_by_its_line_alone():
    with pytest.raises(InvalidSetting) as refused:
        parse_tokens(f"# tokens\ntrainers write {GOOD}\n", "tokens")
    assert "line 2 of tokens" in refused.value.message
    assert GOOD not in refused.value.message


async def test_a_token_in_the_query_lets_nobody_in(running, tmp_path):
    """URLs end in logs of proxies and in histories; so it is not taken there, and nobody gets used to it."""
    async with running(build_app(settings(tmp_path))) as client:
        for name in ("token", "access_token", "api_key"):
            assert (await client.get(f"/api/v1/runs?{name}={GOOD}")).status_code == 401
