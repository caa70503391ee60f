"""Background work is neither lost nor done twice; habits come of it."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import grpc
import pytest

from memory_svc.jobs.worker import Write
from memory_svc.store import jobs
from memory_svc.store.tiers import patterns
from switchboard.v3 import memory_pb2 as pb
from switchboard.v3.entities_pb2 import ENTITY_KIND_PROJECT
from tests.support.embeddings import EmbeddingServer
from tests.support.memory import Running, memory_service

T = TypeVar("T")
HABIT = pb.MEMORY_TIER_PROACTIVE


@pytest.fixture
async def provider() -> AsyncIterator[EmbeddingServer]:
    async with EmbeddingServer() as server:
        yield server


@pytest.fixture
async def memory(
    database_url: str, tmp_path: Path, provider: EmbeddingServer
) -> AsyncIterator[Running]:
    async with memory_service(database_url, tmp_path, openai_base_url=provider.url) as running:
        yield running


def masters(memory: Running) -> str:
    return ",".join(key.get_secret_value() for key in memory.app.settings.master_keys)


async def test_a_worker_that_is_cancelled_leaves_the_job_to_the_next(
    memory: Running, provider: EmbeddingServer
) -> None:
    user = await memory.user()
    await memory.say(user, "My puppy eats fish.")
    provider.gate.clear()
    step = asyncio.create_task(memory.app.worker.step())
    async with asyncio.timeout(5):
        while not provider.asked:
            await asyncio.sleep(0.01)
    step.cancel()
    await asyncio.gather(step, return_exceptions=True)
    provider.gate.set()
    await memory.settled()
    (row,) = await memory.fetch("SELECT settled FROM memory_associative")
    assert row[0]
    assert not await memory.fetch("SELECT * FROM memory_jobs WHERE run_at <= now()")


async def transactions_while_asked(
    memory: Running, provider: EmbeddingServer, work: Coroutine[Any, Any, object]
) -> int:
    """How many transactions are open while the provider thinks."""
    provider.gate.clear()
    provider.asked.clear()
    task = asyncio.create_task(work)
    async with asyncio.timeout(10):
        while not provider.asked:
            await asyncio.sleep(0.01)
    found = await memory.open_transactions()
    provider.gate.set()
    await task
    return found


async def test_no_transaction_is_open_while_a_model_is_asked(
    memory: Running, provider: EmbeddingServer
) -> None:
    user = await memory.user()
    await memory.say(user, "My puppy eats fish.")
    step = memory.app.worker.step
    assert await transactions_while_asked(memory, provider, step()) == 0
    assert await memory.fetch("SELECT 1 FROM memory_associative WHERE settled")
    recall = memory.enrich(user, "which food?")
    assert await transactions_while_asked(memory, provider, recall) == 0
    search = memory.stub.Search(pb.SearchRequest(user_id=str(user), query="dinner"))
    assert await transactions_while_asked(memory, provider, awaited(search)) == 0
    async with memory.app.db.transaction() as db:
        await db.execute("UPDATE memory_associative SET embed_model = 'an older one'")
        await jobs.add(db, user, "reembed")
        await db.execute("DELETE FROM memory_jobs WHERE kind <> 'reembed'")
    assert await transactions_while_asked(memory, provider, step()) == 0
    assert not await memory.fetch("SELECT 1 FROM memory_associative WHERE embed_model LIKE 'an %'")


async def awaited(call: Awaitable[T]) -> T:
    return await call


async def test_a_lock_is_not_left_behind_by_whoever_was_cancelled(
    memory: Running, provider: EmbeddingServer
) -> None:
    user = await memory.user()
    await memory.say(user, "My puppy eats fish.")
    for pause in (0, 0.001, 0.002, 0.004, 0.008):
        step = asyncio.create_task(memory.app.worker.step())
        await asyncio.sleep(pause)
        step.cancel()
        await asyncio.gather(step, return_exceptions=True)
    locks = """SELECT 1 FROM pg_locks JOIN pg_database ON pg_database.oid = database
        WHERE locktype = 'advisory' AND datname = current_database()"""
    async with asyncio.timeout(10):  # a connection that was let go needs a moment to end
        while await memory.fetch(locks):
            await asyncio.sleep(0.02)
    await memory.settled()
    assert await memory.fetch("SELECT 1 FROM memory_associative WHERE settled")


async def test_a_process_that_is_killed_at_work_loses_nothing(
    memory: Running, database_url: str, tmp_path: Path, provider: EmbeddingServer
) -> None:
    user = await memory.user()
    await memory.say(user, "My puppy eats fish.")
    provider.gate.clear()
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "MASTER_KEYS": masters(memory),
        "ERASURE_LEDGER": str(tmp_path / "erasures"),
        "LISTEN_ADDR": "127.0.0.1:0",
        "OPENAI_BASE_URL": provider.url,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-W", "ignore", "-m", "memory_svc"),
        env=environment,
        stderr=asyncio.subprocess.DEVNULL,
    )
    async with asyncio.timeout(60):
        while not provider.asked:
            await asyncio.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    await process.wait()
    provider.gate.set()

    async def settled() -> bool:
        await memory.settled()
        return bool((await memory.fetch("SELECT settled FROM memory_associative"))[0][0])

    async with asyncio.timeout(20):
        while not await settled():
            await asyncio.sleep(0.05)


async def test_two_services_side_by_side_do_no_job_twice(
    database_url: str, tmp_path: Path, provider: EmbeddingServer
) -> None:
    async with memory_service(database_url, tmp_path, openai_base_url=provider.url) as one:
        more = {"openai_base_url": provider.url, "master_keys": masters(one)}
        async with memory_service(database_url, tmp_path, **more) as other:
            users = [await one.user() for _ in range(6)]
            for number in range(4):
                for user in users:
                    await one.say(user, f"The crate {number} of {user} is full.")
            await asyncio.gather(*(each.settled() for each in (one, other, one, other)))
            assert max(Counter(provider.asked).values()) == 1
            assert len(provider.asked) == 24
            for user in users:
                assert len(await other.facts(user)) == 4


async def test_jobs_of_one_user_are_one_workers(memory: Running) -> None:
    user = await memory.user()
    for number in range(3):
        await memory.say(user, f"The crate {number} is full.")
    async with memory.app.db.connection() as first, memory.app.db.connection() as second:
        async with jobs.claimed(first) as claim:
            assert claim
            assert len(claim.ids) == 3
            async with jobs.claimed(second) as another:
                assert another is None
        async with jobs.claimed(second) as claim:  # whose work ended with nothing done
            assert claim


async def test_a_job_that_fails_does_not_stop_the_others(memory: Running) -> None:
    user = await memory.user()
    await memory.say(user, "My cat is grey.")

    async def broken(*_: object) -> Write:
        raise RuntimeError("a fault")

    handlers = dict(memory.app.worker._handlers)
    memory.app.worker._handlers = {**handlers, "mine": broken}
    await memory.settled()
    assert (await memory.fetch("SELECT settled FROM memory_associative"))[0][0]
    (job,) = await memory.fetch("SELECT kind, attempts FROM memory_jobs WHERE attempts > 0")
    assert tuple(job) == ("mine", 1)


async def at(memory: Running, episode: str, moment: datetime) -> None:
    async with memory.app.db.connection() as db:
        await db.execute(
            "UPDATE memory_episodic SET created_at = $2 WHERE id = $1", UUID(episode), moment
        )


async def mine(memory: Running) -> None:
    async with memory.app.db.connection() as db:
        await db.execute("UPDATE memory_jobs SET run_at = now()")
        await db.execute(
            """INSERT INTO memory_jobs (user_id, kind) SELECT id, 'mine' FROM users
            WHERE NOT EXISTS (SELECT 1 FROM memory_jobs WHERE kind = 'mine')"""
        )
    await memory.settled()


def mondays(count: int, hour: int, zone: str, weeks_ago: int = 0) -> list[datetime]:
    """The last Mondays at that hour of that zone, oldest first."""
    now = datetime.now(ZoneInfo(zone))
    monday = now - timedelta(days=now.weekday() or 7)
    there = monday.replace(hour=hour, minute=10, second=0, microsecond=0)
    weeks = range(count - 1 + weeks_ago, weeks_ago - 1, -1)
    return [(there - timedelta(weeks=week)).astimezone(UTC) for week in weeks]


async def habits(memory: Running, user: UUID) -> list[pb.MemoryItem]:
    request = pb.ListRequest(user_id=str(user), tier=HABIT)
    return list((await memory.stub.List(request)).items)


async def ask_on(memory: Running, user: UUID, moments: list[datetime]) -> list[str]:
    asked = []
    for number, moment in enumerate(moments):
        message = ("show my overdue tasks", "which tasks are overdue?")[number % 2]
        stored = await memory.say(
            user, message, agent_name="task_agent", timezone="Asia/Tokyo", response="None."
        )
        await at(memory, stored.episode_id, moment)
        asked.append(stored.episode_id)
    return asked


async def test_a_habit_is_noticed_in_the_users_own_time(memory: Running) -> None:
    user = await memory.user()
    # Nine in Tokyo is midnight or Sunday elsewhere.
    asked = await ask_on(memory, user, mondays(4, 8, "Asia/Tokyo"))
    await mine(memory)
    (habit,) = await habits(memory, user)
    assert habit.text in (
        "usually asks for overdue tasks on Monday mornings",
        "usually asks for tasks overdue on Monday mornings",
    )
    assert sorted(habit.evidence_ids) == sorted(asked)
    assert 0.4 < habit.confidence < 0.6
    found = await memory.enrich(user, "good morning", timezone="Asia/Tokyo")
    (told,) = [item for item in found.items if item.tier == HABIT]
    assert (told.id, told.why) == (habit.id, "habit")


async def test_two_days_are_no_habit(memory: Running) -> None:
    user = await memory.user()
    await ask_on(memory, user, mondays(2, 8, "Asia/Tokyo") * 3)
    await mine(memory)
    assert await habits(memory, user) == []


async def test_a_habit_that_stops_fades_and_goes(memory: Running) -> None:
    user = await memory.user()
    asked = await ask_on(memory, user, mondays(4, 8, "Asia/Tokyo"))
    await mine(memory)
    (before,) = await habits(memory, user)
    for episode, moment in zip(asked, mondays(4, 8, "Asia/Tokyo", weeks_ago=4), strict=True):
        await at(memory, episode, moment)
    await mine(memory)
    (after,) = await habits(memory, user)
    assert after.id == before.id
    assert after.confidence < before.confidence
    found = await memory.enrich(user, "hi")
    assert not [item for item in found.items if item.tier == HABIT]
    for episode, moment in zip(asked, mondays(4, 8, "Asia/Tokyo", weeks_ago=20), strict=True):
        await at(memory, episode, moment)
    await mine(memory)
    assert await habits(memory, user) == []


async def review(memory: Running, user: UUID, habit: str, decision: int) -> None:
    await memory.stub.ReviewPattern(
        pb.ReviewPatternRequest(
            user_id=str(user), id=habit, decision=pb.PatternDecision.ValueType(decision)
        )
    )


async def test_a_dismissed_habit_is_never_told_again(memory: Running) -> None:
    user = await memory.user()
    await ask_on(memory, user, mondays(4, 8, "Asia/Tokyo"))
    await mine(memory)
    (habit,) = await habits(memory, user)
    await review(memory, user, habit.id, pb.PATTERN_DECISION_DISMISS)
    await mine(memory)
    (still,) = await habits(memory, user)
    assert (still.id, still.why) == (habit.id, "dismissed")
    found = await memory.enrich(user, "hi")
    assert not [item for item in found.items if item.tier == HABIT]


async def test_an_approved_habit_is_told_although_it_is_less_sure(memory: Running) -> None:
    user = await memory.user()
    # Three of the four last Mondays: less sure than the bar.
    await ask_on(memory, user, mondays(3, 8, "Asia/Tokyo", weeks_ago=1))
    await mine(memory)
    (habit,) = await habits(memory, user)
    assert 0.2 < habit.confidence < 0.4
    assert not [item for item in (await memory.enrich(user, "hi")).items if item.tier == HABIT]
    await review(memory, user, habit.id, pb.PATTERN_DECISION_APPROVE)
    (told,) = [item for item in (await memory.enrich(user, "hi")).items if item.tier == HABIT]
    assert told.id == habit.id


async def test_what_is_merely_listed_is_no_habit(memory: Running) -> None:
    user = await memory.user()
    listed = [
        pb.EpisodeEntity(kind=ENTITY_KIND_PROJECT, id=f"p{n}", title=f"House {n}")
        for n in range(20)
    ]
    for days in (1, 2, 3, 4):
        stored = await memory.say(user, f"show all of it, take {days}", entities=listed)
        await at(memory, stored.episode_id, datetime.now(UTC) - timedelta(days=days, hours=days))
    await mine(memory)
    assert not [habit for habit in await habits(memory, user) if "House" in habit.text]


async def test_an_entity_that_is_asked_for_again_and_again_is_noticed(memory: Running) -> None:
    user = await memory.user()
    entity = pb.EpisodeEntity(kind=ENTITY_KIND_PROJECT, id="p1", title="Apollo")
    for days in (1, 2, 3, 4):
        stored = await memory.say(user, f"how far is Apollo, take {days}", entities=[entity])
        await at(memory, stored.episode_id, datetime.now(UTC) - timedelta(days=days, hours=days))
    await mine(memory)
    assert "often asks about the project “Apollo”" in [
        habit.text for habit in await habits(memory, user)
    ]


async def test_a_removed_habit_does_not_come_back(memory: Running) -> None:
    user = await memory.user()
    await ask_on(memory, user, mondays(4, 8, "Asia/Tokyo"))
    await mine(memory)
    (habit,) = await habits(memory, user)
    remove = pb.DeleteRequest(user_id=str(user), tier=HABIT, id=habit.id)
    await memory.stub.Delete(remove)
    await mine(memory)
    assert await habits(memory, user) == []
    exported = [
        each.item.tier async for each in memory.stub.Export(pb.ExportRequest(user_id=str(user)))
    ]
    assert HABIT not in exported
    assert not [item for item in (await memory.enrich(user, "hi")).items if item.tier == HABIT]
    for call in (
        memory.stub.Delete(remove),
        memory.stub.ReviewPattern(
            pb.ReviewPatternRequest(
                user_id=str(user), id=habit.id, decision=pb.PATTERN_DECISION_APPROVE
            )
        ),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert caught.value.code() == grpc.StatusCode.NOT_FOUND


async def test_of_a_removed_habit_nothing_can_be_read(memory: Running) -> None:
    user = await memory.user()
    await ask_on(memory, user, mondays(4, 8, "Asia/Tokyo"))
    await mine(memory)
    (habit,) = await habits(memory, user)
    await memory.stub.Delete(pb.DeleteRequest(user_id=str(user), tier=HABIT, id=habit.id))
    (row,) = await memory.fetch("SELECT * FROM memory_proactive")
    keys = await memory.app.keys.get(user)
    text = keys.open(row["pattern_encrypted"], patterns.place(row["id"], row["revision"]))
    assert "overdue" not in text
    assert row["evidence_ids"] == []


async def test_a_look_that_waits_for_tomorrow_does_not_hold_up_one_of_today(
    database_url: str, tmp_path: Path
) -> None:
    async with memory_service(database_url, tmp_path, pattern_delay_s=600) as memory:
        user = await memory.user()
        async with memory.app.db.connection() as db:
            await jobs.add(db, user, "mine", 86_400)
        for _ in range(3):
            await memory.say(user, "show my overdue tasks")
        (due,) = await memory.fetch(
            """SELECT count(*) FROM memory_jobs
            WHERE kind = 'mine' AND run_at < now() + interval '11 minutes'"""
        )
        assert due[0] == 1
