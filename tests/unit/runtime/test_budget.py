"""The time that is left of a call, passed on to the next."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import budget


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


async def test_it_runs_down_and_never_below_nothing(clock: list[float]) -> None:
    budget.start(10)
    assert budget.remaining() == 10 and budget.within(3) == 3 and budget.within(30) == 10
    clock[0] += 8
    assert budget.remaining() == 2 and budget.within(3) == 2
    clock[0] += 8
    assert budget.remaining() == 0 and budget.within(3) == 0


async def test_without_a_limit_the_cap_holds(clock: list[float]) -> None:
    budget.start(None)
    assert budget.remaining() is None and budget.within(3) == 3


@given(st.floats(0, 1e6), st.floats(0, 1e6))
def test_it_is_never_more_than_the_cap_nor_than_what_is_left(seconds: float, cap: float) -> None:
    budget.start(seconds)
    assert 0 <= budget.within(cap) <= min(cap, seconds)


async def test_each_call_has_its_own_and_its_tasks_share_it(clock: list[float]) -> None:
    async def call(seconds: float) -> float | None:
        budget.start(seconds)
        return await asyncio.create_task(asyncio.to_thread(budget.remaining))

    assert tuple(await asyncio.gather(call(1), call(2))) == (1, 2)
