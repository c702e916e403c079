"""Spans for OpenTelemetry, one a request, where that is installed and wanted."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from parlando.core.errors import ConfigError, MissingDependencyError
from parlando.core.install import with_extra
from parlando.serve.call import Call

Trace = Callable[[Mapping[str, Any], Call], None]
NANOSECONDS = 1_000_000_000
SERVER_ERROR = 500


def check_telemetry(endpoint: str) -> None:
    """Whether spans can be sent there.

    Raises:
        MissingDependencyError: the packages are not installed.
        ConfigError: the endpoint is not an address.
    """
    if not endpoint.startswith(("http://", "https://")):
        raise ConfigError(
            f"telemetry: '{endpoint}' is not a valid address of a collector; use one such as http://127.0.0.1:4318"
        )
    try:
        import opentelemetry.exporter.otlp.proto.http.trace_exporter
        import opentelemetry.sdk.trace  # noqa: F401
    except ModuleNotFoundError as error:
        raise MissingDependencyError("opentelemetry", with_extra("telemetry")) from error


def otlp_trace(endpoint: str) -> tuple[Trace, Callable[[], None]]:
    """What sends a span for each request to a collector, over HTTP, from a thread of its own; and what ends it.

    Raises:
        MissingDependencyError: the packages are not installed.
        ConfigError: the endpoint is not an address.
    """
    check_telemetry(endpoint)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    provider = TracerProvider(resource=Resource.create({"service.name": "parlando"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces")))
    return trace_with(provider), provider.shutdown


def trace_with(provider: Any) -> Trace:
    """A span for each request, in the trace that its ``traceparent`` names."""
    from opentelemetry.trace import SpanKind, Status, StatusCode
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    tracer, propagator = provider.get_tracer("parlando.serve"), TraceContextTextMapPropagator()

    def trace(scope: Mapping[str, Any], call: Call) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        ended = time.time_ns()
        begun = ended - round((time.perf_counter() - call.started_seconds) * NANOSECONDS)
        route = getattr(scope.get("route"), "path", "other")
        method = scope.get("method", "WEBSOCKET")
        span = tracer.start_span(
            f"{method} {route}",
            context=propagator.extract(headers),
            kind=SpanKind.SERVER,
            start_time=begun,
            attributes={
                "http.request.method": method,
                "http.route": route,
                "http.response.status_code": call.status,
                "http.response.body.size": call.sent_bytes,
                "parlando.request_id": call.request_id,
            },
        )
        if call.first_byte_seconds is not None:
            span.add_event("first byte", timestamp=begun + round(call.first_byte_seconds * NANOSECONDS))
        if call.error is not None:
            span.set_attribute("error.type", type(call.error).__name__)
        if call.status >= SERVER_ERROR or call.status == 0:
            span.set_status(Status(StatusCode.ERROR))
        span.end(ended)

    return trace
