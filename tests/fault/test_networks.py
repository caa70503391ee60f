"""Bad networks between a device and the whole stack, with a model that follows a script."""

import asyncio
import contextlib
import itertools
import re
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.support.fleet import Fleet, Plan, Process
from tests.support.model_server import Call, ModelServer, Reply, Request, calls, says
from tests.support.proxy import FaultProxy
from tests.support.roamer import Asked, Roamer, register

pytestmark = pytest.mark.asyncio(loop_scope="module")

FLOOD_BYTES = 16 * 1024
HELLO_S = 3
BOUND_S = 30.0
"""For what must happen soon, on a machine that does much else."""


def script(request: Request) -> Reply:
    """words N: slowly; flood: without end; create, delete: a tool call and a few words."""
    asked = [message for message in request.messages if message["role"] == "user"][-1]["content"]
    if request.messages[-1]["role"] == "tool":
        return says("It is ", "done.")
    if found := re.search(r"words (\d+)", asked):
        return Reply([step for word in words(int(found[1])) for step in (word, 0.02)])
    if "flood" in asked:
        return Reply(itertools.repeat("x" * FLOOD_BYTES))
    if "create" in asked:
        return calls(Call("create_task", {"title": "Water the plants"}))
    if "delete" in asked:
        return calls(Call("delete_task", {"id": "t1"}))
    return says("I do not know.")


def words(count: int) -> list[str]:
    return [f"word{number} " for number in range(count)]


@dataclass
class Network:
    """Everything that a test needs."""

    fleet: Fleet
    model: ModelServer
    http: aiohttp.ClientSession
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def proxy(self, edge: int = 0, window: int | None = None) -> FaultProxy:
        """A bad way to an edge."""
        port = self.fleet["edge", edge].port
        return await self.stack.enter_async_context(FaultProxy("127.0.0.1", port, window=window))

    async def device(
        self, way: FaultProxy | None = None, *, token: str = "", edge: int = 0, **more: Any
    ) -> Roamer:
        """A connected device, of a new user where no token is given."""
        token = token or await register(self.http, self.fleet.origin())
        origin = f"http://127.0.0.1:{way.port}" if way else self.fleet.origin(edge)
        return await self.stack.enter_async_context(Roamer(self.http, origin, token, **more))

    def last(self) -> Request:
        """The agent's latest call of the model."""
        return self.model.chats[-1]


@asynccontextmanager
async def network(folder: Path, database: str) -> AsyncIterator[Network]:
    choice = {"agent": "task_agent", "confidence": 1, "reason": "scripted"}
    # The first is as it comes. The second has little patience with slow devices and those that
    # are away; the third looks often whether they are there, and waits for no slow hello.
    own = {
        ("edge", 1): {"STALL_S": "2", "RESUME_WINDOW_S": "6"},
        ("edge", 2): {
            "HEARTBEAT_S": "1",
            "HELLO_TIMEOUT_S": str(HELLO_S),
            "HTTP_IDLE_S": str(HELLO_S),
        },
    }
    async with ModelServer(script, json=choice) as model, aiohttp.ClientSession() as http:
        fleet = Fleet(
            folder,
            database,
            Plan(edge=3, own=own),
            model_url=model.url,
            AGENT_TOKENS=str(10**12),  # a flood is no fault here
            DRAIN_S="1",
        )
        await asyncio.to_thread(fleet.__enter__)
        try:
            yield Network(fleet, model, http)
        finally:
            await asyncio.to_thread(fleet.__exit__, None, None, None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(
    tmp_path_factory: pytest.TempPathFactory, module_database: str
) -> AsyncIterator[Network]:
    async with network(tmp_path_factory.mktemp("fleet"), module_database) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def net(shared: Network) -> AsyncIterator[Network]:
    """The shared network; the devices and proxies of one test go with it."""
    async with AsyncExitStack() as stack:
        yield Network(shared.fleet, shared.model, shared.http, stack)


async def eventually(holds: Any, what: str, within: float = BOUND_S) -> None:
    try:
        async with asyncio.timeout(within):
            while not holds():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"not within {within:g} s: {what}") from None


async def again(device: Roamer, **how: Any) -> None:
    """Connects once its socket is gone."""
    await device.closed()
    await device.connect(**how)


def kept(device: Roamer, asked: Asked, text: str, status: str = "completed") -> None:
    assert device.broken == []
    assert asked.text == text
    assert asked.status == status, asked.end


