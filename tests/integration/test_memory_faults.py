"""What memory does when the database or the embedding provider misbehaves."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from memory_svc.app import App
from memory_svc.recall.embed import EmbeddingError
from runtime.errors import SwitchboardError, from_rpc
from switchboard.v3 import memory_pb2 as pb
from switchboard.v3.errors_pb2 import ErrorCode
from tests.support.embeddings import EmbeddingServer
from tests.support.memory import Running, memory_service, settings
from tests.support.postgres import Proxy

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
async def provider() -> AsyncIterator[EmbeddingServer]:
    async with EmbeddingServer() as server:
        yield server


@pytest.fixture
async def memory(
    database_url: str, tmp_path: Path, provider: EmbeddingServer
) -> AsyncIterator[Running]:
    async with memory_service(
        database_url, tmp_path, openai_base_url=provider.url, embedding_timeout_s=0.3
    ) as running:
        yield running


async def refused(call: object) -> SwitchboardError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call  # type: ignore[misc]
    return from_rpc(caught.value)


async def until(check: Callable[[], Awaitable[bool]], seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not await check():
            await asyncio.sleep(0.02)


async def health(channel: grpc.aio.Channel) -> int:
    stub: Any = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest(service="switchboard.v3.MemoryService")
    return int((await stub.Check(request)).status)


# The database


@pytest.mark.parametrize("state", ["53100", "53200", "53300"])  # disk, memory, connections
async def test_a_database_that_has_run_out_of_something_is_there_again_later(
    memory: Running, state: str
) -> None:
    """A trigger says what a server with a full disk says of a write."""
    user = await memory.user()
    async with memory.app.db.connection() as db:
        await db.execute(
            f"""CREATE FUNCTION full_up() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN RAISE EXCEPTION 'no space left' USING ERRCODE = '{state}'; END $$;
            CREATE TRIGGER full_up BEFORE INSERT ON memory_core
            EXECUTE FUNCTION full_up()"""
        )
    request = pb.UpdateCoreRequest(user_id=str(user), key="tone", value="short")
    error = await refused(memory.stub.UpdateCore(request))
    assert error.code == ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE
    assert error.retryable
    async with memory.app.db.connection() as db:
        await db.execute("DROP TRIGGER full_up ON memory_core")
    await memory.stub.UpdateCore(request)


async def test_at_start_the_service_waits_for_the_database(
    database_url: str, tmp_path: Path
) -> None:
    async with Proxy(database_url) as proxy:
        proxy.cut()
        app = App(settings(proxy.url, tmp_path))
        port = await app.start()
        ready = asyncio.create_task(app.ready())
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert await health(channel) == NOT_SERVING
            proxy.mend()
            async with asyncio.timeout(15):
                await ready
            assert await health(channel) == SERVING
        await app.close()


async def test_at_start_the_service_waits_for_the_migrations(
    empty_database: str, tmp_path: Path
) -> None:
    from memory_svc import migrate

    app = App(settings(empty_database, tmp_path))
    port = await app.start()
    ready = asyncio.create_task(app.ready())
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        assert await health(channel) == NOT_SERVING
        await asyncio.to_thread(migrate.upgrade, empty_database)
        async with asyncio.timeout(15):
            await ready
        assert await health(channel) == SERVING
    await app.close()


async def test_a_database_that_goes_and_comes_back(database_url: str, tmp_path: Path) -> None:
    async with (
        Proxy(database_url) as proxy,
        memory_service(proxy.url, tmp_path) as memory,
    ):
        user = await memory.user()
        await memory.say(user, "My cat is grey.")
        proxy.cut()
        for call in (memory.enrich(user, "cat"), memory.say(user, "My dog is brown.")):
            error = await refused(call)
            assert error.code == ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE
            assert error.retryable
            assert error.retry_after_ms

        async def unhealthy() -> bool:
            return await health(memory.channel) == NOT_SERVING

        await until(unhealthy)
        proxy.mend()

        async def healthy() -> bool:
            return await health(memory.channel) == SERVING

        await until(healthy)
        await memory.say(user, "My bird is blue.")
        assert await memory.facts(user) == ["My cat is grey.", "My bird is blue."]


async def test_a_store_that_is_cut_off_leaves_all_of_it_or_nothing(
    database_url: str, tmp_path: Path
) -> None:
    async with (
        Proxy(database_url) as proxy,
        memory_service(proxy.url, tmp_path) as memory,
    ):
        user = await memory.user()
        for number in range(12):
            call = asyncio.ensure_future(
                memory.say(user, f"The box {number} is red.", request_id=f"r{number}")
            )
            await asyncio.sleep(0.002 * (number % 4))
            proxy.cut()
            await asyncio.gather(call, return_exceptions=True)
            proxy.mend()
            await memory.app.db.alive()
        episodes = await memory.fetch("SELECT id FROM memory_episodic")
        facts = await memory.fetch("SELECT episode_ids[1] AS id FROM memory_associative")
        jobs = await memory.fetch("SELECT * FROM memory_jobs WHERE kind = 'settle'")
        assert {row["id"] for row in episodes} == {row["id"] for row in facts}
        assert len(jobs) == len(episodes)


# The embedding provider


@pytest.mark.parametrize("fault", ["down", "page", "rate limited", "slow", "short", "nan", "zero"])
async def test_without_an_embedding_words_alone_still_find(
    memory: Running, provider: EmbeddingServer, fault: str
) -> None:
    user = await memory.user()
    await memory.say(user, "My grey cat sleeps in the kitchen.")
    await memory.settled()
    match fault:
        case "down":
            provider.status = 500
        case "page":  # what a wrong base URL gets
            provider.page = "<html>Please sign in</html>"
        case "rate limited":
            provider.status, provider.headers = 429, {"retry-after": "20"}
        case "slow":
            provider.gate.clear()
        case "short":
            provider.spoil = lambda vector: vector[:1535]
        case "nan":
            provider.spoil = lambda vector: [float("nan"), *vector[1:]]
        case "zero":
            provider.spoil = lambda vector: [0.0] * len(vector)
    async with asyncio.timeout(3):
        found = await memory.enrich(user, "where does the cat sleep?")
    assert list(found.degraded) == ["embedding"]
    (fact,) = [item for item in found.items if item.tier == pb.MEMORY_TIER_ASSOCIATIVE]
    assert fact.why == "words"
    searched = await memory.stub.Search(pb.SearchRequest(user_id=str(user), query="cat"))
    assert list(searched.degraded) == ["embedding"]
    assert searched.items


async def test_a_provider_that_is_down_costs_patience_only_a_few_times(
    memory: Running, provider: EmbeddingServer
) -> None:
    user = await memory.user()
    provider.status = 500
    for number in range(10):
        await memory.enrich(user, f"question {number}")
    assert len(provider.asked) == 3


async def test_embeddings_follow_once_the_provider_is_back(
    memory: Running, provider: EmbeddingServer
) -> None:
    user = await memory.user()
    provider.status = 500
    await memory.say(user, "My puppy eats fish.")
    await memory.say(user, "My puppy eats fish.")
    await memory.settled()
    (row,) = await memory.fetch("SELECT embedding, settled, strength FROM memory_associative")
    assert (row["embedding"], row["settled"], row["strength"]) == (None, False, 2)
    for _ in range(15):  # however long it takes
        async with memory.app.db.connection() as db:
            await db.execute("UPDATE memory_jobs SET run_at = now()")
        await memory.settled()
    provider.status = 200
    memory.app.embedder._breaker._until = 0  # its rest is over
    with suppress(EmbeddingError):
        await memory.app.embedder.embed(["hello"], 1)
    async with asyncio.timeout(5):
        while memory.app.embedder._breaker.resting:
            await asyncio.sleep(0.01)
    async with memory.app.db.connection() as db:
        await db.execute("UPDATE memory_jobs SET run_at = now()")
    await memory.settled()
    (row,) = await memory.fetch("SELECT embedding IS NULL, settled FROM memory_associative")
    assert tuple(row) == (False, True)


async def test_one_text_that_the_provider_refuses_does_not_hold_up_the_others(
    memory: Running, provider: EmbeddingServer
) -> None:
    user = await memory.user()
    provider.refuses = "cursed"
    await memory.say(user, "The cursed ring is lost. The violin is new.")
    await memory.settled()
    rows = await memory.fetch(
        "SELECT embedding IS NULL, settled FROM memory_associative ORDER BY 1"
    )
    assert [tuple(row) for row in rows] == [(False, True), (True, True)]
    assert not await memory.fetch("SELECT * FROM memory_jobs WHERE kind = 'settle'")


async def test_facts_of_another_model_are_not_compared_and_are_embedded_anew(
    database_url: str, tmp_path: Path, provider: EmbeddingServer
) -> None:
    async with memory_service(database_url, tmp_path, openai_base_url=provider.url) as memory:
        masters = ",".join(key.get_secret_value() for key in memory.app.settings.master_keys)
        user = await memory.user()
        await memory.say(user, "My puppy eats fish.")
        await memory.settled()
    async with memory_service(
        database_url,
        tmp_path,
        openai_base_url=provider.url,
        master_keys=masters,
        embedding_model="another-model",
    ) as memory:

        async def waits() -> bool:
            return bool(await memory.fetch("SELECT 1 FROM memory_jobs WHERE kind = 'reembed'"))

        found = await memory.enrich(user, "hound")
        assert not [item for item in found.items if item.tier == pb.MEMORY_TIER_ASSOCIATIVE]
        await until(waits)
        await memory.settled()
        found = await memory.enrich(user, "hound")
        (fact,) = [item for item in found.items if item.tier == pb.MEMORY_TIER_ASSOCIATIVE]
        assert fact.why == "meaning"
        models = await memory.fetch("SELECT embed_model FROM memory_associative")
        assert [row[0] for row in models] == ["another-model"]
