"""Devices of people who mean well: they sign up, ask, answer tools, ping each second, and know
what they must be told.

What the model says of a rehearsal is known; what it says of the device's data is what it said
of the same data while nobody disturbed it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import uuid4

import aiohttp

from bench.siege.attack import Account
from tests.support.device import Store
from tests.support.roamer import Asked, Frame, Roamer

QUESTIONS: Final = (
    "what is overdue?",
    "list my tasks",
    "show my overdue tasks as a chart",
    "how many tasks do I have?",
)
PING_S: Final = 1.0
PAUSE_S: Final = (4.0, 12.0)
"""Between an answer and the next question."""
STAY_S: Final = (40.0, 80.0)
"""After so long somebody else comes, and signs up."""
END_S: Final = 60.0
PASSWORD: Final = "correct horse battery"

Blocks = list[tuple[str, Any]]
Told = tuple[str, Blocks]


@dataclass(slots=True)
class Notes:
    """What the honest devices met since they were last read."""

    pings: list[float] = field(default_factory=list)
    answers: int = 0
    sign_ups: int = 0
    wrong: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    def add(self, other: Notes) -> None:
        self.pings += other.pings
        self.answers += other.answers
        self.sign_ups += other.sign_ups
        self.wrong += other.wrong
        self.refused.update(other.refused)


class NotSignedUp(Exception):
    """Somebody could not sign up. Its text is the code."""


@asynccontextmanager
async def calls_from(source: str) -> Any:
    """A session whose connections come from this address."""
    connector = aiohttp.TCPConnector(local_addr=(source, 0), limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        yield http


async def sign_up(http: aiohttp.ClientSession, origin: str) -> Account:
    """A new account. Raises NotSignedUp."""
    email = f"{uuid4().hex}@example.com"
    asked = {"email": email, "password": PASSWORD}
    async with http.post(f"{origin}/api/v1/auth/register", json=asked) as answer:
        told = await answer.json()
        if answer.status != 201:
            raise NotSignedUp(told["error"]["code"])
        return Account(email, PASSWORD, told["access_token"], told["refresh_token"])


def data_of(store: Store) -> Callable[[Frame], Frame]:
    """Tools over data that all honest devices share; what is made anew is nobody's."""

    def run(call: Frame) -> Frame:
        if call["name"].startswith("create"):
            return {"result": {"item": {"id": call["call_id"], **call["arguments"]}}}
        return {"result": store.run(call["name"], call["arguments"])}

    return run


def question(rng: random.Random, known: Mapping[str, Told]) -> tuple[str, Told | None]:
    """What is asked, and what must come; None as blocks: whatever they are."""
    kind = rng.randrange(4)
    if kind == 0:
        count = rng.randrange(20, 80)
        said = " ".join(f"word{number}" for number in range(1, count + 1))
        return f"rehearse a slow answer of {count} words", (said, [])
    if kind == 1:
        number = rng.randrange(1000)
        made = f"I created the task “Number {number}”."
        return f'create a task called "Number {number}"', (made, _ANY)
    message = rng.choice(QUESTIONS)
    return message, known.get(message)


_ANY: Final[Blocks] = [("any", None)]


def refusals(device: Roamer, asked: Asked) -> list[str]:
    """The codes of errors that say that a request never began."""
    return [e["code"] for e in device.errors if e.get("request_id") == asked.request_id]


def told_of(asked: Asked) -> Told:
    blocks = [(frame["block_type"], frame["data"]) for frame in asked.of("stream_block")]
    return asked.text.strip(), blocks


