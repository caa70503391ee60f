"""Asks the process in this container whether it is well: `python -m runtime.healthcheck`.

Without arguments: grpc.health.v1 at this container's own LISTEN_ADDR. With a path
("/healthz"): HTTP at EDGE_PORT, or at the port given after it. It speaks TLS where the
process does, with the same files. Exit status 0: well. It runs every few seconds, so it
imports little: no settings.
"""

import http.client
import os
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_TIMEOUT_S: Final = 3.0


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def grpc_serves(environ: Mapping[str, str]) -> bool:
    """Whether the gRPC service at LISTEN_ADDR says SERVING."""
    import grpc  # noqa: PLC0415 - the edge's check does without it
    from grpc_health.v1 import health_pb2  # noqa: PLC0415

    target = f"localhost:{_port(environ['LISTEN_ADDR'])}"
    options = (("grpc.enable_http_proxy", 0),)
    if environ.get("TLS_CERT_FILE"):
        names = ("TLS_CA_FILE", "TLS_KEY_FILE", "TLS_CERT_FILE")
        pems = [Path(environ[name]).read_bytes() for name in names]
        channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(*pems), options)
    else:
        channel = grpc.insecure_channel(target, options)
    with channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
            response_deserializer=health_pb2.HealthCheckResponse.FromString,
        )
        try:
            answer = check(health_pb2.HealthCheckRequest(), timeout=_TIMEOUT_S)
        except grpc.RpcError:
            return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)


def http_answers(environ: Mapping[str, str], path: str, port: str) -> bool:
    """Whether `path` is answered with 200."""
    connection: http.client.HTTPConnection
    if environ.get("EDGE_TLS_CERT_FILE"):
        # The question is whether this very process answers, so the name is not checked.
        context = ssl.create_default_context()
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        connection = http.client.HTTPSConnection(
            "127.0.0.1", int(port), timeout=_TIMEOUT_S, context=context
        )
    else:
        connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=_TIMEOUT_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def main(arguments: list[str], environ: Mapping[str, str] = os.environ) -> int:
    """Returns the exit status: 0 when the process is well."""
    match arguments:
        case []:
            well = grpc_serves(environ)
        case [path]:
            well = http_answers(environ, path, environ["EDGE_PORT"])
        case [path, port, *_]:
            well = http_answers(environ, path, port)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