@pytest.mark.parametrize("fault", ["cut", "reset"])
async def test_an_answer_goes_on_over_many_cuts(net: Network, fault: str) -> None:
    way = await net.proxy()
    device = await net.device(way)
    asked = await device.ask("words 120")
    for cut in range(1, 5):
        await asked.words(20 * cut)
        getattr(way, fault)()
        await again(device)
        assert device.ready["resumed"] == [asked.request_id]
    await asked.over()
    kept(device, asked, "".join(words(120)))
    assert not net.last().closed.is_set()
    assert len([r for r in net.model.chats if r is net.last()]) == 1


async def test_a_client_that_forgot_some_gets_the_same_frames_again(net: Network) -> None:
    way = await net.proxy()
    device = await net.device(way)
    asked = await device.ask("words 60")
    await asked.words(20)
    way.cut()
    await again(device, forget=lambda seq: seq // 2)
    await asked.words(40)
    way.reset()
    await again(device, forget=lambda _: 0)
    await asked.over()
    kept(device, asked, "".join(words(60)))


async def test_a_dead_network_is_found_by_heartbeat_and_nothing_is_missing(net: Network) -> None:
    edge, way = net.fleet["edge", 2], await net.proxy(2)
    device = await net.device(way, edge=2)
    asked = await device.ask("words 200")
    await steadily(device, lambda: len(asked.text) > 20)
    way.stall()
    await eventually(lambda: edge.peers == 0, "the edge gives the socket up")
    way.flow()
    await device.closed()
    await steadily(device, lambda: asked.is_over)
    kept(device, asked, "".join(words(200)))


async def steadily(device: Roamer, holds: Any) -> None:
    """Waits, and connects again whenever the socket goes: that edge is quick to give up."""
    async with asyncio.timeout(60):
        while not holds():
            if not device.connected:
                await device.connect()
            await asyncio.sleep(0.02)


async def test_a_second_socket_takes_over_while_the_first_looks_alive(net: Network) -> None:
    way = await net.proxy()
    device = await net.device(way)
    asked = await device.ask("words 80")
    await asked.words(10)
    way.stall()  # what is under way arrives when nobody reads it any more
    device.origin = net.fleet.origin()
    await device.connect()
    assert device.ready["resumed"] == [asked.request_id]
    way.flow()
    await asked.over()
    kept(device, asked, "".join(words(80)))


async def test_the_older_socket_of_a_device_is_told_so(net: Network) -> None:
    first = await net.device()
    second = await net.device(token=first.token, device_id=first.device_id)
    assert await first.closed() == 4409
    await second.barrier()


async def test_eight_requests_over_one_bad_network(net: Network) -> None:
    way = await net.proxy()
    device = await net.device(way)
    asked = [await device.ask(f"words {20 + 10 * n}") for n in range(8)]
    for count in (5, 15):
        await asyncio.gather(*(one.words(count) for one in asked))
        way.cut()
        await again(device)
    for number, one in enumerate(asked):
        kept(device, await one.over(), "".join(words(20 + 10 * number)))


async def test_a_client_that_reads_a_byte_a_second(net: Network) -> None:
    way = await net.proxy(1, window=16 * 1024)
    slow = await net.device(way, edge=1)
    other = await net.device(token=slow.token, edge=1)
    edge = net.fleet["edge", 1]
    before = edge.rss
    way.throttle(1)
    index = len(net.model.requests) + 1  # one request chooses the agent
    await slow.ask("flood")
    flood = await net.model.request(index, BOUND_S)
    beside = await other.ask("words 50")
    most = await _settled(flood, edge)
    await beside.over()
    kept(other, beside, "".join(words(50)))
    await _read_on(slow, way, flood, edge)
    # Its code, where it read again in time to see it; else it was cut off.
    assert slow.close_code in (4508, 1006)
    assert slow.broken == []
    slow.may_lose = True  # more was on its way than a journal holds
    # 4 MiB may wait for a socket and 1 MiB is its journal; the rest of the flood fills pipes.
    assert most - before < 48 * 2**20
    assert flood.sent * FLOOD_BYTES < 192 * 2**20
    await again(slow)
    for one in slow.asked.values():
        await _cancelled(slow, one)
    assert slow.broken == []
    await asyncio.wait_for(flood.closed.wait(), BOUND_S)


async def _settled(flood: Request, edge: Process) -> int:
    """Waits until the model is not read any more; returns the most memory that the edge took."""
    most, sent, since = edge.rss, -1, time.monotonic()
    async with asyncio.timeout(60):
        while time.monotonic() - since < 3:
            if flood.sent != sent:
                sent, since = flood.sent, time.monotonic()
            most = max(most, edge.rss)
            await asyncio.sleep(0.05)
    return most


async def _cancelled(device: Roamer, asked: Asked) -> None:
    """Cancels to the end: a flood may close that edge's sockets as too slow again."""
    try:
        async with asyncio.timeout(60):
            await device.cancel(asked)  # what is lost runs on otherwise
            while not asked.is_over:
                if not device.connected:
                    await device.connect()
                    await device.cancel(asked)
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"no end came: {device}, {asked.frames[-1:]}") from None


