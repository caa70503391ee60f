"""Where everything listens, and what each process is told."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack import plan
from devstack.plan import Plan
from devstack.settings import SERVICES, DevstackSettings
from devstack.state import Refused, State, open_state

SECRETS = {
    "OPENAI_API_KEY": "sk-1",
    "AGENT_API_KEY": "sk-2",
    "ROUTER_API_KEY_FILE": "/r",
    "EMBEDDING_API_KEY": "sk-3",
    "MASTER_KEYS": "m",
    "AUTH_SIGNING_KEYS_FILE": "/a",
    "DATABASE_URL": "postgresql://x",
}


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    opened = open_state(tmp_path)
    yield opened
    os.close(opened.lock)


def made(state: State, **settings: object) -> Plan:
    return plan.make(DevstackSettings.model_validate({"edge_port": 0, **settings}), state)


def test_ports_are_free_and_differ(state: State) -> None:
    addresses = made(state).addresses
    assert len(set(addresses.values())) == 6
    assert all(not address.endswith(":0") for address in addresses.values())


def test_addresses_that_are_set_are_kept(state: State) -> None:
    chosen = made(state, router_addr="127.0.0.1:50051")
    assert chosen.addresses["router"] == "127.0.0.1:50051"
    assert chosen.environment("edge", {}, None)["ROUTER_ADDR"] == "127.0.0.1:50051"
    assert chosen.environment("router", {}, None)["LISTEN_ADDR"] == "127.0.0.1:50051"


def test_a_taken_port_is_named(state: State) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Refused, match=rf"port {port} of 127.0.0.1 is taken .* set EDGE_PORT"):
            made(state, edge_port=port)


def test_metrics_of_each_service_are_on_the_ports_after_the_stacks_own(state: State) -> None:
    chosen = made(state, admin_addr="127.0.0.1:9100")
    seen = {
        name: chosen.environment(name, {"ADMIN_ADDR": "127.0.0.1:9100"}, None).get("ADMIN_ADDR")
        for name in (*SERVICES, "model")
    }
    assert seen == {
        "memory": "127.0.0.1:9101",
        "agent": "127.0.0.1:9102",
        "formatter": "127.0.0.1:9103",
        "router": "127.0.0.1:9104",
        "edge": "127.0.0.1:9105",
        "model": None,
    }


def test_each_process_sees_its_own_secrets_only(state: State) -> None:
    chosen = made(state, openai_api_key="sk-1")

    def seen(name: str) -> set[str]:
        given = chosen.environment(name, SECRETS, None)
        return {key for key in SECRETS if key in given}

    assert seen("memory") == {
        *("OPENAI_API_KEY", "EMBEDDING_API_KEY", "MASTER_KEYS", "DATABASE_URL")
    }
    assert seen("agent") == {"OPENAI_API_KEY", "AGENT_API_KEY"}
    assert seen("router") == {"OPENAI_API_KEY", "ROUTER_API_KEY_FILE"}
    assert seen("edge") == {"AUTH_SIGNING_KEYS_FILE"}
    assert seen("formatter") == set()


def test_keys_of_the_state_folder_are_given_by_file(state: State) -> None:
    memory = made(state).environment("memory", {}, "postgresql:///x")
    assert memory["MASTER_KEYS_FILE"] == str(state.master_keys)
    assert memory["DATABASE_URL"] == "postgresql:///x"
    own = made(state).environment("memory", {"MASTER_KEYS": "mine"}, None)
    assert own["MASTER_KEYS"] == "mine" and "MASTER_KEYS_FILE" not in own


@pytest.mark.parametrize(
    ("settings", "offline"),
    [
        ({}, True),
        ({"openai_api_key": "sk-1"}, False),
        ({"openai_base_url": "http://127.0.0.1:1/v1"}, False),
    ],
)
def test_the_offline_model_stands_in_for_a_missing_one(
    state: State, settings: dict[str, object], offline: bool
) -> None:
    chosen = made(state, **settings)
    assert ("model" in chosen.processes) is offline
    url = chosen.environment("agent", {}, None).get("OPENAI_BASE_URL")
    assert url == (f"http://{chosen.addresses['model']}/v1" if offline else None)


def test_the_origin_can_be_dialled(state: State) -> None:
    chosen = made(state, edge_host="0.0.0.0")
    assert chosen.origin.startswith("127.0.0.1:")
