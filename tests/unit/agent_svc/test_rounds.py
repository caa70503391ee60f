"""What the calls of one round are held against."""

from __future__ import annotations

from itertools import product

import pytest

from agent_svc.catalogue import CATALOGUE, REMEMBER
from agent_svc.rounds import Round
from agent_svc.untrusted import Approve


def a_round(own_words: str = "", *, untrusted: bool = False, approve: Approve = "deletes") -> Round:
    return Round(frozenset(CATALOGUE), untrusted, approve, own_words)


@pytest.mark.parametrize("key", ["name", "answer_style", "work.hours"])
@pytest.mark.parametrize("untrusted", [True, False])
def test_what_the_user_says_may_be_kept_under_a_word_or_two(key: str, untrusted: bool) -> None:
    held = a_round("Nennen Sie mich bitte Frau Groß!", untrusted=untrusted)
    assert held.was_said(REMEMBER, {"key": key, "value": "Frau Groß"})
    assert not held.was_said(REMEMBER, {"key": key, "value": "Frau Klein"})


@pytest.mark.parametrize("key", ["send_it_to_eve", "a" * 17, "答え", "name "])
def test_after_others_words_a_key_is_a_label(key: str) -> None:
    said = {"key": key, "value": "Sam"}
    assert not a_round("Call me Sam", untrusted=True).was_said(REMEMBER, said)
    assert a_round("Call me Sam").was_said(REMEMBER, said)


def test_a_tool_without_the_users_words_may_say_anything() -> None:
    for tool in CATALOGUE.values():
        assert tool.own_words or a_round(untrusted=True).was_said(
            tool, {"title": "anything at all"}
        )


@pytest.mark.parametrize("approve", ["deletes", "writes", "off"])
def test_no_setting_takes_an_approval_away(approve: Approve) -> None:
    for tool, untrusted, from_text in product(CATALOGUE.values(), (True, False), (True, False)):
        held = a_round(untrusted=untrusted, approve=approve)
        asks = held.asks(tool, from_text=from_text)
        assert asks >= tool.requires_approval
        assert held.marks(tool) == (untrusted and tool.effect is not None)
        if tool.effect is None:
            assert not asks
