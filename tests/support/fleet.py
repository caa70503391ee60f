"""The services as processes of their own, with replicas, to be killed, frozen and drained.

    with Fleet(folder, database_url, Plan(router=2, agent=2)) as fleet:
        fleet.origin()              # http://host:port of the first edge
        fleet["router", 1].kill()   # SIGKILL; .terminate() drains, .freeze() stops the clock
        fleet["router", 1].start()  # again, at the same address

Nobody starts anything again but the test. Without a `model_url` the offline model answers.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from cryptography.fernet import Fernet

from runtime.settings import ServiceSettings
from tests.support import ports
from tests.support.stack import environment, until

START_S: Final = 90.0
STOP_S: Final = 40.0
SERVICES: Final = ("model", "memory", "formatter", "agent", "router", "edge")
UNLIMITED: Final = {
    "REQUESTS_PER_MINUTE": "1000000",
    "HELLOS_PER_MINUTE": "1000000",
    "SIGN_INS_PER_MINUTE": "1000000",
    "FRAMES_PER_SECOND": "1000000",
    "CPU_SHARE": "0",
}
"""All devices of a test come from one address, and do in a second what people do in an hour."""

_MODULES: Final = {"edge": "edge", "model": "devstack.offline_model"}
_UP: Final = re.compile(r"listens on ")


@dataclass(frozen=True, slots=True)
class Plan:
    """How many of each, and what single ones are told beside what all are."""

    edge: int = 1
    router: int = 1
    agent: int = 1
    formatter: int = 1
    memory: int = 1
    own: Mapping[tuple[str, int], Mapping[str, str]] = field(default_factory=dict)

    def count(self, name: str) -> int:
        """How many processes a service has."""
        return 1 if name == "model" else int(getattr(self, name))


def several(edge: int, **counts: int) -> Plan:
    """A plan with edges that are one, where there is a NATS_URL: each listens for the others at a
    port of the system's choice, and tells them which."""
    own = {("edge", number): {"LISTEN_ADDR": "127.0.0.1:0"} for number in range(edge)}
    return Plan(edge=edge, own=own, **counts)


