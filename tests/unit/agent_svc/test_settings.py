"""The settings of the agent service."""

from __future__ import annotations

import pytest

from agent_svc.agents import Budgets
from agent_svc.settings import AgentSettings
from runtime.settings import load


def test_what_holds_when_nothing_is_set() -> None:
    settings = load(AgentSettings, "agent_svc", {})
    assert settings.listen_addr == "127.0.0.1:50052"
    assert settings.memory_addr == "127.0.0.1:50053"
    assert settings.agent_model
    assert settings.budgets(Budgets(rounds=3)) == Budgets(rounds=3)


def test_budgets_that_are_set_take_the_place_of_the_agents_own() -> None:
    settings = load(
        AgentSettings,
        "agent_svc",
        {"AGENT_ROUNDS": "0", "AGENT_TOKENS": "1000", "AGENT_SECONDS": "2.5"},
    )
    assert settings.budgets(Budgets()) == Budgets(0, 1000, 2.5)


def test_bad_values_end_the_process_and_keep_the_key_out(
    capsys: pytest.CaptureFixture[str],
) -> None:
    environ = {
        "OPENAI_API_KEY": "sk-secret",
        "OPENAI_BASE_URL": "ftp://sk-secret",
        "AGENT_TOKENS": "many",
        "MEMORY_ADDR": "nowhere",
    }
    with pytest.raises(SystemExit) as stopped:
        load(AgentSettings, "agent_svc", environ)
    assert stopped.value.code == 2
    line = capsys.readouterr().err
    assert "AGENT_TOKENS" in line
    assert "MEMORY_ADDR" in line
    assert "OPENAI_BASE_URL" in line
    assert "sk-secret" not in line


def test_the_key_is_in_no_form_of_the_settings() -> None:
    settings = load(AgentSettings, "agent_svc", {"OPENAI_API_KEY": "sk-secret"})
    assert "sk-secret" not in f"{settings!r} {settings} {settings.model_dump_json()}"
