"""A live app in the test's own event loop: in front of the real pipeline, or of a door whose answers the test chooses.

Every answer that passes the clients made here is held to the OpenAPI document: its status and type must be declared there.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tbbridge.errors import TBBridgeError
from tbbridge.model import Batch
from tbbridge.pipeline.door import Ack, Health, Receipt, Stats
from tbbridge.server.app import build_app
from tbbridge.server.openapi_shape import resolved
from tbbridge.server.settings import ServerSettings


class FakeDoor:
    """A door that keeps the batches and answers as told. It checks nothing, stores nothing and does not know its writers."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []
        self.acks: list[Ack] = []
        self.error: Exception | None = None
        self.receipt: Receipt | None = None
        self.stats = Stats()
        self.health = Health(True)

    async def submit(self, batch: Batch, *, ack: Ack = Ack.JOURNALED, partial: bool = False, received: float = 0.0) -> Receipt:
        if self.error is not None:
            raise self.error
        self.batches.append(batch)
        self.acks.append(ack)
        return self.receipt or Receipt(batch.points)

    async def settled(self) -> None:
        if isinstance(self.error, TBBridgeError):
            raise self.error

    async def close(self) -> None:
        pass


_DOCUMENTS: dict[tuple[str, ...], dict[str, Any]] = {}


def document_of(app: FastAPI) -> dict[str, Any]:
    """Its OpenAPI document, made once for all apps of the same paths: hundreds of tests start one, and it takes 60 ms."""
    paths = tuple(str(getattr(route, "path", "")) for route in app.routes)
    if paths not in _DOCUMENTS:
        _DOCUMENTS[paths] = app.openapi()
    return _DOCUMENTS[paths]


@asynccontextmanager
async def running(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    document = document_of(app)

    async def is_declared(response: httpx.Response) -> None:
        if response.status_code in (404, 405) and response.request.url.path not in document["paths"]:
            return
        operation = document["paths"].get(response.request.url.path, {}).get(response.request.method.lower())
        if operation is None:
            return
        declared = operation["responses"].get(str(response.status_code))
        assert declared, f"{response.status_code} of {response.request.url.path} is not in the OpenAPI document"
        kind = re.sub(";.*", "", response.headers["content-type"])
        assert kind in {*resolved(document, declared)["content"], "application/x-protobuf"}

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    hooks = {"response": [is_declared]}
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://bridge", event_hooks=hooks) as client,
    ):
        yield client


@pytest.fixture(name="running")
def running_app():
    """`running`, for tests that start an app more than once."""
    return running


@pytest.fixture
def settings(tmp_path):
    """A stop waits for veils, which are lifted soon here: no TensorBoard looks."""
    return ServerSettings(logdir=tmp_path / "runs", veil_s=0.05)


@pytest.fixture
def door():
    return FakeDoor()


@pytest.fixture
def app(settings):
    """In front of the real pipeline; not started yet."""
    return build_app(settings)


@pytest.fixture
async def client(app):
    """Talks to `app`, which runs meanwhile."""
    async with running(app) as talking:
        yield talking


@pytest.fixture
async def fake_client(settings, door):
    """Talks to the app in front of `door`."""

    async def open_door(_: ServerSettings) -> FakeDoor:
        return door

    async with running(build_app(settings, open_door=open_door)) as talking:
        yield talking
