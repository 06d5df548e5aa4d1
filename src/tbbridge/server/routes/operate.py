"""Routes for whoever runs the bridge: is it alive, does it take points, what has it done, what is it."""

from __future__ import annotations

import platform
from typing import Annotated, Final

from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import Field
from starlette.responses import Response
from typing_extensions import TypedDict

from tbbridge import errors
from tbbridge.errors import NotReady
from tbbridge.server.answers import Answer, json_answer
from tbbridge.server.openapi import responses
from tbbridge.server.service import Service
from tbbridge.server.totals import Totals

# The number in the paths; docs/api.md says when it changes.
API_VERSION: Final = 1


class Alive(TypedDict):
    """The process runs and answers."""

    status: Annotated[str, Field(examples=["alive"])]


class Ready(TypedDict):
    """Points are taken."""

    status: Annotated[str, Field(examples=["ready"])]


class Version(TypedDict):
    """What runs here."""

    version: Annotated[str, Field(description="Of tbbridge.", examples=["0.1.0"])]
    api: Annotated[int, Field(description="Of this interface: the number in its paths.", examples=[1])]
    python: Annotated[str, Field(examples=["3.11.7"])]


_ERRORS: Final = responses()


def add_routes(app: FastAPI, service: Service) -> None:
    """Add the operator's routes to `app`."""
    totals = Totals(
        service.totals,
        service.refused,
        lambda: None if service.opened is None else service.opened.stats,
        lambda: service.health,
        service.live,
    )
    version = {"version": app.version, "api": API_VERSION, "python": platform.python_version()}

    @app.get(
        "/healthz", operation_id="getHealth", tags=["operate"], summary="Is it alive", response_model=Alive, responses=_ERRORS
    )
    async def health() -> Response:
        """200 as long as the process answers at all; for what restarts it when it does not."""
        return json_answer({"status": "alive"})

    app.head("/healthz", include_in_schema=False)(health)  # which load balancers ask; uvicorn leaves the body out

    @app.get(
        "/readyz",
        operation_id="getReadiness",
        tags=["operate"],
        summary="Does it take points",
        response_model=Ready,
        responses=responses(errors.NotReady),
    )
    async def readiness() -> Response:
        """200 if points are taken now, else 503 with the reason: starting, stopping, or the disk refuses."""
        now = service.health
        if not now.ready:
            raise NotReady(now.reason)
        return json_answer({"status": "ready"})

    app.head("/readyz", include_in_schema=False)(readiness)

    @app.get(
        "/metrics",
        operation_id="getMetrics",
        tags=["operate"],
        summary="Metrics for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **_ERRORS},
    )
    async def metrics() -> Response:
        """Counters and gauges in Prometheus's text format."""
        return Answer(totals.text(), CONTENT_TYPE_LATEST.encode())

    @app.get(
        "/api/v1/version",
        operation_id="getVersion",
        tags=["operate"],
        summary="Versions",
        response_model=Version,
        responses=_ERRORS,
    )
    async def versions() -> Response:
        """The version of tbbridge, of this interface, and of Python."""
        return json_answer(version)
