"""What the whole stack may be told; the services read their own settings besides."""

from pathlib import Path
from typing import Final

from pydantic import Field, SecretStr

from runtime.settings import Address, Settings

SERVICES: Final = ("memory", "agent", "formatter", "router", "edge")
"""The five services, in the order that they are told of."""


class DevstackSettings(Settings):
    """Where the stack keeps its state and listens, and what it need not bring itself."""

    state_dir: Path = Field(
        Path(".state"), description="Folder of the database and the keys; made private (0700)."
    )
    database_url: SecretStr | None = Field(
        None, description="A Postgres with pgvector; the embedded one where left out."
    )
    openai_api_key: SecretStr | None = Field(
        None, description="Key of the model provider; without it the offline model answers."
    )
    openai_base_url: str | None = Field(
        None,
        pattern="^https?://",
        description="An OpenAI-compatible API to use with or without key.",
    )
    edge_host: str = Field("127.0.0.1", min_length=1, description="Where the edge listens.")
    edge_port: int = Field(
        8080, ge=0, le=65535, description="The edge's port; 0 lets the stack choose a free one."
    )
    router_addr: Address | None = Field(
        None, description="Where the router listens; free if unset."
    )
    agent_addr: Address | None = Field(None, description="Where the agents listen; free if unset.")
    memory_addr: Address | None = Field(None, description="Where memory listens; free if unset.")
    formatter_addr: Address | None = Field(
        None, description="Where the formatter listens; free if unset."
    )
    offline_model_addr: Address | None = Field(
        None, description="Where the offline model listens; free if unset."
    )

    @property
    def offline(self) -> bool:
        """Whether the offline model is needed."""
        return self.openai_api_key is None and self.openai_base_url is None
