"""Many sockets, random drops and cancels, services that come and go; nothing may be lost.

Each user has two devices that do random things (tests.support.scenario) in rounds; at the
end of a round everything is held against the promises. Meanwhile one process after another
is killed or drained and started again. At the end all devices leave, and no process may
keep a stream, a connection or a descriptor of theirs.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import aiohttp

from bench.soak.judge import Disturbance, Look, faults, gauges, growing, left, may_end
from devstack import health
from runtime.settings import Settings
from tests.support.fleet import Fleet, Process
from tests.support.roamer import Asked, Roamer, register
from tests.support.scenario import Scenario

DEVICES: Final = 2
"""For each user."""

CUT: Final = "rehearse a cut"
BACK_S: Final = 90.0
REST_S: Final = 90.0
"""After so long without devices nothing of theirs may be left: more than the resume window."""
SPREAD_S: Final = 2.0
"""How long one edge may need to know what another one was told."""
SETTLE_S: Final = 2.0
"""So long after a process is in use again a request may still be told of its end."""
SAMPLE_S: Final = 5.0
Key = tuple[str, int]


@dataclass(slots=True)
class Report:
    """What came of it."""

    broken: list[str] = field(default_factory=list)
    leaks: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    """Exceptions in the services' logs."""
    ends: Counter[str] = field(default_factory=Counter)
    restarts: Counter[str] = field(default_factory=Counter)
    frames: int = 0
    drops: int = 0
    rounds: int = 0
    memory: dict[Key, list[list[int]]] = field(default_factory=dict)
    """Samples of each process, in bytes, one list for each of its lives."""
    looks: dict[Key, tuple[Look, Look]] = field(default_factory=dict)
    """Before the devices came, and after they left."""
    disturbances: list[Disturbance] = field(default_factory=list)

    @property
    def growing(self) -> list[str]:
        """The processes whose memory was not flat."""
        lives = self.memory.items()
        return [line for key, life in lives for line in growing(name_of(key), life)]

    @property
    def good(self) -> bool:
        """Whether nothing at all is to be complained of."""
        return not (self.broken or self.leaks or self.faults or self.growing)


def name_of(key: Key) -> str:
    """A process, in words."""
    return f"{key[0]} {key[1]}"


def converse(rng: random.Random) -> tuple[str, str | None]:
    """A message to the offline model, and what it must answer."""
    count = rng.randrange(5, 80)
    said = " ".join(f"word{number}" for number in range(1, count + 1))
    messages: list[tuple[str, str | None]] = [
        (f"rehearse a slow answer of {count} words", said),
        (f"rehearse a slow answer of {count} words", said),
        (CUT, None),
        ("list my tasks", None),
        ("show my overdue tasks as a chart", None),
        (f'create a task called "Number {count}"', None),
    ]
    return rng.choice(messages)


