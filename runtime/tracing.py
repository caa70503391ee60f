"""Traces: one per request, over every service that it passes.

Without OTEL_EXPORTER_OTLP_ENDPOINT nothing is made, carried or sent.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry import context, propagate, trace

from runtime.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

_on = False
_tracer = trace.get_tracer("switchboard")

Metadata = Sequence[tuple[str, str | bytes]]


def configure(settings: Settings, service: str) -> None:
    """Sends this process's spans to the collector that the settings name, if any."""
    global _on  # noqa: PLW0603 - set once, at start
    if not settings.otel_exporter_otlp_endpoint:
        return
    # Imported here: without a collector no process pays for them.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    provider = TracerProvider(resource=Resource.create({"service.name": f"switchboard-{service}"}))
    endpoint = settings.otel_exporter_otlp_endpoint.rstrip("/") + "/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=endpoint)))
    trace.set_tracer_provider(provider)
    _on = True


@contextmanager
def span(name: str, **attributes: "AttributeValue") -> Iterator[None]:
    """A step of the current trace. Attributes hold ids and counts, never text."""
    if not _on:
        yield
        return
    with _tracer.start_as_current_span(name, attributes=attributes, record_exception=False):
        yield


@contextmanager
def serving(name: str, metadata: Iterable[tuple[str, str | bytes]] | None) -> Iterator[None]:
    """The span of a call that is served; goes on with the caller's trace."""
    if not _on:
        yield
        return
    carrier: Mapping[str, str] = {k: v for k, v in metadata or () if isinstance(v, str)}
    token = context.attach(propagate.extract(carrier))
    try:
        with _tracer.start_as_current_span(
            name, kind=trace.SpanKind.SERVER, record_exception=False
        ):
            yield
    finally:
        context.detach(token)


def carried() -> Metadata:
    """The metadata that a call to another service carries: `stub.Method(…, metadata=carried())`."""
    if not _on:
        return ()
    carrier: dict[str, str] = {}
    propagate.inject(carrier)
    return tuple(carrier.items())


def trace_id() -> str:
    """The current trace, as 32 hexadecimal digits; empty where there is none."""
    if not _on:
        return ""
    found = trace.get_current_span().get_span_context()
    return trace.format_trace_id(found.trace_id) if found.is_valid else ""
