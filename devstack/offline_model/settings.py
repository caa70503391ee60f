"""What the offline model may be told."""

from pydantic import Field

from runtime.settings import Address, Settings


class OfflineModelSettings(Settings):
    """Where the offline model listens, and how fast it writes."""

    offline_model_addr: Address = Field(
        "127.0.0.1:8081", description="Where the offline model listens, host:port."
    )
    offline_model_tokens_per_s: float = Field(
        250, ge=0, description="How fast the offline model writes; 0 is as fast as it can."
    )
