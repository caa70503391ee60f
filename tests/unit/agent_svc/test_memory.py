"""The tools of memory, against a server that answers and one that does not."""

from __future__ import annotations

import grpc
import orjson

from agent_svc.memory import MemoryTools
from switchboard.v3.memory_pb2 import MemoryItem, MemoryTier
from switchboard.v3.memory_pb2_grpc import MemoryServiceStub, add_MemoryServiceServicer_to_server
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
