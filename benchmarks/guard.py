"""What it costs to let only the right ones in: a one-point POST with tokens and limits, and without (`... benchmarks guard`).

The same bridge twice, in turns: as it is, with as many tokens as it takes, of which the last is sent; and with the checks of
Host, Origin and token, the counts of requests by address and the bounds of connections taken out. Journalled, one connection,
by wrk.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.post import ROUNDS, SCRIPT, free_port, running, wrk
from benchmarks.table import Row, print_table
from tbbridge import limits
from tbbridge.server.tokens import Scope, new_token, store_tokens

UNGUARDED = """
import asyncio, sys
from pathlib import Path
import uvloop
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from tbbridge.server import connections, edge, guard, serve
from tbbridge.server.settings import ServerSettings

guard.Guard.check = lambda self, request: None
connections.RequestsUnderWay.begin = connections.RequestsUnderWay.end = lambda self, client: None
edge.client_of = lambda host: ""
serve.protocol_class = lambda connections: HttpToolsProtocol
settings = ServerSettings(logdir=Path(sys.argv[1]), port=int(sys.argv[2]))
with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
    runner.run(serve.serve(settings))
"""


def run() -> list[Row]:
    """Median latency with and without."""
    if shutil.which("wrk") is None:
        raise SystemExit("this benchmark needs the load generator wrk: apt-get install wrk (or brew install wrk)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = [new_token(f"token-{number}", frozenset({Scope.WRITE})) for number in range(limits.TOKENS_MAX)]
        store_tokens(folder / "tokens", [token for _, token in made])
        script = folder / "post.lua"
        script.write_text(SCRIPT + f'wrk.headers["Authorization"] = "Bearer {made[-1][0]}"\n')
        ports = [str(free_port()) for _ in range(2)]
        guarded, bare = (f"http://127.0.0.1:{port}" for port in ports)
        serve = [sys.executable, "-m", "tbbridge.cli", "serve", "--logdir", str(folder / "guarded"), "--port", ports[0]]
        serve += ["--tokens-file", str(folder / "tokens")]
        measured: dict[str, list[float]] = {guarded: [], bare: []}
        with (
            running(serve, guarded + "/healthz"),
            running([sys.executable, "-c", UNGUARDED, str(folder / "bare"), ports[1]], bare + "/healthz"),
        ):
            for number in range(2 * ROUNDS):
                for url in (guarded, bare) if number % 2 else (bare, guarded):
                    measured[url].append(wrk(url + "/api/v1/write", script)[0])
    ours, floor = (statistics.median(measured[url]) for url in (guarded, bare))
    note = f"{limits.TOKENS_MAX} tokens, the last one sent; the checks cost {ours - floor:.0f} us"
    return [Row("one-point POST with tokens and limits, p50", "us", ours, floor, floor / ours, 0.9, note)]


if __name__ == "__main__":
    print_table(run())
