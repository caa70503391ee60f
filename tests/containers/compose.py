"""`docker-compose.yml` as an operator runs it, in a copy of the project with keys of its own."""

from __future__ import annotations

import asyncio
import functools
import json
import os
import random
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from deploy import env
from tests.support import ports

SERVICES: Final = ("edge", "router_svc", "agent_svc", "memory_svc", "formatter_svc")
UP_S: Final = 180.0
EDGES: Final = 3
"""Two edges, and one more while another is replaced: so many ports are kept for them."""
LOG: Final = Path("build") / "containers.log"


def run(*command: str, seconds: float = 300, **more: Any) -> str:
    """Runs a command to its end; returns its output, or fails with it."""
    done: subprocess.CompletedProcess[str] = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
        **more,
    )
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout[-4000:]}"
    return done.stdout


def until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    """Waits until a condition holds, or fails after so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:g} s: {what}"
        time.sleep(0.25)


@functools.cache
def _compose() -> tuple[str, ...]:
    """Compose v2 where it is there, else docker-compose 1.29."""
    probe = subprocess.run(["docker", "compose", "version"], capture_output=True, check=False)
    return ("docker", "compose") if probe.returncode == 0 else ("docker-compose",)


class Compose:
    """One project of containers."""

    def __init__(self, source: Path, folder: Path) -> None:
        self.folder = folder
        self.project = f"switchboard-{uuid.uuid4().hex[:8]}"
        self.port = ports.row(EDGES)
        self.published = str(self.port)
        # Beside whatever else runs on this machine.
        self.subnet = f"10.{random.randrange(64, 192)}.{random.randrange(256)}.0/24"
        self.origins = tuple(f"http://127.0.0.1:{self.port + each}" for each in range(EDGES))
        self.origin = self.origins[0]
        self._said = ""
        self._copy(source)
        env.make(folder, {})

    def _copy(self, source: Path) -> None:
        """Just what the builder is given, and how."""
        rules = (source / ".dockerignore").read_text().splitlines()
        given = [rule[1:].rstrip("/") for rule in rules if rule.startswith("!")]
        for name in (*given, "Dockerfile", ".dockerignore", "docker-compose.yml"):
            target = self.folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if (source / name).is_dir():
                shutil.copytree(source / name, target)
            else:
                shutil.copy(source / name, target)

    def __call__(self, *arguments: str) -> str:
        """Runs a compose command in the project."""
        settings = {
            "EDGE_PORT": self.published,
            "PUBLIC_SUBNET": self.subnet,
            "SWITCHBOARD_TAG": "test",
        }
        return run(
            *_compose(), "-p", self.project, *arguments, cwd=self.folder, env=os.environ | settings
        )

    def build(self) -> None:
        self("build")

    def up(self, *services: str, **replicas: int) -> None:
        """Starts what is not running, and waits until all of it is well."""
        scale = [f"--scale={name}={count}" for name, count in replicas.items()]
        alone = ["--no-deps"] if services else []
        self("up", "-d", "--no-build", *alone, *scale, *services)
        self.well(*services)

    def well(self, *services: str) -> None:
        """Waits until all containers of the services are running and healthy."""
        for service in services or SERVICES:
            until(
                lambda name=service: all(map(self._is_well, self.ids(name))),  # type: ignore[misc]
                UP_S,
                f"{service} is healthy",
            )

    def _is_well(self, container: str) -> bool:
        """Running, and healthy where the image has a way to tell."""
        state = self.state(container)
        told: str = state.get("Health", {"Status": "healthy"})["Status"]
        return bool(state["Running"]) and told == "healthy"

    def several_edges(self) -> None:
        """Has the next `up` publish edges on `origins`, each on one of them."""
        self.published = f"{self.port}-{self.port + EDGES - 1}"
        for container in self.ids("edge"):
            self.remove(container)

    def replace(self, service: str, container: str) -> None:
        """Has a new container, with a new address, take an old one's place: docs/operate.md."""
        before = self.ids(service)
        one_more = (f"--scale={service}={len(before) + 1}", service)
        self("up", "-d", "--no-build", "--no-deps", "--no-recreate", *one_more)
        self.well(service)
        self.remove(container)
        after = self.ids(service)
        assert container not in after
        assert len(after) == len(before)

    def remove(self, container: str) -> None:
        """Stops a container, which must end by itself, and removes it."""
        run("docker", "stop", "-t", "20", container)
        code = self.state(container)["ExitCode"]
        said = run("docker", "logs", "--timestamps", container)
        self._said += said
        assert code == 0, said[-4000:]
        run("docker", "rm", container)

    def ids(self, service: str) -> list[str]:
        """The ids of a service's containers, running or not, the oldest first."""
        labels = (
            f"label=com.docker.compose.project={self.project}",
            f"label=com.docker.compose.service={service}",
        )
        found = run("docker", "ps", "-aq", "--no-trunc", *(f"--filter={each}" for each in labels))
        return found.split()[::-1]

    def state(self, container: str) -> dict[str, Any]:
        found: dict[str, Any] = self.inspect(container)["State"]
        return found

    def inspect(self, container: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(run("docker", "inspect", container))
        return found[0]

    def crash(self, container: str) -> None:
        """Ends the process at once, which Docker answers by starting it again; waits for that.

        Unlike `docker kill`, this counts as a crash.
        """
        before = self.state(container)
        os.kill(before["Pid"], signal.SIGKILL)
        until(
            lambda: (
                (now := self.state(container))["Running"]
                and now["StartedAt"] != before["StartedAt"]
            ),
            30,
            "Docker starts the container again",
        )

    def python(self, service: str, program: str) -> str:
        """Runs a program in a service's container, with what the image has."""
        return run("docker", "exec", self.ids(service)[0], "python", "-c", program)

    def connected(self, service: str, port: int) -> int:
        """How many different addresses a service's container is connected to at a port."""
        lines = run("docker", "exec", self.ids(service)[0], "cat", "/proc/net/tcp").splitlines()
        fields = [line.split() for line in lines[1:]]
        established = {each[2] for each in fields if each[3] == "01"}
        return sum(int(address.partition(":")[2], 16) == port for address in established)

    def down(self) -> None:
        """Takes everything away, the data too; what was said is kept in build/containers.log."""
        if said := self("logs", "--no-color", "--timestamps").partition("\n")[2]:
            LOG.parent.mkdir(exist_ok=True)
            LOG.write_text(said + self._said)
        self("down", "--volumes", "--remove-orphans", "--timeout=20")

    def left_over(self) -> Sequence[str]:
        """What of the project is still there."""
        mine = f"--filter=label=com.docker.compose.project={self.project}"
        lists = (["docker", "ps", "-aq"], ["docker", "volume", "ls", "-q"])
        found = [run(*command, mine) for command in (*lists, ["docker", "network", "ls", "-q"])]
        return "".join(found).split()


async def aside(function: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
    """Runs something slow beside the conversation."""
    return await asyncio.to_thread(function, *arguments, **more)
