"""What the two APIs are asked for by one profile."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent_svc.apis import APIS
from runtime.model.families import FAMILIES
from runtime.model.profiles import Profile, Profiles

ASKED = [{"role": "system", "content": "You help."}, {"role": "user", "content": "Hello"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def asked(profile: Profile, tools: list[dict[str, Any]]) -> dict[str, Any]:
    return APIS[profile.api].body(profile, "some-model", ASKED, tools)


def known(model: str, api: str) -> Profile:
    return Profiles((("*", {"api": api}), *FAMILIES), clock=lambda: 0.0).of(model)


def test_a_model_that_may_not_think_with_tools_may_by_responses() -> None:
    assert asked(known("gpt-5.4", "chat"), [TOOL])["reasoning_effort"] == "none"
    assert "reasoning" not in asked(known("gpt-5.4", "responses"), [TOOL])


@pytest.mark.parametrize("model", ["gpt-5-codex", "o3-pro"])
def test_a_model_of_one_api_is_asked_by_it(model: str) -> None:
    assert "input" in asked(known(model, "chat"), [TOOL])


@pytest.mark.parametrize(("effort", "tools"), [("low", [TOOL]), ("high", [])])
def test_how_much_to_think_is_said_to_both(effort: str, tools: list[dict[str, Any]]) -> None:
    chat = Profile(reasoning_effort="high", tools_reasoning_effort="low")
    assert asked(chat, tools)["reasoning_effort"] == effort
    assert asked(replace(chat, api="responses"), tools)["reasoning"] == {"effort": effort}


def test_a_model_without_tools_is_offered_none() -> None:
    chat = Profile(tools=False)
    for profile in (chat, replace(chat, api="responses")):
        assert "tools" not in asked(profile, [TOOL])
