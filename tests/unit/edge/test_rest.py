"""REST beside the socket (PROTOCOL §7)."""

import asyncio
import json
import re
from io import BytesIO
from typing import Any

import aiohttp
import pytest

from edge.app import drain
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.frames_pb2 import EndStatus, MutationOp
from switchboard.v3.memory_pb2 import MemoryItem, MemorySource, MemoryTier
from tests.support.edge_stack import EdgeStack, edge_stack, eventually
from tests.support.scripted_router import Turn

SAM = {"email": "sam@example.org", "password": "correct horse"}


async def registered(stack: EdgeStack) -> dict[str, str]:
    status, session = await stack.call("POST", "/api/v1/auth/register", json=SAM, headers={})
    assert status == 201
    assert session["expires_in"] == 900
    found: dict[str, str] = session
    return found


def bearer(session: dict[str, str]) -> dict[str, str]:
    return {"Authorization": f"Bearer {session['access_token']}"}


# Accounts.


async def test_register_login_refresh(stack: EdgeStack) -> None:
    made = await registered(stack)
    status, error = await stack.call("POST", "/api/v1/auth/register", json=SAM)
    assert (status, error["error"]["code"]) == (409, "conflict")
    status, session = await stack.call("POST", "/api/v1/auth/login", json=SAM)
    assert (status, session["user_id"]) == (200, made["user_id"])
    wrong = {**SAM, "password": "guess"}
    status, error = await stack.call("POST", "/api/v1/auth/login", json=wrong)
    assert (status, error["error"]["code"]) == (401, "unauthenticated")
    sent = {"refresh_token": session["refresh_token"]}
    status, session = await stack.call("POST", "/api/v1/auth/refresh", json=sent)
    assert status == 200
    status, _ = await stack.call("GET", "/api/v1/tools", headers=bearer(session))
    assert status == 200


async def test_logout_closes_the_family_s_sockets_and_tokens(stack: EdgeStack) -> None:
    session = await registered(stack)
    _, other = await stack.call("POST", "/api/v1/auth/login", json=SAM)
    sockets = []
    for device_id, tokens in (("laptop", session), ("phone", other)):
        socket = await stack.open(tokens["access_token"])
        await socket.send("device_hello", device_id=device_id)
        await socket.expect("device_ready")
        sockets.append(socket)
    sent = {"refresh_token": session["refresh_token"]}
    status, _ = await stack.call("POST", "/api/v1/auth/logout", json=sent)
    assert status == 204
    assert await sockets[0].closed() == 4401
    await sockets[1].send("ping")
    await sockets[1].expect("pong")
    status, _ = await stack.call("GET", "/api/v1/tools", headers=bearer(session))
    assert status == 401


async def test_a_refused_refresh_ends_what_its_family_has(stack: EdgeStack) -> None:
    session = await registered(stack)
    socket = await stack.open(session["access_token"])
    await socket.send("device_hello", device_id="laptop")
    await socket.expect("device_ready")
    stack.behind.accounts.reused.add(session["refresh_token"])
    sent = {"refresh_token": session["refresh_token"]}
    status, error = await stack.call("POST", "/api/v1/auth/refresh", json=sent)
    assert (status, error["error"]["code"]) == (401, "unauthenticated")
    assert await socket.closed() == 4401
    status, _ = await stack.call("GET", "/api/v1/tools", headers=bearer(session))
    assert status == 401


