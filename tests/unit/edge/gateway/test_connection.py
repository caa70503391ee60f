"""One socket: hello, garbage, limits, tokens, close codes (PROTOCOL §1, §4.3, §4.8, §5)."""

import asyncio
import json
import socket
from typing import Any
from uuid import uuid4

import aiohttp
import pytest

from edge.access.tokens import Tokens
from edge.gateway.registry import Devices
from edge.gateway.revocation import sign_out
from switchboard.v3.frames_pb2 import EndStatus, MutationOp
from tests.support.edge_stack import KEY, Closed, EdgeStack, edge_stack, eventually
from tests.support.scripted_router import Turn

GARBAGE = [
    ("not json", "invalid_frame"),
    ("", "invalid_frame"),
    ("[]", "invalid_frame"),
    ("null", "invalid_frame"),
    ("{}", "invalid_frame"),
    ('{"type": 7}', "invalid_frame"),
    ('{"type": "ping", "type": "ping"}', "invalid_frame"),
    ('{"type": "ping", "nonce": NaN}', "invalid_frame"),
    ('{"type": "ping", "nonce": 5}', "invalid_frame"),
    ('{"type": "x", "a": ' + "[" * 5000 + "]" * 5000 + "}", "invalid_frame"),
    ('{"type": "home_request"}', "invalid_frame"),
    ('{"type": "home_request", "message": null}', "invalid_frame"),
    ('{"type": "home_request", "message": ["hi"]}', "invalid_frame"),
    ('{"type": "home_request", "message": "hi", "request_id": "1"}', "invalid_frame"),
    ('{"type": "popup_request", "message": "hi"}', "invalid_frame"),
    ('{"type": "tool_result", "call_id": "c"}', "invalid_frame"),
    ('{"type": "tool_result", "call_id": "c", "result": 1}', "tool_call_unknown"),
    ('{"type": "data_response", "query_id": "c", "items": []}', "tool_call_unknown"),
    (
        '{"type": "mutation", "mutation_id": "m", "op": "destroy", "entity": "task", "id": "1"}',
        "invalid_frame",
    ),
    ('{"type": "cancel"}', "invalid_frame"),
    ('{"type": "stream_text", "request_id": "r", "seq": 1, "chunk": "x"}', "unknown_type"),
    ('{"type": "teleport"}', "unknown_type"),
    ('{"type": "__class__"}', "unknown_type"),
]


async def test_garbage_disturbs_no_answer(stack: EdgeStack) -> None:
    release = asyncio.Event()

    async def script(turn: Turn) -> None:
        await turn.text("before ")
        await release.wait()
        await turn.text("after")
        await turn.end()

    stack.behind.router.script = script
    device = await stack.device()
    await device.send("home_request", message="hi")
    await device.until("stream_text")
    for text, code in GARBAGE:
        await device.ws.send_str(text)
        error = await device.expect("error", code=code)
        assert error["retryable"] is False, text
    await device.ws.send_bytes(b'{"type": "ping"}')
    await device.expect("error", code="invalid_frame")
    # Text that is no UTF-8 is a bad frame like others, too.
    await device.ws.send_frame(b'{"type": "ping", "nonce": "\xff"}', aiohttp.WSMsgType.TEXT)
    await device.expect("error", code="invalid_frame")
    release.set()
    frames = await device.until("stream_end")
    assert [frame["seq"] for frame in frames] == [3, 4]
    assert frames[-1]["status"] == "completed"


async def test_an_error_names_the_frame_and_the_field_but_no_value(stack: EdgeStack) -> None:
    device = await stack.device()
    request_id = str(uuid4())
    await device.send(
        "popup_request", message="hi", scope={"type": ["secret"]}, request_id=request_id
    )
    error = await device.expect("error", code="invalid_frame")
    assert error["ref"] == {"type": "popup_request", "id": request_id}
    assert "scope.type" in error["message"]
    assert "secret" not in json.dumps(error)


async def test_a_frame_of_2_mib_closes_its_socket_only(stack: EdgeStack) -> None:
    release = asyncio.Event()

    async def script(turn: Turn) -> None:
        await turn.text("before ")
        await release.wait()
        await turn.end()

    stack.behind.router.script = script
    other = await stack.device("other")
    await other.send("home_request", message="hi")
    await other.until("stream_text")
    device = await stack.device()
    await device.send("ping", nonce="x" * (2 * 1024 * 1024))
    assert await device.closed() == 1009
    release.set()
    await other.expect("stream_end", status="completed")


