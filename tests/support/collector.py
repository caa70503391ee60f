"""A collector of traces for tests: OTLP over HTTP, kept in memory.

with Collector() as collector:
    ...  # a process with OTEL_EXPORTER_OTLP_ENDPOINT=collector.url
    collector.spans
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)


@dataclass(frozen=True, slots=True)
class Span:
    """A span as it came."""

    service: str
    name: str
    trace_id: str
    id: str
    parent_id: str
    began_ns: int
    ended_ns: int
    failed: bool
    status_text: str
    events: int
    attributes: dict[str, Any]


class Collector:
    """Takes spans at `url` until left."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.bodies: list[bytes] = []
        spans, bodies = self.spans, self.bodies

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                spans.extend(_spans(ExportTraceServiceRequest.FromString(body)))
                bodies.append(body)
                self.send_response(200)
                self.send_header("Content-Type", "application/x-protobuf")
                self.end_headers()
                self.wfile.write(ExportTraceServiceResponse().SerializeToString())

            def log_message(self, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))

    @property
    def url(self) -> str:
        """What OTEL_EXPORTER_OTLP_ENDPOINT is to be."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    async def trace_with(
        self, name: str = "", seconds: float = 20, **attributes: Any
    ) -> list[Span]:
        """The trace with a span of this name and these attributes, once it is whole."""

        def fits(span: Span) -> bool:
            return name in ("", span.name) and attributes.items() <= span.attributes.items()

        def found() -> list[Span]:
            spans = list(self.spans)
            ids = {span.trace_id for span in spans if fits(span)}
            trace = [span for span in spans if span.trace_id in ids]
            known = {span.id for span in trace}
            return trace if all(span.parent_id in {"", *known} for span in trace) else []

        return await _settled(found, seconds)


async def _settled(find: Callable[[], list[Span]], seconds: float) -> list[Span]:
    """What is found, once it has not grown for a second: services send at different times."""
    loop = asyncio.get_running_loop()
    end, size, since = loop.time() + seconds, 0, loop.time()
    while loop.time() < end:
        found = find()
        if len(found) != size:
            size, since = len(found), loop.time()
        if found and loop.time() - since > 1:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"no whole trace within {seconds:g} s")


def _spans(request: ExportTraceServiceRequest) -> Iterator[Span]:
    for resource in request.resource_spans:
        of = {each.key: each.value.string_value for each in resource.resource.attributes}
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield Span(
                    service=of["service.name"],
                    name=span.name,
                    trace_id=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent_id=span.parent_span_id.hex(),
                    began_ns=span.start_time_unix_nano,
                    ended_ns=span.end_time_unix_nano,
                    failed=span.status.code == 2,
                    status_text=span.status.message,
                    events=len(span.events),
                    attributes={
                        each.key: getattr(each.value, each.value.WhichOneof("value") or "")
                        for each in span.attributes
                    },
                )
