"""Accounts over two edges, with the real memory_svc and a real broker: what ends at one ends at
both, and what is counted is counted together."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from client.terminal.account import Account, load_identity
from client.terminal.protocol import Refused
from memory_svc.accounts.registration import invite
from runtime.errors import from_rpc, word
from switchboard.v3.memory_pb2 import SearchRequest
from tests.support.edge_stack import DeviceSocket, EdgeStack
from tests.support.edges import Pair, pair
from tests.support.memory import PASSWORD, Running, memory_service
from tests.support.smtp import smtp_server

ADA = {"email": "ada@example.org", "password": PASSWORD}
TOOLS = "/api/v1/tools"


@asynccontextmanager
async def two_edges(
    database_url: str, folder: Path, **settings: Any
) -> AsyncIterator[tuple[Pair, Running]]:
    async with (
        memory_service(database_url, folder, **settings) as memory,
        pair(memory_addr=f"127.0.0.1:{memory.port}") as two,
    ):
        yield two, memory


def bearer(session: dict[str, Any]) -> dict[str, str]:
    return {"Authorization": f"Bearer {session['access_token']}"}


async def signed_in(edge: EdgeStack, call: str = "login", **more: str) -> dict[str, Any]:
    status, session = await edge.call("POST", f"/api/v1/auth/{call}", json=ADA | more, headers={})
    assert status in {200, 201}, session
    found: dict[str, Any] = session
    return found


async def connected(edge: EdgeStack, session: dict[str, Any], device_id: str) -> DeviceSocket:
    device = await edge.open(session["access_token"])
    await device.send("device_hello", device_id=device_id)
    await device.expect("device_ready")
    return device


async def refresh(edge: EdgeStack, session: dict[str, Any]) -> tuple[int, dict[str, Any]]:
    sent = {"refresh_token": session["refresh_token"]}
    return await edge.call("POST", "/api/v1/auth/refresh", json=sent, headers={})


async def test_a_stolen_refresh_token_ends_its_sign_in_at_every_edge(
    database_url: str, tmp_path: Path
) -> None:
    async with two_edges(database_url, tmp_path) as (two, memory):
        stolen = await signed_in(two.a, "register")
        other = await signed_in(two.b)
        status, renewed = await refresh(two.a, stolen)
        assert status == 200
        status, again = await refresh(two.b, stolen)  # at once: the answer may have been lost
        assert (status, again["refresh_token"]) == (200, renewed["refresh_token"])
        laptop = await connected(two.b, renewed, "laptop")
        phone = await connected(two.b, other, "phone")
        async with memory.app.db.connection() as db:
            await db.execute("UPDATE refresh_tokens SET used_at = used_at - interval '31 s'")
        assert (await refresh(two.a, stolen))[0] == 401
        assert await laptop.closed() == 4401
        for edge in (two.a, two.b):
            assert (await edge.call("GET", TOOLS, headers=bearer(renewed)))[0] == 401
            assert (await edge.call("GET", TOOLS, headers=bearer(other)))[0] == 200
        assert (await refresh(two.b, renewed))[0] == 401
        await phone.send("ping")
        await phone.expect("pong")


async def test_a_changed_password_ends_all_other_sign_ins_at_every_edge(
    database_url: str, tmp_path: Path
) -> None:
    async with two_edges(database_url, tmp_path) as (two, _):
        mine = await signed_in(two.a, "register", device_name="Ada's laptop")
        other = await signed_in(two.b)
        laptop = await connected(two.a, mine, "laptop")
        phone = await connected(two.b, other, "phone")
        sent = {"password": PASSWORD, "new_password": "another horse"}
        status, _ = await two.a.call(
            "POST", "/api/v1/auth/password", json=sent, headers=bearer(mine)
        )
        assert status == 204
        assert await phone.closed() == 4401
        assert (await refresh(two.b, other))[0] == 401
        await laptop.send("ping")
        await laptop.expect("pong")
        _, found = await two.b.call("GET", "/api/v1/auth/sign-ins", headers=bearer(mine))
        (only,) = found["items"]
        assert (only["device_name"], only["current"]) == ("Ada's laptop", True)


async def test_signing_out_everywhere_ends_every_edge_s_sockets(
    database_url: str, tmp_path: Path
) -> None:
    async with two_edges(database_url, tmp_path) as (two, _):
        mine, other = await signed_in(two.a, "register"), await signed_in(two.b)
        devices = [await connected(two.a, mine, "laptop"), await connected(two.b, other, "phone")]
        path = "/api/v1/auth/sign-ins"
        assert (await two.a.call("DELETE", path, headers=bearer(mine)))[0] == 204
        assert [await device.closed() for device in devices] == [4401, 4401]
        assert [(await refresh(two.b, each))[0] for each in (mine, other)] == [401, 401]


async def test_guesses_at_two_edges_are_counted_together(database_url: str, tmp_path: Path) -> None:
    async with two_edges(database_url, tmp_path, guesses_per_hour=4) as (two, _):
        await signed_in(two.a, "register")
        found = []
        for edge in (two.a, two.b) * 3:
            sent = ADA | {"password": "a guess at it"}
            status, answer = await edge.call("POST", "/api/v1/auth/login", json=sent, headers={})
            found.append(status)
        assert found == [401] * 4 + [429] * 2
        assert answer["error"]["code"] == "rate_limited"
        assert 0 < answer["error"]["retry_after_ms"] <= 900_000


async def test_a_password_that_is_reset_by_mail_ends_every_sign_in_at_every_edge(
    database_url: str, tmp_path: Path
) -> None:
    async with smtp_server() as sink:
        mailer = {"mailer_url": f"smtp+clear://127.0.0.1:{sink.port}", "mail_from": "a@b.example"}
        async with two_edges(database_url, tmp_path, **mailer) as (two, _):
            _, policy = await two.a.call("GET", "/api/v1/auth", headers={})
            assert policy == {
                "registration": "open",
                "password_reset": True,
                "email_verification": True,
            }
            mine = await signed_in(two.a, "register")
            sent = {"code": (await sink.mail()).code}
            path = "/api/v1/auth/verify/confirm"
            assert (await two.b.call("POST", path, json=sent, headers={}))[0] == 204
            path = "/api/v1/auth/verify"
            assert (await two.b.call("POST", path, headers=bearer(mine)))[0] == 409
            phone = await connected(two.b, mine, "phone")
            path = "/api/v1/auth/reset"
            assert (await two.a.call("POST", path, json=ADA, headers={}))[0] == 202
            sent = {"code": (await sink.mail()).code, "new_password": "another horse"}
            path += "/confirm"
            assert (await two.a.call("POST", path, json=sent, headers={}))[0] == 204
            assert await phone.closed() == 4401
            assert (await two.a.call("POST", path, json=sent, headers={}))[0] == 403
            await signed_in(two.b, password="another horse")


async def test_only_the_invited_register_where_it_is_by_invitation(
    database_url: str, tmp_path: Path
) -> None:
    async with two_edges(database_url, tmp_path, registration="invitation") as (two, memory):
        path = "/api/v1/auth/register"
        status, answer = await two.a.call("POST", path, json=ADA, headers={})
        assert (status, answer["error"]["code"]) == (403, "forbidden")
        await signed_in(two.a, "register", invitation=await invite(memory.app.db))


async def test_the_terminal_client_shows_its_invitation(database_url: str, tmp_path: Path) -> None:
    async with two_edges(database_url, tmp_path, registration="invitation") as (two, memory):
        folder = tmp_path / "client"
        with pytest.raises(Refused, match="invitation"):
            await Account(two.a.http, two.a.url, load_identity(folder, {}), folder).token()
        environ = {"SWITCHBOARD_INVITATION": await invite(memory.app.db)}
        mine = load_identity(folder, environ)
        token = await Account(two.a.http, two.a.url, mine, folder).token()
        _, found = await two.b.call(
            "GET", "/api/v1/auth/sign-ins", headers=bearer({"access_token": token})
        )
        assert found["items"][0]["device_name"].startswith("terminal client on ")
        assert environ["SWITCHBOARD_INVITATION"] not in (folder / "account.json").read_text()


async def search(edge: EdgeStack, session: dict[str, Any]) -> tuple[int, Any]:
    return await edge.call("GET", "/api/v1/memory?query=coffee", headers=bearer(session))


async def test_searches_at_two_edges_and_by_an_agent_are_counted_together(
    database_url: str, tmp_path: Path
) -> None:
    async with two_edges(database_url, tmp_path, lookups_per_hour=25) as (two, memory):
        session = await signed_in(two.a, "register")
        user_id = two.a.edge.tokens.check(session["access_token"]).user_id
        for edge in (two.a, two.b):
            assert (await search(edge, session))[0] == 200
        asked = SearchRequest(user_id=user_id, query="coffee")  # as an agent's tool asks
        await memory.stub.Search(asked)
        status, text = await two.b.call("GET", "/api/v1/memory/export", headers=bearer(session))
        assert status == 200, text  # 23 by now
        for _ in range(2):
            await memory.stub.Search(asked)
        for edge in (two.a, two.b):
            status, told = await search(edge, session)
            assert (status, told["error"]["code"]) == (429, "rate_limited")
            assert 0 < told["error"]["retry_after_ms"] <= 144_000
        status, told = await two.a.call("GET", "/api/v1/memory/export", headers=bearer(session))
        assert (status, told["error"]["code"]) == (429, "rate_limited")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await memory.stub.Search(asked)
        assert word(from_rpc(caught.value).code) == "rate_limited"
        other = await signed_in(two.b, "register", email="grace@example.org")
        assert (await search(two.b, other))[0] == 200