async def test_a_frame_of_exactly_1_mib_is_taken(stack: EdgeStack) -> None:
    device = await stack.device()
    frame = '{"type":"ping","nonce":"%s"}'
    nonce = "x" * (1024 * 1024 - len(frame) + 2)
    await device.ws.send_str(frame % nonce)
    assert (await device.expect("pong"))["nonce"] == nonce
    await device.ws.send_str(frame % (nonce + "x"))
    assert await device.closed() == 1009


# The hello.


@pytest.mark.parametrize(
    "text",
    [
        '{"type": "ping"}',
        "garbage",
        '{"type": "device_hello"}',
        '{"type": "device_hello", "device_id": ""}',
        '{"type": "device_hello", "device_id": "%s"}' % ("x" * 129),
        r'{"type": "device_hello", "device_id": "a\u0000\r\n"}',
        '{"type": "device_hello", "device_id": "a", "protocol": 2}',
    ],
)
async def test_a_bad_hello_closes_4400(stack: EdgeStack, text: str) -> None:
    device = await stack.open(stack.token())
    await device.ws.send_str(text)
    error = await device.expect("error")
    assert error["code"] == ("unsupported_protocol" if "protocol" in text else "invalid_frame")
    assert await device.closed() == 4400


async def test_no_hello_in_time_closes_4408() -> None:
    async with edge_stack(hello_timeout_s=0.1) as stack:
        device = await stack.open(stack.token())
        assert await device.closed() == 4408


async def test_frames_after_the_hello_wait_for_ready(stack: EdgeStack) -> None:
    device = await stack.open(stack.token())
    await device.send("device_hello", device_id="a")
    await device.send("ping", nonce="1")
    await device.expect("device_ready")
    await device.expect("pong", nonce="1")


# Tokens.


def wrong_tokens(stack: EdgeStack) -> dict[str, str]:
    old = Tokens([KEY], 900, clock=lambda: 1.0)
    return {
        "nonsense": "nonsense",
        "another key": Tokens(["z" * 40], 900).issue("user-1", "f"),
        "expired": old.issue("user-1", "f"),
        "no signature": stack.token().rsplit(".", 1)[0] + ".",
    }


@pytest.mark.parametrize("kind", ["nonsense", "another key", "expired", "no signature"])
async def test_a_wrong_token(stack: EdgeStack, kind: str) -> None:
    other = await stack.device("other", user_id="user-2")
    token = wrong_tokens(stack)[kind]
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await stack.open(token)
    assert refused.value.status == 401
    device = await stack.open()
    await device.send("device_hello", device_id="a", token=token)
    assert await device.closed() == 4401
    await other.send("ping")
    await other.expect("pong")


async def test_a_hello_without_any_token_closes_4401(stack: EdgeStack) -> None:
    device = await stack.open()
    await device.send("device_hello", device_id="a")
    assert await device.closed() == 4401


async def test_the_token_may_stand_in_the_hello(stack: EdgeStack) -> None:
    device = await stack.open()
    await device.send("device_hello", device_id="a", token=stack.token())
    await device.expect("device_ready")


async def test_an_expired_token_closes_the_socket_after_its_grace() -> None:
    async with edge_stack(access_token_s=0.3, token_grace_s=0.1) as stack:
        device = await stack.device()
        assert await device.closed() == 4401


@pytest.mark.parametrize("family_id", ["family-1", None])
async def test_who_signed_out_since_the_upgrade_is_not_welcome(
    stack: EdgeStack, family_id: str | None
) -> None:
    device = await stack.open(stack.token())
    sign_out(stack.edge.tokens, stack.edge.devices, "user-1", family_id)
    await device.send("device_hello", device_id="a")
    assert await device.closed() == 4401


async def test_who_signs_out_while_the_hello_is_looked_at_is_not_welcome(
    stack: EdgeStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = Devices.elsewhere

    async def look(devices: Devices, *asked: Any) -> Any:
        found = await looks(devices, *asked)
        sign_out(stack.edge.tokens, devices, "user-1", "family-1")
        return found

    monkeypatch.setattr(Devices, "elsewhere", look)
    device = await stack.open(stack.token())
    await device.send("device_hello", device_id="a")
    assert await device.closed() == 4401


async def test_a_second_hello_refreshes_the_token() -> None:
    async with edge_stack(access_token_s=0.4, token_grace_s=0.1) as stack:
        device = await stack.device()
        stack.edge.tokens.lifetime_s = 60
        await device.send("device_hello", device_id="laptop", token=stack.token())
        again = await device.expect("device_ready")
        assert again["session_id"] == device.ready["session_id"]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.8):
                await device.next()


