"""Memory that is read from a replica: a real standby that follows, lags, dies and comes back."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from cryptography.fernet import Fernet

from devstack import postgres as embedded
from memory_svc import metrics, migrate
from switchboard.v3 import accounts_pb2
from switchboard.v3 import memory_pb2 as pb
from switchboard.v3.errors_pb2 import ErrorCode
from tests.contract.test_account_service import refused
from tests.support.embeddings import EmbeddingServer
from tests.support.memory import PASSWORD, Running, memory_service
from tests.support.own_postgres import Own, follow, own_postgres, standby

MASTER = Fernet.generate_key().decode()  # the tests share a database


class Pair:
    """A server and the standby that follows it."""

    def __init__(self, primary: Own, replica: Own) -> None:
        self.primary = primary
        self.replica = replica
        self._runs = ExitStack()

    def start(self) -> None:
        self._runs.enter_context(standby(self.replica, embedded.programs()))

    def stop(self) -> None:
        self._runs.close()

    async def replay(self, what: str) -> None:
        """Has the standby `pause` or `resume` what it is told."""
        connection = await asyncpg.connect(self.replica.url())
        await connection.execute(f"SELECT pg_wal_replay_{what}()")
        state = "SELECT pg_get_wal_replay_pause_state()"
        wanted = "paused" if what == "pause" else "not paused"
        async with asyncio.timeout(20):
            while await connection.fetchval(state) != wanted:
                await asyncio.sleep(0.02)
        await connection.close()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("replicas")
    with own_postgres(folder / "primary", embedded.programs()) as primary:
        migrate.upgrade(primary.url())
        both = Pair(primary, follow(primary, folder / "replica", embedded.programs()))
        both.start()
        yield both
        both.stop()


@pytest.fixture
async def memory(pair: Pair, tmp_path: Path) -> AsyncIterator[Running]:
    async with (
        EmbeddingServer() as provider,
        memory_service(
            pair.primary.url(),
            tmp_path,
            master_keys=MASTER,
            database_replica_url=pair.replica.url(),
            openai_base_url=provider.url,
        ) as running,
    ):
        yield running


def reads(by: str) -> float:
    return float(metrics.READS.labels(by)._value.get())


async def served(memory: Running, user: UUID, by: str) -> None:
    """Recalls for the user until that is answered by `by`."""
    before = reads(by)
    async with asyncio.timeout(30):
        while reads(by) == before:
            await memory.enrich(user, "what do you know of my cat?")
            await asyncio.sleep(0.05)


async def texts(memory: Running, user: UUID) -> tuple[list[str], list[str], list[str]]:
    """What recall, list and search show of facts about the cat."""
    recalled = await memory.enrich(user, "what do you know of my cat?")
    fact = pb.MEMORY_TIER_ASSOCIATIVE
    listed = await memory.stub.List(pb.ListRequest(user_id=str(user), tier=fact))
    found = await memory.stub.Search(pb.SearchRequest(user_id=str(user), tier=fact, query="cat"))
    return (
        [item.text for item in recalled.items if item.tier == fact],
        [item.text for item in listed.items],
        [item.text for item in found.items],
    )


async def test_what_was_written_is_read_at_the_replica(memory: Running) -> None:
    user = await memory.user()
    await memory.say(user, "My cat is grey.")
    await memory.settled()
    await served(memory, user, "replica")
    assert await texts(memory, user) == (["My cat is grey."],) * 3
    exported = [each async for each in memory.stub.Export(pb.ExportRequest(user_id=str(user)))]
    assert len(exported) == 2


async def test_users_read_what_they_wrote_though_the_replica_lags(
    memory: Running, pair: Pair
) -> None:
    """Whoever wrote nothing meanwhile is answered by the replica all the same."""
    writer, reader = await memory.user(), await memory.user()
    for user in (writer, reader):
        await memory.say(user, "My cat is grey.")
    await memory.settled()
    await served(memory, writer, "replica")
    await pair.replay("pause")
    try:
        await memory.say(writer, "My cat eats fish.")
        await served(memory, writer, "behind")
        for shown in await texts(memory, writer):
            assert sorted(shown) == ["My cat eats fish.", "My cat is grey."]
        behind = reads("behind")
        await served(memory, reader, "replica")
        assert reads("behind") == behind
    finally:
        await pair.replay("resume")
    await served(memory, writer, "replica")


async def test_what_was_removed_or_settled_does_not_show_while_it_lags(
    memory: Running, pair: Pair
) -> None:
    user = await memory.user()
    await memory.say(user, "My cat is grey.")
    await memory.say(user, "My cat is grey.")
    await served(memory, user, "replica")
    await pair.replay("pause")
    try:
        await memory.settled()  # one of the two goes, by a job
        assert await texts(memory, user) == (["My cat is grey."],) * 3
        listed = await memory.stub.List(
            pb.ListRequest(user_id=str(user), tier=pb.MEMORY_TIER_ASSOCIATIVE)
        )
        await memory.stub.Delete(
            pb.DeleteRequest(
                user_id=str(user), tier=pb.MEMORY_TIER_ASSOCIATIVE, id=listed.items[0].id
            )
        )
        assert await texts(memory, user) == ([], [], [])
    finally:
        await pair.replay("resume")


async def test_who_is_erased_is_not_served_by_a_replica_that_has_not_heard(
    memory: Running, pair: Pair
) -> None:
    """Not even where a process has kept the key."""
    user = await memory.user()
    await memory.say(user, "My cat is grey.")
    await served(memory, user, "replica")
    keys = await memory.app.keys.get(user)
    await pair.replay("pause")
    try:
        await memory.accounts.Delete(
            accounts_pb2.AccountServiceDeleteRequest(user_id=str(user), password=PASSWORD)
        )
        replica = await asyncpg.connect(pair.replica.url())
        there = "SELECT encryption_key IS NOT NULL FROM users WHERE id = $1"
        assert await replica.fetchval(there, user)
        await replica.close()
        asks = (
            lambda: memory.enrich(user, "what of my cat?"),
            lambda: memory.stub.List(pb.ListRequest(user_id=str(user))),
            lambda: memory.stub.Search(pb.SearchRequest(user_id=str(user), query="cat")),
        )
        for ask in asks:
            memory.app.keys._keep(user, keys)
            assert (await refused(ask())).code == ErrorCode.ERROR_CODE_NOT_FOUND
            assert user not in memory.app.keys
    finally:
        await pair.replay("resume")


async def test_a_replica_that_dies_is_done_without_until_it_is_back(
    memory: Running, pair: Pair
) -> None:
    user = await memory.user()
    await memory.say(user, "My cat is grey.")
    await memory.settled()
    await served(memory, user, "replica")
    await asyncio.to_thread(pair.stop)
    try:
        await served(memory, user, "away")
        assert await texts(memory, user) == (["My cat is grey."],) * 3
    finally:
        await asyncio.to_thread(pair.start)
    await served(memory, user, "replica")


async def test_a_service_starts_without_its_replica(pair: Pair, tmp_path: Path) -> None:
    await asyncio.to_thread(pair.stop)
    try:
        async with memory_service(
            pair.primary.url(),
            tmp_path,
            master_keys=MASTER,
            database_replica_url=pair.replica.url(),
        ) as memory:
            user = await memory.user()
            await memory.say(user, "My cat is grey.")
            await served(memory, user, "away")
            await asyncio.to_thread(pair.start)
            await served(memory, user, "replica")
    finally:
        await asyncio.to_thread(pair.stop)
        await asyncio.to_thread(pair.start)
