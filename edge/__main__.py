"""`python -m edge`: runs the edge until SIGTERM or SIGINT."""

import asyncio
import logging
import signal

from aiohttp import web

from edge import app
from edge.settings import EdgeSettings
from runtime import observe
from runtime.settings import load

log = logging.getLogger("edge")


async def serve(settings: EdgeSettings) -> int:
    """Listens, serves, drains. Returns the exit status."""
    application = app.make(settings)
    runner = web.AppRunner(application, handle_signals=False, access_log=None, shutdown_timeout=3)
    await runner.setup()
    site = web.TCPSite(runner, settings.edge_host, settings.edge_port)
    try:
        await site.start()
    except OSError:
        where = f"{settings.edge_host}:{settings.edge_port}"
        log.error("edge cannot listen on %s: it is taken, or not this machine's", where)
        await runner.cleanup()
        return 1
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    port = runner.addresses[0][1]
    log.info("edge listens on %s port %d", settings.edge_host, port)
    await stopping.wait()
    log.info("edge is draining")
    await site.stop()
    await app.drain(application)
    await runner.cleanup()
    return 0


def main() -> int:
    """Reads the settings and runs."""
    settings = load(EdgeSettings, "edge")
    observe.start(settings, "edge")
    return asyncio.run(serve(settings))


if __name__ == "__main__":
    raise SystemExit(main())
