"""The socket: how far requests have come, and a connection that is kept up."""

import asyncio
import itertools
import json
from typing import Any

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from client.terminal import protocol
from client.terminal.protocol import (
    Link,
    Progress,
    Refused,
    Unreachable,
    decode,
    encode,
    pauses,
)
from tests.support.ws_server import Peer, Script, WsServer, serve

Frame = dict[str, Any]


def text(seq: int, request_id: str = "r") -> Frame:
    return {"type": "stream_text", "request_id": request_id, "seq": seq, "chunk": "x"}


# Without a socket


@pytest.mark.parametrize("raw", ["", "{", "[]", "1", '"x"', "{}", '{"type": 1}', '{"type": null}'])
def test_what_is_no_frame_is_ignored(raw: str) -> None:
    assert decode(raw) is None


@pytest.mark.parametrize(
    ("reason", "wait_s"),
    [
        ('{"code":"rate_limited","retry_after_ms":1500}', 1.5),
        ('{"retry_after_ms":99999999}', protocol.LONGEST_PAUSE_S),
        ('{"retry_after_ms":-1}', 0.0),
        ("slow down", None),
        ("", None),
        ("[]", None),
        ('{"retry_after_ms":null}', None),
    ],
)
def test_the_reason_of_a_close_may_tell_how_long_to_wait(reason: str, wait_s: float | None) -> None:
    assert protocol._wait_of(reason) == wait_s


@given(st.lists(st.integers(0, 20), min_size=1, max_size=20))
def test_however_a_server_replays_each_frame_is_taken_once_and_in_order(cuts: list[int]) -> None:
    """A connection breaks anywhere, and the server replays from what the client names."""
    progress, taken, at = Progress(), [], 0
    progress.opened("r")
    for cut in cuts:
        for seq in range(progress.resume()["r"] + 1, at + 1):
            taken += [seq] if progress.take(text(seq)) else []
        for _ in range(cut):
            at += 1
            taken += [at] if progress.take(text(at)) else []
    assert taken == list(range(1, at + 1))


def test_frames_seen_before_are_not_taken_again_but_tool_calls_pass() -> None:
    progress = Progress()
    call = {"type": "tool_call", "request_id": "r", "seq": 2, "call_id": "c"}
    assert [progress.take(frame) for frame in (text(1), call, text(3))] == [True] * 3
    assert [progress.take(frame) for frame in (text(1), call, text(3))] == [False, True, False]
    assert progress.take({"type": "pong"}) and progress.take({"type": "error", "request_id": "r"})
    assert progress.resume() == {"r": 3}


def test_an_ended_request_is_not_resumed() -> None:
    progress = Progress()
    progress.opened("r")
    progress.opened("s")
    assert progress.resume() == {"r": 0, "s": 0}
    progress.take({"type": "stream_end", "request_id": "r", "seq": 1})
    progress.close("s")
    assert progress.resume() == {}


def test_pauses_grow_to_a_bound_and_are_not_the_same_for_all() -> None:
    some = list(itertools.islice(pauses(), 12))
    assert some[0] <= protocol.FIRST_PAUSE_S
    assert all(pause <= protocol.LONGEST_PAUSE_S for pause in some)
    assert some[-1] >= protocol.LONGEST_PAUSE_S / 2
    assert some != list(itertools.islice(pauses(), 12))


# With one


class Tokens:
    """Hands out numbered tokens; `renewals` lets the next one out."""

    def __init__(self) -> None:
        self.number = 1
        self.renewals: asyncio.Queue[None] = asyncio.Queue()

    async def token(self) -> str:
        return f"token-{self.number}"

    async def renewed(self) -> str:
        await self.renewals.get()
        self.number += 1
        return await self.token()

    def forget(self) -> None:
        self.number += 1


class Heard:
    """Keeps what the link tells."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.lost: list[str] = []
        self.drops = 0
        self.changed = asyncio.Condition()

    async def on_frame(self, frame: Frame) -> None:
        async with self.changed:
            self.frames.append(frame)
            self.changed.notify_all()

    async def on_lost(self, request_id: str) -> None:
        self.lost.append(request_id)

    def on_drop(self) -> None:
        self.drops += 1

    async def until(self, frame_type: str, seq: int | None = None) -> None:
        def there() -> bool:
            return any(f["type"] == frame_type and f.get("seq") == seq for f in self.frames)

        async with asyncio.timeout(10), self.changed:
            await self.changed.wait_for(there)


class Rig:
    """A link to a scripted server, run in the background."""

    def __init__(self, server: WsServer, http: aiohttp.ClientSession, **options: Any) -> None:
        self.tokens, self.heard = Tokens(), Heard()
        self.link = Link(http, server.url, self.tokens, {"device_id": "d"}, **options)
        self.running = asyncio.create_task(self.link.run(self.heard))

    async def failure(self) -> Exception:
        async with asyncio.timeout(10):
            with pytest.raises((Refused, Unreachable)) as raised:
                await self.running
        return raised.value


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "FIRST_PAUSE_S", 0.01)


async def with_rig(*scripts: Script, **options: Any) -> tuple[Rig, WsServer]:
    """For stories that end with the link's failure."""
    async with serve(*scripts) as server, aiohttp.ClientSession() as http:
        rig = Rig(server, http, **options)
        await rig.failure()
    return rig, server


