"""What the formatter may be told."""

from __future__ import annotations

from pydantic import Field

from runtime.settings import Address, ServiceSettings


class FormatterSettings(ServiceSettings):
    """The formatter keeps no state and dials nobody: where it listens is all."""

    listen_addr: Address = Field(
        "127.0.0.1:50054", description="Where the service listens, host:port."
    )
