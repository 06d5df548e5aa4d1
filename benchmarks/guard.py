"""What it costs to let only the right ones in: a one-point POST with tokens and limits, and without.

The same bridge twice, in turns: as it is, with as many tokens as it takes, of which the last is sent; and with the checks of
Host, Origin and token, the counts of requests by address and the bounds of connections taken out. Journalled, one connection.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from benchmarks.bodies import JSON, ONE_POINT
from benchmarks.load import closed_loop, post
from benchmarks.measure import Size, in_turns
from benchmarks.results import Goal, Result, Row, Spread
from benchmarks.servers import HOST, Server, bridge, free_port, running
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


def run(size: Size) -> Result:
    """Median latency with and without."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made = [new_token(f"token-{number}", frozenset({Scope.WRITE})) for number in range(limits.TOKENS_MAX)]
        store_tokens(folder / "tokens", [token for _, token in made])
        request = post(ONE_POINT, JSON, "/api/v1/write", f"Authorization: Bearer {made[-1][0]}")
        port = free_port()
        bare = [sys.executable, "-c", UNGUARDED, str(folder / "bare"), str(port)]

        def p50_us(server: Server) -> float:
            loaded = closed_loop(server, lambda _: request, 1, seconds=size.pick(0.2, 0.35, 2))
            loaded.check(200)
            return loaded.percentile(50) * 1e6

        with (
            bridge(folder / "guarded", "--tokens-file", str(folder / "tokens")) as guarded,
            running(bare, f"http://{HOST}:{port}/healthz") as process,
        ):
            unguarded = Server(port, process, folder / "bare")
            works = {"with": lambda: p50_us(guarded), "without": lambda: p50_us(unguarded)}
            p50_us(guarded)  # warm
            p50_us(unguarded)
            found = in_turns(works, size.pick(2, 6, 10), "guard")
    ours, floor = Spread.of(found["with"]), Spread.of(found["without"])
    note = f"{limits.TOKENS_MAX} tokens, the last one sent; the checks cost {ours.median - floor.median:.0f} us"
    return Result(
        [Row("one point with tokens and limits: p50", "us", ours, floor, "the same without", goal=Goal(0.9), note=note)]
    )
