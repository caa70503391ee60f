"""`python -m devstack.offline_model`: serves the offline model."""

import logging

from aiohttp import web
from pydantic import Field

from devstack.offline_model.server import app
from runtime import logs
from runtime.settings import Address, Settings, load

log = logging.getLogger(__name__)


class OfflineModelSettings(Settings):
    """What the offline model may be told."""

    offline_model_addr: Address = Field(
        "127.0.0.1:8081", description="Where the offline model listens, host:port."
    )
    offline_model_tokens_per_s: float = Field(
        250, ge=0, description="How fast the offline model writes; 0 is as fast as it can."
    )


def main() -> None:
    """Serves until SIGTERM or SIGINT."""
    settings = load(OfflineModelSettings, "offline_model")
    logs.configure(settings, "model")
    host, _, port = settings.offline_model_addr.rpartition(":")
    log.info("the offline model listens on port %s: rules, not a language model", port)
    web.run_app(
        app(settings.offline_model_tokens_per_s),
        host=host.strip("[]"),
        port=int(port),
        print=None,
        access_log=None,
        shutdown_timeout=1,
    )


if __name__ == "__main__":
    main()
