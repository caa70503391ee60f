"""The metrics of every process, and the alerts on them, as tables."""

import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml
from prometheus_client import Counter, Histogram
from prometheus_client.metrics import MetricWrapperBase

from docs.contract import table

ALERTS: Final = Path(__file__).resolve().parent.parent / "deploy" / "prometheus" / "alerts.yml"
_MODULES: Final = {
    "every service": "runtime.metrics",
    "edge": "edge.metrics",
    "router": "router_svc.metrics",
    "agent": "agent_svc.metrics",
    "formatter": "formatter_svc.metrics",
    "memory": "memory_svc.metrics",
}


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric: its name as Prometheus shows it, its labels, and the series it comes as."""

    name: str
    kind: str
    told: str
    labels: tuple[str, ...]
    service: str

    @property
    def series(self) -> tuple[str, ...]:
        """The names that queries may use."""
        if self.kind == "histogram":
            return tuple(f"{self.name}_{part}" for part in ("bucket", "count", "sum"))
        return (self.name,)


def measures() -> Iterator[Measure]:
    """Every metric that the code declares, service by service."""
    for service, name in _MODULES.items():
        for found in vars(importlib.import_module(name)).values():
            if isinstance(found, MetricWrapperBase):
                yield _measure(found, service)


def _measure(found: MetricWrapperBase, service: str) -> Measure:
    (described,) = found.describe()
    total = "_total" if isinstance(found, Counter) else ""
    labels = (*found._labelnames, *(("le",) if isinstance(found, Histogram) else ()))
    return Measure(described.name + total, described.type, described.documentation, labels, service)


def metrics_table() -> str:
    """What /metrics of each service holds."""
    return table(
        ("metric", "kind", "labels", "what it tells", "of"),
        [
            (
                f"`{each.name}`",
                each.kind,
                ", ".join(f"`{label}`" for label in each.labels if label != "le") or "–",
                each.told,
                each.service,
            )
            for each in measures()
        ],
    )


def alerts_table() -> str:
    """What deploy/prometheus/alerts.yml wakes somebody for, and what to do then."""
    groups = yaml.safe_load(ALERTS.read_text("utf-8"))["groups"]
    return table(
        ("alert", "severity", "what it means", "what to do"),
        [
            (
                f"`{rule['alert']}`",
                rule["labels"]["severity"],
                rule["annotations"]["summary"],
                rule["annotations"]["action"],
            )
            for group in groups
            for rule in group["rules"]
        ],
    )