class Wanderer(Roamer):
    """A device that comes back wherever it is let in."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        origins: Sequence[str],
        token: str,
        *,
        device_id: str,
        rng: random.Random,
    ) -> None:
        super().__init__(http, origins[0], token, device_id=device_id)
        self._origins = origins
        self._rng = rng

    async def connect(self, *, forget: Callable[[int], int] = lambda seq: seq) -> None:
        """A new socket, at any edge. Raises what aiohttp raises where nobody listens there."""
        self.origin = self._rng.choice(self._origins)
        await super().connect(forget=forget)


class Soak:
    """`sockets` devices for so many seconds; `disturb` whether processes come and go."""

    def __init__(
        self,
        fleet: Fleet,
        *,
        sockets: int,
        seconds: float,
        seed: int,
        pause_s: float = 1.0,
        restart_every_s: float = 5.0,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.report = Report()
        self._fleet = fleet
        self._users = max(1, sockets // DEVICES)
        self._seconds = seconds
        self._rng = random.Random(seed)
        self._pause_s = pause_s
        self._restart_every_s = restart_every_s
        self._note = note
        self._until = 0.0
        self._devices: list[Roamer] = []
        self._lives: dict[Key, int] = defaultdict(int)

    async def run(self) -> Report:
        """Everything; raises only where the soak itself cannot go on."""
        before = {key: self._look(process) for key, process in self._fleet.processes.items()}
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with aiohttp.ClientSession(connector=connector) as http:
            tokens = [await register(http, self._fleet.origin()) for _ in range(self._users)]
            self._until = time.monotonic() + self._seconds
            sampling = asyncio.create_task(self._sample())
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._restart())
                    for number, token in enumerate(tokens):
                        tasks.create_task(self._user(http, number, token))
            finally:
                sampling.cancel()
        await self._look_for_leaks(before)
        for process in self._fleet:
            self.report.faults += faults(process.whole_log)
        return self.report

    @property
    def _going_on(self) -> bool:
        return time.monotonic() < self._until

    # The devices.

    async def _user(self, http: aiohttp.ClientSession, number: int, token: str) -> None:
        rng = random.Random(self._rng.random())
        origins = [self._fleet.origin(n) for n in range(self._fleet.plan.edge)]
        while self._going_on:
            names = [f"device-{number}-{n}" for n in range(DEVICES)]
            devices = [
                Wanderer(http, origins, token, device_id=name, rng=random.Random(rng.random()))
                for name in names
            ]
            self._devices += devices
            await self._round(rng, devices)
            for device in devices:
                self._devices.remove(device)
                await device.close()

    async def _round(self, rng: random.Random, devices: Sequence[Roamer]) -> None:
        scenario = Scenario(rng, devices, converse, spread_s=SPREAD_S)
        for _ in range(rng.randrange(10, 30)):
            await scenario.act()
            await asyncio.sleep(rng.random() * 2 * self._pause_s)
            if not self._going_on:
                break
        try:
            await scenario.finish(BACK_S)
        except TimeoutError:
            self._tell(f"it hangs: {devices}", scenario)
        for line in scenario.broken():
            self._tell(line, scenario)
        self.report.rounds += 1
        self.report.drops += sum(" drops" in line for line in scenario.did)
        for asked in (asked for device in devices for asked in device.asked.values()):
            self.report.ends[f"{asked.status} {asked.code}".strip()] += 1
            self.report.frames += len(asked.frames)
            if not self._explained(asked):
                self._tell(f"{asked.request_id} ended {asked.end}", scenario)
                self._note("\n   ".join(self._logged(asked.request_id)))

    def _explained(self, asked: Asked) -> bool:
        return may_end(
            asked.code,
            cut=asked.message == CUT,
            began=asked.began,
            ended=asked.ended,
            among=self.report.disturbances,
        )

    def _logged(self, request_id: str) -> list[str]:
        """What the services say of a request."""
        return [
            f"{name_of(key)}: {line}"
            for key, process in self._fleet.processes.items()
            for line in process.whole_log.splitlines()
            if request_id in line
        ]

    def _tell(self, line: str, scenario: Scenario) -> None:
        self.report.broken.append(line)
        self._note(f"BROKEN {line}\n   " + "\n   ".join(scenario.did[-40:]))

    # The processes.

    async def _restart(self) -> None:
        while self._going_on:
            await asyncio.sleep(self._restart_every_s * self._rng.uniform(0.5, 1.5))
            keys = [key for key in self._fleet.processes if key[0] != "model"]
            key = self._rng.choice(keys)
            how = self._rng.choice(["kill", "terminate"])
            await self._replace(key, how)

    async def _replace(self, key: Key, how: str) -> None:
        process = self._fleet[key]
        self._note(f"{how} {key[0]} {key[1]}")
        self.report.restarts[f"{how} {key[0]}"] += 1
        if key[0] == "edge":  # with it goes what it kept
            for device in self._devices:
                device.may_lose = True
        at = len(self.report.disturbances)
        now = time.monotonic()
        cuts = now + (self._fleet.drain_s if how == "terminate" else 0)
        self.report.disturbances.append(Disturbance(how, key[0], now, cuts))
        getattr(process, how)()
        await _eventually(lambda: not process.alive, f"{key} ends")
        if how == "terminate" and process.status != 0:
            self.report.broken.append(f"{key} ended with {process.status}")
        process.start()
        self._lives[key] += 1
        await _eventually(lambda: process.up, f"{key} listens")
        if key[0] == "edge":
            await _eventually(lambda: self._fleet.answers(key[1]), f"{key} is ready")
        else:
            async with asyncio.timeout(BACK_S):
                await health.until(health.of_grpc(f"127.0.0.1:{process.port}", Settings()))
            await _eventually(lambda: self._fleet.rejoined(process), f"{key} is dialled")
        over = replace(self.report.disturbances[at], ended=time.monotonic() + SETTLE_S)
        self.report.disturbances[at] = over

    async def _sample(self) -> None:
        while True:
            for key, process in self._fleet.processes.items():
                lives = self.report.memory.setdefault(key, [])
                while len(lives) <= self._lives[key]:
                    lives.append([])
                if process.alive and (rss := process.rss):
                    lives[-1].append(rss)
            await asyncio.sleep(SAMPLE_S)

    # What is left behind.

    async def _look_for_leaks(self, before: dict[Key, Look]) -> None:
        for key, process in self._fleet.processes.items():
            name, now = name_of(key), self._look(process)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(REST_S):
                    while left(name, before[key], now, self._users):
                        await asyncio.sleep(0.2)
                        now = self._look(process)
            self.report.leaks += left(name, before[key], now, self._users)
            self.report.looks[key] = (before[key], now)

    def _look(self, process: Process) -> Look:
        if process.name == "model":  # it is no service of ours: it tells nothing
            return Look(0, 0, 0, {"switchboard_tasks": 0})
        fds, pooled = process.split_fds(self._fleet["model", 0].port)
        return Look(fds, pooled, process.peers, gauges(process.metrics()))


async def _eventually(holds: Callable[[], object], what: str) -> None:
    try:
        async with asyncio.timeout(BACK_S):
            while not holds():  # noqa: ASYNC110 - another process sets no event of ours
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not within {BACK_S:g} s: {what}") from None
