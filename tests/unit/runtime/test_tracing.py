"""Traces: nothing while they are off; over calls, tasks and streams while they are on."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from runtime import tracing
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Traces switched on, for one test, into memory."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "_on", True)
    monkeypatch.setattr(tracing, "_tracer", provider.get_tracer("test"))
    yield exporter
    provider.shutdown()


def named(spans: InMemorySpanExporter, name: str) -> ReadableSpan:
    (found,) = [span for span in spans.get_finished_spans() if span.name == name]
    return found


def parent(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent else None


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return int(span.context.span_id)


def test_off_nothing_is_made_carried_or_even_imported() -> None:
    program = """if True:
        import sys
        from runtime import observe, tracing
        from runtime.settings import Settings
        observe.start(Settings(), "test")
        with tracing.serving("call", [("traceparent", "00-" + 32 * "1" + "-" + 16 * "2" + "-01")]):
            with tracing.span("step", count=1) as span:
                span.set_attribute("a", 1)
                tracing.past("statement", 0.1, ok=True)
                tracing.failed(span, "internal")
                assert not span.is_recording()
                assert tracing.carried() == ()
                assert tracing.trace_id() == ""
        assert not any(name.startswith("opentelemetry.sdk.trace.export") for name in sys.modules)
        assert "requests" not in sys.modules
    """
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_a_call_goes_on_with_the_callers_trace(spans: InMemorySpanExporter) -> None:
    with tracing.span("caller"):
        metadata = tracing.carried()
        trace_id = tracing.trace_id()
    assert [key for key, _ in metadata] == ["traceparent"]
    assert tracing.trace_id() == ""
    with tracing.serving("callee", [*metadata, ("other-bin", b"\x00")]):
        assert tracing.trace_id() == trace_id
        with tracing.span("step"):
            pass
    assert parent(named(spans, "callee")) == id_of(named(spans, "caller"))
    assert parent(named(spans, "step")) == id_of(named(spans, "callee"))


@pytest.mark.parametrize("carried", [None, [], [("traceparent", "rubbish")]])
def test_a_call_without_a_trace_begins_one(
    spans: InMemorySpanExporter, carried: list[tuple[str, str | bytes]] | None
) -> None:
    with tracing.serving("callee", carried):
        assert len(tracing.trace_id()) == 32
    assert parent(named(spans, "callee")) is None


async def test_tasks_keep_the_trace_they_were_started_in(spans: InMemorySpanExporter) -> None:
    async def work(name: str) -> str:
        with tracing.span(name):
            await asyncio.sleep(0)
            return tracing.trace_id()

    async def request(name: str) -> set[str]:
        with tracing.span(name):
            return {tracing.trace_id(), *await asyncio.gather(work(f"{name}1"), work(f"{name}2"))}

    one, other = await asyncio.gather(request("a"), request("b"))
    assert len(one) == len(other) == 1
    assert one != other
    assert parent(named(spans, "a2")) == id_of(named(spans, "a"))


async def test_a_stream_that_is_dropped_is_closed_without_a_word(
    spans: InMemorySpanExporter, caplog: pytest.LogCaptureFixture
) -> None:
    async def stream() -> AsyncGenerator[int, None]:
        with tracing.serving("stream", None):
            yield 1
            yield 2

    from runtime import otlp

    otlp.provider("http://127.0.0.1:1", "test").shutdown()  # quiets what would be said
    opened = stream()
    assert await anext(opened) == 1
    await asyncio.create_task(_close(opened))
    named(spans, "stream")
    assert not caplog.records


async def _close(stream: AsyncGenerator[int, None]) -> None:
    await stream.aclose()


def test_a_failure_is_told_by_its_kind_and_never_by_its_words(
    spans: InMemorySpanExporter,
) -> None:
    refused = SwitchboardError(ErrorCode.ERROR_CODE_MODEL_REFUSED, "said by a provider")
    for name, error in (("ours", refused), ("other", ValueError("said by a user"))):
        with pytest.raises(type(error)), tracing.span(name):
            raise error
    for name, kind in (("ours", "model_refused"), ("other", "ValueError")):
        span = named(spans, name)
        assert span.attributes == {"error.type": kind}
        assert not span.status.is_ok
        assert span.status.description is None
        assert not span.events


def test_a_step_that_is_over_lies_in_the_past_and_needs_a_trace(
    spans: InMemorySpanExporter,
) -> None:
    tracing.past("alone", 1, ok=True)
    with tracing.span("request"):
        tracing.past("SELECT users", 0.25, ok=False)
    assert {span.name for span in spans.get_finished_spans()} == {"request", "SELECT users"}
    span = named(spans, "SELECT users")
    assert span.end_time is not None
    assert span.start_time is not None
    assert span.end_time - span.start_time == 250_000_000
    assert not span.status.is_ok
