"""One siege: honest devices alone, then under attack; what each process came to meanwhile."""

from __future__ import annotations

import asyncio
import os
import random
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from uuid import uuid4

import orjson

from bench.siege.attack import Account, Attack
from bench.siege.cage import Cage
from bench.siege.catalogue import GROUPS
from bench.siege.flood import BEGINS
from bench.siege.honest import Honest, Notes, calls_from, known_answers, sign_up
from bench.siege.judge import Seen, Service, percentile
from bench.siege.shipped import niceness
from bench.soak.judge import faults
from edge.access.tokens import Tokens
from edge.settings import EdgeSettings
from tests.support.device import Store
from tests.support.fleet import SERVICES, UNLIMITED, Fleet, Plan

SHIPPED: Final = {name: str(EdgeSettings.model_fields[name.lower()].default) for name in UNLIMITED}
"""The rates that tests do without: here every caller has an address of its own."""

UNBOUNDED: Final = {
    "MAX_REQUESTS_PER_USER": "1000000",
    "MAX_HELD_BYTES_PER_USER": str(2**40),
    "MAX_HELD_BYTES": str(2**40),
    "MEMORY_LIMIT": str(2**40),
    "CPU_SHARE": "0",
    "REQUESTS_PER_MINUTE": "0",
}
"""The stack with its budgets taken out: what it is held to, it does not know."""

LOOK_S: Final = 0.5
END_S: Final = 60.0
"""So long attackers may take to end."""
_KEY: Final = "k" * 40
_FLOOD_USERS: Final = 260
"""Accounts of the socket flood: with 32 sockets each, more than there are doors."""


@asynccontextmanager
async def caged(
    folder: Path, database_url: str, cage: Cage, limits: Mapping[str, int], **settings: str
) -> AsyncIterator[Fleet]:
    """One of each service, as Compose runs them: at its limit, and told of it."""
    own = {(name, 0): {"MEMORY_LIMIT": str(limits[name]), **settings} for name in SERVICES}
    own["edge", 0]["LISTEN_ADDR"] = "127.0.0.1:0"
    shared = {**SHIPPED, "AUTH_SIGNING_KEYS": _KEY, **settings}
    fleet = Fleet(folder, database_url, Plan(own=own), **shared)
    nice = niceness()
    try:
        for process in fleet:
            process.start()
            cage.add(process.name, limits[process.name], process.pid)
            os.setpriority(os.PRIO_PROCESS, process.pid, nice.get(process.name, 0))
        await asyncio.to_thread(fleet.ready)
        yield fleet
    finally:
        await asyncio.to_thread(fleet.__exit__, None, None, None)


