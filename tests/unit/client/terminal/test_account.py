"""Signing in by itself, as this machine or as somebody, without secrets lying open."""

import json
import stat
from pathlib import Path

import aiohttp
import pytest

from client.terminal import account
from client.terminal.account import Account, account_folder, load_identity
from client.terminal.protocol import Refused, Unreachable
from tests.support.ws_server import WsServer, serve

URL = "http://127.0.0.1:8080"
SAM = {"SWITCHBOARD_EMAIL": "sam@example.com", "SWITCHBOARD_PASSWORD": "long enough"}


async def sign_in(server: WsServer, folder: Path, environ: dict[str, str] | None = None) -> str:
    async with aiohttp.ClientSession() as http:
        identity = load_identity(folder, environ or {})
        return await Account(http, server.url, identity, folder).token()


def test_files_stand_in_the_state_folder_or_by_xdg(tmp_path: Path) -> None:
    assert account_folder({"STATE_DIR": "/s"}, URL) == Path("/s/client/127.0.0.1_8080/this-machine")
    xdg = {"XDG_STATE_HOME": "/x", "SWITCHBOARD_EMAIL": "../Sam@example.com"}
    assert account_folder(xdg, URL).relative_to("/x/switchboard/client").parts == (
        "127.0.0.1_8080",
        "sam@example.com",
    )
    home = account_folder({}, "https://switch.example/")
    assert home.parts[-4:] == ("switchboard", "client", "switch.example", "this-machine")


async def test_the_first_time_an_account_is_made_and_then_used_again(tmp_path: Path) -> None:
    async with serve() as server:
        await sign_in(server, tmp_path)
        await sign_in(server, tmp_path)
    assert server.calls == ["login", "register", "login"]
    kept = tmp_path / "account.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    known = json.loads(kept.read_text())
    assert server.accounts == {known["email"]: known["password"]}
    assert len(known["password"]) >= 24


async def test_the_device_stays_the_same(tmp_path: Path) -> None:
    first = load_identity(tmp_path, {})
    assert load_identity(tmp_path, {}) == first and first.device_id
    assert first.password not in repr(first)


async def test_an_account_given_by_the_environment_is_never_written_down(tmp_path: Path) -> None:
    async with serve() as server:
        await sign_in(server, tmp_path, SAM)
        assert load_identity(tmp_path, SAM).device_id == load_identity(tmp_path, SAM).device_id
    assert server.accounts == {"sam@example.com": "long enough"}
    assert "long enough" not in (tmp_path / "account.json").read_text()


async def test_a_wrong_password_is_told(tmp_path: Path) -> None:
    async with serve() as server:
        server.accounts["sam@example.com"] = "another one"
        with pytest.raises(Refused, match="wrong password"):
            await sign_in(server, tmp_path, SAM)


def test_half_an_account_is_told(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="belong together"):
        load_identity(tmp_path, {"SWITCHBOARD_EMAIL": "sam@example.com"})


async def test_a_server_with_a_new_database_gets_the_account_again(tmp_path: Path) -> None:
    async with serve() as server:
        await sign_in(server, tmp_path)
    async with serve() as new:
        await sign_in(new, tmp_path)
    assert new.accounts == server.accounts


async def test_a_name_that_is_taken_by_another_is_changed(tmp_path: Path) -> None:
    old = load_identity(tmp_path, {})
    async with serve() as server:
        server.accounts[old.email] = "of somebody else"
        await sign_in(server, tmp_path)
        await sign_in(server, tmp_path)
    assert server.calls == ["login", "register", "register", "login"]
    assert load_identity(tmp_path, {}).device_id == old.device_id


async def test_tokens_are_renewed_before_they_run_out(tmp_path: Path) -> None:
    async with serve() as server, aiohttp.ClientSession() as http:
        tokens = Account(http, server.url, load_identity(tmp_path, {}), tmp_path)
        assert await tokens.token() == await tokens.token() == "access-2"
        server.expires_in = 0.05
        tokens.forget()
        assert await tokens.token() == "access-3"
        assert await tokens.renewed() == "access-4"
    assert server.calls == ["login", "register", "login", "refresh"]


async def test_what_answers_but_is_no_switchboard_is_told(tmp_path: Path) -> None:
    async with aiohttp.ClientSession() as http, serve() as server:
        identity = load_identity(tmp_path, {})
        with pytest.raises(Refused, match="not a Switchboard server"):
            await Account(http, f"{server.url}/elsewhere", identity, tmp_path).token()


async def test_nobody_at_the_address_is_one_clear_line(tmp_path: Path) -> None:
    async with serve() as server:
        pass
    with pytest.raises(Unreachable, match="is it running"):
        await sign_in(server, tmp_path)


def test_one_client_at_a_time(tmp_path: Path) -> None:
    with account.alone(tmp_path), pytest.raises(Refused), account.alone(tmp_path):
        pass
    with account.alone(tmp_path):
        pass
