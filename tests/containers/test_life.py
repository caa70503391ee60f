"""Replicas, crashes, restarts and replacements under a conversation: what the user sees of them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from tests.containers.compose import Compose, aside, run
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
        while True:
            try:
                return await Device.open(stack.origin)
            except (AssertionError, aiohttp.ClientError):
                await asyncio.sleep(0.25)


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


async def reconnect(device: Device, *running: Answer) -> None:
    """Connects again as the same device, naming what it has seen."""
    seen = {each.request_id: len(each.frames) for each in running}
    async with asyncio.timeout(BACK_S):
        while True:
            try:
                return await device.connect(**({"resume": {"requests": seen}} if seen else {}))
            except aiohttp.ClientError:
                await asyncio.sleep(0.25)


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

    Where the edge sends it away it comes back, and asks again what had not begun.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.answers: list[Answer] = []
        self.not_begun: list[Answer] = []

    async def go_on(self) -> None:
        while True:
            if self.device.socket.closed or self._sent_away():
                await self.device.reading()
                await reconnect(self.device)
            await self._one()
            await asyncio.sleep(0.2)  # a user reads

    def _sent_away(self) -> bool:
        return any(frame["type"] == "goaway" for frame in self.device.others)

    async def _one(self) -> None:
        self.device.others.clear()
        try:
            answer = await self.device.home(QUESTION)
        except ConnectionError:  # the socket closed before the question left
            return
        self.answers.append(answer)
        ended = asyncio.create_task(answer.ended(60))
        closed = asyncio.create_task(self.device.reading())
        await asyncio.wait([ended, closed], return_when=asyncio.FIRST_COMPLETED)
        if closed.done() and not answer.of("stream_end"):
            await reconnect(self.device, answer)
        lost = answer.request_id in self.device.ready["lost"]
        if lost:
            ended.cancel()
        else:
            await ended
        closed.cancel()
        if lost or (self._sent_away() and excusable(answer) and not fine(answer)):
            # Lost or refused as the edge went away: it must not have begun.
            assert not answer.tools, answer.frames
            self.answers.remove(answer)
            self.not_begun.append(answer)

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
        talk = Conversation(device)
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
    replaced = ("agent_svc", "router_svc", "formatter_svc", "memory_svc")
    await aside(stack.up, *replaced, **dict.fromkeys(replaced, 2))
    async with conversation(stack) as talk:
        for service in (*replaced, "edge"):
            for container in stack.ids(service):
                await aside(run, "docker", "restart", "--time=20", container)
                await aside(stack.well, service)
    assert len(talk.answers) > 20
    ends = [answer.end["status"] for answer in talk.answers if answer.of("stream_end")]
    assert set(ends) == {"completed"}
    assert len(talk.answers) - len(ends) <= 1, "the last one may be open: the test left it"


def test_everything_stops_in_time_and_leaves_nothing(stack: Compose) -> None:
    start = time.monotonic()
    stack("stop")
    assert time.monotonic() - start < 60
    for service in ("edge", "router_svc", "agent_svc", "memory_svc", "formatter_svc"):
        codes = {stack.state(container)["ExitCode"] for container in stack.ids(service)}
        assert codes == {0}, (service, codes)
    stack.down()
    assert stack.left_over() == []
