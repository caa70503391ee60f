"""The tools of memory, against a server that answers and one that does not."""

from __future__ import annotations

from typing import Any

import grpc
import orjson

from agent_svc.memory import MemoryTools
from agent_svc.prompt import remembered
from runtime.errors import SwitchboardError
from runtime.server import Server
from runtime.settings import ServiceSettings
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.memory_pb2 import MemoryItem, MemoryTier
from switchboard.v3.memory_pb2_grpc import (
    MemoryServiceServicer,
    MemoryServiceStub,
    add_MemoryServiceServicer_to_server,
)
from tests.support.agents import Memory


async def test_a_user_sees_and_sets_their_own_memory() -> None:
    found = MemoryItem(tier=MemoryTier.MEMORY_TIER_CORE, key="tone", text="short")
    memory = Memory(found)  # type: ignore[abstract] # the rest answers UNIMPLEMENTED
    server = grpc.aio.server()
    add_MemoryServiceServicer_to_server(memory, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        tools = MemoryTools(MemoryServiceStub(channel), "user-7").by_name()
        set_ = await tools["remember_preference"]({"key": "tone", "value": "long"})
        items = await tools["search_memory"]({"query": "tone"})
    await server.stop(None)
    assert orjson.loads(set_) == {"remembered": True}
    assert memory.core == {("user-7", "tone"): "long"}
    assert orjson.loads(items) == {"items": [{"tier": "core", "key": "tone", "text": "short"}]}
    assert memory.searches[0].user_id == "user-7"


async def test_memory_that_is_not_there_is_told_to_the_model() -> None:
    async with grpc.aio.insecure_channel("127.0.0.1:1") as channel:
        tools = MemoryTools(MemoryServiceStub(channel), "user-7").by_name()
        told = orjson.loads(await tools["search_memory"]({"query": "tone"}))
    assert told["error"]["code"] == "memory_unavailable"


class _Full(MemoryServiceServicer):
    """A memory that has no room left."""

    async def UpdateCore(self, request: object, context: Any) -> Any:
        raise SwitchboardError(ErrorCode.ERROR_CODE_MESSAGE_TOO_LONG, "There are too many.")


async def test_why_memory_refuses_is_told_to_the_model() -> None:
    settings = ServiceSettings(listen_addr="127.0.0.1:0")
    server = Server(settings, "memory_svc", ())
    add_MemoryServiceServicer_to_server(_Full(), server.grpc)  # type: ignore[abstract]
    port = await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        tools = MemoryTools(MemoryServiceStub(channel), "user-7").by_name()
        told = orjson.loads(await tools["remember_preference"]({"key": "tone", "value": "long"}))
    await server.stop(0)
    assert told["error"] == {"code": "message_too_long", "message": "There are too many."}


def test_what_no_longer_holds_says_until_when() -> None:
    item = MemoryItem(tier=MemoryTier.MEMORY_TIER_ASSOCIATIVE, text="My office is room 12.")
    assert "until" not in remembered(item)
    item.superseded_at.FromJsonString("2026-03-04T05:06:07Z")
    assert remembered(item)["until"] == "2026-03-04"