async def test_a_changed_password_signs_out_everywhere_else(stack: EdgeStack) -> None:
    session = await registered(stack)
    _, other = await stack.call("POST", "/api/v1/auth/login", json=SAM)
    sent = {"password": SAM["password"], "new_password": "another horse"}
    wrong = {**sent, "password": "guess"}
    headers = bearer(session)
    path = "/api/v1/auth/password"
    assert (await stack.call("POST", path, json=wrong, headers=headers))[0] == 401
    assert (await stack.call("POST", path, json={}, headers=headers))[0] == 400
    assert (await stack.call("POST", path, json=sent, headers={}))[0] == 401
    assert (await stack.call("GET", "/api/v1/tools", headers=bearer(other)))[0] == 200
    assert (await stack.call("POST", path, json=sent, headers=headers))[0] == 204
    assert (await stack.call("GET", "/api/v1/tools", headers=headers))[0] == 200
    assert (await stack.call("GET", "/api/v1/tools", headers=bearer(other)))[0] == 401
    assert (await stack.call("POST", "/api/v1/auth/login", json=SAM))[0] == 401


async def test_sign_ins_are_listed_and_ended(stack: EdgeStack) -> None:
    session = await registered(stack)
    _, other = await stack.call("POST", "/api/v1/auth/login", json=SAM)
    headers, path = bearer(session), "/api/v1/auth/sign-ins"
    status, found = await stack.call("GET", path, headers=headers)
    assert status == 200
    assert [each["current"] for each in found["items"]] == [True, False]
    ended = found["items"][1]["id"]
    assert (await stack.call("DELETE", f"{path}/{ended}", headers=headers))[0] == 204
    assert (await stack.call("DELETE", f"{path}/{ended}", headers=headers))[0] == 404
    assert (await stack.call("GET", "/api/v1/tools", headers=bearer(other)))[0] == 401
    _, third = await stack.call("POST", "/api/v1/auth/login", json=SAM)
    assert (await stack.call("DELETE", f"{path}?keep=all", headers=headers))[0] == 400
    assert (await stack.call("DELETE", f"{path}?keep=current", headers=headers))[0] == 204
    assert (await stack.call("GET", "/api/v1/tools", headers=bearer(third)))[0] == 401
    assert (await stack.call("DELETE", path, headers=headers))[0] == 204
    assert (await stack.call("GET", path, headers=headers))[0] == 401


async def test_what_is_not_offered_is_told(stack: EdgeStack) -> None:
    status, policy = await stack.call("GET", "/api/v1/auth", headers={})
    assert (status, policy["registration"]) == (200, "open")
    assert (policy["password_reset"], policy["email_verification"]) == (False, False)
    session = await registered(stack)
    sent = {**SAM, "code": "c", "new_password": "another horse"}
    for path in ("reset", "reset/confirm", "verify", "verify/confirm"):
        status, error = await stack.call(
            "POST", f"/api/v1/auth/{path}", json=sent, headers=bearer(session)
        )
        assert (status, error["error"]["code"]) == (404, "not_found")


async def test_a_deleted_account_s_requests_and_sockets_end(stack: EdgeStack) -> None:
    async def script(turn: Turn) -> None:
        await turn.lost.wait()

    stack.behind.router.script = script
    session = await registered(stack)
    socket = await stack.open(session["access_token"])
    await socket.send("device_hello", device_id="laptop")
    await socket.expect("device_ready")
    await socket.send("home_request", message="x")
    await socket.expect("stream_start")
    wrong = {"password": "guess"}
    status, _ = await stack.call("DELETE", "/api/v1/account", json=wrong, headers=bearer(session))
    assert status == 403
    await socket.send("ping")
    await socket.expect("pong")
    status, _ = await stack.call("DELETE", "/api/v1/account", json=SAM, headers=bearer(session))
    assert status == 204
    end = await socket.expect("stream_end", status="failed")
    assert end["error"]["code"] == "cancelled"
    assert await socket.closed() == 4401
    assert [asked.check_only for asked in stack.behind.accounts.asked] == [True, False]
    async with asyncio.timeout(5):
        await (await stack.behind.router.turn()).lost.wait()
    status, _ = await stack.call("GET", "/api/v1/tools", headers=bearer(session))
    assert status == 401
    await eventually(lambda: not list(stack.edge.devices))  # with all that they kept


# Chat.


