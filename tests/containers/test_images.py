"""What is in the images, and how their containers are held."""

from __future__ import annotations

import json

import pytest

from tests.containers.compose import SERVICES, Compose, run

IMAGES = ("edge", "router", "agent", "memory", "formatter", "migrate")
BASE = "python:3.11-slim"
LOOK_AROUND = """
import importlib.util, pathlib, shutil, sys
found = [tool for tool in ("gcc", "cc", "make", "pip", "pip3") if shutil.which(tool)]
found += [name for name in ("pip", "pytest", "tests", "numpy._core.tests") if name in sys.modules
          or importlib.util.find_spec(name.partition(".")[0]) and importlib.util.find_spec(name)]
found += [str(path) for path in pathlib.Path("/app").iterdir() if path.name not in %r]
print(found)
"""


def size(image: str) -> int:
    """Bytes of an image, its base included."""
    return int(run("docker", "image", "inspect", "-f", "{{.Size}}", image))


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_is_less_than_250_mb_over_its_base(stack: Compose, image: str) -> None:
    over = size(f"switchboard/{image}:test") - size(BASE)
    assert over < 250_000_000, f"{over / 1e6:.0f} MB"


@pytest.mark.parametrize("service", SERVICES)
def test_an_image_holds_its_own_code_alone_and_no_tools(stack: Compose, service: str) -> None:
    assert stack.python(service, LOOK_AROUND % ({"gen", "runtime", service},)).strip() == "[]"


@pytest.mark.parametrize("service", SERVICES)
def test_a_container_can_change_nothing(stack: Compose, service: str) -> None:
    (container,) = stack.ids(service)
    held = stack.inspect(container)
    assert held["Config"]["User"] == "10001:10001"
    assert held["HostConfig"]["ReadonlyRootfs"]
    assert held["HostConfig"]["CapDrop"] == ["ALL"]
    assert held["HostConfig"]["Memory"] > 0
    names = {text.partition("=")[0] for text in held["Config"]["Env"]}
    # Python's own images tell with which public key Python was signed.
    assert {name for name in names if name.endswith(("KEY", "KEYS", "PASSWORD"))} <= {"GPG_KEY"}


def test_only_the_edge_is_published_and_only_to_this_machine(stack: Compose) -> None:
    found = {
        service: json.dumps(stack.inspect(container)["HostConfig"]["PortBindings"])
        for service in (*SERVICES, "postgres", "nats", "offline_model")
        for container in stack.ids(service)
    }
    edge = json.loads(found.pop("edge"))
    assert edge == {"8080/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(stack.port)}]}
    assert set(found.values()) <= {"{}", "null"}