class Honest:
    """One after the other at one place: who comes signs up, stays a while, and leaves."""

    def __init__(
        self, origin: str, source: str, rng: random.Random, store: Store, known: dict[str, Told]
    ) -> None:
        self.notes = Notes()
        self.newcomers = True
        """Whether others may come in this one's place."""
        self._origin = origin
        self._source = source
        self._rng = rng
        self._store = store
        self._known = known

    async def live(self, over: asyncio.Event) -> None:
        """Until it is over; what is asked by then is heard to its end."""
        while not over.is_set():
            async with calls_from(self._source) as http:
                try:
                    account = await sign_up(http, self._origin)
                    self.notes.sign_ups += 1
                    await self._stay(http, account, over)
                except NotSignedUp as error:
                    self.notes.refused[str(error)] += 1
                    await asyncio.sleep(1)
                except aiohttp.WSServerHandshakeError as error:
                    self.notes.refused[f"sockets ({error.status})"] += 1
                    await asyncio.sleep(1)
                except (OSError, aiohttp.ClientError, TimeoutError) as error:
                    what = f"could not sign up or connect: {type(error).__name__} {error}"
                    self.notes.wrong.append(what)
                    await asyncio.sleep(1)

    async def _stay(
        self, http: aiohttp.ClientSession, account: Account, over: asyncio.Event
    ) -> None:
        tool = data_of(self._store)
        async with Roamer(http, self._origin, account.token, tool=tool) as device:
            pinging = asyncio.create_task(self._ping(device))
            until = time.monotonic() + self._rng.uniform(*STAY_S)
            try:
                while not over.is_set() and (time.monotonic() < until or not self.newcomers):
                    with suppress(TimeoutError):
                        await asyncio.wait_for(over.wait(), self._rng.uniform(*PAUSE_S))
                    if not over.is_set():
                        await self._ask(device)
            finally:
                pinging.cancel()
                await asyncio.gather(pinging, return_exceptions=True)
            self.notes.wrong += device.broken

    async def _ask(self, device: Roamer) -> None:
        message, expected = question(self._rng, self._known)
        if not device.connected:
            self.notes.wrong.append(f"its socket was closed: {device.close_code}")
            await device.connect()
        asked = await device.ask(message)
        with suppress(TimeoutError):
            await device.wait(lambda: asked.is_over or bool(refusals(device, asked)), END_S)
        if asked.is_over:
            self.hold(asked, expected)
        elif codes := refusals(device, asked):
            self.notes.refused.update(codes)
        else:
            self.notes.wrong.append(f"“{message}” had not ended after {END_S:g} s: {asked}")

    def hold(self, asked: Asked, expected: Told | None) -> None:
        if asked.code in ("too_many_requests", "overloaded", "rate_limited"):
            self.notes.refused[asked.code] += 1
        elif asked.status != "completed":
            self.notes.wrong.append(f"“{asked.message}” ended {asked.status} {asked.code}")
        elif differs(told_of(asked), expected):
            self.notes.wrong.append(f"“{asked.message}” was told as {told_of(asked)}")
        else:
            self.notes.answers += 1

    async def _ping(self, device: Roamer) -> None:
        async with asyncio.TaskGroup() as tasks:
            await asyncio.sleep(self._rng.random() * PING_S)
            while True:
                if device.connected:
                    tasks.create_task(self._time(device))
                await asyncio.sleep(PING_S)

    async def _time(self, device: Roamer) -> None:
        """What comes too late counts as long as it was waited for."""
        began = time.monotonic()
        with suppress(TimeoutError):
            await device.barrier()
        self.notes.pings.append(time.monotonic() - began)


def differs(told: Told, expected: Told | None) -> bool:
    if expected is None:
        return False
    text, blocks = expected
    return told[0] != text.strip() or (blocks is not _ANY and told[1] != blocks)


async def known_answers(origin: str, source: str, store: Store) -> dict[str, Told]:
    """What each question is answered while all is calm."""
    found = {}
    async with calls_from(source) as http:
        account = await sign_up(http, origin)
        async with Roamer(http, origin, account.token, tool=data_of(store)) as device:
            for message in QUESTIONS:
                asked = await (await device.ask(message)).over()
                assert asked.status == "completed", asked
                found[message] = told_of(asked)
    return found
