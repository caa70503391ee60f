"""What runs, with which environment. Pure but for choosing free ports."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from devstack.settings import SERVICES, DevstackSettings
from devstack.state import Refused, State

_MODEL: Final = frozenset({"OPENAI_API_KEY"})
# Which secrets each process may see; no other gets them.
_SECRETS: Final[Mapping[str, frozenset[str]]] = {
    "memory": _MODEL | {"EMBEDDING_API_KEY", "DATABASE_URL", "MASTER_KEYS", "MAILER_URL"},
    "agent": _MODEL | {"AGENT_API_KEY"},
    "formatter": frozenset(),
    "router": _MODEL | {"ROUTER_API_KEY"},
    "edge": frozenset({"AUTH_SIGNING_KEYS"}),
    "model": frozenset(),
}
_ALL_SECRETS: Final = frozenset().union(*_SECRETS.values())
MODULES: Final[Mapping[str, str]] = {
    "memory": "memory_svc",
    "agent": "agent_svc",
    "formatter": "formatter_svc",
    "router": "router_svc",
    "edge": "edge",
    "model": "devstack.offline_model",
}
# Stopping in 10 s leaves no more for the answers under way.
_DRAIN_S: Final = "3"


@dataclass(frozen=True, slots=True)
class Plan:
    """Where everything listens: `addresses` by process, host:port."""

    settings: DevstackSettings
    state: State
    addresses: Mapping[str, str]

    @property
    def processes(self) -> tuple[str, ...]:
        """The names of what runs, but for the database."""
        return (*SERVICES, "model") if self.settings.offline else SERVICES

    @property
    def origin(self) -> str:
        """The edge's address as a client on this machine dials it."""
        host, _, port = self.addresses["edge"].rpartition(":")
        anywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]", "[::]": "[::1]"}  # noqa: S104
        return f"{anywhere.get(host, host)}:{port}"

    def environment(
        self, name: str, base: Mapping[str, str], database_url: str | None
    ) -> dict[str, str]:
        """The environment of one process: the stack's own, less others' secrets, plus addresses.

        `database_url` is the embedded database's; None leaves the one in `base`.
        """
        hidden = _ALL_SECRETS - _SECRETS[name]
        kept = {
            key: value
            for key, value in base.items()
            if key.removesuffix("_FILE") not in hidden and key not in ("LISTEN_ADDR", "ADMIN_ADDR")
        }
        kept.setdefault("DRAIN_S", _DRAIN_S)
        if self.settings.admin_addr and name in SERVICES:
            kept["ADMIN_ADDR"] = _beside(self.settings.admin_addr, 1 + SERVICES.index(name))
        kept |= {
            f"{service.upper()}_ADDR": self.addresses[service]
            for service in SERVICES
            if service != "edge"
        }
        match name:
            case "edge":
                host, _, port = self.addresses["edge"].rpartition(":")
                kept |= {"EDGE_HOST": host.strip("[]"), "EDGE_PORT": port}
            case "model":
                kept["OFFLINE_MODEL_ADDR"] = self.addresses["model"]
            case _:
                kept["LISTEN_ADDR"] = self.addresses[name]
        if self.settings.offline and "OPENAI_API_KEY" in _SECRETS[name]:
            kept["OPENAI_BASE_URL"] = f"http://{self.addresses['model']}/v1"
        return kept | of_state(self.state, name, kept, database_url)


def of_state(
    state: State, name: str, given: Mapping[str, str], database_url: str | None
) -> dict[str, str]:
    """What a process takes from the state folder, where the environment does not give it: keys
    by file, since a secret in an environment is easily seen."""
    files = {
        "memory": {"MASTER_KEYS": state.master_keys},
        "edge": {"AUTH_SIGNING_KEYS": state.signing_keys},
    }.get(name, {})
    keys = {
        f"{key}_FILE": str(path)
        for key, path in files.items()
        if not (given.get(key) or given.get(f"{key}_FILE"))
    }
    if name == "memory":
        if not given.get("ERASURE_LEDGER"):
            keys["ERASURE_LEDGER"] = str(state.erasure_ledger)
        if database_url is not None:
            keys["DATABASE_URL"] = database_url
    return keys


def make(settings: DevstackSettings, state: State) -> Plan:
    """Chooses where everything listens. Raises Refused where the edge's port is taken."""
    host = f"[{settings.edge_host}]" if ":" in settings.edge_host else settings.edge_host
    edge_port = _claim(settings.edge_host, settings.edge_port)
    given = {
        "memory": settings.memory_addr,
        "agent": settings.agent_addr,
        "formatter": settings.formatter_addr,
        "router": settings.router_addr,
        "model": settings.offline_model_addr,
    }
    free = iter(_free_ports(len(given)))
    addresses = {name: address or f"127.0.0.1:{next(free)}" for name, address in given.items()}
    return Plan(settings, state, {**addresses, "edge": f"{host}:{edge_port}"})


def _beside(address: str, offset: int) -> str:
    """One of the ports after the stack's own: each service serves its own metrics."""
    host, _, port = address.rpartition(":")
    return f"{host}:{int(port) + offset if int(port) else 0}"


def _claim(host: str, port: int) -> int:
    """Checks that the edge will be able to listen; port 0 becomes a free one."""
    try:
        with _listening(host, port) as claimed:
            return int(claimed.getsockname()[1])
    except OSError as error:
        raise Refused(
            f"port {port} of {host} is taken ({error.strerror}): "
            "set EDGE_PORT to another, or stop what listens there"
        ) from None


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(1)
    except OSError:
        made.close()
        raise
    return made


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on; all are held at once, so that no two are the same."""
    held = [_listening("127.0.0.1", 0) for _ in range(count)]
    try:
        return [int(one.getsockname()[1]) for one in held]
    finally:
        for one in held:
            one.close()
