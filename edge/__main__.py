"""`python -m edge`: runs the edge until SIGTERM or SIGINT."""

import asyncio
import logging
import signal
from ipaddress import ip_address

from aiohttp import web

from edge import app, listener, listener_tls
from edge.settings import EdgeSettings
from runtime import observe
from runtime.settings import load

log = logging.getLogger("edge")


async def serve(settings: EdgeSettings) -> int:
    """Listens, serves, drains. Returns the exit status."""
    try:
        context = listener_tls.context(settings)
    except OSError as error:
        log.error("EDGE_TLS_CERT_FILE and EDGE_TLS_KEY_FILE cannot be used: %s", _why(error))
        return 2
    application = app.make(settings)
    runner = listener.runner(application, settings, handle_signals=False, shutdown_timeout=3)
    await runner.setup()
    site = web.TCPSite(runner, settings.edge_host, settings.edge_port, ssl_context=context)
    try:
        await site.start()
    except OSError:
        where = f"{settings.edge_host}:{settings.edge_port}"
        log.error("edge cannot listen on %s: it is taken, or not this machine's", where)
        await runner.cleanup()
        return 1
    observe.watch(settings)
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    port = runner.addresses[0][1]
    log.info("edge listens on %s port %d", settings.edge_host, port)
    if not _is_loopback(settings.edge_host):
        _warn(settings, clear=context is None)
    await stopping.wait()
    log.info("edge is draining")
    await site.stop()
    await app.drain(application)
    await runner.cleanup()
    return 0


def _warn(settings: EdgeSettings, *, clear: bool) -> None:
    """What whoever listens beyond this machine may have overlooked."""
    if clear:
        log.warning("edge speaks in the clear beyond this machine: a proxy must add TLS")
    if not settings.trusted_proxies:
        log.warning(
            "TRUSTED_PROXIES is not set: behind a proxy or an ingress, all clients count as one"
        )


def _why(error: OSError) -> str:
    return getattr(error, "reason", None) or type(error).__name__


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def main() -> int:
    """Reads the settings and runs."""
    settings = load(EdgeSettings, "edge")
    observe.start(settings, "edge")
    return asyncio.run(serve(settings))


if __name__ == "__main__":
    raise SystemExit(main())
