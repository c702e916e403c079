"""Spans: one for each request, in its caller's trace; and none unless asked."""

from __future__ import annotations

import sys

import pytest

from parlando.core.errors import ConfigError, MissingDependencyError
from parlando.serve import app as app_module
from parlando.serve.tracing import otlp_trace, trace_with

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def exported(monkeypatch):
    sdk = pytest.importorskip("opentelemetry.sdk.trace")
    export = pytest.importorskip("opentelemetry.sdk.trace.export.in_memory_span_exporter")
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor

    exporter, provider = export.InMemorySpanExporter(), sdk.TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(app_module, "otlp_trace", lambda endpoint: (trace_with(provider), provider.shutdown))
    return exporter


def test_every_request_is_a_span_in_its_callers_trace(serving, exported):
    with serving(telemetry="http://127.0.0.1:4318") as running:
        running.http.post("/v1/audio/speech", json={"input": "Hi."}, headers={"traceparent": PARENT})
        running.model.lm.failures = [RuntimeError("no")]
        running.say()
        running.http.get("/v1/nowhere")
        running.wait_until(lambda: len(exported.get_finished_spans()) >= 4)
        spans = {
            (span.name, span.attributes["http.response.status_code"]): span for span in exported.get_finished_spans()
        }
        spoken, failed = (spans["POST /v1/audio/speech", status] for status in (200, 500))
        assert f"{spoken.context.trace_id:032x}" == PARENT.split("-")[1]
        assert f"{spoken.parent.span_id:016x}" == PARENT.split("-")[2]
        assert spoken.start_time <= spoken.events[0].timestamp <= spoken.end_time
        assert spoken.status.is_ok
        assert not failed.status.is_ok
        assert failed.attributes["error.type"] == "GenerationError"
        assert ("GET other", 404) in spans


def test_what_is_missing_or_no_address_is_said(monkeypatch):
    with pytest.raises(ConfigError, match="is not a valid address of a collector"):
        otlp_trace("collector:4318")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(MissingDependencyError, match=r"pip install .*\[telemetry\]"):
        otlp_trace("http://127.0.0.1:4318")
