"""The agents, one file each."""

from typing import Final

from agent_svc.agents import (
    checkpoint_agent,
    general_agent,
    note_agent,
    project_agent,
    task_agent,
)
from agent_svc.agents.agent import Agent, Budgets

AGENTS: Final[dict[str, Agent]] = {
    module.AGENT.name: module.AGENT
    for module in (checkpoint_agent, general_agent, note_agent, project_agent, task_agent)
}
"""Every agent by its name, in order of name."""

__all__ = ["AGENTS", "Agent", "Budgets"]