async def test_after_a_drop_it_resumes_from_what_it_has_seen() -> None:
    async def first(peer: Peer) -> None:
        hello = await peer.ready()
        assert "resume" not in hello and peer.authorization == "Bearer token-1"
        await peer.receive("home_request")
        await peer.send("stream_text", request_id="r", seq=1, chunk="a")
        await peer.send("tool_call", request_id="r", seq=2, call_id="c")

    async def second(peer: Peer) -> None:
        hello = await peer.ready(resumed=["r"], lost=[])
        assert hello["resume"] == {"requests": {"r": 2}}
        await peer.send("tool_call", request_id="r", seq=2, call_id="c")
        await peer.send("stream_text", request_id="r", seq=2, chunk="seen")
        await peer.send("stream_text", request_id="r", seq=3, chunk="b")
        await peer.send("stream_end", request_id="r", seq=4, status="completed")
        await peer.socket.close(code=4409)

    async with serve(first, second) as server, aiohttp.ClientSession() as http:
        rig = Rig(server, http)
        await rig.heard.until("device_ready")
        await rig.link.send(protocol.home_request("hi", [], "r"))
        await rig.failure()
    seen = [(f["type"], f["seq"]) for f in rig.heard.frames if "seq" in f]
    assert seen == [
        ("stream_text", 1),
        ("tool_call", 2),
        ("tool_call", 2),
        ("stream_text", 3),
        ("stream_end", 4),
    ]
    assert rig.heard.lost == []


async def test_a_request_that_the_server_cannot_go_on_with_is_told_lost() -> None:
    async def first(peer: Peer) -> None:
        await peer.ready()
        for _ in range(2):
            await peer.receive("home_request")

    async def second(peer: Peer) -> None:
        hello = await peer.ready(resumed=["s"], lost=["r"])
        assert hello["resume"] == {"requests": {"r": 0, "s": 0}}

    async def third(peer: Peer) -> None:
        hello = await peer.ready(resumed=["s"])
        assert hello["resume"] == {"requests": {"s": 0}}
        await peer.socket.close(code=4409)

    async with serve(first, second, third) as server, aiohttp.ClientSession() as http:
        rig = Rig(server, http)
        for request_id in ("r", "s"):
            await rig.link.send(protocol.home_request("hi", [], request_id))
        await rig.failure()
    assert rig.heard.lost == ["r"]


async def test_what_is_sent_while_it_is_away_goes_out_when_it_is_back() -> None:
    gone, sent = asyncio.Event(), asyncio.Event()

    async def first(peer: Peer) -> None:
        await peer.ready()

    async def second(peer: Peer) -> None:
        gone.set()
        await sent.wait()
        hello = await peer.ready()
        assert "resume" not in hello, "it was never sent, so it is not lost"
        assert (await peer.receive("home_request"))["request_id"] == "r"
        await peer.socket.close(code=4409)

    async with serve(first, second) as server, aiohttp.ClientSession() as http:
        rig = Rig(server, http)
        await gone.wait()
        await rig.link.send(protocol.home_request("hi", [], "r"))
        sent.set()
        await rig.failure()
    assert rig.heard.lost == [] and rig.heard.drops == 1


@pytest.mark.parametrize("code", [4400, 4403, 4408, 4409, 1009])
async def test_a_final_close_is_not_tried_again(code: int) -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.socket.close(code=code, message=b"why")

    async with serve(script) as server, aiohttp.ClientSession() as http:
        failure = await Rig(server, http).failure()
    assert isinstance(failure, Refused) and f"why ({code})" in str(failure)


@pytest.mark.parametrize("code", [4500, 4503, 4508, 4529, 1001, 1011, 1012])
async def test_any_other_close_is(code: int) -> None:
    async def first(peer: Peer) -> None:
        await peer.ready()
        await peer.socket.close(code=code)

    async def second(peer: Peer) -> None:
        await peer.ready()
        await peer.socket.close(code=4409)

    rig, _ = await with_rig(first, second)
    assert [f["type"] for f in rig.heard.frames] == ["device_ready"] * 2


