"""Summaries that a model writes in the background, and what it may not do."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import UUID

import pytest

from switchboard.v3 import accounts_pb2
from switchboard.v3 import memory_pb2 as pb
from tests.support.memory import PASSWORD, Running, memory_service
from tests.support.model_server import ModelServer, Reply, fails, says

EPISODE = pb.MEMORY_TIER_EPISODIC


@pytest.fixture
async def provider() -> AsyncIterator[ModelServer]:
    async with ModelServer([]) as server:
        yield server


@pytest.fixture
async def memory(
    database_url: str, tmp_path: Path, provider: ModelServer
) -> AsyncIterator[Running]:
    async with memory_service(
        database_url, tmp_path, openai_base_url=provider.url, summary_model="small"
    ) as running:
        yield running


async def work(memory: Running) -> None:
    """Does all that waits, whenever it was to be done."""
    await memory.fetch("UPDATE memory_jobs SET run_at = now() - interval '1 second' RETURNING id")
    await memory.settled()


async def summaries(memory: Running, user: UUID) -> list[str]:
    listed = await memory.stub.List(pb.ListRequest(user_id=str(user), tier=EPISODE))
    return [item.text for item in listed.items]


def script(provider: ModelServer, *replies: Reply) -> None:
    provider._replies = list(replies)


async def test_a_model_writes_the_summary_and_it_is_found(
    memory: Running, provider: ModelServer
) -> None:
    script(provider, says("The user owns a grey cat."))
    user = await memory.user()
    await memory.say(user, "My cat is grey.", response="What a secret answer.")
    await work(memory)
    assert await summaries(memory, user) == ["The user owns a grey cat."]
    asked = str([request.body for request in provider.requests])
    assert "My cat is grey." in asked
    assert "secret answer" not in asked
    found = await memory.stub.Search(
        pb.SearchRequest(user_id=str(user), query="owns", tier=EPISODE)
    )
    assert [item.text for item in found.items] == ["The user owns a grey cat."]


async def test_a_model_that_fails_is_asked_again(memory: Running, provider: ModelServer) -> None:
    script(provider, fails(500), says("The user owns a grey cat."))
    user = await memory.user()
    await memory.say(user, "My cat is grey.")
    await work(memory)
    assert await summaries(memory, user) == ["The user said: “My cat is grey.”."]
    (job,) = await memory.fetch("SELECT attempts FROM memory_jobs WHERE kind = 'summarise'")
    assert job["attempts"] == 1
    await work(memory)
    assert await summaries(memory, user) == ["The user owns a grey cat."]
    assert not await memory.fetch("SELECT 1 FROM memory_jobs WHERE kind = 'summarise'")


async def begun(provider: ModelServer, count: int = 1) -> None:
    async with asyncio.timeout(10):
        while len(provider.requests) < count:
            await asyncio.sleep(0.01)


async def test_what_was_removed_meanwhile_stays_removed(
    memory: Running, provider: ModelServer
) -> None:
    gate = asyncio.Event()
    script(provider, Reply([gate, "The gate code is 4711, the cat is grey."]))
    user = await memory.user()
    await memory.say(user, "The gate code is 4711. The cat is grey.")
    working = asyncio.create_task(work(memory))
    await begun(provider)
    assert await memory.open_transactions() == 0
    listed = await memory.stub.List(
        pb.ListRequest(user_id=str(user), tier=pb.MEMORY_TIER_ASSOCIATIVE)
    )
    (code,) = [item for item in listed.items if "4711" in item.text]
    await memory.stub.Delete(
        pb.DeleteRequest(user_id=str(user), tier=pb.MEMORY_TIER_ASSOCIATIVE, id=code.id)
    )
    gate.set()
    await working
    assert await summaries(memory, user) == ["The user said: “The cat is grey.”."]


async def erase(memory: Running, user: UUID) -> None:
    await memory.accounts.Delete(
        accounts_pb2.AccountServiceDeleteRequest(user_id=str(user), password=PASSWORD)
    )


async def test_a_summary_that_races_an_erasure_leaves_nothing(
    memory: Running, provider: ModelServer
) -> None:
    gate = asyncio.Event()
    script(provider, Reply([gate, "The user owns a grey cat."]))
    user = await memory.user()
    await memory.say(user, "My cat is grey.")
    working = asyncio.create_task(work(memory))
    await begun(provider)
    erasing = asyncio.create_task(erase(memory, user))
    async with asyncio.timeout(10):
        while await memory.fetch("SELECT 1 FROM users WHERE encryption_key IS NOT NULL"):
            await asyncio.sleep(0.01)
    gate.set()
    await asyncio.gather(working, erasing)
    for table in ("memory_terms", "memory_episodic", "memory_jobs", "users"):
        assert not await memory.fetch(f"SELECT 1 FROM {table}"), table
