"""A model that keeps failing is left alone, and comes back."""

import asyncio

import pytest

from runtime.model.breaker import FIRST_REST_S, LONGEST_REST_S, STRIKES, Breaker
from runtime.model.failures import failure
from tests.unit.runtime.model.errors import refused, saying


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Model:
    """Answers or not, as it is told to, and counts how often it was asked."""

    def __init__(self, breaker: Breaker, *, well: bool) -> None:
        self.breaker, self.well, self.asked = breaker, well, 0

    async def __call__(self) -> None:
        self.asked += 1
        if not self.well:
            self.breaker.failed()
            raise OSError("down")
        self.breaker.succeeded()


def resting(clock: Clock) -> Breaker:
    breaker = Breaker("tests", clock=clock)
    for _ in range(STRIKES):
        breaker.failed()
    return breaker


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_failures_count_only_in_a_row() -> None:
    breaker = Breaker("tests")
    for _ in range(3 * STRIKES):
        breaker.failed()
        breaker.succeeded()
    assert not breaker.resting
    assert resting(Clock()).resting


@pytest.mark.parametrize("error", [saying(401, "bad key"), saying(404, "no such model")])
def test_what_the_operator_must_mend_is_not_tried_again_and_again(error: Exception) -> None:
    breaker = Breaker("tests")
    breaker.failed(failure(error))
    assert breaker.resting


async def test_a_probe_waits_for_the_rest_to_end_and_brings_the_model_back() -> None:
    clock = Clock()
    breaker = resting(clock)
    model = Model(breaker, well=True)
    breaker.probe(model)
    await settled()
    assert model.asked == 0
    clock.now += FIRST_REST_S
    breaker.probe(model)
    breaker.probe(model)  # one at a time
    await settled()
    assert model.asked == 1 and not breaker.resting


async def test_rests_grow_while_probes_fail_up_to_a_bound() -> None:
    clock = Clock()
    breaker = resting(clock)
    model = Model(breaker, well=False)
    for _ in range(3600):
        clock.now += 1
        breaker.probe(model)
        await settled()
    assert 3600 / LONGEST_REST_S <= model.asked < 3600 / LONGEST_REST_S + 10
    assert breaker.resting


async def test_a_wait_that_the_provider_asks_for_is_kept() -> None:
    clock = Clock()
    breaker = Breaker("tests", clock=clock)
    breaker.failed(failure(refused(429, {}, {"retry-after": "60"})))
    model = Model(breaker, well=True)
    clock.now += 59
    breaker.probe(model)
    await settled()
    assert breaker.resting and model.asked == 0
    clock.now += 1
    breaker.probe(model)
    await settled()
    assert not breaker.resting


async def test_closing_ends_a_probe() -> None:
    clock = Clock()
    breaker = resting(clock)
    clock.now += FIRST_REST_S
    ended = asyncio.Event()

    async def hanging() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    breaker.probe(hanging)
    await settled()
    await breaker.close()
    assert ended.is_set()
