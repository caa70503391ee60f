"""Connections to other services."""

import json
from typing import Final

import grpc

MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
"""The largest message between services: a whole run's tool results, each up to a frame."""

_SERVICE_CONFIG: Final = json.dumps(
    {
        # Replicas behind one DNS name share the calls; one that says NOT_SERVING gets no new ones.
        "loadBalancingConfig": [{"round_robin": {}}],
        "healthCheckConfig": {"serviceName": ""},
    }
)

OPTIONS: Final[tuple[tuple[str, str | int], ...]] = (
    ("grpc.service_config", _SERVICE_CONFIG),
    ("grpc.enable_http_proxy", 0),
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    # A frozen or unreachable peer is noticed within keepalive time + time-out. The second
    # time-out guards pings that are already under way; without it the first is not kept.
    ("grpc.keepalive_time_ms", 8_000),
    ("grpc.keepalive_timeout_ms", 4_000),
    ("grpc.http2.ping_timeout_ms", 4_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # The default back-off grows to two minutes; a restarted service is wanted at once.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
)


def dial(address: str) -> grpc.aio.Channel:
    """A channel to `address`, host:port or any gRPC target; it reconnects by itself."""
    return grpc.aio.insecure_channel(address, options=OPTIONS)
