"""Metrics for Prometheus, on a port of their own.

A service names its own in its `metrics.py`; here stand those of every gRPC server.
Base units, and labels from closed lists only: never a user, a device or a request.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from time import perf_counter
from typing import Final

from prometheus_client import Counter, Gauge, Histogram, start_http_server

from runtime import memory_limit
from runtime.held import KEPT, SENT, Pool
from runtime.settings import Settings

LATENCY_BUCKETS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
"""Seconds: from a read of memory to an answer that waits for a person."""

RPCS: Final = Counter(
    "switchboard_rpcs_total", "Calls that ended, by method and gRPC status.", ["method", "status"]
)
RPC_SECONDS: Final = Histogram(
    "switchboard_rpc_duration_seconds", "How long calls took.", ["method"], buckets=LATENCY_BUCKETS
)
RPCS_ACTIVE: Final = Gauge(
    "switchboard_rpcs_active", "Calls and streams that are being served.", ["method"]
)

MODEL_CALLS: Final = Histogram(
    "switchboard_model_call_duration_seconds",
    "How long calls of models took, to the answer's end, by what came of them.",
    ["operation", "code"],
    buckets=LATENCY_BUCKETS,
)
MODEL_TOKENS: Final = Counter(
    "switchboard_model_tokens_total",
    "Tokens that models were asked with (input) and said (output).",
    ["operation", "direction"],
)
MODEL_LESSONS: Final = Counter(
    "switchboard_model_lessons_total",
    "Facts learned from requests that a model's provider refused for their form.",
    ["lesson"],
)

HELD_BYTES: Final = Gauge(
    "switchboard_held_bytes",
    "Bytes held for those who are served: sent (requests, histories, results) and kept (frames "
    "that wait or may be asked for again, open calls, what was said).",
    ["kind"],
)
HELD_MOST_BYTES: Final = Gauge(
    "switchboard_held_max_bytes", "The most that may be held; past it: overloaded."
)
MEMORY_BYTES: Final = Gauge("switchboard_memory_bytes", "Memory that this process uses.")
MEMORY_LIMIT_BYTES: Final = Gauge(
    "switchboard_memory_limit_bytes", "Memory that this process may use; 0: no limit is known."
)

TASKS: Final = Gauge("switchboard_tasks", "Asyncio tasks of this process that have not ended.")


class Outcome:
    """What became of a call; OK unless told otherwise."""

    __slots__ = ("status",)

    def __init__(self) -> None:
        self.status = "OK"


@contextmanager
def rpc(method: str) -> Iterator[Outcome]:
    """Counts and times one call."""
    started, outcome = perf_counter(), Outcome()
    active = RPCS_ACTIVE.labels(method)
    active.inc()
    try:
        yield outcome
    except BaseException:
        if outcome.status == "OK":
            outcome.status = "CANCELLED"
        raise
    finally:
        active.dec()
        RPCS.labels(method, outcome.status).inc()
        RPC_SECONDS.labels(method).observe(perf_counter() - started)


def watch_tasks() -> None:
    """From now on the tasks of the running loop are counted, when they are asked for."""
    loop = asyncio.get_running_loop()
    TASKS.set_function(lambda: len(asyncio.all_tasks(loop)))


def watch_memory(pool: Pool, limit: int | None) -> None:
    """From now on what the process holds is told, when it is asked for. `limit`: of its memory."""
    for kind in (SENT, KEPT):
        HELD_BYTES.labels(kind).set_function(partial(pool.kinds.__getitem__, kind))
    HELD_MOST_BYTES.set(pool.most)
    MEMORY_BYTES.set_function(memory_limit.used)
    MEMORY_LIMIT_BYTES.set(limit or 0)


def serve(settings: Settings) -> None:
    """Serves `/metrics` where ADMIN_ADDR says; nowhere when it is not set."""
    if settings.admin_addr is not None:
        host, _, port = settings.admin_addr.rpartition(":")
        start_http_server(int(port), host.strip("[]"))