class Siege:
    """`sockets` honest devices; so many seconds of calm, then of attack. `attacks`: which."""

    def __init__(
        self,
        fleet: Fleet,
        cage: Cage,
        *,
        sockets: int,
        calm_s: float,
        seconds: float,
        attacks: Iterable[Attack],
        seed: int = 1,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.seen = Seen()
        self._fleet = fleet
        self._cage = cage
        self._sockets = sockets
        self._calm_s = calm_s
        self._seconds = seconds
        self._attacks = list(attacks)
        self._rng = random.Random(seed)
        self._note = note
        self._over = asyncio.Event()
        self._fallen = asyncio.Event()
        self._honest: list[Honest] = []
        self._busy: dict[str, float] = {}

    async def run(self) -> Seen:
        """Everything; ends early where a service was killed."""
        plans = await self._prepare()
        watching = asyncio.create_task(self._watch())
        living = [asyncio.create_task(honest.live(self._over)) for honest in self._honest]
        try:
            await self._be_calm()
            await self._attack(plans)
        finally:
            self._over.set()
            await asyncio.wait(living, timeout=2 * END_S)
            watching.cancel()
        self._gather(living)
        return self.seen

    # Before.

    async def _prepare(self) -> dict[str, dict[str, Any]]:
        origin, store = self._fleet.origin(), Store.sample()
        known = await known_answers(origin, "127.0.2.1", store)
        self._honest = [
            Honest(origin, f"127.0.1.{n + 1}", random.Random(self._rng.random()), store, known)
            for n in range(self._sockets)
        ]
        self._note(f"{self._sockets} honest devices, {len(self._attacks)} attacks")
        return {name: plan for name in GROUPS if (plan := await self._plan(name))["hands"]}

    async def _plan(self, group: str) -> dict[str, Any]:
        """What a process of attackers is told."""
        url = urlsplit(self._fleet.origin())
        hands: list[dict[str, Any]] = []
        for number, attack in enumerate(GROUPS[group]):
            for loop in range(attack.loops if attack in self._attacks else 0):
                place = "0.1" if group == "rest" else f"{number}.{loop + 1}"
                source = f"127.{10 + list(GROUPS).index(group)}.{place}"
                hands.append({"attack": attack.name, "source": source, **self._tokens(group)})
                if attack.signed_in:
                    # It signed up before, at another place.
                    account = await self._account(f"127.8.{number}.{loop + 1}")
                    hands[-1]["account"] = account
        return {
            "host": url.hostname,
            "port": url.port,
            "seconds": self._seconds,
            "hands": hands,
        }

    async def _account(self, source: str) -> dict[str, str]:
        async with calls_from(source) as http:
            account: Account = await sign_up(http, self._fleet.origin())
            return {name: getattr(account, name) for name in Account.__slots__}

    def _tokens(self, group: str) -> dict[str, list[str]]:
        """Those of the flood are signed here: to sign up is another attack's work."""
        if group != "flood":
            return {}
        tokens = Tokens([_KEY], 3600)
        return {"tokens": [tokens.issue(str(uuid4()), str(uuid4())) for _ in range(_FLOOD_USERS)]}

    # Meanwhile.

    async def _be_calm(self) -> None:
        # Sign-ups come first, and cost the most.
        while sum(honest.notes.sign_ups for honest in self._honest) < self._sockets:  # noqa: ASYNC110
            await asyncio.sleep(0.2)
        self._notes()
        await asyncio.sleep(self._calm_s)
        calm = self._notes()
        self.seen.calm, self.seen.wrong = calm.pings, calm.wrong
        self.seen.refused = calm.refused
        p99 = percentile(calm.pings, 0.99) * 1000
        self._note(f"calm: {calm.answers} answers, a ping takes {p99:.0f} ms (p99)")

    async def _attack(self, plans: Mapping[str, Mapping[str, Any]]) -> None:
        attackers = [
            asyncio.create_task(self._attackers(name, plan)) for name, plan in plans.items()
        ]
        loop = asyncio.get_running_loop()
        flood = loop.call_later(self._seconds * BEGINS, self._close_the_door)
        fallen = asyncio.create_task(self._fallen.wait())
        began, before = loop.time(), {name: self._cage.cpu_s(name) for name in self._cage.names}
        machine, own = _busy_s(), sum(os.times()[:4])
        left = set(attackers)
        while left and not fallen.done():
            done, _ = await asyncio.wait({fallen, *left}, return_when=asyncio.FIRST_COMPLETED)
            left -= done
        for task in left:
            task.cancel()
        took = loop.time() - began
        self._busy = {name: (self._cage.cpu_s(name) - before[name]) / took for name in before}
        await asyncio.gather(*attackers, return_exceptions=True)
        ours = sum(self._busy.values()) * took + sum(os.times()[:4]) - own
        self.seen.others = max(0.0, _busy_s() - machine - ours) / (loop.time() - began)
        flood.cancel()
        fallen.cancel()

    def _close_the_door(self) -> None:
        """Nobody comes any more: soon all the sockets there are will be taken."""
        for honest in self._honest:
            honest.newcomers = False

    async def _attackers(self, name: str, plan: Mapping[str, Any]) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "bench.siege.attackers",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        talk = asyncio.create_task(process.communicate(orjson.dumps(plan)))
        try:
            await asyncio.wait({talk}, timeout=self._seconds + END_S)
        finally:
            if process.returncode is None:
                process.terminate()
            await asyncio.wait({talk}, timeout=END_S)
            if process.returncode is None:
                process.kill()
            said, failed = await talk
            if process.returncode:
                tail = failed.decode(errors="replace").strip()[-2000:]
                self.seen.failed.append(f"the attackers {name} ended: {tail}")
            else:
                self.seen.told |= {k: Counter(v) for k, v in orjson.loads(said).items()}

    async def _watch(self) -> None:
        while True:
            # The kernel walks all pages to tell what is used: pings would wait for it, 15 ms.
            await asyncio.to_thread(self._cage.look)
            for name in self._cage.names:
                service = self._service(name)
                if service.ended and not self._fallen.is_set():
                    self._note(f"{name} {service.ended}")
                    self._fallen.set()
            await asyncio.sleep(LOOK_S)

    # After.

    def _gather(self, living: Sequence[asyncio.Task[None]]) -> None:
        under = self._notes()
        self.seen.pings, self.seen.answers = under.pings, under.answers
        self.seen.sign_ups = under.sign_ups
        self.seen.wrong += under.wrong
        self.seen.refused.update(under.refused)
        for task in living:
            if not task.done():
                self.seen.failed.append("an honest device hangs")
                task.cancel()
            elif error := task.exception():
                self.seen.failed.append(f"an honest device failed: {error!r}")
        self.seen.services = [self._service(name) for name in self._cage.names]
        for process in self._fleet:
            self.seen.faults += faults(process.whole_log)

    def _service(self, name: str) -> Service:
        cage, ended = self._cage, ""
        if cage.killed(name):
            ended = "was killed for its memory"
        elif not cage.alive(name):
            ended = "has ended"
        busy = self._busy.get(name, 0.0)
        return Service(name, cage.limit(name), cage.peak(name), ended, busy)

    def _notes(self) -> Notes:
        """What the honest noted since they were last read, as one."""
        whole = Notes()
        for honest in self._honest:
            whole.add(honest.notes)
            honest.notes = Notes()
        return whole


def _busy_s() -> float:
    """For how long all processors have not been idle, in seconds; of all of them together."""
    user, nice, system = Path("/proc/stat").read_text().split()[1:4]
    return (int(user) + int(nice) + int(system)) / os.sysconf("SC_CLK_TCK")
