"""Keeping exchanges, against a scripted memory service over gRPC."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from prometheus_client import REGISTRY

from router_svc.backlog import Backlog
from runtime.channels import dial
from runtime.settings import Settings
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.frames_pb2 import MemoryStatus
from switchboard.v3.memory_pb2 import StoreEpisodeRequest
from switchboard.v3.memory_pb2_grpc import MemoryServiceStub
from tests.support.peers import Peers, ScriptedMemory

STORED, DEFERRED, OFF = (
    MemoryStatus.MEMORY_STATUS_STORED,
    MemoryStatus.MEMORY_STATUS_DEFERRED,
    MemoryStatus.MEMORY_STATUS_OFF,
)
UNAVAILABLE, INTERNAL = ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE, ErrorCode.ERROR_CODE_INTERNAL


@asynccontextmanager
async def backlog(limit: int = 10) -> AsyncIterator[tuple[Backlog, ScriptedMemory]]:
    async with Peers() as peers, dial(peers.memory_addr, Settings()) as channel:
        kept = Backlog(MemoryServiceStub(channel), timeout_s=2, limit=limit)
        worker = asyncio.create_task(kept.run())
        yield kept, peers.memory
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker


def episode(request_id: str) -> StoreEpisodeRequest:
    return StoreEpisodeRequest(user_id="u1", request_id=request_id)


async def test_an_exchange_is_stored_at_once() -> None:
    async with backlog() as (kept, memory):
        assert await kept.keep(episode("r1")) == STORED
        assert "r1" in memory.episodes
        assert len(kept) == 0


async def test_a_failed_attempt_is_made_again_until_it_holds() -> None:
    async with backlog() as (kept, memory):
        memory.failures = [UNAVAILABLE, UNAVAILABLE]
        assert await kept.keep(episode("r1")) == DEFERRED
        await memory.episode("r1")
        assert memory.attempts == 3


@pytest.mark.parametrize(
    "refusal", [ErrorCode.ERROR_CODE_NOT_FOUND, ErrorCode.ERROR_CODE_INVALID_FRAME]
)
async def test_a_refusal_is_final(refusal: ErrorCode.ValueType) -> None:
    async with backlog() as (kept, memory):
        memory.failures = [refusal]
        assert await kept.keep(episode("erased")) == OFF
        memory.failures = [UNAVAILABLE, refusal]
        assert await kept.keep(episode("erased later")) == DEFERRED
        async with asyncio.timeout(5):
            while len(kept):
                await asyncio.sleep(0.01)
        assert await kept.keep(episode("r2")) == STORED
        assert set(memory.episodes) == {"r2"}


async def test_one_exchange_that_always_fails_does_not_hold_up_the_others() -> None:
    async with backlog() as (kept, memory):
        memory.failures = [INTERNAL, INTERNAL]
        assert await kept.keep(episode("bad")) == DEFERRED
        kept.later(episode("good"))
        await memory.episode("good")
        await memory.episode("bad")
        assert list(memory.episodes) == ["good", "bad"]


async def test_what_can_no_longer_wait_is_said_to_be_off() -> None:
    async with Peers() as peers, dial(peers.memory_addr, Settings()) as channel:
        kept = Backlog(MemoryServiceStub(channel), timeout_s=1, limit=2)  # nobody runs it
        assert [kept.later(episode(f"r{n}")) for n in range(3)] == [DEFERRED, DEFERRED, OFF]


async def test_a_turn_that_goes_away_while_storing_leaves_its_exchange_behind() -> None:
    async with backlog() as (kept, memory):
        memory.storing.clear()
        keeping = asyncio.create_task(kept.keep(episode("r1")))
        async with asyncio.timeout(5):
            while memory.attempts == 0:
                await asyncio.sleep(0.01)
        keeping.cancel()
        with pytest.raises(asyncio.CancelledError):
            await keeping
        memory.storing.set()
        await memory.episode("r1")


async def test_what_waits_is_bounded_in_bytes_and_what_went_makes_room() -> None:
    large = StoreEpisodeRequest(user_id="u1", request_id="r1", response="x" * 700)
    async with Peers() as peers, dial(peers.memory_addr, Settings()) as channel:
        kept = Backlog(MemoryServiceStub(channel), timeout_s=1, limit=9, most_bytes=1_000)
        assert [kept.later(large), kept.later(large)] == [DEFERRED, OFF]
        assert kept.later(episode("short")) == DEFERRED
        worker = asyncio.create_task(kept.run())
        await peers.memory.episode("short")
        while len(kept):
            await asyncio.sleep(0)
        assert kept.later(large) == DEFERRED
        worker.cancel()
        with suppress(asyncio.CancelledError):
            await worker


async def test_a_process_that_ends_gives_what_waits_a_moment() -> None:
    async with backlog() as (kept, memory):
        memory.failures = [UNAVAILABLE]
        kept.later(episode("r1"))
        await kept.drain(5)
        assert "r1" in memory.episodes
        memory.failures = [UNAVAILABLE] * 100
        kept.later(episode("r2"))
        await kept.drain(0.05)
        assert len(kept) == 1


def counted(outcome: str) -> float:
    labels = {"outcome": outcome}
    return REGISTRY.get_sample_value("switchboard_router_episodes_total", labels) or 0


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two tries memory is left alone for long."""
    monkeypatch.setattr("router_svc.backlog._FIRST_PAUSE_S", 30.0)


@pytest.mark.usefixtures("patient")
async def test_a_process_that_ends_does_not_wait_for_the_next_try() -> None:
    async with backlog() as (kept, memory):
        memory.failures = [UNAVAILABLE]
        kept.later(episode("r1"))
        kept.later(episode("r2"))
        async with asyncio.timeout(5):
            while memory.attempts == 0:
                await asyncio.sleep(0.01)
        assert len(kept) == 2
        began = asyncio.get_running_loop().time()
        await kept.drain(20)
        assert set(memory.episodes) == {"r1", "r2"}
        assert asyncio.get_running_loop().time() - began < 5


async def test_what_is_lost_with_the_process_is_counted() -> None:
    before = counted("dropped")
    async with backlog() as (kept, memory):
        memory.failures = [UNAVAILABLE] * 100
        for number in range(3):
            kept.later(episode(f"r{number}"))
        await kept.drain(0.05)
    assert counted("dropped") == before + 3
    assert kept.later(episode("after the end")) == OFF
    assert counted("dropped") == before + 4
