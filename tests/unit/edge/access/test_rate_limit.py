"""Token buckets: how often something may happen."""

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.access.rate_limit import Bucket, Buckets, Rate
from runtime.errors import SwitchboardError, word


def test_a_burst_then_the_rate() -> None:
    bucket = Bucket(Rate(burst=3, per_s=2), now=10)
    assert [bucket.take(10) for _ in range(4)] == [0, 0, 0, 0.5]
    assert bucket.take(10.4) == pytest.approx(0.1)
    assert bucket.take(10.5) == 0
    assert bucket.take(10.5) == 0.5


def test_what_is_not_used_is_kept_up_to_a_burst() -> None:
    bucket = Bucket(Rate(burst=2, per_s=1), now=0)
    assert [bucket.take(1_000) for _ in range(3)] == [0, 0, 1]


def test_what_costs_more_than_a_burst_can_still_happen() -> None:
    bucket = Bucket(Rate(burst=2, per_s=1), now=0)
    assert bucket.take(0, cost=65) == 0
    assert bucket.take(0, cost=65) == 2


def test_each_key_has_its_own() -> None:
    buckets = Buckets(Rate.per_minute(1))
    assert buckets.take("a", 0) == 0
    assert buckets.take("a", 0) == 60
    assert buckets.take("b", 0) == 0


def test_zero_is_no_limit() -> None:
    buckets = Buckets(Rate.per_minute(0))
    assert not any(buckets.take("a", 0) for _ in range(10_000))
    assert len(buckets) == 0


def test_memory_is_bounded_and_who_was_seen_longest_ago_goes_first() -> None:
    buckets = Buckets(Rate.per_minute(1), most=2)
    for key in ("a", "b", "a", "c"):  # b is forgotten
        buckets.take(key, 0)
    assert len(buckets) == 2
    assert buckets.take("a", 0) > 0
    assert buckets.take("b", 0) == 0


def test_who_spends_too_much_is_told_when_to_come_again() -> None:
    buckets = Buckets(Rate.per_minute(60))
    for _ in range(60):
        buckets.spend("a", 0)
    with pytest.raises(SwitchboardError) as caught:
        buckets.spend("a", 0.25)
    assert word(caught.value.code) == "rate_limited"
    assert caught.value.retry_after_ms == 750
    assert caught.value.retryable


rates = st.builds(Rate, burst=st.floats(1, 100), per_s=st.floats(0.01, 100))


@given(rates, st.lists(st.floats(0, 10), max_size=60))
def test_no_stretch_of_time_sees_more_than_a_burst_and_the_rate(
    rate: Rate, steps: list[float]
) -> None:
    bucket = Bucket(rate, now=0)
    taken = [now for now in accumulate(steps) if not bucket.take(now)]
    for first, start in enumerate(taken):
        for last in range(first, len(taken)):
            allowed = rate.burst + (taken[last] - start) * rate.per_s
            assert last - first + 1 <= allowed + 1e-6


@given(rates, st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_who_waits_as_told_may(rate: Rate, steps: list[float]) -> None:
    bucket = Bucket(rate, now=0)
    for now in accumulate(steps):
        if wait := bucket.take(now):
            assert bucket.take(now + wait) == 0
            return
