"""The five agents."""

from __future__ import annotations

import pytest

from agent_svc.agents import AGENTS, Agent, Budgets
from agent_svc.catalogue import CATALOGUE, SERVER_TOOLS, of, reading
from agent_svc.schemas import CHECKPOINT, NOTE, PROJECT, TASK

KINDS = {
    "task_agent": TASK,
    "project_agent": PROJECT,
    "note_agent": NOTE,
    "checkpoint_agent": CHECKPOINT,
}


def test_they_are_five_in_order() -> None:
    assert list(AGENTS) == sorted([*KINDS, "general_agent"])
    assert all(name == agent.name for name, agent in AGENTS.items())


@pytest.mark.parametrize("agent", AGENTS.values(), ids=lambda agent: agent.name)
def test_each_reads_everything_and_changes_its_own_kind_only(agent: Agent) -> None:
    own = of(KINDS[agent.name]) if agent.name in KINDS else ()
    assert set(agent.tools) == {*reading(*KINDS.values()), *own, *SERVER_TOOLS}
    assert len(agent.tools) == len(set(agent.tools))
    assert set(agent.tools) <= set(CATALOGUE)


@pytest.mark.parametrize("agent", AGENTS.values(), ids=lambda agent: agent.name)
def test_each_tells_the_classifier_what_it_does_in_a_line(agent: Agent) -> None:
    assert 20 < len(agent.description) < 100
    assert "\n" not in agent.description
    assert agent.to_proto().tools == list(agent.tools)


def test_budgets() -> None:
    assert Budgets().rounds == 8