async def test_chat_is_the_whole_turn(stack: EdgeStack) -> None:
    async def script(turn: Turn) -> None:
        assert not turn.start.device_connected
        result = await turn.call()
        assert result.error.code == "device_gone"
        await turn.routed("note_agent")
        await turn.text("Hello ", "you")
        await turn.block({"headers": ["a"], "rows": [[1]]})
        await turn.text("there")
        await turn.end()

    stack.behind.router.script = script
    status, answer = await stack.call("POST", "/api/v1/chat", json={"message": "hi"})
    assert status == 200
    turn = await stack.behind.router.turn()
    assert answer == {
        "request_id": turn.request_id,
        "agent": "note_agent",
        "response": "Hello you\n\nthere",
        "blocks": [{"block_type": "table", "data": {"headers": ["a"], "rows": [[1]]}}],
        "mutations": [],
        "usage": {"input_tokens": 7, "output_tokens": 5, "model_calls": 2},
    }
    await eventually(lambda: not list(stack.edge.devices))


async def test_without_a_device_no_more_chats_run_at_once_than_on_one(stack: EdgeStack) -> None:
    go_on = asyncio.Event()

    async def script(turn: Turn) -> None:
        await turn.routed("task_agent")
        await go_on.wait()
        await turn.end()

    stack.behind.router.script = script
    limit = stack.edge.settings.max_concurrent_requests
    asked = [
        asyncio.create_task(stack.call("POST", "/api/v1/chat", json={"message": "hi"}))
        for _ in range(limit)
    ]
    for _ in asked:
        await stack.behind.router.turn()
    status, answer = await stack.call("POST", "/api/v1/chat", json={"message": "hi"})
    assert (status, answer["error"]["code"]) == (429, "too_many_requests")
    go_on.set()
    assert [status for status, _ in await asyncio.gather(*asked)] == [200] * limit
    await eventually(lambda: not list(stack.edge.devices))


async def test_chat_runs_its_tools_on_the_most_recently_active_device(stack: EdgeStack) -> None:
    async def script(turn: Turn) -> None:
        await turn.text("not for the device")
        await turn.call("create_task", {}, MutationOp.MUTATION_OP_CREATE)
        await turn.end()

    stack.behind.router.script = script
    laptop, phone = await stack.device("laptop"), await stack.device("phone")
    await laptop.send("ping")
    await laptop.expect("pong")
    asked = asyncio.create_task(stack.call("POST", "/api/v1/chat", json={"message": "hi"}))
    call = await laptop.expect("tool_call", seq=1)
    await laptop.send("tool_result", call_id=call["call_id"], result={"item": {"id": "t"}})
    await laptop.expect("stream_end", seq=2, status="completed")
    status, answer = await asked
    assert (status, answer["response"]) == (200, "not for the device")
    assert [change["id"] for change in answer["mutations"]] == ["t"]
    await phone.expect("mutation", id="t")
    assert (await stack.behind.router.turn()).start.device_id == "laptop"


async def test_a_chat_that_fails_says_why(stack: EdgeStack) -> None:
    async def script(turn: Turn) -> None:
        error = SwitchboardError(ErrorCode.ERROR_CODE_MODEL_RATE_LIMITED, "Later.", 1500)
        await turn.end(EndStatus.END_STATUS_FAILED, error)

    stack.behind.router.script = script
    async with stack.http.post(
        f"{stack.url}/api/v1/chat", json={"message": "x"}, headers=stack.headers()
    ) as response:
        assert response.status == 503
        assert response.headers["Retry-After"] == "2"
        assert (await response.json())["error"] == {
            "code": "model_rate_limited",
            "message": "Later.",
            "retryable": True,
            "retry_after_ms": 1500,
        }


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        ({"data": b"garbage"}, 400, "invalid_frame"),
        ({"data": b"[]"}, 400, "invalid_frame"),
        ({"data": b"\xff"}, 400, "invalid_frame"),
        ({"json": {}}, 400, "invalid_frame"),
        ({"json": {"message": 5}}, 400, "invalid_frame"),
        ({"json": {"message": "x" * 32_001}}, 413, "message_too_long"),
        ({"data": BytesIO(b"x" * 2_000_000)}, 413, "invalid_frame"),
        ({"json": {"message": "x"}, "headers": {}}, 401, "unauthenticated"),
        ({"json": {"message": "x"}, "headers": {"Authorization": "Basic eA=="}}, 401, None),
    ],
)
async def test_bad_bodies(
    stack: EdgeStack, sent: dict[str, object], status: int, code: str | None
) -> None:
    found, answer = await stack.call("POST", "/api/v1/chat", **sent)
    assert found == status
    assert code is None or answer["error"]["code"] == code
    assert answer["error"]["retryable"] is False


