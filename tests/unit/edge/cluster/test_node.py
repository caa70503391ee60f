"""An edge's connection to a broker that speaks mutual TLS."""

from pathlib import Path

from edge.access.budgets import Pool
from edge.cluster.node import Several
from edge.settings import EdgeSettings
from tests.support.certs import Authority
from tests.support.edge_stack import eventually
from tests.support.nats import nats


def connected(several: Several) -> bool:
    return "Broker(connected" in repr(several.others)


async def test_the_broker_is_reached_again_after_all_certificates_were_renewed(
    tmp_path: Path,
) -> None:
    authority = Authority()
    ours = authority.issue(tmp_path / "edge", "edge")
    theirs = authority.issue(tmp_path / "nats", "nats")
    options = [
        *("--tls", "--tlsverify", "--tlscert", str(theirs["tls_cert_file"])),
        *("--tlskey", str(theirs["tls_key_file"]), "--tlscacert", str(theirs["tls_ca_file"])),
    ]
    async with nats(*options) as server:
        url = f"tls://127.0.0.1:{server.port}"
        settings = EdgeSettings(auth_signing_keys="k" * 40, nats_url=url, **ours)
        several = Several(settings, Pool(settings.budget))
        broker = several.others._broker
        broker.start()
        try:
            await eventually(lambda: connected(several))
            await server.stop()
            await eventually(lambda: not connected(several))
            renewed = Authority()  # the old certificates and the old authority hold no longer
            renewed.issue(tmp_path / "edge", "edge")
            renewed.issue(tmp_path / "nats", "nats")
            await server.start()
            await eventually(lambda: connected(several))
        finally:
            await broker.stop()
