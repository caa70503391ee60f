"""What a soak holds against what it saw: plain values in, complaints in words out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

MIB: Final = 2**20
WARM: Final = 6
"""Samples until a process has met all kinds of work."""
GROWTH: Final = 24 * MIB
"""More than this between the first and the last quarter of a life is no longer flat."""
QUARTER: Final = 3
"""Samples that a quarter must have for the life to be judged."""

SPARE_FDS: Final = 4
"""Descriptors beside sockets towards the model and the database: a channel to a peer that was
started again may stand twice for a moment."""
POOLED: Final = 48
"""Connections that a process may keep to the model, or to the database."""
SPARE_TASKS: Final = 6
"""What a process runs for channels that are made when they are first needed, and for those who
watch its health. A task left by each device or request would be hundreds."""

_GAUGE: Final = re.compile(
    r"^(switchboard_rpcs_active|switchboard_edge_sockets|switchboard_edge_requests_active"
    r"|switchboard_tasks)(\{[^}]*\})? (\S+)$",
    re.MULTILINE,
)
_HEALTH: Final = ("Health/", "ServerReflection")
_ERROR: Final = re.compile(
    r"^\S+ (?:error|critical) .*\((?!CancelledError\b)\w+(?: at [^()\s]+:\d+)?\).*$", re.MULTILINE
)
"""A line of runtime/logs.py that names an exception. gRPC logs its own cancels so, too."""
_TRACEBACK: Final = re.compile(
    r"^Traceback \(most recent call last\):\n(?:[ ].*\n|\n)*"
    r"(?!asyncio\.exceptions\.CancelledError)\w[\w.]*.*$",
    re.MULTILINE,
)

EVERY: Final = frozenset({"", "cancelled", "too_many_requests"})
"""Codes that any request may end with."""

_FAILS: Final = {
    "kill": frozenset({"edge", "router", "agent", "formatter"}),
    "terminate": frozenset({"edge"}),
}
"""What ends requests `service_unavailable`. Memory never does."""

_CUTS: Final = frozenset({"router", "agent", "formatter"})
"""Whose drain does, too, but only once its time is over: some answers wait for a device longer
than a drain may take."""


def faults(log: str) -> list[str]:
    """The exceptions that a service logged, and the stacks that it printed."""
    return _ERROR.findall(log) + _TRACEBACK.findall(log)


@dataclass(frozen=True, slots=True)
class Look:
    """One look at a process. `fds` without `pooled`; `gauges` None: it did not tell."""

    fds: int
    pooled: int
    peers: int
    gauges: Mapping[str, float] | None


def gauges(metrics: str) -> dict[str, float] | None:
    """The gauges of what is under way, by name and labels; None where none could be read."""
    found = {name + labels: float(value) for name, labels, value in _GAUGE.findall(metrics)}
    return found if "switchboard_tasks" in found else None


def left(name: str, idle: Look, now: Look, users: int = 0) -> list[str]:
    """What a process keeps of devices that have gone. `idle`: before they came.

    An edge knows for minutes which calls it made, for results that come late: meanwhile it
    listens for each of the `users`, which is a task of the NATS client's.
    """
    if now.gauges is None or idle.gauges is None:
        return [f"{name} does not tell its metrics"]
    found = []
    if now.fds > idle.fds + SPARE_FDS:
        found.append(f"{name} has {now.fds} descriptors open, {idle.fds} before")
    if now.pooled > POOLED:
        found.append(f"{name} keeps {now.pooled} connections to the model or the database")
    if name.startswith("edge") and now.peers:
        found.append(f"{name} has {now.peers} connections")
    tasks, before = (look["switchboard_tasks"] for look in (now.gauges, idle.gauges))
    remembered = users if name.startswith("edge") else 0
    if tasks > before + SPARE_TASKS + remembered:
        found.append(f"{name} has {tasks:g} tasks, {before:g} before")
    found += [
        f"{name} still has {value:g} of {gauge}"
        for gauge, value in now.gauges.items()
        if value and gauge != "switchboard_tasks" and not any(word in gauge for word in _HEALTH)
    ]
    return found


@dataclass(frozen=True, slots=True)
class Disturbance:
    """A process that was killed or told to end, until it was in use again.

    `cuts`: when one that was told to end gave up what it still ran.
    """

    how: str
    name: str
    began: float
    cuts: float
    ended: float = float("inf")

    def explains(self, began: float, ended: float) -> bool:
        """Whether a request of that time may have failed because of it."""
        if self.name in _FAILS.get(self.how, frozenset()):
            return began <= self.ended and ended >= self.began
        cut = self.how == "terminate" and self.name in _CUTS
        return cut and began <= self.began and self.cuts <= ended <= self.ended


def may_end(
    code: str, *, cut: bool, began: float, ended: float, among: Iterable[Disturbance]
) -> bool:
    """Whether a request may have ended so. `cut`: the model was told to break off."""
    if code == "model_truncated":
        return cut
    if code == "service_unavailable":
        return any(each.explains(began, ended) for each in among)
    return code in EVERY


def growing(name: str, lives: Sequence[Sequence[int]]) -> list[str]:
    """The lives of a process in which its memory was not flat, of those long enough to tell."""
    found = []
    for number, life in enumerate(lives, 1):
        samples = life[WARM:]
        quarter = len(samples) // 4
        if quarter < QUARTER:
            continue
        grown = median(samples[-quarter:]) - median(samples[:quarter])
        if grown > GROWTH:
            found.append(f"{name} grew by {grown / MIB:.0f} MiB in its life {number}")
    return found


def judged(lives: Sequence[Sequence[int]]) -> bool:
    """Whether one of its lives was long enough for its memory to be judged."""
    return any((len(life) - WARM) // 4 >= QUARTER for life in lives)