async def test_tools(stack: EdgeStack) -> None:
    status, answer = await stack.call("GET", "/api/v1/tools")
    assert status == 200
    assert answer["tools"][0]["name"] == "list_tasks"
    assert answer["tools"][0]["arguments"] == {"type": "object"}


# Memory.


async def test_preferences(stack: EdgeStack) -> None:
    path = "/api/v1/memory/core"
    status, item = await stack.call("PUT", f"{path}/tone", json={"value": "brief"})
    assert (status, item["key"], item["text"]) == (200, "tone", "brief")
    status, found = await stack.call("GET", path)
    assert [(item["key"], item["text"]) for item in found["items"]] == [("tone", "brief")]
    _, others = await stack.call("GET", path, headers=stack.headers("user-2"))
    assert others["items"] == []
    assert (await stack.call("DELETE", f"{path}/tone"))[0] == 204
    status, error = await stack.call("DELETE", f"{path}/tone")
    assert (status, error["error"]["code"]) == (404, "not_found")


async def test_what_is_remembered(stack: EdgeStack) -> None:
    tier = MemoryTier.MEMORY_TIER_EPISODIC
    source = MemorySource.MEMORY_SOURCE_DEVICE
    stack.behind.memory.items = [
        MemoryItem(id="e1", tier=tier, text="Ünïcode", session_id="s", source=source)
    ]
    item = {"id": "e1", "tier": "episodic", "text": "Ünïcode", "session_id": "s"}
    item |= {"source": "device"}
    status, page = await stack.call("GET", "/api/v1/memory?tier=episodic&limit=5&cursor=c")
    assert (status, page) == (200, {"items": [item], "next_cursor": "more"})
    asked = stack.behind.memory.asked[-1]
    assert (asked.tier, asked.limit, asked.cursor) == (tier, 5, "c")
    _, found = await stack.call("GET", "/api/v1/memory?query=words")
    assert found == {"items": [item], "degraded": []}
    assert stack.behind.memory.asked[-1].query == "words"
    assert (await stack.call("DELETE", "/api/v1/memory/episodic/e1"))[0] == 204
    assert (await stack.call("DELETE", "/api/v1/memory/other/e1"))[0] == 400
    assert (await stack.call("GET", "/api/v1/memory?limit=-1"))[0] == 400
    account, line = await exported(stack, await registered(stack))
    assert (account["tier"], account["text"]) == ("account", SAM["email"])
    assert line == item


async def exported(stack: EdgeStack, session: dict[str, str]) -> list[dict[str, Any]]:
    """The lines of an export."""
    url = f"{stack.url}/api/v1/memory/export"
    async with stack.http.get(url, headers=bearer(session)) as response:
        assert response.status == 200
        assert response.content_type == "application/x-ndjson"
        assert response.headers["Cache-Control"] == "no-store"
        return [json.loads(line) for line in (await response.text()).splitlines()]


async def test_an_export_comes_in_parts_and_a_cut_one_is_never_whole(stack: EdgeStack) -> None:
    session, tier = await registered(stack), MemoryTier.MEMORY_TIER_EPISODIC
    stack.behind.memory.items = [
        MemoryItem(id=f"e{number}", tier=tier, text="x" * 40_000) for number in range(20)
    ]
    lines = await exported(stack, session)
    assert [line["id"] for line in lines[1:]] == [f"e{number}" for number in range(20)]
    stack.behind.memory.goes_away = True
    with pytest.raises(aiohttp.ClientPayloadError):
        await exported(stack, session)


