"""The application: models, voices and limits put together, and the list of doors."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import HTTPConnection
from starlette.types import Receive, Scope, Send

from parlando.core.errors import ConfigError, ParlandoError
from parlando.core.install import version
from parlando.serve.call import call_of
from parlando.serve.config import ServeConfig
from parlando.serve.doors import (
    chat,
    conversions,
    cosyvoice,
    cosyvoice_grpc,
    elevenlabs,
    elevenlabs_changer,
    elevenlabs_live,
    elevenlabs_timed,
    health,
    live,
    realtime,
    samples,
    speech,
    voices,
    web,
    wyoming,
)
from parlando.serve.gate import AuthMiddleware, SideGate
from parlando.serve.hosts import Host
from parlando.serve.limits import KeyRing
from parlando.serve.partner import partner_of
from parlando.serve.problems import refusal
from parlando.serve.service import Service
from parlando.serve.tls import check_tls
from parlando.serve.tracing import check_telemetry, otlp_trace
from parlando.serve.voices import VoiceRegistry
from parlando.speech import Synthesizer

log = logging.getLogger("parlando.serve")
DOORS: tuple[Callable[[Service], APIRouter], ...] = (
    elevenlabs.build_router,
    elevenlabs_timed.build_router,
    elevenlabs_changer.build_router,
    speech.build_router,
    live.build_router,
    elevenlabs_live.build_router,
    chat.build_router,
    realtime.build_router,
    voices.build_router,
    samples.build_router,
    conversions.build_router,
    cosyvoice.build_router,
    health.build_router,
    web.build_router,
)
# Headers that a page of another origin may read too.
TOLD = (
    *("X-Request-Id", "X-Seed", "X-Sample-Rate", "X-Parlando-Warnings", "X-Parlando-Note"),
    *("Retry-After", "WWW-Authenticate"),
)
# Doors on ports of their own, open while the application runs.
LISTENERS: tuple[Callable[[Service, SideGate], AbstractAsyncContextManager[None]], ...] = (
    cosyvoice_grpc.listening,
    wyoming.listening,
)


def check_start(config: ServeConfig) -> KeyRing:
    """Look for whatever can be wrong with a server before it has a model, and read its keys.

    Raises:
        ConfigError: settings contradict each other, or a file of keys, voices or presets is wrong.
        FileMissingError: a file or folder that the configuration names is not there, its text model's among them.
        MissingDependencyError: gRPC or telemetry is asked for, and not installed.
    """
    if config.api_keys is not None and config.wyoming_port is not None:
        raise ConfigError("serve.wyoming_port: its protocol has no keys, so api_keys would not keep anybody out")
    check_tls(config)
    if config.grpc_port is not None:
        cosyvoice_grpc.check_installed()
    if config.telemetry is not None:
        check_telemetry(config.telemetry)
    VoiceRegistry(config)
    partner_of(config, None)
    return KeyRing() if config.api_keys is None else KeyRing.read(Path(config.api_keys).expanduser())


def build_app(synthesizers: Mapping[str, Synthesizer], config: ServeConfig | None = None) -> FastAPI:
    """An application that speaks with these models, the first one by default; it closes them when it shuts down.

    Raises:
        ConfigError: a configured name leads nowhere, or a preset has the name of a model's voice.
        ParlandoError: anything that `check_start` finds.
    """
    config = config or ServeConfig()
    keys = check_start(config)
    hosts = {name: Host(name, synthesizer) for name, synthesizer in synthesizers.items()}
    voices = VoiceRegistry(config)
    voices.check_config(list(hosts.values()))
    service = Service(hosts, config, voices)
    side = SideGate(keys, service.budgets, service.registry)
    listeners = [listening(service, side) for listening in LISTENERS]
    app = FastAPI(
        title="Parlando",
        version=version(),
        summary="Text in, speech out.",
        lifespan=_lifespan(service, listeners),
        openapi_url="/openapi.json",
        docs_url=None,  # these pages would run scripts from elsewhere, beside the voices and keys of this origin
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # `tracing` and `metrics` are ours
    )
    app.state.service = service
    for build_router in DOORS:
        app.include_router(build_router(service))
    for kind in (ParlandoError, HTTPException, RequestValidationError, WebSocketRequestValidationError, Exception):
        app.add_exception_handler(kind, _answer_error)
    app.router.default = _not_found
    trace = None
    if config.telemetry is not None:
        trace, service.when_closed = otlp_trace(config.telemetry)
    app.add_middleware(
        AuthMiddleware, keys=keys, budgets=service.budgets, config=config, registry=service.registry, trace=trace
    )
    if config.cors_origins:
        # Outermost: a browser asks for leave without a key.
        app.add_middleware(
            CORSMiddleware,
            allow_origins=list(config.cors_origins),
            allow_methods=["*"],
            allow_headers=["*"],
            expose_headers=TOLD,
        )
    return app


def _lifespan(
    service: Service, listeners: Sequence[AbstractAsyncContextManager[None]]
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        service.loop = asyncio.get_running_loop()
        cold = [host for host in service.hosts.values() if not host.ready]
        warming = [asyncio.create_task(service.bridge.call(host.warm_up)) for host in cold]
        try:
            async with AsyncExitStack() as stack:
                for listener in listeners:
                    await stack.enter_async_context(listener)
                yield
        finally:
            for task in warming:
                task.cancel()
            await asyncio.to_thread(service.close)

    return lifespan


async def _answer_error(asked: HTTPConnection, error: Exception) -> Any:
    return refusal(call_of(asked.scope).fail(error), asked.scope)


async def _not_found(scope: Scope, receive: Receive, send: Send) -> None:
    del scope, receive, send
    raise HTTPException(404, "there is nothing at this path; docs/serving.md lists the routes")
