"""Of too much the least needed goes; and what is too old, where that is set."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cryptography.fernet import Fernet

from memory_svc import growth, metrics
from memory_svc.store import jobs
from memory_svc.store.accounts import sign_ins
from switchboard.v3 import memory_pb2 as pb
from switchboard.v3.errors_pb2 import ErrorCode
from tests.contract.test_account_service import refused
from tests.support.embeddings import EmbeddingServer
from tests.support.memory import Running, memory_service

MASTER = Fernet.generate_key().decode()
Open = Callable[..., AbstractAsyncContextManager[Running]]


@pytest.fixture
def bounded(database_url: str, tmp_path: Path) -> Open:
    """A memory with these bounds, over the test's database."""

    @asynccontextmanager
    async def opened(**given: Any) -> AsyncIterator[Running]:
        async with (
            EmbeddingServer() as provider,
            memory_service(
                database_url,
                tmp_path,
                openai_base_url=provider.url,
                master_keys=MASTER,
                **given,
            ) as memory,
        ):
            yield memory

    return opened


async def trimmed(memory: Running, user: UUID) -> None:
    """All that is done for a user in time, at once."""
    await memory.settled()
    async with memory.app.db.connection() as db:
        await db.execute("UPDATE memory_jobs SET run_at = now() WHERE kind = 'trim'")
    await memory.settled()


async def exchanges(memory: Running, user: UUID) -> list[str]:
    """The exchanges' summaries, oldest first."""
    listed = await memory.stub.List(
        pb.ListRequest(user_id=str(user), tier=pb.MEMORY_TIER_EPISODIC, limit=200)
    )
    return [item.text for item in reversed(listed.items)]


async def loose_words(memory: Running) -> list[Any]:
    """Words in the index of nothing that is there."""
    return await memory.fetch(
        """SELECT 1 FROM memory_terms t
        WHERE NOT EXISTS (SELECT 1 FROM memory_associative a WHERE a.id = t.item_id)
        AND NOT EXISTS (SELECT 1 FROM memory_episodic e WHERE e.id = t.item_id)"""
    )


def forgotten(tier: str, reason: str) -> float:
    return float(metrics.FORGOTTEN.labels(tier, reason)._value.get())


async def test_superseded_facts_go_first_then_those_not_said_for_long(bounded: Open) -> None:
    async with bounded(memory_max_facts=3) as memory:
        user, other = await memory.user(), await memory.user()
        for message in (
            "My dog is called Rex.",  # the oldest, but said again
            "My cat is grey.",
            "My office is room 12.",
            "My office is room 14.",
            "My bike is blue.",
            "My dog is called Rex.",
        ):
            await memory.say(user, message)
            await memory.settled()
        await memory.say(other, "My house is old.")
        before = forgotten("associative", "quota")
        await trimmed(memory, user)
        assert sorted(await memory.facts(user)) == [
            "My bike is blue.",
            "My dog is called Rex.",
            "My office is room 14.",
        ]
        listed = await memory.stub.List(
            pb.ListRequest(user_id=str(user), tier=pb.MEMORY_TIER_ASSOCIATIVE)
        )
        assert not [item for item in listed.items if item.HasField("superseded_at")]
        assert forgotten("associative", "quota") == before + 2
        assert await memory.facts(other) == ["My house is old."]
        assert not await loose_words(memory)
        found = await memory.enrich(user, "what colour is my cat?")
        assert "My cat is grey." not in [item.text for item in found.items if item.tier == 2]


async def test_the_oldest_exchanges_go_past_the_size(bounded: Open) -> None:
    """What is left takes about as much as is allowed, the words that find it counted."""
    async with bounded(memory_max_mb=1) as memory:
        user = await memory.user()
        for number in range(100):
            words = " ".join(f"word{number}x{each}" for each in range(200))
            await memory.say(user, f"Is number{number} here? {words}?")
        before = forgotten("episodic", "quota")
        await trimmed(memory, user)
        left = await exchanges(memory, user)
        assert 10 < len(left) < 60
        assert "number99 " in left[-1]
        assert f"number{100 - len(left)} " in left[0]
        assert forgotten("episodic", "quota") == before + 100 - len(left)
        assert not await loose_words(memory)
        await trimmed(memory, user)
        assert await exchanges(memory, user) == left


async def test_one_look_waits_however_many_exchanges_come(bounded: Open) -> None:
    async with bounded() as memory:
        user = await memory.user()
        for _ in range(3):
            await memory.say(user, "My cat is grey.")
        waiting = await memory.fetch("SELECT count(*) FROM memory_jobs WHERE kind = 'trim'")
        assert waiting == [(1,)]


async def test_what_is_too_old_goes_whether_or_not_its_user_comes(
    bounded: Open, tmp_path: Path
) -> None:
    async with bounded(memory_max_facts=0, memory_max_mb=0) as memory:
        users = [await memory.user() for _ in range(3)]
        for user in users:
            await memory.say(user, "My cat is grey.")
            await memory.say(user, "My bike is blue.")
            await memory.settled()
        async with memory.app.db.connection() as db:
            await db.execute(
                """UPDATE memory_episodic SET created_at = created_at - interval '40 days'
                WHERE user_id = $1 OR user_id = $2""",
                *users[:2],
            )
            await db.execute(
                """UPDATE memory_associative SET updated_at = updated_at - interval '200 days'
                WHERE user_id = $1""",
                users[1],
            )
        await growth.add_jobs(memory.app.db, memory.app.settings.bounds)
        assert not await memory.fetch("SELECT 1 FROM memory_jobs WHERE kind = 'trim'")
    async with bounded(episode_retention_days=30, fact_retention_days=100) as memory:
        for _ in range(2):  # two services look
            await growth.add_jobs(memory.app.db, memory.app.settings.bounds)
        due = await memory.fetch("SELECT user_id FROM memory_jobs WHERE kind = 'trim'")
        assert {row[0] for row in due} == set(users[:2])
        assert len(due) == 2
        await memory.settled()
        kept = [(len(await exchanges(memory, user)), await memory.facts(user)) for user in users]
        both = ["My cat is grey.", "My bike is blue."]
        assert kept == [(0, both), (0, []), (2, both)]
        assert not await loose_words(memory)
        assert not (tmp_path / "erasures").exists()  # nothing for the ledger


