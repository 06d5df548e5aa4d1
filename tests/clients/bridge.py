"""The bridge that the generated clients talk to: the real server before the real pipeline, in a process of its own.

One thing is added, which a test cannot wait for: the first write to a run called `busy...` is refused as with a full queue.
"""

from __future__ import annotations

import socket
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import uvicorn

from tbbridge.errors import QueueFull
from tbbridge.model import Batch
from tbbridge.pipeline.door import Receipt
from tbbridge.pipeline.pipeline import Pipeline
from tbbridge.server.app import build_app, open_pipeline
from tbbridge.server.connections import Connections
from tbbridge.server.protocols import protocol_class
from tbbridge.server.settings import ServerSettings


class Busy:
    """A pipeline's door that says no once to each run that is called `busy...`."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._refused: set[str] = set()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pipeline, name)

    async def submit(self, batch: Batch, **how: Any) -> Receipt:
        new = {one.run for one in batch.runs if one.run.startswith("busy")} - self._refused
        if new:
            self._refused |= new
            raise QueueFull("the queue is full; send it again in a second")
        return await self._pipeline.submit(batch, **how)


async def open_busy(settings: ServerSettings) -> Busy:
    """The door for `build_app`."""
    return Busy(await open_pipeline(settings))


if __name__ == "__main__":
    app = build_app(ServerSettings(logdir=Path(sys.argv[1])), open_door=open_busy)  # type: ignore[arg-type] # all of a door, by name
    with socket.create_server(("127.0.0.1", 0)) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        protocol = protocol_class(Connections(100, 100, Counter()))
        uvicorn.Server(uvicorn.Config(app, http=protocol, ws="none", log_level="warning")).run(sockets=[listener])
