"""`make env`: what `docker compose up` needs: .env, keys, passwords, certificates.

    python -m deploy.env                       make what is missing; renew what ends soon
    python -m deploy.env add-key signing       a change of keys takes three steps, add, use
    python -m deploy.env use-key signing       and drop, new containers after each; the same
    python -m deploy.env drop-key signing      for `master` (docs/operate.md)
    python -m deploy.env renew-certs           new certificates from the same authority
    python -m deploy.env change-authority      a new authority, and certificates from it

What is there is never overwritten: a lost master key is lost data. With OPENAI_API_KEY in the
environment the key is stored and the models are the provider's; without it the offline model
is switched on.
"""

import argparse
import base64
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from deploy import certs, files
from memory_svc.crypto.envelope import name_of_master

_OWN_KEYS: Final = ("AGENT_API_KEY", "ROUTER_API_KEY", "EMBEDDING_API_KEY")
OFFLINE_URL: Final = "http://offline_model:8081/v1"

_ENV: Final = """\
# Settings of docker-compose.yml, made by `make env`. Keys and passwords stand in ./secrets.
# An empty value means the default. docs/settings.md lists all settings: those that are not
# here may be added, but for addresses and files, which docker-compose.yml gives.

# Where the edge is published. On 127.0.0.1 only this machine reaches it; let others in through
# a proxy that ends TLS, or set EDGE_BIND=0.0.0.0 behind one.
EDGE_BIND=127.0.0.1
EDGE_PORT=8080
# Or give the edge a certificate of its own: both files into secrets/tls/edge, and their paths in
# the container here, such as /run/tls/public.pem and /run/tls/public.key.
EDGE_TLS_CERT_FILE=
EDGE_TLS_KEY_FILE=
# Networks of the proxies before the edge, such as 10.0.0.0/8, separated by commas: limits hold
# for each client where they are named, and for all clients together where they are not.
# A proxy on this machine comes from the gateway of the network `public`, 10.213.77.1 as it stands:
# name it only while EDGE_BIND is 127.0.0.1.
TRUSTED_PROXIES=
# The addresses of that network, should they be taken here.
PUBLIC_SUBNET=10.213.77.0/24

# Web origins that may connect, separated by commas (default: the desktop app and loopback).
ALLOWED_ORIGINS=

# Who may make an account: open (anybody), invitation (whoever has a code of
# `docker compose run --rm memory_svc python -m memory_svc invite`) or closed.
REGISTRATION=
# Resets of passwords and verification of addresses need mail: how it is sent stands in
# secrets/mailer_url, such as smtps://user:password@mail.example.com (docs/operate.md); empty: they
# are not offered. Whom it comes from:
MAIL_FROM=

# The models: any server with the OpenAI API. Its key stands in secrets/openai_api_key.
OPENAI_BASE_URL={base_url}
AGENT_MODEL=
ROUTER_MODEL=
# Embeddings of 1536 dimensions.
EMBEDDING_MODEL=
# Each may have a provider of its own: AGENT_BASE_URL, ROUTER_BASE_URL, EMBEDDING_BASE_URL, with
# keys in secrets/agent_api_key, router_api_key, embedding_api_key (empty: the common one).
# /run/models.toml, which is secrets/models.toml, tells what unusual models take (docs/models.md).
MODEL_PROFILES=

# A Postgres of yours: its address into secrets/database_url (docs/operate.md). The authority that
# signed its certificate into secrets/database_ca, and then here /run/secrets/database_ca:
DATABASE_CA_FILE=
# A pooler in transaction mode before it: `transaction`, and Postgres' own address into
# secrets/database_direct_url. A read replica: its address into secrets/database_replica_url.
DATABASE_POOLING=

# `offline` starts the small rule-based model too; empty it once you have a provider.
COMPOSE_PROFILES={profiles}

# debug, info, warning or error.
LOG_LEVEL=info
# /metrics of each service for Prometheus, such as 0.0.0.0:9464; empty: nowhere.
ADMIN_ADDR=
# A collector for traces (OTLP over HTTP), such as http://collector:4318; empty: none are made.
OTEL_EXPORTER_OTLP_ENDPOINT=

# The tag of the images that are built and run.
SWITCHBOARD_TAG=latest
"""


def fernet_key() -> str:
    """32 random bytes, URL-safe base64: what MASTER_KEYS holds."""
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def signing_key() -> str:
    """What AUTH_SIGNING_KEYS holds: 64 characters."""
    return secrets.token_urlsafe(48)


def make(root: Path, environ: Mapping[str, str]) -> list[str]:
    """Makes what is missing under `root`. Returns what was made, in words."""
    folder = files.folder(root / "secrets")
    api_key = environ.get("OPENAI_API_KEY", "")
    online = bool(api_key or environ.get("OPENAI_BASE_URL"))
    # A URL-safe password needs no escaping in the database's address.
    password, token = secrets.token_urlsafe(32), secrets.token_urlsafe(32)
    env = _ENV.format(
        base_url=environ.get("OPENAI_BASE_URL", "") if online else OFFLINE_URL,
        profiles="" if online else "offline",
    )
    wanted = {
        folder / "openai_api_key": api_key,
        **{folder / each.lower(): environ.get(each, "") for each in _OWN_KEYS},
        folder / "mailer_url": environ.get("MAILER_URL", ""),
        folder / "database_direct_url": "",
        folder / "database_replica_url": "",
        folder / "database_ca": "",
        folder / "models.toml": "# What models take, by name: docs/models.md.",
        folder / "master_keys": fernet_key(),
        folder / "auth_signing_keys": signing_key(),
    }
    made = [root / ".env"] if files.make_once(root / ".env", env.encode(), mode=0o600) else []
    made += [path for path, text in wanted.items() if files.make_once(path, _line(text))]
    # Two files that hold one secret are made together or not at all.
    made += _make_pair(
        {
            folder / "postgres.env": f"POSTGRES_PASSWORD={password}",
            folder
            / "database_url": f"postgresql://switchboard:{password}@postgres:5432/switchboard",
        }
    )
    made += _make_pair(
        {
            folder / "nats.conf": f'authorization {{ token: "{token}" }}',
            folder / "nats_url": f"nats://{token}@nats:4222",
        }
    )
    return [str(path.relative_to(root)) for path in made] + [
        f"secrets/tls/{name}" for name in certs.ensure(folder / "tls")
    ]