async def _read_on(slow: Roamer, way: FaultProxy, flood: Request, edge: Process) -> None:
    """Reads what waits, up to the close; where the edge had not stalled yet, stops again."""
    while slow.connected:
        way.flow()
        with contextlib.suppress(TimeoutError):
            await slow.closed(5)
            return
        way.throttle(1)
        await _settled(flood, edge)


async def test_anothers_request_is_lost_and_runs_on(net: Network) -> None:
    owner = await net.device()
    asked = await owner.ask("words 60")
    await asked.words(3)
    thief = await net.device()
    thief.asked[asked.request_id] = Asked(asked.request_id, "home")
    thief.drop()
    await thief.connect()
    assert thief.ready["lost"] == [asked.request_id]
    await owner.cancel(Asked(str(next(iter(thief.asked))), "home"))  # the owner may stop it
    await thief.send("cancel", request_id=asked.request_id)
    await asked.over()
    assert owner.broken == [] and thief.broken == []
    assert asked.status == "cancelled"
    sibling = await net.device(token=owner.token)
    sibling.asked[asked.request_id] = Asked(asked.request_id, "home")
    sibling.drop()
    await sibling.connect()
    assert sibling.ready["lost"] == [asked.request_id]  # by user, device and request


async def test_only_its_user_can_cancel_a_request(net: Network) -> None:
    owner, thief = await net.device(), await net.device()
    asked = await owner.ask("words 40")
    await asked.words(3)
    await thief.send("cancel", request_id=asked.request_id)
    await thief.barrier()
    await asked.over()
    kept(owner, asked, "".join(words(40)))
    assert thief.errors == []


async def test_the_clock_of_an_approval_stands_still_while_the_device_is_away(
    net: Network,
) -> None:
    way = await net.proxy()
    device = await net.device(way, tool=None)
    asked = await device.ask("delete it")
    await asked.until(lambda a: bool(a.of("tool_call")))
    (call,) = asked.of("tool_call")
    assert call["requires_approval"] is True
    assert 290_000 < call["deadline_ms"] <= 300_000
    came = time.monotonic()
    way.cut()
    await device.closed()
    away = time.monotonic()
    await asyncio.sleep(4)  # the time away is what is measured
    back = time.monotonic()
    repeats: list[dict[str, Any]] = []
    device.tool = lambda frame: repeats.append(frame) or {"result": {"id": "t1"}}  # type: ignore[func-returns-value]
    await device.connect(forget=lambda seq: seq - 1)
    await asked.over()
    kept(device, asked, "It is done.")
    (repeat,) = repeats
    assert (repeat["call_id"], repeat["seq"]) == (call["call_id"], call["seq"])
    spent = (call["deadline_ms"] - repeat["deadline_ms"]) / 1000
    # It ran from the call to the cut and from the hello to the repeat, and no longer.
    assert spent < (away - came) + (time.monotonic() - back) + 1
    assert spent < 4
    assert [m["op"] for m in asked.end["mutations"]] == ["delete"] if asked.end else False


async def test_a_pending_call_is_answered_once_over_a_reset(net: Network) -> None:
    way = await net.proxy()
    device = await net.device(way, tool=None)
    other = await net.device(token=device.token)
    asked = await device.ask("create it")
    await asked.until(lambda a: bool(a.of("tool_call")))
    (call,) = asked.of("tool_call")
    way.reset()
    await again(device, forget=lambda _: 0)
    await device.answer(call)
    await device.answer(call)  # a double result
    await asked.over()
    kept(device, asked, "It is done.")
    await other.wait(lambda: bool(other.mutations))
    await other.barrier()
    assert [m["id"] for m in other.mutations] == [call["call_id"]]
    assert other.broken == [] and device.errors == []


