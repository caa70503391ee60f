"""What an agent is."""

from __future__ import annotations

from dataclasses import dataclass, field

from switchboard.v3.agent_pb2 import AgentSpec


@dataclass(frozen=True, slots=True)
class Budgets:
    """The most that one request may use; reaching one ends it with its code.

    `rounds` of tool calls, `tokens` sent and received over all model calls, `seconds` of
    the server's own time: waiting for the device does not count, it has clocks of its own.
    """

    rounds: int = 8
    tokens: int = 200_000
    seconds: float = 300


@dataclass(frozen=True, slots=True)
class Agent:
    """A prompt, a set of tools, and budgets. `description`: one line for the classifier.

    `prompt` says what it is for, `guide` how it uses its tools (left out where it has none), and
    `examples` show whole answers on Home, where they may hold blocks.
    """

    name: str
    description: str
    prompt: str
    guide: str
    examples: str
    tools: tuple[str, ...]
    budgets: Budgets = field(default_factory=Budgets)

    def to_proto(self) -> AgentSpec:
        """The agent as `ListAgents` tells it."""
        return AgentSpec(name=self.name, description=self.description, tools=self.tools)
