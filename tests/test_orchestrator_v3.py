"""Story: the router names the agent first, then its tokens stream.

The router, the agent service and the formatter as they are, over gRPC on loopback;
the model is scripted, over HTTP, and memory is too.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
import pytest

from formatter_svc.service import FORMATTER, FormatterServicer
from router_svc.__main__ import serving
from router_svc.routing import AGENTS
from router_svc.settings import RouterSettings
from runtime.channels import dial
from runtime.server import Server
from runtime.settings import ServiceSettings, Settings
from switchboard.v3.agent_pb2 import ListAgentsRequest, Surface
from switchboard.v3.blocks_pb2 import BlockType
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.formatter_pb2_grpc import add_FormatterServiceServicer_to_server
from switchboard.v3.frames_pb2 import Domain, EndStatus, MemoryStatus, Scope, Usage
from switchboard.v3.router_pb2 import RouteRequest, RouterServiceListToolsRequest
from switchboard.v3.router_pb2_grpc import RouterServiceStub
from tests.support.agents import agents
from tests.support.converse import Conversation
from tests.support.model_server import (
    CUT,
    Call,
    ModelServer,
    Reply,
    Request,
    Step,
    answers,
    calls,
    fails,
    says,
)
from tests.support.peers import Peers, ScriptedMemory

if TYPE_CHECKING:
    from switchboard.v3.router_pb2_grpc import RouterServiceAsyncStub

POPUP = Surface.SURFACE_POPUP
TASKS = {"items": [{"id": "t1", "title": "Pay the rent", "status": "todo", "colour": 7}]}


@dataclass(frozen=True, slots=True)
class Orchestra:
    """The three services, with what is around them."""

    router: RouterServiceAsyncStub
    model: ModelServer
    memory: ScriptedMemory

    async def ask(self, request_id: str = "r1", **start: Any) -> Conversation:
        return await Conversation(self.router, request_id, **start).begin()


@asynccontextmanager
async def orchestra(*replies: Reply, chosen: str | None = "task_agent") -> AsyncIterator[Orchestra]:
    """The agents answer with `replies`, in order; the classifier with `chosen`, None: an error."""
    left = list(replies)

    def model(request: Request) -> Reply:
        if "response_format" not in request.body:
            return left.pop(0)
        if chosen is None:
            return fails(500)
        return answers({"agent": chosen, "confidence": 0.9, "reason": "about that"}, usage=(40, 9))

    formatter = Server(ServiceSettings(listen_addr="127.0.0.1:0"), "formatter_svc", [FORMATTER])
    add_FormatterServiceServicer_to_server(FormatterServicer(), formatter.grpc)
    formatter_addr = f"127.0.0.1:{await formatter.start()}"
    async with agents(model) as there, Peers("memory") as peers:
        settings = RouterSettings(
            listen_addr="127.0.0.1:0",
            agent_addr=there.address,
            formatter_addr=formatter_addr,
            memory_addr=peers.memory_addr,
            openai_base_url=there.model.url,
        )
        async with (
            serving(settings) as (_, port),
            dial(f"127.0.0.1:{port}", Settings()) as channel,
        ):
            yield Orchestra(RouterServiceStub(channel), there.model, peers.memory)
    await formatter.stop()


def block(text: str) -> str:
    return orjson.dumps({"type": "text", "content": text}).decode()


async def test_route_names_the_agent_with_its_reason() -> None:
    async with orchestra() as there:
        routed = await there.router.Route(
            RouteRequest(surface=Surface.SURFACE_HOME, message="What is overdue?")
        )
        assert routed.agent_name == "task_agent"
        assert routed.confidence == pytest.approx(0.9)
        assert routed.reason == "model"


async def test_the_agents_name_comes_first_then_its_tokens() -> None:
    gate = asyncio.Event()
    pieces: list[Step] = ['{"type":"te', 'xt","content":"Two tasks ', gate, 'are overdue."}']
    async with orchestra(Reply(pieces, usage=(100, 20))) as there:
        turn = await there.ask()
        await turn.until("stream_text")
        # The first words are here while the model has not written the last ones yet.
        assert turn.kinds[0] == "routed"
        assert turn.outputs[0].routed.agent_name == "task_agent"
        assert turn.text.strip() in ("Two", "Two tasks")
        gate.set()
        end = await turn.rest()
        assert turn.text == "Two tasks are overdue."
        assert set(turn.kinds[1:-1]) == {"stream_text"}
        assert (end.status, end.agent) == (EndStatus.END_STATUS_COMPLETED, "task_agent")
        assert end.usage == Usage(input_tokens=140, output_tokens=29, model_calls=2)
        assert end.memory == MemoryStatus.MEMORY_STATUS_STORED
        assert there.memory.episodes["r1"].response == "Two tasks are overdue."


async def test_a_tool_runs_on_the_device_and_its_result_becomes_a_card() -> None:
    answer = block("Here it is:") + '{"type":"entity_ref","entity":"task","id":"t1"}'
    async with orchestra(calls(Call("list_tasks", {"status": "todo"})), says(answer)) as there:
        turn = await there.ask()
        call = (await turn.until("tool_call")).tool_call.call
        assert (call.name, orjson.loads(call.arguments.utf8)) == (
            "list_tasks",
            {"status": "todo"},
        )
        await turn.answer(call.call_id, orjson.dumps(TASKS))
        end = await turn.rest()
        assert turn.text == "Here it is:"
        (card,) = [o.frame.stream_block for o in turn.outputs if o.frame.HasField("stream_block")]
        assert card.block_type == BlockType.BLOCK_TYPE_ENTITY_REF
        assert orjson.loads(card.data.utf8) == {"entity": "task", "item": TASKS["items"][0]}
        assert end.status == EndStatus.END_STATUS_COMPLETED
        (entity,) = there.memory.episodes["r1"].entities
        assert (entity.title, entity.attributes["status"]) == ("Pay the rent", "todo")


async def test_a_popup_opens_with_its_domain_then_every_token_as_it_is() -> None:
    async with orchestra(says('{"type":', " is ", "no block here"), chosen="note_agent") as there:
        turn = await there.ask(surface=POPUP, scope=Scope(type="note", id="n1"))
        await turn.rest()
        assert turn.kinds[:2] == ["routed", "popup_domain"]
        assert turn.outputs[1].frame.popup_domain.domain == Domain.DOMAIN_NOTES
        assert set(turn.kinds[2:-1]) == {"stream_text"}
        assert turn.text == '{"type": is no block here'


async def test_without_a_classifier_the_popups_scope_decides() -> None:
    async with orchestra(says("Soon."), chosen=None) as there:
        turn = await there.ask(surface=POPUP, scope=Scope(type="checkpoint"))
        end = await turn.rest()
        assert turn.outputs[0].routed.agent_name == "checkpoint_agent"
        assert turn.outputs[0].routed.confidence == 0
        assert end.status == EndStatus.END_STATUS_COMPLETED


async def test_a_cancel_closes_the_providers_call() -> None:
    gate = asyncio.Event()
    async with orchestra(Reply([block("Well, "), gate])) as there:
        turn = await there.ask()
        await turn.until("stream_text")
        before = asyncio.get_running_loop().time()
        await turn.cancel()
        end = await turn.rest()
        assert asyncio.get_running_loop().time() - before < 1
        assert end.status == EndStatus.END_STATUS_CANCELLED
        assert end.usage.model_calls == 2
        assert end.usage.estimated
        async with asyncio.timeout(5):
            await there.model.chats[0].closed.wait()


async def test_a_model_that_breaks_off_fails_the_turn_and_the_next_one_works() -> None:
    async with orchestra(Reply([block("Half an "), CUT]), says(block("Whole."))) as there:
        broken = await there.ask("r1")
        end = await broken.rest()
        assert broken.text == "Half an "
        assert (end.status, end.error.code) == (
            EndStatus.END_STATUS_FAILED,
            ErrorCode.ERROR_CODE_MODEL_TRUNCATED,
        )
        whole = await there.ask("r2")
        assert (await whole.rest()).status == EndStatus.END_STATUS_COMPLETED
        assert whole.text == "Whole."


async def test_the_catalogue_is_the_agents() -> None:
    async with orchestra() as there:
        listed = await there.router.ListTools(RouterServiceListToolsRequest())
        names = [tool.name for tool in listed.tools]
        assert names == sorted(names)
        assert {"list_tasks", "complete_task", "delete_note"} <= set(names)


async def test_every_agent_that_can_be_chosen_is_there() -> None:
    async with agents([]) as there:
        listed = await there.stub.ListAgents(ListAgentsRequest())
        assert {agent.name for agent in listed.agents} == set(AGENTS)
