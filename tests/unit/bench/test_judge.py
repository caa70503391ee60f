"""Each thing that a soak looks at can make it fail."""

from dataclasses import replace

import pytest

from bench.soak.judge import (
    GROWTH,
    POOLED,
    SPARE_FDS,
    SPARE_TASKS,
    WARM,
    Disturbance,
    Look,
    faults,
    gauges,
    growing,
    judged,
    left,
    may_end,
)
from bench.soak.run import Report

GAUGES = {
    "switchboard_tasks": 9.0,
    "switchboard_edge_sockets": 0.0,
    'switchboard_edge_requests_active{surface="home"}': 0.0,
    'switchboard_rpcs_active{method="AgentService/Run"}': 0.0,
    'switchboard_rpcs_active{method="grpc.health.v1.Health/Watch"}': 2.0,
}
IDLE = Look(fds=16, pooled=4, peers=0, gauges=GAUGES)


def test_an_idle_process_has_nothing_left() -> None:
    assert left("edge 0", IDLE, IDLE) == []
    assert left("memory 0", IDLE, replace(IDLE, pooled=14)) == []


@pytest.mark.parametrize("name", [name for name in GAUGES if "Health" not in name])
def test_each_gauge_that_does_not_go_back_is_a_leak(name: str) -> None:
    more = {**GAUGES, name: GAUGES[name] + SPARE_TASKS + 1}
    assert len(left("edge 0", IDLE, replace(IDLE, gauges=more))) == 1


def test_an_edge_may_listen_for_each_user_and_no_service_may() -> None:
    more = replace(IDLE, gauges={**GAUGES, "switchboard_tasks": 9.0 + SPARE_TASKS + 5})
    assert left("edge 0", IDLE, more, users=5) == []
    assert len(left("edge 0", IDLE, more, users=4)) == 1
    assert len(left("router 0", IDLE, more, users=5)) == 1


@pytest.mark.parametrize(
    "now",
    [
        replace(IDLE, fds=16 + SPARE_FDS + 1),
        replace(IDLE, pooled=POOLED + 1),
        replace(IDLE, peers=1),
        replace(IDLE, gauges=None),
    ],
)
def test_descriptors_connections_and_silence_are_leaks(now: Look) -> None:
    assert len(left("edge 0", IDLE, now)) == 1


def test_a_process_that_tells_no_metrics_is_not_one_without_leaks() -> None:
    assert gauges("") is None
    assert gauges("# HELP process_open_fds\nprocess_open_fds 7\n") is None
    told = "".join(f"{name} {value}\n" for name, value in GAUGES.items())
    assert gauges(told) == GAUGES


@pytest.mark.parametrize(
    "log",
    [
        "12:00:00.000 error   a call failed by a fault of our own (KeyError at turn.py:212)\n",
        "12:00:00.000 error   it (ValueError) request_id=7\n",
        'Traceback (most recent call last):\n  File "x.py", line 1, in f\n    g()\nKeyError: 1\n',
    ],
)
def test_an_exception_in_a_log_is_found(log: str) -> None:
    around = "12:00:00.000 info    all is well\n"
    assert len(faults(around + log + around)) == 1


@pytest.mark.parametrize(
    "log",
    [
        "",
        "12:00:00.000 info    agent_svc is draining (soon)\n",
        "12:00:00.000 warning memory is slow (TimeoutError at x.py:1)\n",
        "12:00:00.000 error   3 exchanges were not kept: memory did not come back\n",
        "12:00:00.000 error   not handled [/Health/Watch] (CancelledError at x.py:1)\n",
        'Traceback (most recent call last):\n  File "x", line 1\n'
        "asyncio.exceptions.CancelledError\n",
    ],
)
def test_what_is_no_exception_is_none(log: str) -> None:
    assert faults(log) == []


KILLED = Disturbance("kill", "agent", began=10, cuts=10, ended=20)
DRAINED = Disturbance("terminate", "agent", began=10, cuts=28, ended=31)


@pytest.mark.parametrize(
    ("among", "explained"),
    [
        ([], False),
        ([KILLED], True),
        ([replace(KILLED, began=31, ended=40)], False),
        ([replace(KILLED, began=1, ended=4)], False),
        ([replace(KILLED, name="memory")], False),
        ([replace(DRAINED, name="edge")], True),
        ([DRAINED], True),  # it went on for longer than the drain
        ([replace(DRAINED, cuts=31, ended=32)], False),  # a drain fails nothing before its time
        ([replace(DRAINED, ended=29)], False),
        ([replace(DRAINED, began=6)], True),
        ([replace(DRAINED, began=4)], False),  # it began while the drain was on
        ([replace(DRAINED, name="memory")], False),
    ],
)
def test_a_failure_needs_a_process_that_ended_then(
    among: list[Disturbance], explained: bool
) -> None:
    found = may_end("service_unavailable", cut=False, began=5, ended=30, among=among)
    assert found is explained


def test_only_a_model_that_broke_off_explains_a_cut_answer() -> None:
    assert may_end("model_truncated", cut=True, began=0, ended=1, among=[])
    assert not may_end("model_truncated", cut=False, began=5, ended=30, among=[KILLED])
    assert may_end("", cut=False, began=0, ended=1, among=[])
    assert not may_end("internal", cut=True, began=5, ended=30, among=[KILLED])


def test_memory_is_judged_in_each_life_that_is_long_enough() -> None:
    flat = [100] * (WARM + 40)
    steep = [100] * WARM + [n * GROWTH // 10 for n in range(20)]
    assert growing("edge 0", [flat, flat]) == []
    assert len(growing("edge 0", [steep, flat])) == 1  # not only the longest
    assert growing("edge 0", [steep[:10]]) == []
    assert judged([flat]) and not judged([steep[:10]])


def test_any_complaint_makes_the_soak_fail() -> None:
    assert Report().good
    assert not Report(faults=["KeyError"]).good
    assert not Report(leaks=["a socket"]).good
    assert not Report(broken=["lost"]).good
    steep = [100] * WARM + [n * GROWTH // 10 for n in range(20)]
    assert not Report(memory={("edge", 0): [steep]}).good
