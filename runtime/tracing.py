"""Traces: one per request, over every service that it passes.

Without OTEL_EXPORTER_OTLP_ENDPOINT nothing is made, carried or sent.
"""

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from opentelemetry import context, propagate, trace
from opentelemetry.trace import Span, SpanKind, Status, StatusCode

from runtime.errors import SwitchboardError, word
from runtime.settings import Settings

if TYPE_CHECKING:
    from opentelemetry.util.types import AttributeValue

_on = False
_tracer: Final = trace.get_tracer("switchboard")

Metadata = Sequence[tuple[str, str | bytes]]

CLIENT: Final = SpanKind.CLIENT
"""The kind of a span that waits for somebody outside: a model, a database, a device."""


SERVER: Final = SpanKind.SERVER
"""The kind of a span that serves a call from outside the process."""

NONE: Final[Span] = trace.INVALID_SPAN
"""A span that is none: what is set on it goes nowhere."""


def configure(settings: Settings, service: str) -> None:
    """Sends this process's spans to the collector that the settings name, if any."""
    global _on  # noqa: PLW0603 - set once, at start
    if not settings.otel_exporter_otlp_endpoint:
        return
    from runtime import otlp  # noqa: PLC0415 - without a collector no process pays for it

    trace.set_tracer_provider(otlp.provider(settings.otel_exporter_otlp_endpoint, service))
    _on = True


def on() -> bool:
    """Whether anything is traced."""
    return _on


@contextmanager
def span(
    name: str, *, kind: SpanKind = SpanKind.INTERNAL, **attributes: "AttributeValue"
) -> Iterator[Span]:
    """A step of the current trace. Attributes hold ids and counts, never text."""
    if not _on:
        yield NONE
        return
    # What an exception says may be a user's or a provider's: only its kind is kept.
    with _tracer.start_as_current_span(
        name,
        kind=kind,
        attributes=attributes,
        record_exception=False,
        set_status_on_exception=False,
    ) as made:
        try:
            yield made
        except Exception as error:
            failed(made, word(error.code) if isinstance(error, SwitchboardError) else _kind(error))
            raise


def failed(made: Span, code: str) -> None:
    """Marks a span as failed. `code`: a word of ours, or the kind of an exception."""
    made.set_attribute("error.type", code)
    made.set_status(Status(StatusCode.ERROR))


def _kind(error: Exception) -> str:
    return type(error).__name__


@contextmanager
def serving(name: str, metadata: Iterable[tuple[str, str | bytes]] | None) -> Iterator[Span]:
    """The span of a call that is served; goes on with the caller's trace."""
    if not _on:
        yield NONE
        return
    carrier = {key: value for key, value in metadata or () if isinstance(value, str)}
    token = context.attach(propagate.extract(carrier))
    try:
        with _tracer.start_as_current_span(
            name, kind=SERVER, record_exception=False, set_status_on_exception=False
        ) as made:
            yield made
    finally:
        context.detach(token)


def past(name: str, seconds: float, *, ok: bool, **attributes: "AttributeValue") -> None:
    """Adds a step that has just ended, and took `seconds`; none where there is no trace."""
    if not _on or not trace.get_current_span().get_span_context().is_valid:
        return
    ended = time.time_ns()
    made = _tracer.start_span(
        name, kind=CLIENT, attributes=attributes, start_time=ended - round(seconds * 1e9)
    )
    if not ok:
        made.set_status(Status(StatusCode.ERROR))
    made.end(ended)


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