class Process:
    """One service process; it can be started again."""

    def __init__(self, name: str, port: int, env: dict[str, str], log: Path) -> None:
        self.name = name
        self.port = port
        self._env = env
        self._log = log
        self._popen: subprocess.Popen[bytes] | None = None
        self._logged = 0  # what earlier lives wrote

    @property
    def pid(self) -> int:
        """The process that runs, or ran last."""
        assert self._popen is not None
        return self._popen.pid

    @property
    def alive(self) -> bool:
        return self._popen is not None and self._popen.poll() is None

    @property
    def status(self) -> int | None:
        """The exit status; negative for the signal that ended it."""
        return self._popen.poll() if self._popen else None

    @property
    def log(self) -> str:
        """What its present life wrote."""
        return self.whole_log[self._logged :]

    @property
    def whole_log(self) -> str:
        """What all its lives wrote."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def start(self) -> None:
        """Starts it; `up` tells when it listens."""
        assert not self.alive
        self._logged = len(self.whole_log)
        module = _MODULES.get(self.name, f"{self.name}_svc")
        with self._log.open("ab") as log:
            self._popen = subprocess.Popen(
                [sys.executable, "-m", module],
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    @property
    def up(self) -> bool:
        """Whether it listens. Fails where it ended instead."""
        assert self.alive, f"{self.name} ended ({self.status}):\n{self.log}"
        return bool(_UP.search(self.log))

    def signal(self, number: int) -> None:
        if self._popen is not None and self.alive:
            self._popen.send_signal(number)

    def kill(self) -> None:
        """Ends it at once, as a crash does."""
        self.signal(signal.SIGKILL)
        self.reap()

    def terminate(self) -> None:
        """Asks it to drain and end."""
        self.signal(signal.SIGTERM)

    def freeze(self) -> None:
        """It runs no more; its sockets look alive."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def reap(self) -> None:
        """Waits for its end."""
        if self._popen is not None:
            self._popen.wait(STOP_S)

    @property
    def rss(self) -> int:
        """Memory in bytes."""
        found = re.search(r"VmRSS:\s+(\d+) kB", _read(self.pid, "status"))
        return int(found[1]) * 1024 if found else 0

    @property
    def cpu_s(self) -> float:
        """Time on a processor so far, in seconds."""
        user, system = _read(self.pid, "stat").rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")

    @property
    def fds(self) -> int:
        """Open file descriptors."""
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))

    def split_fds(self, model: int) -> tuple[int, int]:
        """Open descriptors, and how many more are sockets to the model's port or of the database
        (which is at a Unix socket)."""
        tables = (Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6"))
        rows = [line.split() for table in tables for line in table.splitlines()[1:]]
        remote = {row[9]: row[2].rpartition(":")[2] for row in rows}
        pooled = total = 0
        for entry in Path(f"/proc/{self.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                link = str(entry.readlink())
                total += 1
                if link.startswith("socket:["):
                    port = remote.get(link[8:-1])
                    pooled += port is None or port == f"{model:04X}"
        return total - pooled, pooled

    def metrics(self) -> str:
        """What it tells Prometheus; empty where it does not answer."""
        url = f"http://{self._env['ADMIN_ADDR']}/metrics"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as response:
            return str(response.read().decode())
        return ""

    @property
    def peers(self) -> int:
        """How many connections others hold to its port."""
        port = f":{self.port:04X}"
        tables = (Path(f"/proc/net/{name}").read_text() for name in ("tcp", "tcp6"))
        rows = (line.split() for table in tables for line in table.splitlines()[1:])
        return sum(row[1].endswith(port) and row[3] == "01" for row in rows)


class Fleet:
    """Everything that a server is, but for the database."""

    def __init__(
        self,
        folder: Path,
        database_url: str,
        plan: Plan | None = None,
        *,
        model_url: str | None = None,
        **settings: str,
    ) -> None:
        self.plan = plan or Plan()
        self._folder = folder
        self._ports, self._admin = _ports(self.plan)
        shared = {
            "DATABASE_URL": database_url,
            "MASTER_KEYS": Fernet.generate_key().decode(),
            "AUTH_SIGNING_KEYS": "k" * 40,
            "ERASURE_LEDGER": str(folder / "erased"),
            "OPENAI_API_KEY": "sk-nobody-reads-this",
            "OPENAI_BASE_URL": model_url or f"http://127.0.0.1:{self._ports['model', 0]}/v1",
            "OFFLINE_MODEL_ADDR": f"127.0.0.1:{self._ports['model', 0]}",
            **UNLIMITED,
            **{f"{name.upper()}_ADDR": self._target(name) for name in SERVICES[1:-1]},
            **settings,
        }
        self.drain_s = float(shared.get("DRAIN_S", ServiceSettings.model_fields["drain_s"].default))
        self.processes = {
            key: self._process(*key, shared)
            for key in self._ports
            if model_url is None or key[0] != "model"
        }

    def _target(self, name: str) -> str:
        """The replicas of a service, as one gRPC target."""
        ports = [port for (service, _), port in self._ports.items() if service == name]
        return "ipv4:" + ",".join(f"127.0.0.1:{port}" for port in ports)

    def _process(self, name: str, index: int, shared: Mapping[str, str]) -> Process:
        port = self._ports[name, index]
        own = {"LISTEN_ADDR": f"127.0.0.1:{port}", "EDGE_PORT": str(port)}
        own |= {"ADMIN_ADDR": f"127.0.0.1:{self._admin[name, index]}"}
        own |= self.plan.own.get((name, index), {})
        env = environment(self._folder, **{**shared, **own})
        return Process(name, port, env, self._folder / f"{name}-{index}.log")

    def __getitem__(self, key: tuple[str, int]) -> Process:
        return self.processes[key]

    def __iter__(self) -> Iterator[Process]:
        return iter(self.processes.values())

    def __enter__(self) -> Self:
        try:
            for process in self:
                process.start()
            self.ready()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in self:
            process.thaw()
            process.terminate()
        end = time.monotonic() + 15
        for process in self:
            while process.alive and time.monotonic() < end:
                time.sleep(0.02)
            process.kill()

    def origin(self, index: int = 0) -> str:
        """http://host:port of an edge."""
        return f"http://127.0.0.1:{self._ports['edge', index]}"

    def ready(self) -> None:
        """Waits until every process is there and every edge can use all behind it."""
        until(lambda: all(process.up for process in self), START_S, "all services listen")
        for index in range(self.plan.edge):
            until(lambda i=index: self.answers(i), START_S, "an edge is ready")  # type: ignore[misc]

    def answers(self, index: int = 0) -> bool:
        """Whether an edge says that it and all behind it can be used."""
        url = f"{self.origin(index)}/readyz"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5) as response:
            return bool(response.status == 200)
        return False

    def rejoined(self, process: Process) -> bool:
        """Whether a process that was started again is in use by all that dial its service."""
        dialled_by = {
            "memory": ("edge",),  # the others dial it when they need it
            "agent": ("router",),
            "formatter": ("router",),
            "router": ("edge",),
        }[process.name]
        clients = sum(self.plan.count(name) for name in dialled_by)
        return process.up and process.peers >= clients


Ports = dict[tuple[str, int], int]


def _ports(plan: Plan) -> tuple[Ports, Ports]:
    """Free ports to serve and to tell of metrics."""
    keys = [(name, index) for name in SERVICES for index in range(plan.count(name))]
    found = ports.free(2 * len(keys))
    return dict(zip(keys, found, strict=False)), dict(zip(keys, found[len(keys) :], strict=True))


def _read(pid: int, name: str) -> str:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/{name}").read_text()
    return ""
