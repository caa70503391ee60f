"""What the router may be told."""

from pydantic import Field, SecretStr

from runtime.model.client import Endpoint, TextModelSettings
from runtime.settings import Address, ServiceSettings


class RouterSettings(ServiceSettings, TextModelSettings):
    """Where the other services are, and how long each step of a turn may take."""

    listen_addr: Address = Field(
        "127.0.0.1:50051", description="Where the service listens, host:port."
    )
    agent_addr: Address = Field(
        "127.0.0.1:50052", description="The agent service to dial, host:port."
    )
    memory_addr: Address = Field(
        "127.0.0.1:50053", description="The memory service to dial, host:port."
    )
    formatter_addr: Address = Field(
        "127.0.0.1:50054", description="The formatter service to dial, host:port."
    )
    router_model: str = Field(
        "gpt-4o-mini", min_length=1, description="The model that chooses the agent."
    )
    router_base_url: str = Field(
        "",
        pattern="^(https?://|$)",
        description="Its provider, where it is not that of OPENAI_BASE_URL.",
    )
    router_api_key: SecretStr = Field(
        SecretStr(""), description="Its provider's key, where it is not OPENAI_API_KEY."
    )
    classify_timeout_s: float = Field(
        2, gt=0, description="How long choosing the agent may take by model, in seconds."
    )
    classify_min_confidence: float = Field(
        0.5, ge=0, le=1, description="A choice of the model below this is not followed, 0–1."
    )
    enrich_timeout_s: float = Field(
        1.5, gt=0, description="How long an answer waits for what is remembered, in seconds."
    )
    store_timeout_s: float = Field(
        0.25, gt=0, description="How long an answer's end waits to be remembered, in seconds."
    )
    store_backlog: int = Field(
        1000,
        ge=1,
        description="How many exchanges may wait for the memory service to come back, in a quarter"
        " of MAX_HELD_BYTES.",
    )
    cancel_grace_s: float = Field(
        0.7, gt=0, description="How long a stopped agent has to say what it spent, in seconds."
    )
    request_deadline_s: float = Field(
        900, gt=0, description="How long a request may take in all, in seconds."
    )

    @property
    def endpoint(self) -> Endpoint:
        """The provider of the model that chooses the agent."""
        return self.own("ROUTER", self.router_base_url, self.router_api_key)
