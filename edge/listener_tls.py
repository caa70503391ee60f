"""TLS at the edge's own listener, by two files that may be renewed at any time."""

import ssl
from pathlib import Path

from edge.settings import EdgeSettings
from runtime.tls import Files, Renewing


def context(settings: EdgeSettings) -> ssl.SSLContext | None:
    """What the listener speaks TLS with; None: it speaks in the clear.

    Raises OSError (ssl.SSLError among them) where the files cannot be used.
    """
    cert, key = settings.edge_tls_cert_file, settings.edge_tls_key_file
    if cert is None or key is None:
        return None
    fresh = Renewing(Files(cert, key, cert), lambda files: _context(files.cert, files.key))

    # Asked at each handshake, whether or not the client names a server.
    def renew(handshake: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        handshake.context = fresh.current()

    front = _context(cert, key)
    front.sni_callback = renew
    return front


def _context(cert: Path, key: Path) -> ssl.SSLContext:
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.load_cert_chain(cert, key)
    return made