async def test_a_second_hello_of_another_user_closes_4401(stack: EdgeStack) -> None:
    device = await stack.device()
    await device.send("device_hello", device_id="laptop", token=stack.token("user-2"))
    assert await device.closed() == 4401


async def test_a_second_hello_of_another_device_is_refused(stack: EdgeStack) -> None:
    device = await stack.device()
    await device.send("device_hello", device_id="phone")
    await device.expect("error", code="invalid_frame")
    await device.send("ping")
    await device.expect("pong")


# Origins.


@pytest.mark.parametrize(
    "origin", ["null", "file://", "app://switchboard", "http://localhost:5173", "http://[::1]:3000"]
)
async def test_origins_that_may(stack: EdgeStack, origin: str) -> None:
    device = await stack.open(stack.token(), {"Origin": origin})
    await device.send("device_hello", device_id="a")
    await device.expect("device_ready")


@pytest.mark.parametrize("origin", ["https://evil.example", "http://localhost.evil.example"])
async def test_other_origins_close_4403(stack: EdgeStack, origin: str) -> None:
    device = await stack.open(stack.token(), {"Origin": origin})
    assert await device.closed() == 4403


# Devices.


async def test_the_same_device_again_supersedes_its_socket(stack: EdgeStack) -> None:
    first, other = await stack.device("laptop"), await stack.device("phone")
    second = await stack.device("laptop")
    assert await first.closed() == 4409
    for device in (second, other):
        await device.send("ping")
        await device.expect("pong")


async def test_a_mutation_reaches_the_user_s_other_devices_once(stack: EdgeStack) -> None:
    laptop, phone = await stack.device("laptop"), await stack.device("phone")
    stranger = await stack.device("phone", user_id="user-2")
    change = {
        "mutation_id": "m1",
        "op": "update",
        "entity": "task",
        "id": "t1",
        "data": {"id": "t1", "Ü": [1, {}]},
    }
    await laptop.send("mutation", **change)
    await laptop.send("mutation", **change)
    told = await phone.expect("mutation")
    assert told == {"type": "mutation", **change, "origin": {"device_id": "laptop"}}
    for device in (laptop, phone, stranger):
        await device.send("ping")
        await device.expect("pong")


async def test_too_many_sockets_of_a_user_close_4529() -> None:
    async with edge_stack(max_sockets_per_user=2) as stack:
        await stack.device("a")
        await stack.device("b")
        third = await stack.open(stack.token())
        await third.send("device_hello", device_id="c")
        assert await third.closed() == 4529
        await stack.device("b")  # takes its own place


# Requests.


@pytest.mark.parametrize(
    ("quoted", "why"),
    [
        ([{"start": -1, "end": 1}], "quoted[0].start: is no whole number"),
        ([{"start": 0.5, "end": 1}], "quoted[0].start: is no whole number"),
        ([{"start": "0", "end": 1}], "quoted[0].start: is no whole number"),
        ([{"start": 0, "end": True}], "quoted[0].end: is no whole number"),
        ([{"start": 0, "end": 1}, {"start": 0}], "quoted[1].end: is missing"),
        ([{"start": 0, "end": 9}], "quoted[0].end: lies past the end of the message"),
        ([{"start": 2, "end": 1}], "quoted[0].start: lies past its end"),
        ({"start": 0, "end": 1}, "quoted: is no list"),
    ],
)
async def test_a_bad_quotation_is_refused_by_name(
    stack: EdgeStack, quoted: object, why: str
) -> None:
    device, request_id = await stack.device(), str(uuid4())
    for kind, more in (("home_request", {}), ("popup_request", {"scope": {"type": "task"}})):
        asked = {"message": "hello", "request_id": request_id, "quoted": quoted, **more}
        await device.send(kind, **asked)
        error = await device.expect("error", code="invalid_frame", request_id=request_id)
        assert error["message"].startswith(why)
    status, answer = await stack.call(
        "POST", "/api/v1/chat", json={"message": "hello", "quoted": quoted}
    )
    assert (status, answer["error"]["code"]) == (400, "invalid_frame")


async def test_limits_of_messages(stack: EdgeStack) -> None:
    device = await stack.device()
    await device.send("home_request", message="x" * 32_001)
    await device.expect("error", code="message_too_long")
    history = [{"role": "user", "content": "x"}] * 201
    await device.send("home_request", message="x", conversation_history=history)
    await device.expect("error", code="history_too_long")
    history = [{"role": "user", "content": "x" * 100_001}] * 2
    await device.send("home_request", message="x", conversation_history=history)
    await device.expect("error", code="history_too_long")
    await device.send("home_request", message="ä" * 32_000)
    assert (await device.until("stream_end"))[-1]["status"] == "completed"