async def test_a_write_that_finishes_after_a_cancel_reaches_the_other_device(
    net: Network,
) -> None:
    device = await net.device(tool=None)
    other = await net.device(token=device.token)
    asked = await device.ask("create it")
    await asked.until(lambda a: bool(a.of("tool_call")))
    (call,) = asked.of("tool_call")
    await device.cancel(asked)
    await asked.over()
    assert asked.status == "cancelled"
    seen = len(net.model.chats)
    await device.answer(call)
    await device.wait(lambda: bool(device.errors))
    assert [error["code"] for error in device.errors] == ["tool_call_expired"]
    await other.wait(lambda: bool(other.mutations))
    (mutation,) = other.mutations
    assert mutation["op"] == "create"
    assert mutation["id"] == call["call_id"]
    assert mutation["origin"] == {"device_id": device.device_id, "request_id": asked.request_id}
    assert len(net.model.chats) == seen  # the agent never heard of it
    assert device.broken == [] and other.broken == []


async def test_a_cancel_closes_the_providers_request(net: Network) -> None:
    device = await net.device()
    asked = await device.ask("words 1000")
    await asked.words(10)
    request = net.last()
    assert not request.closed.is_set()
    began = time.monotonic()
    await device.cancel(asked)
    await asyncio.wait_for(request.closed.wait(), BOUND_S)
    await asked.over()
    assert time.monotonic() - began < 3  # the promise is one; others use this machine, too
    kept(device, asked, asked.text, "cancelled")
    assert asked.end is not None
    usage = asked.end["usage"]
    assert usage["estimated"] is True
    assert 0 < usage["output_tokens"] <= 1000 * 3


async def test_a_drop_is_no_cancel_for_the_provider(net: Network) -> None:
    device = await net.device()
    asked = await device.ask("words 60")
    await asked.words(10)
    request = net.last()
    device.drop()
    await eventually(lambda: request.sent == 60, "the model is read to its end")
    assert not request.closed.is_set()
    await device.connect()
    await asked.over()
    kept(device, asked, "".join(words(60)))


async def test_past_the_resume_window_it_is_lost_and_the_agent_is_told(net: Network) -> None:
    device = await net.device(tool=None, edge=1)
    asked = await device.ask("create it")
    await asked.until(lambda a: bool(a.of("tool_call")))
    device.drop()
    await eventually(lambda: net.last().messages[-1]["role"] == "tool", "the agent goes on")
    assert "device_gone" in str(net.last().messages[-1]["content"])
    device.may_lose = True
    await device.connect()
    assert asked.status == "lost"
    assert device.broken == []


@pytest.mark.parametrize("part", ["the upgrade", "the hello"])
async def test_a_slow_hello_is_not_waited_for(net: Network, part: str) -> None:
    """Slow-loris: a byte now and then; it is closed in time, and others are served meanwhile."""
    device = await net.device(edge=2)
    began = time.monotonic()
    if part == "the upgrade":
        reader, writer = await asyncio.open_connection("127.0.0.1", net.fleet["edge", 2].port)
        transport: Any = writer.transport
        said = b"GET /api/v1/ws/device HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"x" * 1000
        closed = asyncio.create_task(reader.read())
    else:
        headers = {"Authorization": f"Bearer {device.token}"}
        url = f"{net.fleet.origin(2)}/api/v1/ws/device"
        socket = await net.stack.enter_async_context(net.http.ws_connect(url, headers=headers))
        transport = socket._response.connection.transport  # type: ignore[union-attr]
        said = bytes([0x81, 0x80 | 126]) + (1000).to_bytes(2, "big") + bytes(4) + b" " * 1000
        closed = asyncio.create_task(socket.receive())  # type: ignore[arg-type]
    drip = asyncio.create_task(_drip(transport, said))
    asked = await device.ask("words 20")
    await steadily(device, lambda: asked.is_over)
    kept(device, asked, "".join(words(20)))
    try:
        end = await asyncio.wait_for(closed, BOUND_S)
    finally:
        drip.cancel()
        transport.abort()
    assert HELLO_S - 0.5 < time.monotonic() - began < HELLO_S + 5
    assert end == b"" if part == "the upgrade" else socket.close_code == 4408


async def _drip(transport: asyncio.Transport, said: bytes) -> None:
    for byte in said:
        transport.write(bytes([byte]))
        await asyncio.sleep(0.1)


async def test_a_connection_that_comes_twice_runs_nothing_twice(net: Network) -> None:
    way = await net.proxy()
    device = await net.device(way)
    asked = await device.ask("words 77")
    await asked.words(10)
    await way.duplicate()  # its upgrade, its hello and its request
    assert await device.closed() == 4409  # the copy came later
    await device.connect()
    assert device.ready["resumed"] == [asked.request_id]
    await asked.over()
    kept(device, asked, "".join(words(77)))
    ran = [r for r in net.model.chats if "words 77" in str(r.messages[-1]["content"])]
    assert len(ran) == 1
