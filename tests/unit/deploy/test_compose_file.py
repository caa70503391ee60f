"""docker-compose.yml, read and not run: `make test-containers` runs it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from cryptography.fernet import Fernet

from agent_svc.settings import AgentSettings
from deploy import certs
from devstack.offline_model.settings import OfflineModelSettings
from edge.settings import EdgeSettings
from formatter_svc.settings import FormatterSettings
from memory_svc.settings import DatabaseSettings, MemorySettings
from router_svc.settings import RouterSettings
from runtime.settings import Settings, load

FILE: Final[dict[str, Any]] = yaml.safe_load(Path("docker-compose.yml").read_text())
SERVICES: Final[dict[str, Any]] = FILE["services"]
SETTINGS: Final[dict[str, type[Settings]]] = {
    "edge": EdgeSettings,
    "router_svc": RouterSettings,
    "agent_svc": AgentSettings,
    "memory_svc": MemorySettings,
    "formatter_svc": FormatterSettings,
    "migrate": DatabaseSettings,
    "offline_model": OfflineModelSettings,
}
CALLERS: Final = {
    "edge": {"edge"},
    "router_svc": {"edge"},
    "agent_svc": {"router_svc"},
    "memory_svc": {"edge", "router_svc", "agent_svc"},
    "formatter_svc": {"router_svc"},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_service_is_given_settings_that_it_has(name: str) -> None:
    known = {field.upper() for field in SETTINGS[name].model_fields}
    known |= {"OTEL_TRACES_SAMPLER", "OTEL_TRACES_SAMPLER_ARG"}  # the tracing library's own
    given = set(SERVICES[name].get("environment", {}))
    assert given <= known | {f"{field}_FILE" for field in known}


# What an operator does not set, and why. All else can be set in .env.
FIXED: Final = {
    "edge_host": "the image listens on all addresses",
    "edge_port": "the image's port; EDGE_PORT is the one that it is published on",
    "listen_addr": "the image's, and others dial it",
    "health_addr": "the health check has the service's own certificate",
    "advertise_addr": "each container's own name",
    "erasure_ledger": "the image's volume",
    "offline_model_addr": "the image's, and others dial it",
}
# These call nobody and are called by nobody with a certificate, and end or are for trying out.
ALONE: Final = {"migrate", "offline_model"}
UNSEEN: Final = {
    *("admin_addr", "otel_exporter_otlp_endpoint", "tls_cert_file", "tls_key_file", "tls_ca_file")
}


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_can_be_set(name: str) -> None:
    given = SERVICES[name].get("environment", {})
    fixed = {*FIXED} | (UNSEEN if name in ALONE else set())
    settable = {each for each in SETTINGS[name].model_fields if each not in fixed}
    missing = {
        each
        for each in settable
        if each.upper() not in given and f"{each.upper()}_FILE" not in given
    }
    assert not missing


REQUIRED: Final = {
    "AUTH_SIGNING_KEYS": "s" * 40,
    "DATABASE_URL": "postgresql://u:p@db/switchboard",
    "MASTER_KEYS": Fernet.generate_key().decode(),
    "ERASURE_LEDGER": "/tmp/erasures",
}


@pytest.mark.parametrize("name", SETTINGS)
def test_with_nothing_in_the_env_file_a_service_has_its_defaults(name: str) -> None:
    given = SERVICES[name].get("environment", {}).items()
    passed = {key: re.fullmatch(r"\$\{(\w+):-(.*)\}", value) for key, value in given}
    left_out = {key: match[2] for key, match in passed.items() if match}
    assert all(match[1] == key for key, match in passed.items() if match)
    left_out.pop("LOG_FORMAT", None)  # the images' is json
    assert load(SETTINGS[name], name, REQUIRED | left_out) == load(SETTINGS[name], name, REQUIRED)


def test_every_target_of_the_dockerfile_is_used() -> None:
    lines = Path("Dockerfile").read_text().splitlines()
    targets = {line.split()[-1] for line in lines if line.startswith("FROM base AS ")}
    assert targets == {SERVICES[name]["build"]["target"] for name in SETTINGS}


def test_services_accept_the_callers_of_the_architecture_and_no_others() -> None:
    for name, callers in CALLERS.items():
        assert set(SERVICES[name]["environment"]["TLS_CALLERS"].split(",")) == callers
    assert set(certs.SERVICES) == set(CALLERS)


def test_only_the_edge_is_published_and_to_this_machine_alone_by_default() -> None:
    published = {name: each["ports"] for name, each in SERVICES.items() if "ports" in each}
    assert published == {"edge": ["${EDGE_BIND:-127.0.0.1}:${EDGE_PORT:-8080}:8080"]}


def test_the_database_is_reached_by_those_alone_who_need_it() -> None:
    assert [name for name, each in SERVICES.items() if "data" in each["networks"]] == [
        *("memory_svc", "migrate", "postgres")
    ]
    assert all(FILE["networks"][name]["internal"] for name in ("services", "data", "bus"))


def test_no_secret_stands_in_an_environment() -> None:
    for name, each in SERVICES.items():
        secret = ("KEY", "KEYS", "PASSWORD", "SECRET", "TOKEN", "_URL")
        held = {key for key in each.get("environment", {}) if key.endswith(secret)}
        addresses = {f"{who}_BASE_URL" for who in ("OPENAI", "AGENT", "ROUTER", "EMBEDDING")}
        assert held <= addresses, name
        assert all(secret in FILE["secrets"] for secret in each.get("secrets", []))


def test_everything_is_bounded_and_comes_back() -> None:
    for name, each in SERVICES.items():
        assert each["mem_limit"], name
        assert each["restart"] == ("no" if name == "migrate" else "unless-stopped")
        assert "container_name" not in each, "replicas need names of their own"