async def test_many_are_forgotten_some_at_a_time(
    bounded: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "_BATCH", 2)
    monkeypatch.setattr(growth, "_USERS", 1)
    async with bounded(episode_retention_days=30) as memory:
        users = [await memory.user() for _ in range(3)]
        for user in users:
            for _ in range(5):
                await memory.say(user, "Is this old?")
        async with memory.app.db.connection() as db:
            await db.execute(
                """UPDATE memory_episodic SET created_at = created_at - interval '40 days'"""
            )
            await db.execute("DELETE FROM memory_jobs")
        await growth.add_jobs(memory.app.db, memory.app.settings.bounds)
        await memory.settled()
        assert not await memory.fetch("SELECT 1 FROM memory_episodic")
        assert not await memory.fetch("SELECT 1 FROM memory_jobs WHERE kind = 'trim'")


async def test_who_is_erased_has_nothing_to_trim(bounded: Open) -> None:
    async with bounded(memory_max_facts=1) as memory:
        user = await memory.user()
        await memory.say(user, "My cat is grey.")
        async with memory.app.db.connection() as db:
            await db.execute("UPDATE users SET encryption_key = NULL WHERE id = $1", user)
            await jobs.add(db, user, "trim")
        await trimmed(memory, user)
        assert not await memory.fetch("SELECT 1 FROM memory_jobs WHERE kind = 'trim'")


async def test_one_preference_too_many_is_refused_where_it_is_set(bounded: Open) -> None:
    async with bounded() as memory:
        user = await memory.user()
        for number in range(100):
            await memory.stub.UpdateCore(
                pb.UpdateCoreRequest(user_id=str(user), key=f"key{number}", value="x")
            )
        error = await refused(
            memory.stub.UpdateCore(pb.UpdateCoreRequest(user_id=str(user), key="more", value="x"))
        )
        assert error.code == ErrorCode.ERROR_CODE_MESSAGE_TOO_LONG
        assert error.message == "There are too many preferences. Please remove one first."


async def test_sign_ins_that_are_over_are_swept_in_batches(
    bounded: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sign_ins, "_BATCH", 100)
    async with bounded() as memory:
        user = await memory.user()
        async with memory.app.db.connection() as db:
            await db.execute(
                """WITH families AS (
                    INSERT INTO refresh_families (id, user_id, expires_at)
                    SELECT gen_random_uuid(), $1, now() - interval '1 minute'
                    FROM generate_series(1, 7) RETURNING id
                )
                INSERT INTO refresh_tokens (token_hash, family_id)
                SELECT uuid_send(gen_random_uuid()), id FROM families""",
                user,
            )
            await db.execute(
                """INSERT INTO refresh_tokens (token_hash, family_id, used_at)
                SELECT uuid_send(gen_random_uuid()), (SELECT id FROM refresh_families
                    WHERE expires_at > now()), now() - interval '31 days'
                FROM generate_series(1, 250)"""
            )
        await memory.app.sign_ins.sweep()
        assert await memory.fetch("SELECT count(*) FROM refresh_tokens") == [(1,)]
        assert await memory.fetch("SELECT count(*) FROM refresh_families") == [(1,)]


async def test_no_sweep_reads_a_table_to_find_what_is_over(bounded: Open) -> None:
    async with bounded() as memory, memory.app.db.transaction() as db:
        await db.execute("SET LOCAL enable_seqscan = off")
        for where in (
            "refresh_tokens WHERE next_sealed IS NOT NULL AND used_at < now()",
            "refresh_tokens WHERE used_at < now()",
            "refresh_families WHERE expires_at < now()",
            "refresh_families WHERE revoked_at < now()",
        ):
            plan = await db.fetch(f"EXPLAIN SELECT 1 FROM {where} LIMIT 10")
            assert not any("Seq Scan" in row[0] for row in plan), where


async def test_facts_go_by_age_whatever_superseded_what(bounded: Open) -> None:
    """One that goes superseded one that stays, and the other way round."""
    async with bounded(fact_retention_days=30) as memory:
        user = await memory.user()
        for room in range(4):
            await memory.say(user, f"My office is room {room}.")
            await memory.settled()
        async with memory.app.db.connection() as db:
            aged = await db.execute(
                """UPDATE memory_associative SET updated_at = updated_at - interval '40 days'
                WHERE id = ANY (SELECT id FROM memory_associative
                    ORDER BY created_at LIMIT 2 OFFSET 1)"""
            )
        assert aged == "UPDATE 2"
        await trimmed(memory, user)
        assert await memory.facts(user) == ["My office is room 3."]
        left = await memory.fetch(
            "SELECT superseded_at IS NULL, superseded_by FROM memory_associative ORDER BY 1"
        )
        assert [tuple(row) for row in left] == [(False, None), (True, None)]
