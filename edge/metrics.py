"""What the edge counts and times. Labels: closed lists and route patterns; never a user,
a device, an address or a path as it was sent."""

from collections.abc import Iterable
from time import perf_counter
from typing import Final

from aiohttp import web
from prometheus_client import Counter, Gauge, Histogram

from runtime import enums
from runtime.errors import word
from runtime.held import Pool
from runtime.metrics import LATENCY_BUCKETS, watch_memory
from switchboard.v3.agent_pb2 import Surface
from switchboard.v3.errors_pb2 import CloseCode
from switchboard.v3.frames_pb2 import EndStatus, Mutation, MutationOp, StreamEnd
from switchboard.v3.router_pb2 import ConverseOutput

SOCKETS: Final = Gauge("switchboard_edge_sockets", "Sockets that are open.")
SOCKETS_MOST: Final = Gauge(
    "switchboard_edge_sockets_max", "How many may be open; 0: no limit is known."
)
SOCKETS_CLOSED: Final = Counter(
    "switchboard_edge_sockets_closed_total",
    "Sockets that closed, by why: a close code of ours, peer, lost or too_large.",
    ["reason"],
)
STREAMS: Final = Gauge("switchboard_edge_requests_active", "Requests under way.", ["surface"])
REQUESTS: Final = Counter(
    "switchboard_edge_requests_total",
    "Requests that ended, by surface (home, popup, rest) and how.",
    ["surface", "status", "code"],
)
REQUEST_SECONDS: Final = Histogram(
    "switchboard_edge_request_duration_seconds",
    "From a request to its end, tools and approvals included.",
    ["surface"],
    buckets=LATENCY_BUCKETS,
)
FIRST_TEXT_SECONDS: Final = Histogram(
    "switchboard_edge_first_text_seconds",
    "From a request to the first piece of text for its device.",
    ["surface"],
    buckets=LATENCY_BUCKETS,
)
RESUMES: Final = Counter(
    "switchboard_edge_resumes_total",
    "Requests that devices came back for: resumed in full, or lost.",
    ["outcome"],
)
MUTATIONS: Final = Counter(
    "switchboard_edge_mutations_total",
    "Changes that went to users' other devices, by who made them: a tool or the user.",
    ["source", "op"],
)
HTTP_REQUESTS: Final = Counter(
    "switchboard_edge_http_requests_total",
    "REST calls, by method, route and status; the route of unknown ones is other.",
    ["method", "route", "status"],
)
HTTP_SECONDS: Final = Histogram(
    "switchboard_edge_http_request_duration_seconds",
    "How long REST calls took.",
    ["route"],
    buckets=LATENCY_BUCKETS,
)

BROKER: Final = Gauge(
    "switchboard_edge_broker_connections",
    "1 for the state of the connection to the broker: connected, or away. None without a broker.",
    ["state"],
)
BROKER_EVENTS: Final = Counter(
    "switchboard_edge_broker_events_total",
    "What befell the connection to the broker: lost, back, slow (notes were dropped).",
    ["event"],
)
BROKER_NOTES: Final = Counter(
    "switchboard_edge_broker_notes_total",
    "Notes for other edges, by whether the broker took them: told, away, failed or too_large.",
    ["outcome"],
)
BROKER_QUESTIONS: Final = Counter(
    "switchboard_edge_broker_questions_total",
    "Questions to other edges: answered, nobody, silent (who has it does not answer), or away.",
    ["outcome"],
)
BROKER_WAITING: Final = Gauge(
    "switchboard_edge_broker_waiting", "Notes and subscriptions that the broker has not had yet."
)

_SURFACES: Final = {Surface.SURFACE_HOME: "home", Surface.SURFACE_POPUP: "popup"}
_LOST: Final = 1006
_TOO_LARGE: Final = 1009


def watch(pool: Pool, memory: int | None, sockets: int | None) -> None:
    """From now on it is told what is held, and what the most is: bytes, and sockets."""
    watch_memory(pool, memory)
    SOCKETS_MOST.set(sockets or 0)


def surface_of(surface: Surface.ValueType) -> str:
    """The surface as a word."""
    return _SURFACES.get(surface, "home")


def ending(end: StreamEnd) -> tuple[str, str]:
    """Status and code of an end, as words; the code of a success is ok."""
    status = enums.word(EndStatus.DESCRIPTOR, end.status)
    return status, word(end.error.code) if end.HasField("error") else "ok"


class Request:
    """One request under way, as it is counted."""

    __slots__ = ("_began", "_over", "_silent", "surface")

    def __init__(self, surface: str) -> None:
        self.surface = surface
        self._began = perf_counter()
        self._silent = True
        self._over = False
        STREAMS.labels(surface).inc()

    def heard(self, outputs: Iterable[ConverseOutput]) -> None:
        """The router sent these; the first text among them is timed."""
        if self._silent and any(output.frame.HasField("stream_text") for output in outputs):
            self._silent = False
            FIRST_TEXT_SECONDS.labels(self.surface).observe(perf_counter() - self._began)

    def ended(self, end: StreamEnd) -> None:
        """It is over; counted once."""
        if not self._over:
            self._over = True
            STREAMS.labels(self.surface).dec()
            REQUESTS.labels(self.surface, *ending(end)).inc()
            REQUEST_SECONDS.labels(self.surface).observe(perf_counter() - self._began)


def refused(surface: str, end: StreamEnd) -> None:
    """Counts a request that was not taken on."""
    REQUESTS.labels(surface, *ending(end)).inc()


def mutation(made: Mutation) -> None:
    """Counts a change that goes to other devices."""
    source = "tool" if made.origin.HasField("request_id") else "user"
    op = enums.word(MutationOp.DESCRIPTOR, made.op)
    MUTATIONS.labels(source, op).inc()


def closed(ours: CloseCode.ValueType | int | None, theirs: int | None) -> None:
    """Counts a socket's close: `ours` is the code that we chose, `theirs` what aiohttp saw."""
    if ours in CloseCode.values():
        reason = enums.word(CloseCode.DESCRIPTOR, ours)
    else:
        reason = {_LOST: "lost", _TOO_LARGE: "too_large"}.get(theirs or 0, "peer")
    SOCKETS_CLOSED.labels(reason).inc()


def route_of(request: web.Request) -> str:
    """The pattern that a call's path fits, such as /api/v1/memory/{tier}/{id}."""
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "other"


def answered(request: web.Request, status: int, began: float) -> None:
    """Counts a REST call."""
    route = route_of(request)
    method = "other" if route == "other" else request.method
    HTTP_REQUESTS.labels(method, route, str(status)).inc()
    HTTP_SECONDS.labels(route).observe(perf_counter() - began)