def _line(text: str) -> bytes:
    return f"{text}\n".encode()


def _make_pair(pair: Mapping[Path, str]) -> list[Path]:
    there = [path for path in pair if path.exists()]
    if len(there) == 1:
        (gone,) = set(pair) - set(there)
        raise SystemExit(f"{there[0]} is there without {gone}: restore it, or remove both")
    for path, text in pair.items():
        files.make_once(path, _line(text))
    return [] if there else list(pair)


KEYS: Final = {
    "signing": ("auth_signing_keys", signing_key, "edge"),
    "master": ("master_keys", fernet_key, "memory_svc"),
}


def names_in_use(root: Path) -> list[str]:
    """The names of the master keys that wrap users' keys, as memory_svc finds them."""
    asked = ["run", "--rm", "-T", "memory_svc", "python", "-m", "memory_svc", "master-keys"]
    for compose in (["docker", "compose"], ["docker-compose"]):
        try:
            done = subprocess.run(  # noqa: S603 - words of our own
                [*compose, *asked], cwd=root, capture_output=True, text=True, check=False
            )
        except FileNotFoundError:
            continue
        if done.returncode == 0:
            return [line.split()[0] for line in done.stdout.splitlines() if line.strip()]
    raise SystemExit(
        "memory_svc could not be asked which master keys are in use: nothing is dropped"
    )


def _archive(path: Path, keys: Sequence[str], in_use: Callable[[Path], Iterable[str]]) -> None:
    """Puts keys away beside the others; raises SystemExit where one of them is in use."""
    names = {name_of_master(key) for key in keys}
    if keys and (needed := names.intersection(in_use(path.parents[1]))):
        raise SystemExit(
            f"{', '.join(sorted(needed))} still wraps users' keys: run rotate-keys first"
        )
    folder = files.folder(path.parent / "archive")
    for key in keys:
        files.make_once(folder / f"{path.name}.{name_of_master(key)}", _line(key), mode=0o600)


def change_keys(
    root: Path, step: str, kind: str, in_use: Callable[[Path], Iterable[str]] = names_in_use
) -> str:
    """One step of a change of keys, each followed by new containers of whoever reads them.

    add   a new key that is known to all replicas, and used by none yet
    use   the key that was added comes first: it signs or wraps from now on
    drop  all keys but the first go to secrets/archive; a master key that wraps a user's key stays

    Taken twice, `use` and `drop` change nothing the second time. Returns what to do next.
    """
    name, make_key, reader = KEYS[kind]
    path = root / "secrets" / name
    added = path.with_suffix(".added")
    keys = [part.strip() for part in path.read_text("utf-8").split(",") if part.strip()]
    match step:
        case "add":
            keys = [*keys, make_key()]
            files.replace(added, _line(keys[-1]))
        case "use" if added.exists():
            new = added.read_text("utf-8").strip()
            keys = [new, *(key for key in keys if key != new)]
        case "use":
            return f"no {kind} key was added that is not in use already"
        case _:
            _archive(path, keys[1:], in_use if kind == "master" else lambda _: ())
            keys = keys[:1]
    files.replace(path, _line(",".join(keys)))
    if step == "use":
        added.unlink()
    return (
        f"{len(keys)} {kind} keys; now replace {reader}'s containers, one at a time:"
        ' docs/operate.md, "Upgrading", tells how'
    )


def main(arguments: Sequence[str], root: Path, environ: Mapping[str, str] = os.environ) -> None:
    """Runs one command; says on stdout what was done."""
    parser = argparse.ArgumentParser(
        "deploy.env", description="Makes and renews what compose needs."
    )
    commands = parser.add_subparsers(dest="command")
    for step in ("add", "use", "drop"):
        commands.add_parser(f"{step}-key").add_argument("kind", choices=list(KEYS))
    commands.add_parser("renew-certs", help="new certificates from the same authority")
    commands.add_parser("change-authority", help="a new authority, and certificates from it")
    command: str | None = (options := parser.parse_args(arguments)).command
    match command:
        case None:
            made = make(root, environ)
            print(f"made {', '.join(made)}" if made else "everything is there already")
        case "renew-certs":
            certs.renew(root / "secrets" / "tls")
            print("new certificates: running services take them by themselves")
        case "change-authority":
            certs.change_authority(root / "secrets" / "tls")
            print("a new authority and certificates: running services take them by themselves")
        case _:
            print(change_keys(root, command.removesuffix("-key"), options.kind))


if __name__ == "__main__":
    main(sys.argv[1:], Path.cwd())
