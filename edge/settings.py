"""What the edge may be told by its environment."""

from ipaddress import ip_network
from socket import gethostname
from typing import Annotated, Final, Literal, Self

from pydantic import Field, FilePath, SecretStr, field_validator, model_validator

from edge.access.budgets import Budget
from edge.session.limits import Limits
from runtime.settings import Address, CommaList, ServiceSettings

_START_BYTES: Final = 96 * 1024 * 1024
"""What an edge uses without a socket."""

_SOCKET_BYTES: Final = 40 * 1024
"""What a socket adds, with its device and session: 34 KiB idle, by bench.idle_sockets."""


class EdgeSettings(ServiceSettings):
    """The edge: sockets and REST outside, gRPC inside."""

    edge_host: str = Field("127.0.0.1", description="Where the edge listens; loopback by default.")
    edge_port: Annotated[int, Field(ge=0, lt=65536)] = Field(
        8080, description="The port of the edge; 0 lets the system choose."
    )
    router_addr: Address = Field("127.0.0.1:50051", description="Where router_svc is, host:port.")
    memory_addr: Address = Field("127.0.0.1:50053", description="Where memory_svc is, host:port.")
    auth_signing_keys: SecretStr = Field(
        description="Keys that sign access tokens, newest first, separated by commas;"
        " 32 characters or more each."
    )
    nats_url: SecretStr | None = Field(
        None,
        description="Where NATS is, such as nats://10.0.0.5:4222 (several, separated by commas):"
        " with it, several edges are one. Not set: this edge is alone.",
    )
    listen_addr: Address = Field(
        "127.0.0.1:0",
        description="Where the edge listens for other edges, host:port; with NATS_URL only.",
    )
    advertise_addr: Address | None = Field(
        None,
        description="Where other edges reach that listener, host:port; LISTEN_ADDR where left"
        " out, with this machine's name where it is a wildcard.",
    )
    allowed_origins: CommaList = Field(
        ("null", "file://", "app://*", "self", "loopback"),
        description="Origins that may connect: patterns with *, `self` (the server's own) and"
        " `loopback`. A caller that sends none is no browser and may.",
    )
    access_token_s: float = Field(900, gt=0, description="How long an access token holds, in s.")
    token_grace_s: float = Field(
        60, ge=0, description="How long a socket outlives its token, in seconds."
    )
    hello_timeout_s: float = Field(
        10, gt=0, description="How long a socket may take to say hello, in seconds."
    )
    heartbeat_s: float = Field(
        20, gt=0, description="How often the edge looks whether a device is there, in seconds."
    )
    stall_s: float = Field(
        10, gt=0, description="How long a device may take for 64 KiB before it counts as too slow."
    )
    resume_window_s: float = Field(
        60, ge=0, description="How long a request is kept for a device that is away, in seconds."
    )
    journal_bytes: int = Field(
        1024 * 1024, gt=0, description="How much of one request is kept for a device, in bytes."
    )
    max_concurrent_requests: int = Field(
        8, gt=0, description="How many requests may run at once on one socket."
    )
    max_sockets_per_user: int = Field(
        32, gt=0, description="How many sockets a user may have at once."
    )
    max_sockets: int = Field(
        0,
        ge=0,
        description="How many sockets may be open at an edge. 0: what fits into MEMORY_LIMIT,"
        " such as 5,734 in 512 MiB; no limit where there is none.",
    )
    max_requests_per_user: int = Field(
        16,
        gt=0,
        description="How many requests may run at once over all devices of a user, connected or"
        " not, and REST; at each edge. Of six times as many, 96, nobody runs more than leave as"
        " many free for others; two anybody may.",
    )
    max_held_bytes_per_user: int = Field(
        8 * 1024 * 1024,
        gt=0,
        description="How many bytes an edge may hold for one user, over all devices, connected or"
        " not: running requests with their histories and results, and frames that wait or are"
        " kept; and, past a 512th of MAX_HELD_BYTES, never more than that leaves free for others.",
    )
    # Five a second are more than people ask, and as much as the conformance program does.
    requests_per_minute: float = Field(
        300,
        ge=0,
        description="How many requests a user may make in a minute, over all sockets and REST, at"
        " each edge; as many at once. 0: no limit.",
    )
    hellos_per_minute: float = Field(
        1200,
        ge=0,
        description="How many sockets an address may open in a minute, at each edge; as many at"
        " once. 0: no limit.",
    )
    sign_ins_per_minute: float = Field(
        120,
        ge=0,
        description="How often an address may register, log in or name a password in a minute, at"
        " each edge; as many at once. 0: no limit.",
    )
    refreshes_per_minute: float = Field(
        3600,
        ge=0,
        description="How often an address may refresh or log out in a minute, at each edge; as many"
        " at once: all devices of one network may come back together. 0: no limit.",
    )
    frames_per_second: float = Field(
        50,
        gt=0,
        description="How many frames of up to 16 KiB a socket may send in a second, larger ones"
        " counting for more; ten times as many at once.",
    )
    cpu_share: float = Field(
        0.05,
        ge=0,
        le=1,
        description="Which part of a core an edge spends on reading what one user sends, over all"
        " sockets and REST, or one address before a token is known; four seconds' worth at once;"
        " up to twenty times less while it is busy with many. 0: no limit.",
    )
    trusted_proxies: CommaList = Field(
        (),
        description="Networks of the proxies in front, such as 10.0.0.0/8: only theirs is the word"
        " on where a call comes from.",
    )
    forwarded_header: Literal["x-forwarded-for", "forwarded"] = Field(
        "x-forwarded-for",
        description="The header in which they say so, x-forwarded-for or forwarded; they must"
        " not pass on a client's own.",
    )
    http_idle_s: float = Field(
        75,
        gt=0,
        description="How long a connection may take to send its next request's headers, in"
        " seconds; longer than a proxy in front keeps one idle.",
    )
    edge_tls_cert_file: FilePath | None = Field(
        None,
        description="The certificate (chain, PEM) that clients see; with EDGE_TLS_KEY_FILE: HTTPS"
        " and wss. Renewed files are taken without a restart.",
    )
    edge_tls_key_file: FilePath | None = Field(None, description="That certificate's key (PEM).")
    request_deadline_s: float = Field(
        900, gt=0, description="How long a request may take in all, in seconds."
    )
    drain_s: float = Field(
        10, ge=0, description="How long running requests may go on after SIGTERM, in seconds."
    )

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, networks: tuple[str, ...]) -> tuple[str, ...]:
        for network in networks:
            ip_network(network)
        return networks

    @model_validator(mode="after")
    def _whole_edge_tls(self) -> Self:
        if (self.edge_tls_cert_file is None) != (self.edge_tls_key_file is None):
            raise ValueError("EDGE_TLS_CERT_FILE and EDGE_TLS_KEY_FILE: set both or none")
        return self

    @field_validator("auth_signing_keys")
    @classmethod
    def _long_enough(cls, keys: SecretStr) -> SecretStr:
        if not all(len(key) >= 32 for key in _split(keys)) or not _split(keys):
            raise ValueError("each key must have 32 characters or more")
        return keys

    @property
    def nats_servers(self) -> tuple[str, ...]:
        """The brokers' addresses in the clear: they may hold a password."""
        return _split(self.nats_url) if self.nats_url else ()

    def advertised(self, port: int) -> str:
        """Where other edges reach this one that listens on `port`."""
        if self.advertise_addr is not None:
            return self.advertise_addr
        host = self.listen_addr.rpartition(":")[0]
        return f"{gethostname() if host.strip('[]') in ('0.0.0.0', '::') else host}:{port}"  # noqa: S104

    @property
    def signing_keys(self) -> tuple[str, ...]:
        """The keys in the clear, newest first."""
        return _split(self.auth_signing_keys)

    @property
    def limits(self) -> Limits:
        """What clients have to keep to."""
        return Limits(
            max_concurrent_requests=self.max_concurrent_requests,
            resume_window_s=self.resume_window_s,
            journal_bytes=self.journal_bytes,
        )

    @property
    def most_sockets(self) -> int | None:
        """So many may be open at once, with three eighths of the memory left to requests, and to
        garbage; None: no limit."""
        if self.max_sockets:
            return self.max_sockets
        if self.memory is None:
            return None
        return max(1, (self.memory * 5 // 8 - _START_BYTES) // _SOCKET_BYTES)

    @property
    def budget(self) -> Budget:
        """What users may hold."""
        return Budget(
            requests_per_user=self.max_requests_per_user,
            bytes_per_user=self.max_held_bytes_per_user,
            bytes=self.held_bytes,
        )


def _split(keys: SecretStr) -> tuple[str, ...]:
    return tuple(key.strip() for key in keys.get_secret_value().split(",") if key.strip())
