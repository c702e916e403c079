"""For whoever operates the server: ``/health``, ``/ready`` and ``/metrics``."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.responses import JSONResponse, PlainTextResponse, Response

from parlando.serve.service import Service


def build_router(service: Service) -> APIRouter:
    """The routes that say how the server fares, for this service."""
    router = APIRouter(tags=["operation"])

    @router.get("/health")
    async def health() -> dict[str, Any]:
        """The process answers."""
        return {"status": "ok"}

    @router.get("/ready", responses={503: {"description": "Not every model has spoken yet, or the server drains."}})
    async def ready() -> Response:
        """Every model has spoken, and nobody is shutting down."""
        models = {name: host.ready for name, host in service.hosts.items()}
        content = {"ready": service.ready, "draining": service.draining, "models": models}
        return JSONResponse(content, 200 if service.ready else 503)

    @router.get("/metrics", response_class=PlainTextResponse)
    async def metrics() -> Response:
        """Counters and histograms as Prometheus reads them."""
        text = await service.bridge.call(service.registry.render)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    return router
