"""The memory limits and the shares of the processor that the stack is shipped with: those of
docker-compose.yml. Pure but for the one file."""

from __future__ import annotations

import math
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
_SHARES: Final = 1024
"""Of who is given none: Docker's own."""

_UNITS: Final = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30}


def memory_limits(compose: Path = COMPOSE) -> dict[str, int]:
    """The limit of each, in bytes. Raises KeyError where one has none."""
    services: Mapping[str, Any] = yaml.safe_load(compose.read_text())["services"]
    return {name: size(str(services[kept]["mem_limit"])) for name, kept in NAMES.items()}


def niceness(compose: Path = COMPOSE) -> dict[str, int]:
    """What stands here for the processor shares of each: the less it has of what the first has,
    the nicer. The kernel gives a step of niceness a quarter less."""
    services: Mapping[str, Any] = yaml.safe_load(compose.read_text())["services"]
    shares = {name: int(services[kept].get("cpu_shares", _SHARES)) for name, kept in NAMES.items()}
    most = max(shares.values())
    return {name: round(math.log(most / each, 1.25)) for name, each in shares.items()}


def size(text: str) -> int:
    """Bytes, of a size as Compose writes it: 512m, 1g."""
    found = _SIZE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text} is no size")
    return int(found[1]) * _UNITS[found[2].lower()]
