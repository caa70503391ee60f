"""What the agents count and time. Labels: names of agents and of the catalogue's tools."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Final

from prometheus_client import Counter, Histogram

from runtime import enums, tracing
from runtime.errors import word
from runtime.metrics import LATENCY_BUCKETS
from switchboard.v3.agent_pb2 import RunEnd
from switchboard.v3.frames_pb2 import EndStatus, ToolResult

RUNS: Final = Counter(
    "switchboard_agent_runs_total",
    "Runs that ended, by agent and how.",
    ["agent", "status", "code"],
)
FIRST_OUTPUT_SECONDS: Final = Histogram(
    "switchboard_agent_model_first_output_seconds",
    "From asking a model to the first of its answer, retries included.",
    buckets=LATENCY_BUCKETS,
)
TOOL_SECONDS: Final = Histogram(
    "switchboard_agent_tool_call_duration_seconds",
    "How long tools took, on the device or here, by what came of them.",
    ["tool", "outcome"],
    buckets=LATENCY_BUCKETS,
)
TOOLS_REFUSED: Final = Counter(
    "switchboard_agent_tool_calls_refused_total",
    "Calls of models that went nowhere: unknown_tool, invalid_arguments, too_many_calls,"
    " tool_limit, not_said.",
    ["reason"],
)

_EDGES_WORDS: Final = frozenset({"tool_call_expired", "device_gone"})


class Tool:
    """A tool call under way; a result unless told otherwise."""

    __slots__ = ("outcome",)

    def __init__(self) -> None:
        self.outcome = "result"

    def answered(self, result: ToolResult) -> None:
        """Takes what came from the device. Its own words for errors may be anything."""
        given = result.WhichOneof("outcome") or "error"
        known = given == "error" and result.error.code in _EDGES_WORDS
        self.outcome = result.error.code if known else given


@contextmanager
def tool(name: str, call_id: str = "") -> Iterator[Tool]:
    """Times and traces one tool of the catalogue."""
    started, called = perf_counter(), Tool()
    with tracing.span(f"tool {name}", kind=tracing.CLIENT, call_id=call_id) as span:
        try:
            yield called
        except BaseException:
            called.outcome = "cancelled"
            raise
        finally:
            span.set_attribute("outcome", called.outcome)
            TOOL_SECONDS.labels(name, called.outcome).observe(perf_counter() - started)


def ended(agent: str, end: RunEnd) -> None:
    """Counts a run."""
    status = enums.word(EndStatus.DESCRIPTOR, end.status)
    RUNS.labels(agent, status, word(end.error.code) if end.HasField("error") else "ok").inc()
