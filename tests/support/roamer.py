"""A device that wanders between networks, and holds the server to PROTOCOL §4 at each frame.

    async with Roamer(http, origin, token) as device:
        asked = await device.ask("what is overdue?")
        device.drop()                    # the network is gone: no close frame, nothing
        await device.connect()           # resumes all that has not ended
        await asked.over()
        assert device.broken == []       # the promises that were not kept, in words

It keeps the client's side: a call is run once by its id and a repeat gets the stored
answer; what is lost is not asked again. What it checks of every frame that comes:
numbers 1, 2, 3 … over all sockets, none twice, none after the end; a replayed frame is
the frame it was; a call keeps its id; changes come once each and never back to their
origin; each request that was named on resuming is either resumed or lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import orjson

Frame = dict[str, Any]
PATIENCE_S: Final = 60.0
"""A bound for what must happen, on a machine that does much else."""

WAITS: Final = ("tool_call", "data_request")
"""Frames that come again, first after a hello, while they have no answer."""

OPENERS: Final = {"home": ("stream_start", "stream_end"), "popup": ("popup_domain", "stream_end")}


@dataclass(slots=True, eq=False, repr=False)
class Asked:
    """One request and all that came of it. `seen` is what the client has taken in."""

    request_id: str
    page: str
    frames: list[Frame] = field(default_factory=list)
    next_seq: int = 1
    resuming: bool = False  # nothing new has come since the hello
    lost: bool = False
    cancelled: bool = False
    message: str = ""
    began: float = field(default_factory=time.monotonic)
    ended: float = 0.0
    """When it was over, by time.monotonic()."""
    done: asyncio.Event = field(default_factory=asyncio.Event)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def __repr__(self) -> str:
        last = self.frames[-1]["type"] if self.frames else "nothing"
        return f"{self.request_id[:8]} {self.status} after {len(self.frames)} frames, {last}"

    @property
    def text(self) -> str:
        return "".join(f["chunk"] for f in self.frames if f["type"] == "stream_text")

    @property
    def end(self) -> Frame | None:
        """The stream_end, once it has come."""
        last = self.frames[-1] if self.frames else {}
        return last if last.get("type") == "stream_end" else None

    @property
    def status(self) -> str:
        """completed, cancelled, failed; lost; or running."""
        return str(self.end["status"]) if self.end else "lost" if self.lost else "running"

    @property
    def code(self) -> str:
        """The code of its error; empty where there is none."""
        return str(((self.end or {}).get("error") or {}).get("code", ""))

    def of(self, kind: str) -> list[Frame]:
        return [frame for frame in self.frames if frame["type"] == kind]

    async def until(self, holds: Callable[[Asked], bool], within: float = PATIENCE_S) -> Asked:
        """Waits until a condition on what came holds."""
        async with asyncio.timeout(within):
            while not holds(self):
                self.changed.clear()
                await self.changed.wait()
        return self

    async def words(self, count: int) -> Asked:
        """Waits until so many words have come, or it is over."""
        return await self.until(lambda asked: asked.text.count(" ") >= count or asked.is_over)

    async def over(self, within: float = PATIENCE_S) -> Asked:
        """Waits until it ended or was lost."""
        async with asyncio.timeout(within):
            await self.done.wait()
        return self

    @property
    def is_over(self) -> bool:
        return self.done.is_set()

    def news(self) -> None:
        self.changed.set()
        if (self.end or self.lost) and not self.is_over:
            self.ended = time.monotonic()
            self.done.set()


Tool = Callable[[Frame], Frame]


def nothing_found(call: Frame) -> Frame:
    """A tool that finds nothing, and says of every write that it was done."""
    if call["name"].startswith(("list", "get", "search")):
        return {"result": {"items": []}}
    if call["name"].startswith("delete"):
        return {"result": {"id": call["arguments"].get("id", "none")}}
    return {"result": {"item": {"id": call["call_id"], **call["arguments"]}}}


class Roamer:
    """One device of one user, over as many sockets as it takes."""

    def __init__(
        self,
        http: aiohttp.ClientSession,
        origin: str,
        token: str,
        *,
        device_id: str | None = None,
        tool: Tool | None = nothing_found,
        note: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.origin = origin
        self.token = token
        self.device_id = device_id or f"device-{uuid.uuid4().hex[:8]}"
        self.tool = tool
        self.asked: dict[str, Asked] = {}
        self.broken: list[str] = []
        self.may_lose = False
        """Whether what the server had may be lost: its edge died, or the device was away long."""
        self.since = 0.0
        """When its socket of now was welcomed, by time.monotonic()."""
        self.answered: dict[str, float] = {}
        """When a call was first answered."""
        self.mutations: list[Frame] = []
        self.errors: list[Frame] = []
        self.ready: Frame = {}
        self.pongs: set[str] = set()
        self.goaway: Frame | None = None
        self.close_code: int | None = None
        self.runs: dict[str, Frame] = {}
        self.calls: dict[str, Frame] = {}
        self._http = http
        self._note = note
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._reader: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._changes: set[str] = set()

    def __repr__(self) -> str:
        return (
            f"Roamer({self.device_id}, {'on' if self.connected else 'off'} at {self.origin}, "
            f"{list(self.asked.values())}, errors {[error['code'] for error in self.errors]})"
        )

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    @property
    def connected(self) -> bool:
        """Whether it has a socket that it reads."""
        return self._reader is not None and not self._reader.done()

    @property
    def running(self) -> list[Asked]:
        return [asked for asked in self.asked.values() if not asked.is_over]

    # Sockets.

    async def connect(self, *, forget: Callable[[int], int] = lambda seq: seq) -> None:
        """A new socket, which takes over from an older one that may still look alive.

        `forget`: from the last seq that came to the one that is named, as a client does that
        had not written down all it saw. Raises what aiohttp raises where nobody listens.
        """
        old, self._socket = self._socket, None
        await self._stop_reading()
        socket = await self._http.ws_connect(
            f"{self.origin}/api/v1/ws/device",
            headers={"Authorization": f"Bearer {self.token}"},
            max_msg_size=1024 * 1024 + 1,  # no frame of the server is larger
        )
        try:
            await self._hello(socket, forget)
        except BaseException:
            _abort(socket)
            await socket.close()
            raise
        finally:
            if old is not None:
                _abort(old)
                await old.close()

    async def _hello(
        self, socket: aiohttp.ClientWebSocketResponse, forget: Callable[[int], int]
    ) -> None:
        running = self.running
        for asked in running:
            asked.next_seq = forget(len(asked.frames)) + 1
            asked.resuming = True
        resume = {asked.request_id: asked.next_seq - 1 for asked in running}
        hello = {"type": "device_hello", "device_id": self.device_id, "protocol": 3}
        await _send(socket, hello | ({"resume": {"requests": resume}} if resume else {}))
        message = await socket.receive(PATIENCE_S)
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise aiohttp.ClientConnectionError(f"no welcome: {socket.close_code}")
        self.ready = orjson.loads(message.data)
        self._check(self.ready["type"] == "device_ready", f"a hello got {self.ready}")
        told = [*self.ready.get("resumed", []), *self.ready.get("lost", [])]
        self._check(sorted(told) == sorted(resume), f"named {resume}, told {told}")
        for request_id in self.ready.get("lost", []):
            asked = self.asked[request_id]
            self._check(self.may_lose or not asked.frames, f"{request_id} is lost, but was there")
            asked.lost = True
            asked.news()
        self.close_code = None
        self.since = time.monotonic()
        self._socket = socket
        self._reader = asyncio.create_task(self._read(socket))

    async def _stop_reading(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)

    def drop(self) -> None:
        """The network is gone. What had arrived and was not read is gone with it."""
        if self._reader is not None:
            self._reader.cancel()
        if self._socket is not None:
            _abort(self._socket)

    async def close(self) -> None:
        """Leaves for good."""
        await self._stop_reading()
        if self._socket is not None:
            _abort(self._socket)
            await self._socket.close()
        self._socket = self._reader = None

    async def closed(self, within: float = PATIENCE_S) -> int | None:
        """The close code, once the server has closed the socket or it broke."""
        async with asyncio.timeout(within):
            while self.connected:
                await self._next_news()
        return self.close_code

    # What the device says.

    async def send(self, type_: str, **fields: Any) -> None:
        """Sends a frame; into a socket that is gone it goes nowhere."""
        if self._socket is not None:
            with contextlib.suppress(ConnectionError, aiohttp.ClientError):
                await _send(self._socket, {"type": type_, **fields})

    async def ask(self, message: str, *, page: str = "home", **fields: Any) -> Asked:
        """Sends a request."""
        asked = Asked(str(uuid.uuid4()), page, message=message)
        self.asked[asked.request_id] = asked
        scope = {"scope": {"type": "task"}} if page == "popup" else {}
        await self.send(
            f"{page}_request", message=message, request_id=asked.request_id, **scope, **fields
        )
        return asked

    async def cancel(self, asked: Asked) -> None:
        asked.cancelled = True
        await self.send("cancel", request_id=asked.request_id)

    async def answer(self, call: Frame, **outcome: Any) -> None:
        """Answers a call; without an outcome as its tool does, which runs once for each call."""
        call_id = call["call_id"]
        self.answered.setdefault(call_id, time.monotonic())
        if call_id not in self.runs:
            self.runs[call_id] = outcome or (self.tool or nothing_found)(call)
        await self.send("tool_result", call_id=call_id, **(outcome or self.runs[call_id]))

    async def barrier(self) -> None:
        """Returns once the server has dealt with all that was sent before."""
        nonce = uuid.uuid4().hex
        await self.send("ping", nonce=nonce)
        await self.wait(lambda: nonce in self.pongs)

    async def wait(self, holds: Callable[[], bool], within: float = PATIENCE_S) -> None:
        """Waits until something that came makes a condition hold."""
        async with asyncio.timeout(within):
            while not holds():
                await self._next_news()

    async def _next_news(self) -> None:
        self._news.clear()
        await self._news.wait()

    # What the device hears.

    async def _read(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        try:
            while (message := await socket.receive()).type is aiohttp.WSMsgType.TEXT:
                await self._take(orjson.loads(message.data))
                self._news.set()
            self.close_code = socket.close_code
        finally:
            # Not from within: whoever waits looks whether the reader is done.
            asyncio.get_running_loop().call_soon(self._news.set)

    async def _take(self, frame: Frame) -> None:
        match frame["type"]:
            case "pong":
                self.pongs.add(frame.get("nonce", ""))
            case "mutation":
                self._changed(frame)
            case "goaway":
                self.goaway = frame
            case "error":
                self.errors.append(frame)
            case _ if "seq" in frame:
                await self._of_request(frame)
            case other:
                self._check(False, f"an unexpected {other}")

    def _changed(self, frame: Frame) -> None:
        self._check(frame["mutation_id"] not in self._changes, f"a change came twice: {frame}")
        self._check(frame["origin"]["device_id"] != self.device_id, f"a change came back: {frame}")
        self._changes.add(frame["mutation_id"])
        self.mutations.append(frame)

    async def _of_request(self, frame: Frame) -> None:
        asked = self.asked.get(frame["request_id"])
        if asked is None:
            self._check(False, f"a frame of a request that was never made: {frame}")
            return
        seq, where = frame["seq"], f"{frame['request_id'][:8]} {frame['type']}"
        if frame["type"] in WAITS and seq < asked.next_seq:
            self._check(asked.resuming, f"{where}: comes again after what is new")
        else:
            self._check(seq == asked.next_seq, f"{where}: seq {seq} instead of {asked.next_seq}")
            asked.next_seq, asked.resuming = seq + 1, False
        if seq <= len(asked.frames):
            was = asked.frames[seq - 1]
            self._check(_same(was, frame), f"{where}: replayed as {frame}, was {was}")
        else:
            self._check(not asked.is_over, f"{where}: comes after the end")
            if seq == 1:
                self._check(frame["type"] in OPENERS[asked.page], f"{where} opens {asked.page}")
            asked.frames.append(frame)
            asked.news()
        if frame["type"] == "tool_call":
            await self._called(frame)
        elif frame["type"] == "data_request":
            await self.send("data_response", query_id=frame["query_id"], items=[])

    async def _called(self, call: Frame) -> None:
        known = self.calls.setdefault(call["call_id"], call)
        self._check(known["seq"] == call["seq"], f"call {call['call_id']} has two numbers")
        if call["call_id"] in self.runs or self.tool is not None:
            await self.answer(call)

    def _check(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.broken.append(f"{self.device_id}: {otherwise}")
            self._note(self.broken[-1])


def _same(was: Frame, is_: Frame) -> bool:
    """What is left of a deadline is told anew each time."""
    return {**was, "deadline_ms": 0} == {**is_, "deadline_ms": 0}


async def _send(socket: aiohttp.ClientWebSocketResponse, frame: Frame) -> None:
    await socket.send_str(orjson.dumps(frame).decode())


def _abort(socket: aiohttp.ClientWebSocketResponse) -> None:
    connection = socket._response.connection
    if connection is not None and connection.transport is not None:
        connection.transport.abort()


async def register(http: aiohttp.ClientSession, origin: str) -> str:
    """An access token of a new user."""
    account = {"email": f"{uuid.uuid4().hex}@example.com", "password": "correct horse battery"}
    async with http.post(f"{origin}/api/v1/auth/register", json=account) as response:
        assert response.status == 201, await response.text()
        return str((await response.json())["access_token"])
