"""Runs the application on uvicorn until it is told to stop, and lets what is being spoken end first."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import socket
import sys
import time
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI

from parlando.core.errors import ConfigError
from parlando.serve.config import ServeConfig
from parlando.serve.http_limits import limited_protocol

log = logging.getLogger("parlando.serve")
# Threads that speak hold the interpreter for this long at most while the event loop waits for it.
SWITCH_SECONDS = 0.0005
BACKLOG = 1024
DRAIN_CHECK_SECONDS = 0.05


class Server(uvicorn.Server):
    """Refuses new work from the first signal on; a second signal ends at once."""

    app: FastAPI

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to drain, or end at once."""
        self.force_exit = self.force_exit or self.should_exit  # uvicorn does so for SIGINT alone
        self.config.app.state.service.draining = True  # type: ignore[union-attr]
        super().handle_exit(sig, frame)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let what is being spoken end, through whichever door, before connections are closed."""
        service = self.config.app.state.service  # type: ignore[union-attr]
        deadline_seconds = time.monotonic() + service.config.drain_seconds
        while service.speaking and not self.force_exit and time.monotonic() < deadline_seconds:
            await asyncio.sleep(DRAIN_CHECK_SECONDS)
        await super().shutdown(sockets)


class LineFormatter(logging.Formatter):
    """One JSON object per line; messages that are objects already are merged into it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        message = record.getMessage()
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {"time": f"{moment}.{int(record.msecs):03d}Z", "level": record.levelname.lower()}
        fields = json.loads(message) if message.startswith('{"event"') else {"event": "message", "message": message}
        if record.exc_info:
            fields["trace"] = self.formatException(record.exc_info)
        return json.dumps({**line, **fields})


def listen(host: str, port: int, stall_seconds: float = 30.0, option: str = "--port") -> socket.socket:
    """A bound socket; port 0 takes a free one. A peer that takes nothing for ``stall_seconds`` is cut off.

    Raises:
        ConfigError: the address is taken or not this machine's; ``option`` chooses another.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    opened = socket.socket(family, socket.SOCK_STREAM)
    opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        opened.bind((host, port))
    except OSError as error:
        opened.close()
        raise ConfigError(f"cannot listen on {host}:{port} ({error.strerror}); choose another {option}") from error
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        # Closing a connection waits for what is still to be sent, for ever if nobody takes it. Linux inherits this.
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, round(stall_seconds * 1000))
    opened.listen(BACKLOG)
    return opened


def make_server(app: FastAPI, config: ServeConfig) -> Server:
    """A server that is told to stop by a signal or by ``should_exit``."""
    settings = uvicorn.Config(
        app,
        http=limited_protocol(config.limits.head_seconds),
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=max(1, round(config.drain_seconds)),
        timeout_keep_alive=30,
        backlog=BACKLOG,
        ws_max_size=config.limits.max_body_bytes,
        ssl_certfile=config.tls_cert and Path(config.tls_cert).expanduser(),
        ssl_keyfile=config.tls_key and Path(config.tls_key).expanduser(),
        ws_per_message_deflate=False,  # audio gets no smaller, and the loop would do the work
    )
    return Server(settings)


class HandshakeFilter(logging.Filter):
    """Passes over what clients did wrong when they opened a WebSocket: that is no error of the server."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log it."""
        return not record.getMessage().startswith("opening handshake failed")


def configure_logging() -> None:
    """Send every log of the process to standard error, as lines of JSON."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    log.setLevel(logging.INFO)
    logging.getLogger("uvicorn.error").addFilter(HandshakeFilter())


def settle_interpreter() -> None:
    """Have threads give way to the event loop, and what is loaded by now stay."""
    sys.setswitchinterval(SWITCH_SECONDS)
    # Looking through it for garbage again and again would hold up everybody.
    gc.collect()
    gc.freeze()


def serve(app: FastAPI, config: ServeConfig, opened: socket.socket) -> None:
    """Serve until a signal."""
    settle_interpreter()
    make_server(app, config).run(sockets=[opened])
