"""The memory limits that the stack is shipped with: those of docker-compose.yml. Pure but for
the one file."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

COMPOSE: Final = Path(__file__).parents[2] / "docker-compose.yml"

NAMES: Final = {
    "edge": "edge",
    "router": "router_svc",
    "agent": "agent_svc",
    "memory": "memory_svc",
    "formatter": "formatter_svc",
    "model": "offline_model",
    "postgres": "postgres",
    "nats": "nats",
}
"""What runs here, and what Compose calls it."""

_SIZE: Final = re.compile(r"(\d+)([kmg]?)b?", re.IGNORECASE)
_UNITS: Final = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}


def memory_limits(compose: Path = COMPOSE) -> dict[str, int]:
    """The limit of each, in bytes. Raises KeyError where one has none."""
    services: Mapping[str, Any] = yaml.safe_load(compose.read_text())["services"]
    return {name: size(str(services[kept]["mem_limit"])) for name, kept in NAMES.items()}


def size(text: str) -> int:
    """Bytes, of a size as Compose writes it: 512m, 1g."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text} is no size")
    return int(found[1]) * _UNITS[found[2].lower()]