async def test_an_export_that_cannot_begin_is_an_error(stack: EdgeStack) -> None:
    stack.behind.memory.goes_away = True
    status, error = await stack.call("GET", "/api/v1/memory/export")
    assert (status, error["error"]["code"]) == (503, "service_unavailable")


# The rest.


async def test_health_and_readiness(stack: EdgeStack) -> None:
    assert (await stack.call("GET", "/healthz", headers={}))[0] == 200
    services = {"router": True, "agent": True, "formatter": True, "memory": True}
    assert await stack.call("GET", "/readyz", headers={}) == (
        200,
        {"ready": True, "services": services},
    )
    await stack.behind.stop()
    status, answer = await stack.call("GET", "/readyz", headers={})
    assert (status, answer["ready"]) == (503, False)
    assert (await stack.call("GET", "/healthz", headers={}))[0] == 200


async def test_a_load_balancer_keeps_an_edge_whose_services_are_away(stack: EdgeStack) -> None:
    assert await stack.call("GET", "/readyz/edge", headers={}) == (200, {"ready": True})
    await stack.behind.stop()
    assert await stack.call("GET", "/readyz/edge", headers={}) == (200, {"ready": True})


async def test_unknown_calls_are_json_too(stack: EdgeStack) -> None:
    for method, path, status in (("GET", "/nothing", 404), ("PUT", "/api/v1/chat", 405)):
        found, answer = await stack.call(method, path)
        assert (found, answer["error"]["code"]) == (status, "not_found")


async def test_cors(stack: EdgeStack) -> None:
    preflight = {
        "Origin": "http://localhost:5173",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization",
    }
    async with stack.http.options(f"{stack.url}/api/v1/chat", headers=preflight) as response:
        assert response.status == 204
        assert response.headers["Access-Control-Allow-Origin"] == "http://localhost:5173"
        assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
    headers = {**stack.headers(), "Origin": "https://evil.example"}
    status, answer = await stack.call("GET", "/api/v1/tools", headers=headers)
    assert (status, answer["error"]["code"]) == (403, "forbidden")


async def test_a_service_that_is_down_is_said_so(stack: EdgeStack) -> None:
    await stack.behind.stop()
    status, answer = await stack.call("POST", "/api/v1/auth/login", json=SAM)
    assert (status, answer["error"]["code"]) == (503, "service_unavailable")
    assert answer["error"]["retryable"] is True
    assert "127.0.0.1" not in answer["error"]["message"]


async def test_drain_lets_requests_finish_and_closes_4503(stack: EdgeStack) -> None:
    release = asyncio.Event()

    async def script(turn: Turn) -> None:
        await release.wait()
        await turn.text("finished")
        await turn.end()

    stack.behind.router.script = script
    device = await stack.device()
    await device.send("home_request", message="x")
    await device.expect("stream_start")
    draining = asyncio.create_task(drain(stack.app))
    goaway = await device.expect("goaway")
    assert 500 <= goaway["reconnect_after_ms"] <= 1500
    assert (await stack.call("GET", "/readyz", headers={}))[0] == 503
    assert await stack.call("GET", "/readyz/edge", headers={}) == (503, {"ready": False})
    assert (await stack.call("GET", "/healthz", headers={}))[0] == 200
    await device.send("home_request", message="y")
    refused = await device.expect("stream_end", status="failed")
    assert refused["error"]["code"] == "service_unavailable"
    release.set()
    await device.until("stream_end", status="completed")
    assert await device.closed() == 4503
    await draining