async def test_a_request_is_not_started_twice(stack: EdgeStack) -> None:
    laptop, phone = await stack.device("laptop"), await stack.device("phone")
    request_id = str(uuid4())
    await laptop.send("home_request", message="x", request_id=request_id)
    await laptop.until("stream_end")
    for device in (laptop, phone):
        await device.send("home_request", message="x", request_id=request_id)
        error = await device.expect("error", code="duplicate_request", request_id=request_id)
        assert error["ref"] == {"type": "home_request", "id": request_id}
    other = await stack.device(user_id="user-2")
    await other.send("home_request", message="x", request_id=request_id)
    await other.until("stream_end", status="completed")
    assert len(stack.behind.router.turns) == 2


async def test_cancel_ends_within_a_second(stack: EdgeStack) -> None:
    async def script(turn: Turn) -> None:
        await turn.text("so far")
        await turn.cancelled.wait()
        await turn.end(EndStatus.END_STATUS_CANCELLED)

    stack.behind.router.script = script
    device = await stack.device()
    request_id = str(uuid4())
    await device.send("cancel", request_id=request_id)  # never known: nothing
    await device.send("home_request", message="x", request_id=request_id)
    await device.until("stream_text")
    await device.send("cancel", request_id=request_id)
    end = await device.expect("stream_end", status="cancelled")
    assert end["usage"]["output_tokens"] == 5
    await device.send("cancel", request_id=request_id)  # over: nothing
    await device.send("ping")
    await device.expect("pong")


async def test_cancel_ends_within_a_second_of_a_router_that_does_not_listen(
    stack: EdgeStack,
) -> None:
    stuck = asyncio.Event()

    async def script(turn: Turn) -> None:
        await turn.text("so far")
        await stuck.wait()

    stack.behind.router.script = script
    device = await stack.device()
    request_id = str(uuid4())
    await device.send("home_request", message="x", request_id=request_id)
    await device.until("stream_text")
    began = asyncio.get_running_loop().time()
    await device.send("cancel", request_id=request_id)
    end = await device.expect("stream_end", status="cancelled")
    assert asyncio.get_running_loop().time() - began < 1.2
    assert end["error"]["code"] == "cancelled"
    turn = await stack.behind.router.turn()
    async with asyncio.timeout(5):
        await turn.lost.wait()


async def test_a_lost_router_ends_its_requests_and_the_next_one_works(stack: EdgeStack) -> None:
    async def script(turn: Turn) -> None:
        await turn.text("so far")
        await turn.lost.wait()

    stack.behind.router.script = script
    device = await stack.device()
    await device.send("home_request", message="x")
    await device.until("stream_text")
    await stack.behind.stop()
    end = await device.expect("stream_end", status="failed")
    assert end["error"]["code"] == "service_unavailable"
    assert end["error"]["retryable"] is True
    await device.send("home_request", message="x")
    end = (await device.until("stream_end"))[-1]
    assert end["error"]["code"] == "service_unavailable"
    stack.behind.router.script = lambda turn: turn.end()
    await stack.behind.start()
    async with asyncio.timeout(10):
        while True:
            await device.send("home_request", message="x")
            end = (await device.until("stream_end"))[-1]
            if end["status"] == "completed":
                break
            await asyncio.sleep(0.1)  # a user's requests are counted


async def test_a_router_that_just_stops_is_a_loss(stack: EdgeStack) -> None:
    async def script(turn: Turn) -> None:
        await turn.text("so far")

    stack.behind.router.script = script
    device = await stack.device()
    await device.send("home_request", message="x")
    end = (await device.until("stream_end"))[-1]
    assert (end["status"], end["error"]["code"]) == ("failed", "service_unavailable")


# Calls.


async def test_a_data_request_is_asked_and_answered(stack: EdgeStack) -> None:
    async def script(turn: Turn) -> None:
        found = await turn.query("t1", "t2")
        await turn.text(found.items.utf8.decode())
        await turn.end()

    stack.behind.router.script = script
    device = await stack.device()
    await device.send("home_request", message="x")
    asked = (await device.until("data_request"))[-1]
    assert asked["entity"] == "task"
    assert asked["ids"] == ["t1", "t2"]
    assert asked["deadline_ms"] > 29_000
    await device.send("data_response", query_id=asked["query_id"], items=[{"id": "t1"}])
    assert (await device.expect("stream_text"))["chunk"] == '[{"id":"t1"}]'


