"""`make env`: what it makes, what it leaves alone, and how keys change."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from agent_svc.settings import AgentSettings
from deploy import env
from edge.settings import EdgeSettings
from memory_svc.crypto.envelope import name_of_master
from memory_svc.settings import MemorySettings
from router_svc.settings import RouterSettings
from runtime.settings import load

SECRETS = (
    *("auth_signing_keys", "database_url", "master_keys", "nats.conf", "models.toml", "mailer_url"),
    *("database_direct_url", "database_replica_url", "database_ca"),
    *("openai_api_key", "agent_api_key", "router_api_key", "embedding_api_key"),
)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    env.make(tmp_path, {})
    return tmp_path


def contents(root: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}


def settings(root: Path) -> dict[str, str]:
    lines = (root / ".env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def test_what_it_makes_is_what_the_services_take(made: Path, tmp_path: Path) -> None:
    secrets = made / "secrets"
    memory = load(
        MemorySettings,
        "memory_svc",
        {
            "DATABASE_URL_FILE": str(secrets / "database_url"),
            "MASTER_KEYS_FILE": str(secrets / "master_keys"),
            "OPENAI_API_KEY_FILE": str(secrets / "openai_api_key"),
            "ERASURE_LEDGER": str(tmp_path / "erasures"),
            "TLS_CERT_FILE": str(secrets / "tls/memory_svc/cert.pem"),
            "TLS_KEY_FILE": str(secrets / "tls/memory_svc/key.pem"),
            "TLS_CA_FILE": str(secrets / "tls/memory_svc/ca.pem"),
        },
    )
    password = (secrets / "postgres.env").read_text().strip().removeprefix("POSTGRES_PASSWORD=")
    url = memory.database_url.get_secret_value()
    assert url == f"postgresql://switchboard:{password}@postgres:5432/switchboard"
    load(EdgeSettings, "edge", {"AUTH_SIGNING_KEYS_FILE": str(secrets / "auth_signing_keys")})


def test_only_the_owner_gets_at_the_secrets(made: Path) -> None:
    assert stat.S_IMODE((made / "secrets").stat().st_mode) == 0o700
    assert stat.S_IMODE((made / ".env").stat().st_mode) == 0o600
    assert stat.S_IMODE((made / "secrets/tls/authority/key.pem").stat().st_mode) == 0o400


def test_containers_under_another_user_can_read_what_they_are_given(made: Path) -> None:
    given = [made / "secrets" / name for name in SECRETS]
    given += list((made / "secrets/tls/router_svc").iterdir())
    assert all(path.stat().st_mode & stat.S_IROTH for path in given)
    assert (made / "secrets/tls/router_svc").stat().st_mode & stat.S_IXOTH


def test_what_is_there_stays(made: Path) -> None:
    (made / ".env").write_text("EDGE_PORT=9000\n")
    before = contents(made)
    assert env.make(made, {"OPENAI_API_KEY": "another"}) == []
    assert contents(made) == before


def test_half_of_a_pair_is_not_made_up_for(made: Path) -> None:
    (made / "secrets/postgres.env").unlink()
    with pytest.raises(SystemExit, match=r"database_url is there without .*postgres\.env"):
        env.make(made, {})


def test_without_a_provider_the_offline_model_is_switched_on(made: Path) -> None:
    assert settings(made)["COMPOSE_PROFILES"] == "offline"
    assert settings(made)["OPENAI_BASE_URL"] == env.OFFLINE_URL


def test_with_a_key_the_provider_is_used_and_the_key_is_kept_apart(tmp_path: Path) -> None:
    env.make(tmp_path, {"OPENAI_API_KEY": "sk-1"})
    assert settings(tmp_path)["COMPOSE_PROFILES"] == settings(tmp_path)["OPENAI_BASE_URL"] == ""
    assert (tmp_path / "secrets/openai_api_key").read_text() == "sk-1\n"
    assert "sk-1" not in (tmp_path / ".env").read_text()


def test_each_model_may_have_a_key_of_its_own(tmp_path: Path) -> None:
    env.make(tmp_path, {"OPENAI_API_KEY": "sk-1", "ROUTER_API_KEY": "sk-2"})
    secrets = tmp_path / "secrets"
    assert (secrets / "router_api_key").read_text() == "sk-2\n"
    router = {
        "OPENAI_API_KEY_FILE": str(secrets / "openai_api_key"),
        "ROUTER_API_KEY_FILE": str(secrets / "router_api_key"),
        "MODEL_PROFILES": str(secrets / "models.toml"),
    }
    assert load(RouterSettings, "router_svc", router).endpoint.api_key.get_secret_value() == "sk-2"
    agent = {
        "OPENAI_API_KEY_FILE": str(secrets / "openai_api_key"),
        "AGENT_API_KEY_FILE": str(secrets / "agent_api_key"),
    }
    assert load(AgentSettings, "agent_svc", agent).endpoint.api_key.get_secret_value() == "sk-1"


def keys(root: Path, name: str) -> list[str]:
    return (root / "secrets" / name).read_text().strip().split(",")


@pytest.mark.parametrize(
    ("kind", "name"), [("signing", "auth_signing_keys"), ("master", "master_keys")]
)
def test_keys_change_in_three_steps_and_every_step_can_read_what_the_last_wrote(
    made: Path, kind: str, name: str
) -> None:
    (old,) = keys(made, name)
    env.change_keys(made, "add", kind)
    before, new = keys(made, name)
    assert before == old, "a key that replicas do not know yet must not be used"
    env.change_keys(made, "use", kind)
    assert keys(made, name) == [new, old]
    env.change_keys(made, "use", kind)
    assert keys(made, name) == [new, old], "told twice, the older key must not come back"
    for _ in range(2):
        env.change_keys(made, "drop", kind, lambda _: [name_of_master(new)])
        assert keys(made, name) == [new]
    (archived,) = (made / "secrets" / "archive").iterdir()
    assert archived.read_text().strip() == old
    assert archived.stat().st_mode & 0o077 == 0
    if kind == "master":
        Fernet(new)


def test_a_master_key_that_is_in_use_is_not_dropped(made: Path) -> None:
    (old,) = keys(made, "master_keys")
    for step in ("add", "use"):
        env.change_keys(made, step, "master")
    both = keys(made, "master_keys")
    with pytest.raises(SystemExit, match=f"{name_of_master(old)} still wraps users' keys"):
        env.change_keys(made, "drop", "master", lambda _: [name_of_master(key) for key in both])
    assert keys(made, "master_keys") == both


def test_where_nobody_can_say_what_is_in_use_nothing_is_dropped(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(made))
    for step in ("add", "use"):
        env.change_keys(made, step, "master")
    both = keys(made, "master_keys")
    with pytest.raises(SystemExit, match="could not be asked"):
        env.change_keys(made, "drop", "master")
    assert keys(made, "master_keys") == both


def test_the_command_says_what_it_did(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env.main([], tmp_path, {})
    assert "secrets/master_keys" in capsys.readouterr().out
    env.main([], tmp_path, {})
    assert capsys.readouterr().out == "everything is there already\n"
    env.main(["add-key", "signing"], tmp_path, {})
    assert capsys.readouterr().out.startswith("2 signing keys")
    key = (tmp_path / "secrets/auth_signing_keys").read_text()
    env.main(["renew-certs"], tmp_path, {})
    assert key not in capsys.readouterr().out