async def test_a_drain_is_bounded() -> None:
    async def script(turn: Turn) -> None:
        await turn.lost.wait()

    async with edge_stack(drain_s=0.1) as stack:
        stack.behind.router.script = script
        device = await stack.device()
        await device.send("home_request", message="x")
        await device.expect("stream_start")
        draining = asyncio.create_task(drain(stack.app))
        end = (await device.until("stream_end"))[-1]
        assert end["error"]["code"] == "service_unavailable"
        assert await device.closed() == 4503
        await draining


class Kept:
    """One connection that stays open over several calls, written by hand."""

    def __init__(self, stack: EdgeStack) -> None:
        self._stack = stack

    async def __aenter__(self) -> "Kept":
        port = int(self._stack.url.rpartition(":")[2])
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def call(self, path: str, *more: str, body: str = "") -> tuple[int, str]:
        """Status, and headers with what body has come with them."""
        method = "POST" if body else "GET"
        token = self._stack.headers()["Authorization"]
        lines = [f"{method} {path} HTTP/1.1", "Host: x", f"Authorization: {token}", *more]
        lines += [f"Content-Length: {len(body)}", "", body]
        self._writer.write("\r\n".join(lines).encode())
        async with asyncio.timeout(10):
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode()
            length = re.search(r"content-length: (\d+)", head.lower())
            found = await self._reader.readexactly(int(length[1])) if length else b""
        return int(head.split()[1]), head + found.decode()

    async def ended(self) -> bool:
        """Whether the edge ends it."""
        async with asyncio.timeout(10):
            return await self._reader.read() == b""


UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


@pytest.mark.parametrize(
    ("path", "more", "body"),
    [
        ("/api/v1/ws/device", UPGRADE, ""),
        ("/api/v1/chat", ("Content-Type: application/json",), '{"message": "x"}'),
    ],
)
async def test_a_kept_connection_brings_nothing_new_to_a_draining_edge(
    stack: EdgeStack, path: str, more: tuple[str, ...], body: str
) -> None:
    goes_on = asyncio.Event()

    async def script(turn: Turn) -> None:
        await goes_on.wait()
        await turn.end()

    stack.behind.router.script = script
    device = await stack.device()
    await device.send("home_request", message="x")
    await device.expect("stream_start")
    await eventually(lambda: len(stack.behind.router.turns) == 1)
    async with Kept(stack) as kept:
        assert (await kept.call("/healthz"))[0] == 200
        draining = asyncio.create_task(drain(stack.app))
        await device.expect("goaway")
        status, answer = await kept.call(path, *more, body=body)
        assert status == 503
        assert "service_unavailable" in answer
        assert "connection: close" in answer.lower()
        assert await kept.ended()
    assert len(stack.behind.router.turns) == 1
    goes_on.set()
    await device.until("stream_end", status="completed")
    await draining


async def test_who_says_hello_to_a_draining_edge_is_sent_away_at_once(stack: EdgeStack) -> None:
    goes_on = asyncio.Event()

    async def script(turn: Turn) -> None:
        await goes_on.wait()
        await turn.end()

    stack.behind.router.script = script
    device = await stack.device()
    await device.send("home_request", message="x")
    await device.expect("stream_start")
    late = await stack.open(stack.token("user-2"))  # no hello yet
    draining = asyncio.create_task(drain(stack.app))
    await device.expect("goaway")
    await late.send("device_hello", device_id="late")
    await late.expect("device_ready")
    assert 500 <= (await late.expect("goaway"))["reconnect_after_ms"] <= 1500
    await late.send("home_request", message="y")
    refused = await late.expect("stream_end", status="failed")
    assert refused["error"]["code"] == "service_unavailable"
    goes_on.set()
    await device.until("stream_end", status="completed")
    assert await late.closed() == 4503
    await draining


async def test_a_socket_without_a_hello_is_closed_4503_by_a_drain(stack: EdgeStack) -> None:
    silent = await stack.open(stack.token())
    await stack.device()
    await drain(stack.app)
    assert await silent.closed() == 4503
