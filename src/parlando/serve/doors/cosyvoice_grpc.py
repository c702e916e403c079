"""CosyVoice's gRPC service, ``cosyvoice.CosyVoice/Inference``, on a port of its own; the interface is cosyvoice.proto.

Metadata may carry ``x-seed`` and a key.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from parlando.core.errors import ConfigError, InputError, MissingDependencyError
from parlando.core.install import with_extra
from parlando.serve.call import Call
from parlando.serve.config import Limits, ServeConfig
from parlando.serve.cosyvoice import Asked, prompt_recording, utterance_of
from parlando.serve.cosyvoice_messages import FIELDS, KINDS, message_classes
from parlando.serve.gate import SideGate, key_of
from parlando.serve.problems import problem_of
from parlando.serve.service import Service, Speaking, Utterance

SERVICE, METHOD = "cosyvoice.CosyVoice", "Inference"
DRAWN = b"-1"
CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: "UNAVAILABLE",
}


def check_installed() -> None:
    """Whether this door can be opened.

    Raises:
        MissingDependencyError: grpcio or protobuf is not installed.
    """
    try:
        import google.protobuf  # noqa: F401
        import grpc  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError("grpcio", with_extra("grpc")) from error


@asynccontextmanager
async def listening(service: Service, gate: SideGate) -> AsyncIterator[None]:
    """The door, open as long as the context; without a port in the configuration there is none.

    Raises:
        ConfigError: the address is taken.
    """
    config = service.config
    if config.grpc_port is None:
        yield
        return
    import grpc

    inference = Inference(service, gate)
    server = grpc.aio.server(options=_options(config.limits), maximum_concurrent_rpcs=config.grpc_max_concurrent)
    handler = grpc.unary_stream_rpc_method_handler(inference.answer)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),))
    host = f"[{config.host}]" if ":" in config.host else config.host
    try:
        address, credentials = f"{host}:{config.grpc_port}", _credentials(config)
        port = server.add_secure_port(address, credentials) if credentials else server.add_insecure_port(address)
    except RuntimeError as error:
        raise ConfigError(f"cannot listen on {host}:{config.grpc_port}; choose another --grpc-port") from error
    await server.start()
    service.opened("grpc", port)
    try:
        yield
    finally:
        await server.stop(config.drain_seconds)


class Inference:
    """Answers one kind of call."""

    def __init__(self, service: Service, gate: SideGate) -> None:
        import grpc
        from google.protobuf.message import DecodeError

        self._service, self._gate, self._grpc, self._undecodable = service, gate, grpc, DecodeError
        self._request, self._response = message_classes()

    async def answer(self, body: bytes, context: Any) -> None:
        """Write audio as it is made; an error is a status, at any time."""
        headers = {name.encode(): str(value).encode() for name, value in context.invocation_metadata() or ()}
        try:
            with self._gate.call("GRPC", f"/{SERVICE}/{METHOD}", _address(context.peer()), key_of(headers)) as call:
                utterance = await self._utterance(body, headers.get(b"x-seed"))
                speaking = self._service.open(utterance, "pcm", call.caller, call.warn)
                try:
                    while parts := await speaking.stream.batch():
                        if call.first_byte_seconds is None:
                            await context.send_initial_metadata(_told(speaking, call))
                        data = b"".join(parts)
                        call.count(len(data))
                        await self._write(context, self._response(tts_audio=data).SerializeToString())
                finally:
                    speaking.stream.cancel()
        except Exception as error:  # noqa: BLE001  the gate has logged it, the client is told
            problem = problem_of(error)
            code = getattr(self._grpc.StatusCode, CODES.get(problem.status, "INTERNAL"))
            await context.abort(code, f"{problem.code}: {problem.message}")

    async def _write(self, context: Any, message: bytes) -> None:
        try:
            async with asyncio.timeout(self._service.config.limits.stall_seconds):
                await context.write(message)
        except TimeoutError as error:
            raise TimeoutError("nobody read the answer; read it as it comes") from error

    async def _utterance(self, body: bytes, seed: bytes | None) -> Utterance:
        if seed == DRAWN:
            seed = None
        if seed is not None and not seed.isdigit():
            raise InputError("x-seed: expected a whole number, or -1 to have one drawn")
        try:
            request = self._request.FromString(body)
        except self._undecodable as error:
            raise InputError("the request is not a cosyvoice.Request") from error
        kind = request.WhichOneof("RequestPayload")
        if kind is None:
            raise InputError("the request is empty; set one of: " + ", ".join(KINDS))
        payload = getattr(request, kind)
        given = {name: getattr(payload, name) for name in FIELDS[KINDS[kind]]}
        audio = given.get("prompt_audio")
        recording = None if audio is None else await self._service.bridge.call(prompt_recording, audio)
        return utterance_of(
            self._service,
            Asked(
                given["tts_text"],
                given.get("spk_id"),
                recording,
                given.get("prompt_text", ""),
                given.get("instruct_text"),
                seed=None if seed is None else int(seed[:20]),
                sample_rate=self._service.config.cosyvoice_rate or None,
            ),
        )


def _told(speaking: Speaking, call: Call) -> tuple[tuple[str, str], ...]:
    """The metadata of an answer: the same as HTTP's headers."""
    told = (("x-sample-rate", str(speaking.sample_rate)), ("x-seed", str(speaking.seed)))
    return (*told, ("x-parlando-warnings", call.shown_warnings)) if call.warnings else told


def _credentials(config: ServeConfig) -> Any:
    """What encrypts this door, if anything does."""
    import grpc

    if config.tls_cert is None or config.tls_key is None:
        return None
    key, cert = (Path(path).expanduser().read_bytes() for path in (config.tls_key, config.tls_cert))
    return grpc.ssl_server_credentials([(key, cert)])


def _options(limits: Limits) -> tuple[tuple[str, int], ...]:
    """Of the server: a port of its own, no larger messages than bodies, and an end to clients that answer no ping."""
    patience = round(limits.stall_seconds * 1000)
    return (
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", limits.max_body_bytes),
        ("grpc.keepalive_time_ms", patience),
        ("grpc.keepalive_timeout_ms", patience),
    )


def _address(peer: str) -> str:
    """The address in what gRPC calls a peer, such as ipv4:127.0.0.1:5000."""
    return peer.partition(":")[2].rpartition(":")[0] or peer
