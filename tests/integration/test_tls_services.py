"""Mutual TLS between all five services, and TLS at the edge: who may speak to whom."""

import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from runtime.channels import dial
from runtime.settings import Settings
from switchboard.v3.memory_pb2 import GetCoreRequest
from switchboard.v3.memory_pb2_grpc import MemoryServiceStub
from switchboard.v3.router_pb2 import RouteRequest
from switchboard.v3.router_pb2_grpc import RouterServiceStub
from tests.support.certs import Authority
from tests.support.model_server import Call, Reply, Request, calls, says
from tests.support.whole import Whole, whole

TASKS = {"agent": "task_agent", "confidence": 0.95, "reason": "tasks"}


def script(request: Request) -> Reply:
    asked = any(message["role"] == "tool" for message in request.messages)
    return says("Nothing is open.") if asked else calls(Call("list_tasks"))


@pytest.fixture
def authority() -> Authority:
    return Authority()


@pytest.fixture
async def stack(database_url: str, tmp_path: Path, authority: Authority) -> AsyncIterator[Whole]:
    async with whole(database_url, tmp_path, script, json=TASKS, authority=authority) as found:
        yield found


async def test_a_conversation_over_tls_all_the_way(
    database_url: str, tmp_path: Path, authority: Authority
) -> None:
    front = authority.issue(tmp_path / "front", "switchboard.example")
    listener: dict[str, Any] = {
        "edge_tls_cert_file": front["tls_cert_file"],
        "edge_tls_key_file": front["tls_key_file"],
    }
    trusting = ssl.create_default_context(cafile=str(front["tls_ca_file"]))
    async with whole(
        database_url, tmp_path, script, json=TASKS, authority=authority, trust=trusting, **listener
    ) as stack:
        assert stack.url.startswith("https://")
        device = await stack.device()
        await device.send("home_request", message="what is open?")
        call = (await device.until("tool_call"))[-1]
        await device.send("tool_result", call_id=call["call_id"], result={"items": []})
        frames = await device.until("stream_end", status="completed")
        assert frames[-1]["memory"] == "stored"
        said = "".join(frame["chunk"] for frame in frames if frame["type"] == "stream_text")
        assert said == "Nothing is open."


async def refused(call: object) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call  # type: ignore[misc]
    return caught.value.code()


@pytest.mark.parametrize("name", ["formatter_svc", "memory_svc", "somebody"])
async def test_a_service_that_has_no_business_there_is_refused(
    stack: Whole, tmp_path: Path, authority: Authority, name: str
) -> None:
    """Its certificate is good; its name is not on the list."""
    other = Settings.model_validate(authority.issue(tmp_path / "other", name))
    async with (
        dial(f"localhost:{stack.ports['memory_svc']}", other) as memory,
        dial(f"localhost:{stack.ports['router_svc']}", other) as router,
    ):
        asked = MemoryServiceStub(memory).GetCore(GetCoreRequest(user_id="u"), timeout=10)
        assert await refused(asked) is grpc.StatusCode.PERMISSION_DENIED
        routed = RouterServiceStub(router).Route(RouteRequest(message="hi"), timeout=10)
        assert await refused(routed) is grpc.StatusCode.PERMISSION_DENIED


async def test_without_a_certificate_of_ours_nobody_is_heard(stack: Whole, tmp_path: Path) -> None:
    foreign = Settings.model_validate(Authority().issue(tmp_path / "foreign", "edge"))
    for settings in (foreign, Settings()):
        async with dial(f"localhost:{stack.ports['memory_svc']}", settings) as channel:
            asked = MemoryServiceStub(channel).GetCore(GetCoreRequest(user_id="u"), timeout=10)
            assert await refused(asked) is grpc.StatusCode.UNAVAILABLE
