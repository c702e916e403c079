"""A connection that carries JSON both ways, and the ways in which its other end leaves."""

from __future__ import annotations

import asyncio
import logging
from types import SimpleNamespace

import pytest
from starlette.websockets import WebSocketDisconnect

from parlando.serve.call import Call, report
from parlando.serve.config import ServeConfig
from parlando.serve.limits import Budgets
from parlando.serve.metrics import Registry
from parlando.serve.sockets import JsonSocket


@pytest.mark.parametrize(
    ("failure", "level"), [(WebSocketDisconnect(1006), logging.WARNING), (RuntimeError("a defect"), logging.ERROR)]
)
def test_a_client_who_leaves_while_it_is_told_something_is_no_error_of_the_server(failure, level, caplog):
    async def send_text(_):
        raise failure

    async def leave():
        config, call = ServeConfig(), Call("a1", "127.0.0.1", 0.0, 101)
        service = SimpleNamespace(config=config, budgets=Budgets(config.limits))
        await JsonSocket(SimpleNamespace(scope={"parlando": call}, send_text=send_text), service).send({"type": "done"})
        return call

    with caplog.at_level(logging.INFO, "parlando.serve"):
        report(Registry(), asyncio.run(leave()), "WEBSOCKET", "/v1/audio/speech/stream", "speech")
    assert [record.levelno for record in caplog.records] == [level]
