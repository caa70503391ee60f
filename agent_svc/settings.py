"""What this process may be told."""

from __future__ import annotations

from pydantic import Field, SecretStr

from agent_svc.agents import Budgets
from agent_svc.untrusted import Approve
from runtime.model.client import Endpoint, TextModelSettings
from runtime.settings import Address, ServiceSettings


class AgentSettings(ServiceSettings, TextModelSettings):
    """Settings of the agent service."""

    listen_addr: Address = Field(
        "127.0.0.1:50052", description="Where the service listens, host:port."
    )
    memory_addr: Address = Field("127.0.0.1:50053", description="Where the memory service is.")
    agent_model: str = Field("gpt-4o-mini", min_length=1, description="The agents' model.")
    agent_base_url: str = Field(
        "",
        pattern="^(https?://|$)",
        description="The agents' provider, where it is not that of OPENAI_BASE_URL.",
    )
    agent_api_key: SecretStr = Field(
        SecretStr(""), description="Its key, where it is not OPENAI_API_KEY."
    )
    agent_rounds: int | None = Field(
        None, ge=0, description="Rounds of tool calls one request may take; not set: 8."
    )
    agent_tokens: int | None = Field(
        None,
        gt=0,
        description="Tokens one request may send and receive over all model calls; not set: "
        "200000.",
    )
    agent_seconds: float | None = Field(
        None,
        gt=0,
        description="Seconds one request may take, waiting for the device and for a slow reader"
        " left out; not set: 300.",
    )
    approve_after_untrusted: Approve = Field(
        "deletes",
        description="What needs the user's approval once an agent has read text that others may "
        "have written: deletes, writes (every change) or off.",
    )

    @property
    def endpoint(self) -> Endpoint:
        """The agents' provider."""
        return self.own("AGENT", self.agent_base_url, self.agent_api_key)

    def budgets(self, own: Budgets) -> Budgets:
        """An agent's own budgets, but for what is set here."""
        return Budgets(
            own.rounds if self.agent_rounds is None else self.agent_rounds,
            own.tokens if self.agent_tokens is None else self.agent_tokens,
            own.seconds if self.agent_seconds is None else self.agent_seconds,
        )
