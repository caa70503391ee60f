"""What this process may be told."""

from __future__ import annotations

from pydantic import Field

from agent_svc.agents import Budgets
from runtime.model import ModelSettings
from runtime.settings import Address, ServiceSettings


class AgentSettings(ServiceSettings, ModelSettings):
    """Settings of the agent service."""

    listen_addr: Address = Field(
        "127.0.0.1:50052", description="Where the service listens, host:port."
    )
    memory_addr: str = Field("127.0.0.1:50053", description="Where the memory service is.")
    agent_model: str = Field("gpt-4o-mini", min_length=1, description="The agents' model.")
    agent_rounds: int = Field(8, ge=0, description="Rounds of tool calls one request may take.")
    agent_tokens: int = Field(
        200_000, gt=0, description="Tokens one request may send and receive over all model calls."
    )
    agent_seconds: float = Field(
        300, gt=0, description="Seconds one request may take, waiting for the device left out."
    )

    @property
    def budgets(self) -> Budgets:
        """The most that any agent may use."""
        return Budgets(self.agent_rounds, self.agent_tokens, self.agent_seconds)
