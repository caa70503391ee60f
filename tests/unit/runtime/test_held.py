"""Who holds how much of what a process may hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import held
from runtime.errors import SwitchboardError, word
from runtime.held import KEPT, SENT, Call, Pool, Share

SIZES = st.lists(st.tuples(st.integers(0, 5), st.integers(1, 400)), max_size=80)


@given(SIZES)
def test_however_many_take_what_they_may_there_is_room_for_who_comes(
    asked: list[tuple[int, int]],
) -> None:
    pool = Pool(1_024)
    shares = [Share(pool) for _ in range(6)]
    for who, size in asked:
        if shares[who].fits(size):
            shares[who].hold(size)
    assert pool.held == sum(share.held for share in shares) <= pool.most + 6 * pool.little
    assert all(share.room >= 0 or share.held <= pool.most // 2 for share in shares)
    newcomer = Share(pool)
    assert newcomer.room == max(pool.free, pool.little) > 0


def test_a_little_is_nobodys_loss() -> None:
    pool = Pool(512_000)
    for _ in range(40):  # each takes half of what is left, so that nothing is
        taken = Share(pool)
        taken.hold(pool.free // 2)
    ordinary = Share(pool)
    assert pool.free < 10
    assert ordinary.fits(1_000)
    assert not ordinary.fits(1_001)
    ordinary.hold(1_000)
    assert ordinary.room == 0


def test_of_n_that_take_small_steps_each_has_a_part_in_n_plus_one() -> None:
    pool = Pool(9_000)
    shares = [Share(pool) for _ in range(8)]
    for _ in range(9_000):
        for share in shares:
            if share.fits(1):
                share.hold(1)
    assert all(abs(share.held - 1_000) <= 8 for share in shares)
    assert abs(Share(pool).room - 1_000) <= 8


def test_who_holds_most_is_too_much_first() -> None:
    pool = Pool(1_000)
    large, small = Share(pool), Share(pool)
    large.hold(700)
    small.hold(50)
    assert large.room < 0 < small.room


def test_a_share_has_a_bound_of_its_own() -> None:
    share = Share(Pool(1_000), most=100)
    share.hold(100)
    assert share.room == 0
    share.hold(1, KEPT)
    assert share.room == -1


def test_a_call_gives_back_all_that_it_held_of_each_kind() -> None:
    pool = Pool(1_000)
    with pytest.raises(ValueError), Call(pool) as call:
        call.take(100)
        held.keep(50)
        assert pool.kinds == {SENT: 100, KEPT: 50}
        raise ValueError
    assert pool.held == 0
    assert not any(pool.kinds.values())


def test_what_has_no_room_is_told_when_to_ask_again() -> None:
    pool = Pool(1_000)
    with Call(pool) as first, Call(pool) as second:
        first.take(450)
        with pytest.raises(SwitchboardError) as caught:
            second.take(300)
        assert (word(caught.value.code), caught.value.retry_after_ms) == ("overloaded", 1_000)
        second.take(100)
        first.hold(100)
        with pytest.raises(SwitchboardError):
            first.check()
        assert second.held == 100


def test_what_no_call_made_is_held_by_none() -> None:
    held.keep(100)
