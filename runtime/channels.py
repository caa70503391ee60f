"""Connections to other services."""

import asyncio
import json
from typing import Any, Final, Self

import grpc

from runtime import tls
from runtime.settings import Settings

MAX_MESSAGE_BYTES: Final = 64 * 1024 * 1024
"""The largest message between services: a whole run's tool results, each up to a frame."""

_OLD_CALLS_S: Final = 900
"""How long calls under way may go on over a certificate that was renewed."""

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
    # Windows that grow by probing hold megabytes a stream for a reader that does not read;
    # fixed ones (64 KiB) let back-pressure reach the model, and on a local network cost nothing.
    ("grpc.http2.bdp_probe", 0),
    # A frozen or unreachable peer is noticed within keepalive time + time-out. The second
    # time-out guards pings that are already under way; without it the first is not kept.
    ("grpc.keepalive_time_ms", 8_000),
    ("grpc.keepalive_timeout_ms", 4_000),
    ("grpc.http2.ping_timeout_ms", 4_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    # The default back-off grows to two minutes; a restarted service is wanted at once.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 2_000),
    # In spite of its name: how long one attempt may take. A busy machine needs its time for a
    # handshake, and a peer that is frozen is not to hold up calls for the default's 20 s.
    ("grpc.min_reconnect_backoff_ms", 5_000),
    # A container that is replaced has another address; the default looks again after 30 s.
    ("grpc.dns_min_time_between_resolutions_ms", 1_000),
)


def dial(address: str, settings: Settings, name: str | None = None) -> grpc.aio.Channel:
    """A channel to `address`, host:port or any gRPC target; it reconnects by itself.

    `name`: what the certificate there must carry; left out: the address's own host.
    """
    source = tls.files(settings)
    if source is None:
        return grpc.aio.insecure_channel(address, options=OPTIONS)
    return _RenewingChannel(address, source, name)


class _RenewingChannel(grpc.aio.Channel):
    """A TLS channel that is dialled again when the certificate files change.

    gRPC reads a client's certificate once. Calls under way stay on the old channel,
    which closes when they are done; new calls take the new one.
    """

    def __init__(self, address: str, source: tls.Files, name: str | None) -> None:
        self._address = address
        named = (("grpc.ssl_target_name_override", name),) if name else ()
        self._options = (*OPTIONS, *named)
        self._closing: set[asyncio.Task[None]] = set()
        self._channel = tls.Renewing(source, self._redial)

    def _redial(self, source: tls.Files) -> grpc.aio.Channel:
        cert, key, ca = source.read()
        if hasattr(self, "_channel"):
            closing = asyncio.ensure_future(self._channel.value.close(_OLD_CALLS_S))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        return grpc.aio.secure_channel(
            self._address, grpc.ssl_channel_credentials(ca, key, cert), options=self._options
        )

    def _method(self, kind: str, *args: Any, **kwargs: Any) -> Any:
        made: dict[grpc.aio.Channel, Any] = {}

        def call(*call_args: Any, **call_kwargs: Any) -> Any:
            channel = self._channel.current()
            if channel not in made:
                made.clear()
                made[channel] = getattr(channel, kind)(*args, **kwargs)
            return made[channel](*call_args, **call_kwargs)

        return call

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:
        return self._method("unary_unary", *args, **kwargs)

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:
        return self._method("unary_stream", *args, **kwargs)

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        return self._method("stream_unary", *args, **kwargs)

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        return self._method("stream_stream", *args, **kwargs)

    async def close(self, grace: float | None = None) -> None:
        await asyncio.gather(self._channel.value.close(grace), *self._closing)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._channel.current().get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._channel.current().wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._channel.current().channel_ready()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()
