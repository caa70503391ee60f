"""The drawing of a turn's states shows all that can happen."""

from typing import get_args

import pytest

from docs import turn_states
from router_svc.events import Event
from router_svc.turn import Phase


def test_every_kind_of_event_is_tried() -> None:
    assert {type(event) for event in turn_states.EVENTS} == set(get_args(Event))


def test_a_longer_walk_finds_no_other_arrow(monkeypatch: pytest.MonkeyPatch) -> None:
    found = turn_states.arrows()
    monkeypatch.setattr(turn_states, "DEPTH", turn_states.DEPTH + 3)
    assert turn_states.arrows() == found


def test_every_state_is_reached_and_left() -> None:
    found = turn_states.arrows()
    assert {source for source, _ in found} == set(Phase) - {Phase.OVER}
    assert {target for _, target in found} == set(Phase) - {Phase.ROUTING}


def test_what_ends_a_turn_anywhere_is_said_once() -> None:
    lines = turn_states.diagram().splitlines()
    assert sum("ClientLost" in line for line in lines) == 1
    assert any("--> [*]" in line and "Stored" in line for line in lines)