async def test_after_a_goaway_it_waits_as_long_as_it_is_told() -> None:
    closed_at = 0.0

    async def first(peer: Peer) -> None:
        nonlocal closed_at
        await peer.ready()
        await peer.send("goaway", reason="draining", reconnect_after_ms=150)
        closed_at = asyncio.get_running_loop().time()
        await peer.socket.close(code=4503)

    async def second(peer: Peer) -> None:
        assert asyncio.get_running_loop().time() - closed_at >= 0.14
        await peer.ready()
        await peer.socket.close(code=4409)

    await with_rig(first, second)


async def test_a_token_that_ran_out_is_changed_once() -> None:
    async def first(peer: Peer) -> None:
        await peer.receive("device_hello")
        await peer.socket.close(code=4401)

    async def second(peer: Peer) -> None:
        assert peer.authorization == "Bearer token-2"
        await peer.receive("device_hello")
        await peer.socket.close(code=4401, message=b"no")

    async with serve(first, second) as server, aiohttp.ClientSession() as http:
        failure = await Rig(server, http).failure()
    assert isinstance(failure, Refused) and "no (4401)" in str(failure)


async def test_a_new_token_goes_into_a_second_hello_and_disturbs_nothing() -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.receive("home_request")
        hello = await peer.ready()
        assert hello["token"] == "token-2" and hello["device_id"] == "d"
        await peer.send("stream_end", request_id="r", seq=1, status="completed")
        await peer.socket.close(code=4409)

    async with serve(script) as server, aiohttp.ClientSession() as http:
        rig = Rig(server, http)
        await rig.link.send(protocol.home_request("hi", [], "r"))
        await rig.heard.until("device_ready")
        rig.tokens.renewals.put_nowait(None)
        await rig.failure()
    assert rig.heard.lost == [] and rig.heard.frames[-1]["type"] == "stream_end"


async def test_frames_that_are_none_are_passed_over() -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()
        await peer.socket.send_str("[1]")
        await peer.socket.send_str("}")
        await peer.send("pong")
        await peer.socket.close(code=4409)

    rig, _ = await with_rig(script)
    assert [f["type"] for f in rig.heard.frames] == ["device_ready", "pong"]


async def test_a_server_that_is_not_there_at_first_is_told_at_once() -> None:
    async with serve() as server:
        url = server.url
    async with aiohttp.ClientSession() as http:
        failure = await Rig(WsServer([], url), http).failure()
    assert str(failure) == f"cannot reach the server at {url}: is it running?"


async def test_a_server_that_stays_away_is_given_up() -> None:
    async def script(peer: Peer) -> None:
        await peer.ready()

    async with aiohttp.ClientSession() as http:
        async with serve(script) as server:
            rig = Rig(server, http, patience_s=0.1)
            await rig.heard.until("device_ready")
        assert isinstance(await rig.failure(), Unreachable)


async def test_an_upgrade_that_is_forbidden_is_final() -> None:
    async with serve() as server, aiohttp.ClientSession() as http:
        server.refuse_upgrades = [403]
        failure = await Rig(server, http).failure()
    assert isinstance(failure, Refused) and "(403)" in str(failure)


def test_letters_go_out_as_they_are() -> None:
    assert encode({"type": "cancel", "request_id": "\u00e9"}, 100).encode() == (
        b'{"type":"cancel","request_id":"\xc3\xa9"}'
    )
    assert encode({"type": "cancel", "request_id": "\ud800"}, 100).endswith('"?"}')


@pytest.mark.parametrize(
    ("type_", "id_", "outcome"),
    [("tool_result", "call_id", "result"), ("data_response", "query_id", "items")],
)
def test_an_answer_larger_than_the_server_takes_is_an_error(
    type_: str, id_: str, outcome: str
) -> None:
    frame = {"type": type_, id_: "c", outcome: ["x" * 500, "\u00e9" * 200]}
    assert json.loads(encode(frame, 1000)) == frame
    told = json.loads(encode(frame, 900))
    assert (told["type"], told[id_], told["error"]["code"]) == (type_, "c", "too_large")
    assert outcome not in told


async def test_an_upgrade_that_comes_too_often_is_tried_again_later() -> None:
    async with serve() as server, aiohttp.ClientSession() as http:
        server.refuse_upgrades = [429, 403]
        failure = await Rig(server, http).failure()
    assert isinstance(failure, Refused) and "(403)" in str(failure)
