"""What an edge runs to be one of several: the listener for the others, and the broker."""

import ssl
from collections.abc import Callable
from functools import partial
from typing import Final

from edge.access.budgets import Pool
from edge.access.tokens import Tokens
from edge.cluster.nats import Broker
from edge.cluster.peers import Peers
from edge.cluster.service import EdgeServicer
from edge.gateway.registry import Devices
from edge.settings import EdgeSettings
from runtime import tls
from runtime.channels import dial
from runtime.server import Server
from switchboard.v3.edge_pb2_grpc import add_EdgeServiceServicer_to_server

CERTIFICATE: Final = "edge"
"""The name in every edge's certificate: others are dialled by address, whatever it is."""

STOP_S: Final = 1.0
"""How long a reader may take to get what is decided, in seconds."""


class Several:
    """Started once the devices are there; `others` may be used before."""

    def __init__(self, settings: EdgeSettings, pool: Pool) -> None:
        self._settings = settings
        self._server = Server(settings, "edge", ["switchboard.v3.EdgeService"], pool)
        self.others = Peers(
            Broker(settings.nats_servers, _tls(settings)),
            partial(dial, settings=settings, name=CERTIFICATE),
            deadline_s=settings.request_deadline_s + 60,
        )

    async def start(self, devices: Devices, tokens: Tokens) -> None:
        """Listens, then tells where."""
        add_EdgeServiceServicer_to_server(EdgeServicer(devices), self._server.grpc)
        port = await self._server.start()
        self.others.meet(devices, tokens, self._settings.advertised(port))

    async def stop(self) -> None:
        """Ends both."""
        await self.others.part()
        await self._server.stop(STOP_S)


def _tls(settings: EdgeSettings) -> Callable[[], ssl.SSLContext] | None:
    """For a broker at a tls:// address: the services' own certificate and authority, renewed."""
    source = tls.files(settings)
    if source is None or not any(each.startswith("tls://") for each in settings.nats_servers):
        return None
    return tls.Renewing(source, _context).current


def _context(source: tls.Files) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=source.ca)
    made.load_cert_chain(source.cert, source.key)
    return made
