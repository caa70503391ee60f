"""`python -m devstack.offline_model`: serves the offline model."""

import logging

from aiohttp import web

from devstack.offline_model.server import app
from devstack.offline_model.settings import OfflineModelSettings
from runtime import logs
from runtime.settings import load

log = logging.getLogger(__name__)


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
