"""What memory_svc counts and times. Labels: kinds of jobs, and outcomes."""

from collections.abc import Iterable, Sequence
from typing import Final

from prometheus_client import Counter, Gauge, Histogram

from memory_svc.domain.tiers import Item
from runtime.metrics import LATENCY_BUCKETS

RECALL_SECONDS: Final = Histogram(
    "switchboard_memory_recall_duration_seconds",
    "How long finding what bears on a message took; degraded: embedding, where words alone "
    "decided, or none.",
    ["degraded"],
    buckets=LATENCY_BUCKETS,
)
ITEMS: Final = Counter(
    "switchboard_memory_items_recalled_total", "Items that went with messages, by tier.", ["tier"]
)
EPISODES: Final = Counter(
    "switchboard_memory_episodes_total",
    "Exchanges that were to be kept: stored, or known already.",
    ["outcome"],
)
JOBS: Final = Histogram(
    "switchboard_memory_job_duration_seconds",
    "How long background jobs took.",
    ["kind"],
    buckets=LATENCY_BUCKETS,
)
JOB_FAILURES: Final = Counter(
    "switchboard_memory_job_failures_total",
    "Background jobs that failed by a fault of our own, and are tried again or given up.",
    ["kind"],
)
JOBS_DUE: Final = Gauge(
    "switchboard_memory_jobs_due",
    "Background jobs that are due, over all replicas; each replica tells the same.",
    ["kind"],
)
JOBS_LAG: Final = Gauge(
    "switchboard_memory_jobs_lag_seconds",
    "For how long the oldest due job has waited; each replica tells the same.",
)
READS: Final = Counter(
    "switchboard_memory_reads_total",
    "Reads of users' memory where there is a replica: replica, or by the primary because the "
    "replica was behind (it had not seen all of that user's writes) or away.",
    ["by"],
)
FORGOTTEN: Final = Counter(
    "switchboard_memory_forgotten_total",
    "Items that were forgotten because a user had too much (quota), or for their age (age).",
    ["tier", "reason"],
)
DATABASE_UP: Final = Gauge(
    "switchboard_memory_database_up", "1 while the database answers, else 0."
)


def recalled(items: Iterable[Item], degraded: Sequence[str], seconds: float) -> None:
    """Counts what went with a message."""
    RECALL_SECONDS.labels("embedding" if degraded else "none").observe(seconds)
    for item in items:
        ITEMS.labels(item.tier.name.lower()).inc()
