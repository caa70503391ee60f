"""The broker's ways of answering "nobody", with a real NATS server."""

import asyncio
import gc
import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, suppress

import pytest
from prometheus_client import REGISTRY

from edge.cluster.nats import LOOK_S, Broker, Silent, subject
from tests.support.edge_stack import eventually
from tests.support.nats import Nats, nats


@pytest.fixture
async def server() -> AsyncIterator[Nats]:
    async with nats() as found:
        yield found


@pytest.fixture
async def brokers(server: Nats) -> AsyncIterator[tuple[Broker, Broker]]:
    async with AsyncExitStack() as stack:
        both = Broker([server.url]), Broker([server.url])
        for one in both:
            one.start()
            stack.push_async_callback(one.stop)
        await eventually(lambda: all(one.connected for one in both))
        yield both


async def heard(asker: Broker, on: str) -> None:
    """Waits until the other broker's subscription is in force."""
    async with asyncio.timeout(10):
        while await asker.ask(on, b"", 1) is None:
            await asyncio.sleep(0.01)


def test_subjects_are_safe_whatever_a_client_says() -> None:
    assert subject("user", "a-b") == "switchboard.user.a-b"
    for token in ("", "a.b", "*", ">", "a b", "ä", "\r\nPUB x", "x" * 65, "\ud800"):
        _, word = subject(token).split(".")
        assert len(word) == 64
        assert word.isalnum()
    assert subject("a.b") != subject("a.c")


async def test_who_listens_answers_and_nobody_is_known_at_once(
    brokers: tuple[Broker, Broker],
) -> None:
    one, two = brokers
    two.listen("switchboard.x", lambda note: b"<" + note + b">")
    await heard(one, "switchboard.x")
    assert await one.ask("switchboard.x", b"a", 1) == b"<a>"
    began = time.monotonic()
    assert await one.ask("switchboard.nobody", b"", 5) is None
    assert await two.ask("switchboard.x", b"", 5) is None  # itself does not count
    assert time.monotonic() - began < 1
    two.ignore("switchboard.x")
    with suppress(Silent):  # it may be asked as it turns away
        await one.ask("switchboard.x", b"", 0.1)
    assert await one.ask("switchboard.x", b"", 5) is None


async def test_who_listens_and_does_not_answer_is_silent(brokers: tuple[Broker, Broker]) -> None:
    one, two = brokers
    ready = False
    two.listen("switchboard.x", lambda _: None if ready else b"")
    await heard(one, "switchboard.x")
    ready = True
    with pytest.raises(Silent):
        await one.ask("switchboard.x", b"", 0.1)


async def test_all_who_listen_answer(server: Nats, brokers: tuple[Broker, Broker]) -> None:
    one, two = brokers
    third = Broker([server.url])
    third.start()
    await eventually(lambda: third.connected)
    for name, broker in (("two", two), ("third", third)):
        broker.listen("switchboard.x", lambda _, name=name: name.encode())  # type: ignore[misc]
    async with asyncio.timeout(10):
        while len(found := await one.ask_all("switchboard.x", b"", 1, 0.2)) < 2:
            await asyncio.sleep(0.01)
    assert sorted(found) == [b"third", b"two"]
    assert await one.ask_all("switchboard.nobody", b"", 5, 5) == []
    await third.stop()


async def test_what_is_told_arrives_in_order(brokers: tuple[Broker, Broker]) -> None:
    one, two = brokers
    notes: list[bytes] = []

    def take(note: bytes) -> bytes:
        if note:
            notes.append(note)
        return b""

    two.listen("switchboard.x", take)
    await heard(one, "switchboard.x")
    sent = [str(number).encode() for number in range(100)]
    for note in sent:
        one.tell("switchboard.x", note)
    await eventually(lambda: len(notes) == 100)
    assert notes == sent


async def test_a_fault_in_a_handler_hurts_no_other(brokers: tuple[Broker, Broker]) -> None:
    one, two = brokers

    def fails(note: bytes) -> bytes:
        if note:
            raise ValueError("a fault")
        return b"still here"

    two.listen("switchboard.x", fails)
    await heard(one, "switchboard.x")
    with pytest.raises(Silent):
        await one.ask("switchboard.x", b"x", 0.1)
    assert await one.ask("switchboard.x", b"", 1) == b"still here"


async def test_a_broker_that_is_frozen_is_nobody(
    server: Nats, brokers: tuple[Broker, Broker]
) -> None:
    one, _ = brokers
    server.freeze()
    try:
        assert await one.ask("switchboard.x", b"", 0.1) is None
        assert await one.ask_all("switchboard.x", b"", 0.1, 0.1) == []
    finally:
        server.thaw()


@pytest.mark.parametrize("patience_s", [0.3, 0.8, 5.0])
async def test_a_broker_that_hesitates_is_not_given_up(
    server: Nats,
    brokers: tuple[Broker, Broker],
    caplog: pytest.LogCaptureFixture,
    patience_s: float,
) -> None:
    one, two = brokers
    two.listen("switchboard.x", lambda _: b"yes")
    await heard(one, "switchboard.x")
    server.freeze()
    try:
        # Who asks may go away before the answer, the pong, or neither.
        asking = [asyncio.create_task(one.ask("switchboard.x", b"", 0.1)) for _ in range(3)]
        await asyncio.wait(asking, timeout=patience_s)
        for task in asking:
            task.cancel()
    finally:
        server.thaw()
    assert await one.ask("switchboard.nobody", b"", 2) is None
    assert await one.ask("switchboard.x", b"", 2) == b"yes"
    await asyncio.gather(*asking, return_exceptions=True)
    del asking
    gc.collect()  # an error that nobody read is told when its task goes
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []


