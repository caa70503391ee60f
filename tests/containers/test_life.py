"""Replicas, crashes, restarts and replacements under a conversation: what the user sees of them."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.containers.compose import SERVICES, Compose, aside, run
from tests.support.device import Answer, Device, remembered

QUESTION = "what is overdue?"
BACK_S = 60.0


def fine(answer: Answer) -> bool:
    return bool(answer.end["status"] == "completed")


def excusable(answer: Answer) -> bool:
    """Completed, or failed in the one way that tells the client to ask again."""
    error = answer.end.get("error", {})
    return fine(answer) or (error.get("code") == "service_unavailable" and error["retryable"])


async def arrive(stack: Compose) -> Device:
    """A new user, as soon as sign-ins work: callers find a restarted service within seconds."""
    async with asyncio.timeout(BACK_S):
        for origin in itertools.cycle(stack.origins):
            try:
                return await Device.open(origin)
            except (AssertionError, aiohttp.ClientError):
                await asyncio.sleep(0.25)
    raise AssertionError("no edge lets anybody in")


async def works_again(device: Device) -> float:
    """Asks until an answer completes; returns after how many seconds."""
    start = time.monotonic()
    while True:
        answer = await device.ask(QUESTION, 60)
        if fine(answer):
            return time.monotonic() - start
        assert excusable(answer), answer.end
        assert time.monotonic() - start < BACK_S, answer.end
        await asyncio.sleep(0.25)


async def under_way(device: Device) -> Answer:
    """A request that waits for the device: it stands in the middle of its turn."""
    device.hold_tools = True
    answer = await device.home(QUESTION)
    await answer.until(lambda one: bool(one.tools), 60)
    device.hold_tools = False
    return answer


async def give_result(device: Device, answer: Answer) -> None:
    (call,) = answer.of("tool_call")
    await device.send(device.result(call))


async def test_replicas_share_the_calls(stack: Compose) -> None:
    async with await arrive(stack) as device:
        await aside(stack.up, "router_svc", "agent_svc", router_svc=2, agent_svc=2)

        async def all_known() -> None:
            while True:
                assert fine(await device.ask(QUESTION, 60))
                known = [
                    await aside(stack.connected, "edge", 50051),
                    await aside(stack.connected, "router_svc", 50052),
                ]
                if known == [2, 2]:
                    return

        await asyncio.wait_for(all_known(), 90)


@pytest.mark.parametrize("service", ["router_svc", "agent_svc", "formatter_svc", "memory_svc"])
async def test_a_crash_mid_answer_costs_that_answer_at_most(stack: Compose, service: str) -> None:
    async with await arrive(stack) as device:
        answer = await under_way(device)
        await aside(stack.crash, stack.ids(service)[0])
        if not answer.of("stream_end"):
            await give_result(device, answer)
        await answer.ended(60)
        assert excusable(answer), answer.end
        if service == "memory_svc":
            assert fine(answer), answer.end
        await works_again(device)
        await aside(stack.well, service)
        assert not device.socket.closed


async def test_a_crashed_edge_comes_back_and_says_what_is_lost(stack: Compose) -> None:
    async with await arrive(stack) as device:
        answer = await under_way(device)
        await aside(stack.crash, stack.ids("edge")[0])
        await asyncio.wait_for(device.reading(), 30)
        await aside(stack.well, "edge")
        await reconnect(device, answer)
        assert device.ready["lost"] == [answer.request_id]
        await works_again(device)


async def reconnect(device: Device, *running: Answer, origins: Sequence[str] = ()) -> None:
    """Connects again as the same device, to any of the edges, naming what it has seen."""
    seen = {each.request_id: len(each.frames) for each in running}
    async with asyncio.timeout(BACK_S):
        for origin in itertools.cycle(origins or [device.origin]):
            device.origin = origin
            try:
                await device.connect(**({"resume": {"requests": seen}} if seen else {}))
            except (aiohttp.ClientError, aiohttp.WSMessageTypeError):  # closed before a welcome
                await asyncio.sleep(0.25)
            else:
                return


async def test_the_database_restarts_under_a_conversation(stack: Compose) -> None:
    async with await arrive(stack) as device:
        answer = await under_way(device)
        await aside(run, "docker", "restart", *stack.ids("postgres"))
        await give_result(device, answer)
        assert fine(await answer.ended(60)), answer.end
        await aside(stack.well, "postgres", "memory_svc")
        await asyncio.wait_for(remembered(device), BACK_S)
    async with await arrive(stack) as another:
        assert fine(await another.ask(QUESTION, 60))


class Conversation:
    """Asks one question after another, as a client that follows PROTOCOL §4.

    Where the edge sends it away it comes back, to any of the edges, and asks again what had
    not begun.
    """

    def __init__(self, device: Device, origins: Sequence[str]) -> None:
        self.device = device
        self.origins = origins
        self.answers: list[Answer] = []
        self.not_begun: list[Answer] = []

    async def go_on(self) -> None:
        while True:
            while self.device.socket.closed or self._sent_away():
                await self.device.reading()
                await self._come_back()
            await self._one()
            await asyncio.sleep(0.2)  # a user reads

    def _sent_away(self) -> bool:
        """Whether the edge of this socket has said that it goes."""
        return any(frame["type"] == "goaway" for frame in self.device.others)

    async def _come_back(self, *running: Answer) -> None:
        self.device.others.clear()
        await reconnect(self.device, *running, origins=self.origins)

    async def _one(self) -> None:
        try:
            answer = await self.device.home(QUESTION)
        except ConnectionError:  # the socket closed before the question left
            return
        self.answers.append(answer)
        lost = sent_away = False
        while not (lost or await self._ends(answer)):
            sent_away = self._sent_away()
            await self._come_back(answer)
            lost = answer.request_id in self.device.ready["lost"]
        if lost or not fine(answer):
            # It may have come too late for an edge that had said that it goes, and that edge
            # must not have begun it: a client may ask again by itself then, and only then.
            assert sent_away or self._sent_away(), answer.frames
            assert lost or excusable(answer), answer.end
            assert {frame["type"] for frame in answer.frames} <= {"stream_end"}, answer.frames
            self.answers.remove(answer)
            self.not_begun.append(answer)

    async def _ends(self, answer: Answer) -> bool:
        """Reads on until the answer has ended, or the socket has."""
        ended = asyncio.create_task(answer.ended(60))
        closed = asyncio.create_task(self.device.reading())
        await asyncio.wait([ended, closed], return_when=asyncio.FIRST_COMPLETED)
        closed.cancel()
        if answer.of("stream_end") or ended.done():
            await ended
            return True
        ended.cancel()
        return False

    async def until_idle(self, going_on: asyncio.Task[None]) -> None:
        """Waits for two more answers, then for a moment between two questions."""
        count = len(self.answers) + 2
        while not going_on.done():
            if len(self.answers) > count and self.answers[-1].of("stream_end"):
                return
            await asyncio.sleep(0.01)


@asynccontextmanager
async def conversation(stack: Compose) -> AsyncIterator[Conversation]:
    """A user who keeps talking for as long as the block runs."""
    async with await arrive(stack) as device:
        talk = Conversation(device, stack.origins)
        going_on = asyncio.create_task(talk.go_on())
        try:
            yield talk
            await asyncio.wait_for(talk.until_idle(going_on), 60)
        finally:
            going_on.cancel()
            await asyncio.wait([going_on])
        if not going_on.cancelled():
            going_on.result()


async def test_every_container_is_replaced_and_nothing_is_lost(stack: Compose) -> None:
    await aside(stack.several_edges)
    await aside(stack.up, *SERVICES, **dict.fromkeys(SERVICES, 2))
    old = {service: stack.ids(service) for service in SERVICES}
    async with conversation(stack) as talk:
        for service in ("agent_svc", "router_svc", "formatter_svc", "memory_svc", "edge"):
            for container in old[service]:
                await aside(stack.replace, service, container)
        # There is one broker: without it each edge goes on alone.
        await aside(run, "docker", "rm", "-f", *stack.ids("nats"))
        await aside(stack.up, "nats")
    assert len(talk.answers) > 20
    ends = [answer.end["status"] for answer in talk.answers if answer.of("stream_end")]
    assert set(ends) == {"completed"}
    assert len(talk.answers) - len(ends) <= 1, "the last one may be open: the test left it"
    assert len(talk.not_begun) <= len(old["edge"]), "an edge that goes turns one away at most"


def test_everything_stops_in_time_and_leaves_nothing(stack: Compose) -> None:
    start = time.monotonic()
    stack("stop")
    assert time.monotonic() - start < 60
    for service in ("edge", "router_svc", "agent_svc", "memory_svc", "formatter_svc"):
        codes = {stack.state(container)["ExitCode"] for container in stack.ids(service)}
        assert codes == {0}, (service, codes)
    stack.down()
    assert stack.left_over() == []