@pytest.mark.parametrize(
    "answer",
    [
        {"error": {"code": "broken", "message": "no disk"}},
        {"rejected": {"reason": "not now"}},
        {"rejected": {}},
        {"result": None},
    ],
)
async def test_the_agent_is_told_how_a_call_went(stack: EdgeStack, answer: dict[str, Any]) -> None:
    async def script(turn: Turn) -> None:
        result = await turn.call("delete_task", {}, MutationOp.MUTATION_OP_DELETE)
        await turn.text(result.WhichOneof("outcome"))
        await turn.end()

    stack.behind.router.script = script
    device = await stack.device()
    await device.send("home_request", message="x")
    call = (await device.until("tool_call"))[-1]
    await device.send("tool_result", call_id=call["call_id"], **answer)
    assert (await device.expect("stream_text"))["chunk"] == next(iter(answer))
    assert (await device.expect("stream_end"))["mutations"] == []


async def test_a_result_after_cancel_is_late_but_its_change_goes_out(stack: EdgeStack) -> None:
    async def script(turn: Turn) -> None:
        turn.call("delete_task", {"id": "t1"}, MutationOp.MUTATION_OP_DELETE)
        await turn.cancelled.wait()
        await turn.end(EndStatus.END_STATUS_CANCELLED)

    stack.behind.router.script = script
    laptop, phone = await stack.device("laptop"), await stack.device("phone")
    request_id = str(uuid4())
    await laptop.send("home_request", message="x", request_id=request_id)
    call = (await laptop.until("tool_call"))[-1]
    await laptop.send("cancel", request_id=request_id)
    await laptop.expect("stream_end", status="cancelled")
    await laptop.send("tool_result", call_id=call["call_id"], result={"id": "t1"})
    error = await laptop.expect("error", code="tool_call_expired")
    assert error["ref"] == {"type": "tool_result", "id": call["call_id"]}
    told = await phone.expect("mutation", op="delete", id="t1")
    assert told["origin"] == {"device_id": "laptop", "request_id": request_id}
    assert (await stack.behind.router.turn()).results == []
    await laptop.send("tool_result", call_id=call["call_id"], result={"id": "t1"})
    for device in (laptop, phone):
        await device.send("ping")
        await device.expect("pong")


# Slow readers.


async def test_a_device_that_does_not_read_is_closed_and_slows_only_itself() -> None:
    total = 40_000  # 40 MB: past every buffer between

    async def script(turn: Turn) -> None:
        if turn.start.device_id == "slow":
            for _ in range(total):
                await turn.text("x" * 1000)
        else:
            await turn.text("quick")
        await turn.end()

    async with edge_stack(stall_s=0.5) as stack:
        stack.behind.router.script = script
        slow, quick = await stack.device("slow"), await stack.device("quick")
        transport = slow.ws._response.connection.transport  # type: ignore[union-attr]
        transport.pause_reading()  # type: ignore[union-attr]
        await slow.send("home_request", message="x")
        await eventually(lambda: stack.edge.devices.running == 1)
        await quick.send("home_request", message="x")
        assert (await quick.until("stream_end"))[-1]["status"] == "completed"
        (device,) = [d for d in stack.edge.devices if d.session.device_id == "slow"]
        await eventually(lambda: device.socket is None)
        # Nearly all of it was never read from the router.
        turn = await stack.behind.router.turn()
        assert turn.sent < total
        held = sum(a.waiting_bytes + a.journal_bytes for a in device.session._answers)
        assert held < 4 * 1024 * 1024
        transport.resume_reading()  # type: ignore[union-attr]
        assert await slow.closed() == 4508


async def test_a_dead_peer_is_found_by_heartbeat() -> None:
    async with edge_stack(heartbeat_s=0.2) as stack:
        host, port = stack.url.removeprefix("http://").split(":")
        key = "dGhlIHNhbXBsZSBub25jZQ=="
        upgrade = (
            f"GET /api/v1/ws/device HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\n"
            f"Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n"
            f"Authorization: Bearer {stack.token()}\r\n\r\n"
        )
        _, writer = await asyncio.open_connection(host, int(port), family=socket.AF_INET)
        writer.write(upgrade.encode())
        hello = b'{"type":"device_hello","device_id":"dead"}'
        writer.write(bytes([0x81, 0x80 | len(hello), 0, 0, 0, 0]) + hello)
        await eventually(lambda: len(list(stack.edge.devices)) == 1)
        await eventually(lambda: not list(stack.edge.devices))  # it never answers a ping
        writer.close()


async def test_closed_says_why() -> None:
    with pytest.raises(Closed):
        raise Closed(4400)
