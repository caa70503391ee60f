"""Spans to a collector, by OTLP over HTTP. Imported only where one is set: it is not small."""

import atexit
import logging
import time
from collections.abc import Sequence
from typing import Final

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

TRY_S: Final = 2.0
"""How long sending a batch may take, and how long the last ones hold up a process's end."""


class Exporter(OTLPSpanExporter):
    """Sends spans; once the process ends, only for a moment more."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint=endpoint.rstrip("/") + "/v1/traces", timeout=TRY_S)
        self._until: float | None = None

    def end(self) -> None:
        """The process ends: a collector that is away must not keep it."""
        self._until = time.monotonic() + TRY_S

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Sends a batch."""
        if self._until is not None and time.monotonic() > self._until:
            return SpanExportResult.FAILURE
        return super().export(spans)


def provider(endpoint: str, service: str) -> TracerProvider:
    """Makes spans of `service`, and sends them to the collector at `endpoint` in the background.

    The SDK's own variables (OTEL_TRACES_SAMPLER, OTEL_BSP_…) say how many and how often.
    """
    # A stream that is dropped is closed in another context than it was opened in: no fault.
    logging.getLogger("opentelemetry.context").setLevel(logging.CRITICAL)
    made = TracerProvider(resource=Resource.create({"service.name": f"switchboard-{service}"}))
    exporter = Exporter(endpoint)
    made.add_span_processor(BatchSpanProcessor(exporter))
    atexit.register(exporter.end)  # runs before the provider's own, which was registered first
    return made
