"""What the router counts and times. Labels: agents, statuses, codes of the contract."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from router_svc.routing import Verdict
from runtime import enums
from runtime.errors import word
from runtime.metrics import LATENCY_BUCKETS
from switchboard.v3.frames_pb2 import EndStatus, ServerFrame

ROUTED: Final = Counter(
    "switchboard_router_routed_total",
    "Messages by the agent that was chosen, and by what: model, scope, keywords or default.",
    ["agent", "by"],
)
TURNS: Final = Counter(
    "switchboard_router_turns_total",
    "Turns that ended, by agent (none: it came to none) and how.",
    ["agent", "status", "code"],
)
RECALL_SECONDS: Final = Histogram(
    "switchboard_router_recall_duration_seconds",
    "How long a turn waited for memory; outcome: recalled, or left_out where it was slow or down.",
    ["outcome"],
    buckets=LATENCY_BUCKETS,
)
EPISODES: Final = Counter(
    "switchboard_router_episodes_total",
    "Exchanges for memory: stored at once, deferred to the background, late (stored from there), "
    "refused by memory, or dropped.",
    ["outcome"],
)
BACKLOG: Final = Gauge(
    "switchboard_router_store_backlog", "Exchanges that wait in this process for memory."
)


def routed(verdict: Verdict) -> None:
    """Counts a choice."""
    by = verdict.reason.replace(":", " ").split(" ")[0]
    ROUTED.labels(verdict.agent, by).inc()


def ended(frame: ServerFrame) -> None:
    """Counts a turn, where this is its end."""
    if frame.HasField("stream_end"):
        end = frame.stream_end
        status = enums.word(EndStatus.DESCRIPTOR, end.status)
        code = word(end.error.code) if end.HasField("error") else "ok"
        TURNS.labels(end.agent or "none", status, code).inc()
