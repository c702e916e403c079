"""OpenAI's Realtime protocol, ``/v1/realtime``: speech in, speech out, over one WebSocket, in both of its dialects."""

from __future__ import annotations

from fastapi import APIRouter, WebSocket

from parlando.core.errors import ParlandoError
from parlando.serve.problems import POLICY
from parlando.serve.realtime.events import BETA_HEADER, BETA_PROTOCOL, Teller
from parlando.serve.realtime.session import Session
from parlando.serve.service import Service
from parlando.serve.sockets import JsonSocket

PROTOCOL = "realtime"


def build_router(service: Service) -> APIRouter:
    """The WebSocket, for this service."""
    router = APIRouter(tags=["OpenAI"])

    @router.websocket("/v1/realtime")
    async def realtime(socket: WebSocket, model: str | None = None) -> None:
        offered = socket.scope.get("subprotocols", [])
        wire = JsonSocket(socket, service)
        await wire.accept(PROTOCOL if PROTOCOL in offered else None)
        beta = BETA_PROTOCOL in offered or socket.headers.get("openai-beta", "").encode() == BETA_HEADER
        teller = Teller(wire, beta)
        session: Session | None = None
        try:
            session = Session(service, wire, teller, model)
            await session.begin()
            async for message in wire.messages():
                await session.take(message)
        except ParlandoError as error:
            problem = await teller.problem(error)
            await wire.close(POLICY, problem.message)
        finally:
            if session is not None:
                session.close()
            await wire.hang_up()

    return router
