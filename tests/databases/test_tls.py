"""A database over TLS, its certificate and its name checked against an authority of its own."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from memory_svc import migrate
from memory_svc.app import App
from tests.databases.conftest import POSTGRES_15
from tests.support.certs import Authority
from tests.support.memory import memory_service, settings
from tests.support.own_postgres import Own, own_postgres

AUTHORITY = Authority()


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return AUTHORITY.issue(tmp_path_factory.mktemp("certificates"), "db.example.com")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, files: dict[str, Path]) -> Iterator[Own]:
    with own_postgres(
        tmp_path_factory.mktemp("tls") / "server",
        POSTGRES_15,
        ssl="on",
        ssl_cert_file=files["tls_cert_file"],
        ssl_key_file=files["tls_key_file"],
    ) as server:
        yield server


async def test_memory_works_over_it_and_all_of_it_is_encrypted(
    server: Own, files: dict[str, Path], tmp_path: Path
) -> None:
    given = settings(server.url("localhost"), tmp_path, database_ca_file=files["tls_ca_file"])
    await asyncio.to_thread(migrate.upgrade, given.for_sessions)
    async with memory_service(
        server.url("localhost"), tmp_path, database_ca_file=files["tls_ca_file"]
    ) as memory:
        user = await memory.user()
        await memory.say(user, "My cat is grey.")
        await memory.settled()
        assert await memory.facts(user) == ["My cat is grey."]
        found = await memory.fetch(
            """SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
            WHERE client_addr IS NOT NULL"""
        )
        assert len(found) >= 2  # the pool's, and the one that listens
        assert all(row["ssl"] for row in found)


async def refused(url: str, authority: Path, folder: Path, caplog: pytest.LogCaptureFixture) -> str:
    app = App(settings(url, folder, database_ca_file=authority))
    with caplog.at_level(logging.WARNING, "memory_svc"):
        waiting = asyncio.create_task(app.open())
        async with asyncio.timeout(30):
            while not caplog.messages:
                await asyncio.sleep(0.02)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    await app.close()
    return caplog.messages[0]


async def test_a_certificate_of_another_authority_is_refused(
    server: Own, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = Authority().issue(tmp_path / "other", "db.example.com")["tls_ca_file"]
    line = await refused(server.url("localhost"), other, tmp_path, caplog)
    assert "certificate verify failed" in line


async def test_a_certificate_of_another_name_is_refused(
    server: Own, files: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = server.url("127.0.0.2")  # the same server, by an address that it has no name for
    line = await refused(url, files["tls_ca_file"], tmp_path, caplog)
    assert "certificate verify failed" in line
    assert "127.0.0.2" in line


async def test_a_wrong_password_is_told_without_it(
    server: Own, files: dict[str, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = server.url("localhost", "not/the:word")
    line = await refused(url, files["tls_ca_file"], tmp_path, caplog)
    assert line.endswith('password authentication failed for user "postgres"')
    assert "word" not in line.replace("password", "")


async def test_a_database_without_tls_is_refused(
    tmp_path: Path, files: dict[str, Path], caplog: pytest.LogCaptureFixture
) -> None:
    with own_postgres(tmp_path / "plain", POSTGRES_15) as plain:
        line = await refused(plain.url("localhost"), files["tls_ca_file"], tmp_path, caplog)
    assert "SSL" in line
