"""Each thing that a siege looks at can make it fail."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.siege.attack import SENT
from bench.siege.catalogue import BY_NAME, GROUPS
from bench.siege.judge import ENOUGH, MIB, Seen, Service, complaints, percentile

EXPECTED = {"pings in a loop": frozenset({"rate_limited", "close 4529"}), "hums": frozenset[str]()}


def well() -> Seen:
    """A siege in which nothing broke."""
    return Seen(
        services=[Service("router", 512 * MIB, 100 * MIB), Service("edge", 512 * MIB, 200 * MIB)],
        calm=[0.004] * ENOUGH,
        pings=[0.020] * ENOUGH,
        answers=40,
        told={
            "pings in a loop": Counter({SENT: 900, "close 4529": 1}),
            "hums": Counter({SENT: 2}),
        },
    )


def test_a_siege_in_which_nothing_broke_has_no_complaints() -> None:
    assert complaints(well(), EXPECTED) == []


@pytest.mark.parametrize(
    ("breaks", "named"),
    [
        ({"services": [Service("router", 512 * MIB, 511 * MIB, "was killed")]}, "router was kill"),
        ({"answers": 0}, "no honest device got an answer"),
        ({"wrong": ["“list my tasks” was told as nothing"]}, "an honest device: “list my tasks”"),
        ({"refused": Counter({"overloaded": 3})}, "honest devices were refused: 3 overloaded"),
        ({"pings": [0.021] * ENOUGH}, "5.2 times the calm 4 ms"),
        ({"pings": [0.004] * 98 + [9.0] * 2}, "an honest ping takes 9000 ms"),
        ({"pings": [0.004] * (ENOUGH - 1)}, "too few pings"),
        ({"calm": []}, "too few pings"),
        ({"told": {}}, "no attack: pings in a loop sent nothing"),
        (
            {"told": {**well().told, "pings in a loop": Counter({SENT: 9, "cut": 1})}},
            "not told: pings in a loop heard none of close 4529, rate_limited",
        ),
        ({"told": {**well().told, "hums": Counter({"cut": 3})}}, "no attack: hums"),
        ({"failed": ["the attackers rest ended: KeyError"]}, "the attackers rest ended"),
        ({"faults": ["error (KeyError at turn.py:1)"]}, "an exception in a log: error (KeyError"),
    ],
)
def test_what_broke_is_named(breaks: dict[str, object], named: str) -> None:
    found = complaints(replace(well(), **breaks), EXPECTED)  # type: ignore[arg-type]
    assert any(named in line for line in found), found


def test_a_service_at_its_limit_that_lives_is_no_complaint() -> None:
    full = replace(well(), services=[Service("router", 512 * MIB, 512 * MIB)])
    assert complaints(full, EXPECTED) == []


@given(st.lists(st.floats(0, 100), min_size=1), st.floats(0.01, 1))
def test_so_great_a_part_of_the_values_is_not_above_the_percentile(
    values: list[float], part: float
) -> None:
    found = percentile(values, part)
    assert found in values
    assert sum(value <= found for value in values) >= part * len(values) - 1e-9
    assert sum(value < found for value in values) <= part * len(values)


def test_every_attack_has_a_name_of_its_own() -> None:
    assert sum(len(group) for group in GROUPS.values()) == len(BY_NAME)


def test_the_siege_brings_eight_strangers_and_thirty_two_sockets_at_least() -> None:
    assert sum(attack.loops for attack in GROUPS["anonymous"]) >= 8
    assert sum(attack.loops for attack in GROUPS["sockets"]) == 32
    assert all(attack.signed_in for attack in GROUPS["sockets"])