async def test_a_broker_that_comes_late_and_goes_is_found_again(
    server: Nats, caplog: pytest.LogCaptureFixture
) -> None:
    await server.stop()
    one, two = Broker([server.url]), Broker([server.url])
    for broker in (one, two):
        broker.start()
    two.listen("switchboard.x", lambda _: b"yes")
    assert await one.ask("switchboard.x", b"", 1) is None
    one.tell("switchboard.x", b"lost")
    for _ in range(2):
        await server.start()
        await eventually(lambda: one.connected and two.connected)
        await heard(one, "switchboard.x")
        await server.stop()
        await eventually(lambda: not one.connected)
        assert await one.ask("switchboard.x", b"", 1) is None
    away = [record for record in caplog.records if "is away" in record.message]
    assert len(away) <= 6  # once each time for each
    await asyncio.gather(one.stop(), two.stop())


async def test_what_waits_for_a_broker_is_no_more_than_what_is_wanted(server: Nats) -> None:
    await server.stop()
    one, two = Broker([server.url]), Broker([server.url])
    for broker in (one, two):
        broker.start()
    for number in range(1000):
        two.listen(f"switchboard.request.{number}", lambda _: b"")
        two.ignore(f"switchboard.request.{number}")
        two.tell("switchboard.user.x", b"nobody hears it")
    two.listen("switchboard.x", lambda _: b"yes")
    assert two.waiting == 0
    await server.start()
    await eventually(lambda: one.connected and two.connected)
    await heard(one, "switchboard.x")
    for _ in range(3):  # a subject that changes its mind often waits once
        two.ignore("switchboard.x")
        two.listen("switchboard.x", lambda _: b"again")
    assert two.waiting <= 1
    await eventually(lambda: two.waiting == 0)
    assert await one.ask("switchboard.x", b"", 1) is not None
    await asyncio.gather(one.stop(), two.stop())


async def test_a_busy_loop_takes_nobody_for_nobody(brokers: tuple[Broker, Broker]) -> None:
    one, two = brokers
    two.listen("switchboard.x", lambda note: b"<" + note + b">")
    await heard(one, "switchboard.x")
    for _ in range(3):
        asking = [
            asyncio.create_task(one.ask("switchboard.nobody", b"", 0.05)),
            asyncio.create_task(one.ask("switchboard.x", b"a", 0.05)),
        ]
        await asyncio.sleep(0.01)
        time.sleep(LOOK_S + 0.1)  # the clock runs on, and nothing is read
        assert await asyncio.gather(*asking) == [None, b"<a>"]


class Counted:
    """What was counted since this was made."""

    def __init__(self) -> None:
        self._before = dict(self._now())

    def _now(self) -> Iterator[tuple[tuple[str, str], float]]:
        for name, label in (("connections", "state"), ("events_total", "event")):
            yield from self._series(name, label)
        for name in ("notes_total", "questions_total"):
            yield from self._series(name, "outcome")

    def _series(self, name: str, label: str) -> Iterator[tuple[tuple[str, str], float]]:
        series = f"switchboard_edge_broker_{name}"
        for family in REGISTRY.collect():
            for sample in family.samples:
                if sample.name == series:
                    yield (name.removesuffix("_total"), sample.labels[label]), sample.value

    def __call__(self, name: str, word: str) -> float:
        key = name, word
        return dict(self._now()).get(key, 0) - self._before.get(key, 0)


async def test_what_befalls_a_broker_can_be_watched(
    server: Nats, brokers: tuple[Broker, Broker]
) -> None:
    one, two = brokers
    two.listen("switchboard.x", lambda note: note)
    await heard(one, "switchboard.x")
    counted = Counted()
    one.tell("switchboard.x", b"note")
    one.tell("switchboard.x", b"x" * 2_000_000)
    await one.ask("switchboard.x", b"", 1)
    await one.ask("switchboard.nobody", b"", 1)
    await one.ask_all("switchboard.x", b"", 1, 0.01)
    assert [counted("notes", word) for word in ("told", "too_large", "away")] == [1, 1, 0]
    assert [counted("questions", word) for word in ("answered", "nobody")] == [2, 1]
    await server.stop()
    await eventually(lambda: counted("events", "lost") == 2)
    assert (counted("connections", "away"), counted("connections", "connected")) == (2, -2)
    one.tell("switchboard.x", b"note")
    assert await one.ask("switchboard.x", b"", 1) is None
    assert await one.ask_all("switchboard.x", b"", 1, 0.01) == []
    assert (counted("notes", "away"), counted("questions", "away")) == (1, 2)
    await server.start()
    await eventually(lambda: counted("events", "back") == 2)
    assert (counted("connections", "away"), counted("connections", "connected")) == (0, 0)
    await one.stop()
    assert counted("connections", "connected") == -1


async def test_notes_that_were_dropped_are_no_broker_that_went(
    brokers: tuple[Broker, Broker], caplog: pytest.LogCaptureFixture
) -> None:
    one, two = brokers
    counted = Counted()

    def busy(_: bytes) -> None:
        time.sleep(0.0005)

    two.listen("switchboard.x", lambda note: note)
    await heard(one, "switchboard.x")
    two.listen("switchboard.x", busy)
    two._heard["switchboard.x"]._pending_bytes_limit = 100  # the library's own is 128 MiB
    for _ in range(2000):
        one.tell("switchboard.x", b"note")
    await eventually(lambda: counted("events", "slow") > 0)
    assert counted("events", "lost") == 0
    assert two.connected
    assert "were dropped" in caplog.text
