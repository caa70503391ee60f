"""A device for tests: a store in memory, and a socket that answers tool calls from it.

store = Store(task=[{"id": "t1", "title": "Call Bob"}])
async with await Device.open(origin, store) as device:
    answer = await device.ask("what is overdue?")
    answer.text, answer.blocks, answer.end["status"]
"""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
import orjson

Frame = dict[str, Any]
KINDS: Final = ("task", "project", "note", "checkpoint")
DAY_MS: Final = 86_400_000


def now_ms() -> int:
    return int(time.time() * 1000)


class Store:
    """Entities by kind, and the catalogue's tools over them."""

    def __init__(self, **items: list[dict[str, Any]]) -> None:
        self.items: dict[str, dict[str, dict[str, Any]]] = {
            kind: {item["id"]: item for item in items.get(kind, [])} for kind in KINDS
        }
        self._ids = itertools.count(1)

    @classmethod
    def sample(cls) -> Store:
        """Two projects with tasks late and not, notes, and checkpoints."""
        now = now_ms()
        return cls(
            project=[
                {"id": "p1", "name": "Apollo", "status": "active"},
                {"id": "p2", "name": "Zephyr", "status": "on_hold"},
            ],
            task=[
                {
                    "id": "t1",
                    "title": "Send the invoice",
                    "status": "todo",
                    "priority": "high",
                    "dueDate": now - 3 * DAY_MS,
                    "projectId": "p1",
                },
                {
                    "id": "t2",
                    "title": "Write the report",
                    "status": "in_progress",
                    "priority": "medium",
                    "dueDate": now - DAY_MS,
                    "projectId": "p1",
                },
                {
                    "id": "t3",
                    "title": "Book flights",
                    "status": "todo",
                    "dueDate": now + 90 * DAY_MS,
                },
                {"id": "t4", "title": "Pay rent", "status": "done", "dueDate": now - 9 * DAY_MS},
            ],
            note=[
                {"id": "n1", "title": "Shopping", "content": "milk and bread", "createdAt": now},
                {"id": "n2", "title": "Ideas", "content": "a faster rocket", "createdAt": now},
            ],
            checkpoint=[
                {"id": "c1", "title": "Beta", "date": now + 7 * DAY_MS, "projectId": "p1"},
                {
                    "id": "c2",
                    "title": "Launch",
                    "date": now + 30 * DAY_MS,
                    "projectId": "p1",
                    "isAiSuggested": True,
                    "isApproved": False,
                },
            ],
        )

    def of(self, kind: str) -> list[dict[str, Any]]:
        """All items of a kind."""
        return list(self.items[kind].values())

    def run(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Runs a tool; raises KeyError for an unknown tool or id."""
        if name == "search_notes":
            return self._list("note", arguments)
        if name == "complete_task":
            return self._update("task", {**arguments, "status": "done"})
        if name == "approve_checkpoint":
            return self._update("checkpoint", {**arguments, "isApproved": True})
        if name == "suggest_checkpoints":
            flags = {"isAiSuggested": True, "isApproved": False}
            made = [self._create("checkpoint", {**c, **flags}) for c in arguments["checkpoints"]]
            return {"items": [one["item"] for one in made]}
        verb, _, rest = name.partition("_")
        kind = rest.removesuffix("s")
        actions: dict[str, Callable[[str, Mapping[str, Any]], dict[str, Any]]] = {
            "list": self._list,
            "get": self._get,
            "create": self._create,
            "update": self._update,
            "delete": self._delete,
        }
        return actions[verb](kind, arguments)

    def _list(self, kind: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        found = [item for item in self.of(kind) if _passes(item, arguments)]
        return {"items": found[: int(arguments.get("limit", 200))]}

    def _get(self, kind: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        item = self.items[kind].get(arguments["id"])
        return {"items": [item] if item else []}

    def _create(self, kind: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        item = {"id": f"{kind}-{next(self._ids)}", **arguments}
        self.items[kind][item["id"]] = item
        return {"item": item}

    def _update(self, kind: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        item = self.items[kind][arguments["id"]]
        item.update(arguments)
        return {"item": item}

    def _delete(self, kind: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        del self.items[kind][arguments["id"]]
        return {"id": arguments["id"]}


def _passes(item: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    words = " ".join(str(item.get(key, "")) for key in ("title", "name", "content")).lower()
    if str(wanted.get("query", "")).lower() not in words:
        return False
    due = item.get("dueDate")
    late = due is not None and due < now_ms() and item.get("status") != "done"
    if wanted.get("overdue") and not late:
        return False
    return all(
        item.get(key) == wanted[key] for key in ("status", "projectId", "priority") if key in wanted
    )


@dataclass(slots=True)
class Answer:
    """The frames of one request, in the order they came."""

    request_id: str
    frames: list[Frame] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    def of(self, kind: str) -> list[Frame]:
        return [frame for frame in self.frames if frame["type"] == kind]

    @property
    def text(self) -> str:
        return "".join(frame["chunk"] for frame in self.of("stream_text"))

    @property
    def blocks(self) -> dict[str, list[Any]]:
        found = defaultdict(list)
        for frame in self.of("stream_block"):
            found[frame["block_type"]].append(frame["data"])
        return found

    @property
    def tools(self) -> list[str]:
        return [frame["name"] for frame in self.of("tool_call")]

    @property
    def end(self) -> Frame:
        (end,) = self.of("stream_end")
        return end

    async def until(self, condition: Callable[[Answer], bool], seconds: float = 20) -> Answer:
        """Waits until a condition on what came holds."""
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(lambda: condition(self))
        return self

    async def ended(self, seconds: float = 20) -> Answer:
        """Waits for the end, and checks what holds for every answer: one end, no gap in seq."""
        await self.until(lambda answer: bool(answer.of("stream_end")), seconds)
        assert [frame["seq"] for frame in self.frames] == list(range(1, len(self.frames) + 1))
        assert self.frames[-1]["type"] == "stream_end"
        return self


class Device:
    """One connected device of a newly registered user."""

    def __init__(self, origin: str, store: Store) -> None:
        self.origin = origin
        self.store = store
        self.device_id = str(uuid.uuid4())
        self.token = ""
        self.ready: Frame = {}
        self.answers: dict[str, Answer] = {}
        self.errors: asyncio.Queue[Frame] = asyncio.Queue()
        self.others: list[Frame] = []
        self.hold_tools = False
        self._session = aiohttp.ClientSession()
        self.socket: aiohttp.ClientWebSocketResponse
        self._reading: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, origin: str, store: Store | None = None) -> Device:
        """Registers a user, connects and says hello."""
        device = cls(origin, store or Store.sample())
        try:
            await device.register()
            await device.connect()
        except BaseException:
            await device._session.close()
            raise
        return device

    async def register(self) -> None:
        account = {"email": f"{uuid.uuid4().hex}@example.com", "password": "correct horse battery"}
        url = f"{self.origin}/api/v1/auth/register"
        async with self._session.post(url, json=account) as response:
            assert response.status == 201, await response.text()
            self.token = (await response.json())["access_token"]

    async def connect(self, **hello: Any) -> None:
        self.socket = await self._session.ws_connect(
            f"{self.origin}/api/v1/ws/device", headers={"Authorization": f"Bearer {self.token}"}
        )
        opening = {"type": "device_hello", "device_id": self.device_id, "protocol": 3}
        await self.send(opening | hello)
        self.ready = await self.socket.receive_json(timeout=10)
        assert self.ready["type"] == "device_ready", self.ready
        self._reading = asyncio.create_task(self._read())

    async def reading(self) -> None:
        """Returns once the socket has closed; who stops waiting for that does not close it."""
        if self._reading:
            await asyncio.wait([self._reading])
            self._reading.result()

    async def refused(self) -> int:
        """Tries to connect where that must not work; returns the status."""
        try:
            await self.connect()
        except aiohttp.WSServerHandshakeError as error:
            return error.status
        finally:
            await self._session.close()
        raise AssertionError("the connection was accepted")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.socket.close()
        if self._reading:
            await self._reading
        await self._session.close()

    async def send(self, frame: Frame) -> None:
        await self.socket.send_str(orjson.dumps(frame).decode())

    async def home(self, message: str, **more: Any) -> Answer:
        """Asks from the Home page; the answer fills as frames come."""
        return await self._request({"type": "home_request", "message": message, **more})

    async def popup(self, message: str, scope: Frame | None = None, **more: Any) -> Answer:
        """Asks from a popup."""
        scope = scope or {"type": "task"}
        return await self._request(
            {"type": "popup_request", "message": message, "scope": scope, **more}
        )

    async def ask(self, message: str, seconds: float = 20) -> Answer:
        """Asks from the Home page, and waits for the whole answer."""
        return await (await self.home(message)).ended(seconds)

    async def _request(self, frame: Frame) -> Answer:
        answer = Answer(str(uuid.uuid4()))
        self.answers[answer.request_id] = answer
        await self.send({**frame, "request_id": answer.request_id})
        return answer

    async def _read(self) -> None:
        async for message in self.socket:
            frame = orjson.loads(message.data)
            answer = self.answers.get(frame.get("request_id", ""))
            if frame["type"] == "error":
                self.errors.put_nowait(frame)
            elif answer is None:
                self.others.append(frame)
            else:
                async with answer.changed:
                    answer.frames.append(frame)
                    answer.changed.notify_all()
            if frame["type"] == "tool_call" and not self.hold_tools:
                await self.send(self.result(frame))
            elif frame["type"] == "data_request":
                await self.send(self.response(frame))

    def response(self, query: Frame) -> Frame:
        """What the store answers to a data request."""
        kept = self.store.items[query["entity"]]
        ids = query.get("ids", list(kept))
        items = [kept[each] for each in ids if each in kept]
        return {"type": "data_response", "query_id": query["query_id"], "items": items}

    def result(self, call: Frame) -> Frame:
        """What the store answers to a tool call."""
        head = {"type": "tool_result", "call_id": call["call_id"]}
        try:
            return {**head, "result": self.store.run(call["name"], call["arguments"])}
        except KeyError:
            return {**head, "error": {"code": "not_found", "message": "There is no such item."}}


async def remembered(device: Device) -> None:
    """Asks until an answer is remembered: on a busy machine memory may be left out of some."""
    while (await device.ask("what is overdue?", 60)).end["memory"] != "stored":
        pass
