"""RouterService over real gRPC, between scripted peers and a scripted model."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from grpc_health.v1 import health_pb2

from router_svc.__main__ import AGENT, FORMATTER, serving
from router_svc.settings import RouterSettings
from runtime import errors
from runtime.channels import dial
from runtime.settings import Settings
from switchboard.v3.agent_pb2 import Surface
from switchboard.v3.entities_pb2 import EntityKind
from switchboard.v3.errors_pb2 import Error, ErrorCode
from switchboard.v3.formatter_pb2 import FormatInput
from switchboard.v3.frames_pb2 import (
    ActivityState,
    ChatMessage,
    DataRequest,
    DataResponse,
    Domain,
    EndStatus,
    MemoryStatus,
    MutationOp,
    Role,
    Scope,
    ServerFrame,
    StreamEnd,
    ToolError,
    ToolResult,
    Usage,
)
from switchboard.v3.memory_pb2 import MemoryItem
from switchboard.v3.router_pb2 import (
    ConverseCancel,
    ConverseInput,
    ConverseRequest,
    ConverseStart,
    RouteRequest,
    RouterServiceListToolsRequest,
)
from switchboard.v3.router_pb2_grpc import RouterServiceStub
from switchboard.v3.values_pb2 import Json
from tests.support.converse import Conversation, kind_of
from tests.support.model_server import ModelServer, Reply, fails
from tests.support.peers import AgentRun, FormatRun, LostPeer, Peers, passes_on

if TYPE_CHECKING:
    from switchboard.v3.router_pb2_grpc import RouterServiceAsyncStub

HOME, POPUP = Surface.SURFACE_HOME, Surface.SURFACE_POPUP
# What a formatter is told at the end of an answer: the latter where nothing was shown by then.
OVER = ("close", "flush")
TASK = {"agent": "task_agent", "confidence": 0.9, "reason": "they ask about what is due"}


class Bench:
    """The router between its peers."""

    def __init__(self, peers: Peers, model: ModelServer, stub: RouterServiceAsyncStub) -> None:
        self.peers = peers
        self.model = model
        self.stub = stub

    def converse(self, request_id: str = "r1", **start: Any) -> Conversation:
        return Conversation(self.stub, request_id, **start)


def routes_to(agent: str, confidence: float = 0.9) -> dict[str, object]:
    return {"agent": agent, "confidence": confidence, "reason": "because"}


@asynccontextmanager
async def bench(
    *replies: Reply, json: Any = TASK, peers: Peers | None = None, **settings: Any
) -> AsyncIterator[Bench]:
    script = {"script": list(replies)} if replies else {"json": json}
    async with peers or Peers() as around, ModelServer(**script) as model:
        chosen = RouterSettings(
            listen_addr="127.0.0.1:0",
            agent_addr=around.agent_addr,
            memory_addr=around.memory_addr,
            formatter_addr=around.formatter_addr,
            openai_base_url=model.url,
            **settings,
        )
        async with (
            serving(chosen) as (_, port),
            dial(f"127.0.0.1:{port}", Settings()) as channel,
        ):
            yield Bench(around, model, RouterServiceStub(channel))


async def eventually(holds: Callable[[], bool], timeout: float = 5) -> None:
    async with asyncio.timeout(timeout):
        while not holds():
            await asyncio.sleep(0.01)


def own_tasks() -> set[str]:
    """The tasks of turns that are under way, by what they run."""
    names = {getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks()}
    return {name for name in names if name.startswith(("Conductor.", "Link.", "Router."))}


# --- Route


async def test_route_names_the_agent_by_model() -> None:
    async with bench(json=TASK) as b:
        response = await b.stub.Route(RouteRequest(surface=HOME, message="What is overdue?"))
        assert response.agent_name == "task_agent"
        assert response.confidence == pytest.approx(0.9)
        assert response.reason == "model"
        body = b.model.requests[0].body
        schema = body["response_format"]["json_schema"]
        assert schema["strict"] is True
        assert schema["schema"]["properties"]["agent"]["enum"][-1] == "general_agent"
        assert schema["schema"]["required"] == ["agent", "confidence", "reason"]


async def test_route_in_a_popup_does_not_offer_the_general_agent() -> None:
    async with bench(json=routes_to("general_agent")) as b:
        response = await b.stub.Route(
            RouteRequest(surface=POPUP, message="Hm.", scope=Scope(type="note"))
        )
        assert response.agent_name == "note_agent"
        enum = b.model.requests[0].body["response_format"]["json_schema"]["schema"]["properties"]
        assert "general_agent" not in enum["agent"]["enum"]


async def test_route_answers_without_a_model() -> None:
    async with bench(fails(500)) as b:
        history = [ChatMessage(role=Role.ROLE_USER, content="Hello")]
        response = await b.stub.Route(
            RouteRequest(surface=HOME, message="My milestones?", conversation_history=history)
        )
        assert response.agent_name == "checkpoint_agent"
        assert response.confidence == 0
        assert response.reason.startswith("keywords")
        assert "milestones?" not in response.reason


async def test_route_of_no_surface_is_an_invalid_frame() -> None:
    async with bench() as b:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await b.stub.Route(RouteRequest(message="Hello"))
        assert errors.from_rpc(caught.value).code == ErrorCode.ERROR_CODE_INVALID_FRAME


# --- Converse


async def test_turns_hold_no_more_than_the_router_may() -> None:
    over = asyncio.Event()

    async def agent(run: AgentRun) -> None:
        await over.wait()
        await run.end()

    async with bench(max_held_bytes=2_000) as b:
        b.peers.agent.script = agent
        first = await b.converse("r1", message="x" * 800).begin()
        await first.until("routed")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await (await b.converse("r2", user_id="u2", message="x" * 800).begin()).until("routed")
        refused = errors.from_rpc(caught.value)
        assert (refused.code, refused.retry_after_ms) == (ErrorCode.ERROR_CODE_OVERLOADED, 1_000)
        over.set()
        await first.rest()
        await eventually(lambda: not own_tasks())
        third = await b.converse("r3", message="x" * 800).begin()
        await third.rest()
        assert third.kinds[-1] == "stream_end"


async def test_a_home_turn_from_routed_to_stream_end() -> None:
    async with bench() as b:
        b.peers.memory.items = [MemoryItem(id="m1", text="Likes short answers", score=1)]
        turn = await b.converse(timezone="Europe/Berlin").begin()
        end = await turn.rest()
        assert turn.kinds == ["routed", "stream_text", "stream_text", "stream_end"]
        assert turn.outputs[0].routed.agent_name == "task_agent"
        assert turn.text == "Hello world"
        assert end.status == EndStatus.END_STATUS_COMPLETED
        assert end.agent == "task_agent"
        assert end.memory == MemoryStatus.MEMORY_STATUS_STORED
        assert end.usage == Usage(input_tokens=20, output_tokens=10, model_calls=2)
        start = b.peers.agent.runs[0].start
        assert [item.id for item in start.memory] == ["m1"]
        assert (start.message, start.timezone) == ("What is overdue?", "Europe/Berlin")
        episode = b.peers.memory.episodes["r1"]
        assert (episode.message, episode.response) == ("What is overdue?", "Hello world")
        assert (episode.user_id, episode.session_id, episode.agent_name) == (
            "u1",
            "s1",
            "task_agent",
        )
        assert list(episode.recalled_ids) == ["m1"]


async def test_a_popup_turn_opens_with_its_domain() -> None:
    async def agent(run: AgentRun) -> None:
        await run.show(ActivityState.ACTIVITY_STATE_THINKING)
        await run.say("Done.")
        await run.end()

    async with bench(json=routes_to("note_agent")) as b:
        b.peers.agent.script = agent
        turn = await b.converse(
            surface=POPUP, scope=Scope(type="note"), wants_activity=True
        ).begin()
        await turn.rest()
        frames = [kind for kind in turn.kinds if kind != "routed"]
        assert frames == ["popup_domain", "activity", "stream_text", "stream_end"]
        assert turn.outputs[1].frame.popup_domain.domain == Domain.DOMAIN_NOTES


async def test_activity_is_shown_only_to_those_who_take_it() -> None:
    async def agent(run: AgentRun) -> None:
        await run.show(ActivityState.ACTIVITY_STATE_CALLING_TOOL, "list_tasks")
        await run.end()

    async with bench() as b:
        b.peers.agent.script = agent
        plain = await b.converse("plain").begin()
        await plain.rest()
        assert plain.kinds == ["routed", "stream_end"]
        wanting = await b.converse("wanting", wants_activity=True).begin()
        await wanting.rest()
        shown = [o.frame.activity for o in wanting.outputs if kind_of(o) == "activity"]
        assert [(a.agent, a.state) for a in shown] == [
            ("", ActivityState.ACTIVITY_STATE_ROUTING),
            ("task_agent", ActivityState.ACTIVITY_STATE_CALLING_TOOL),
        ]
        assert shown[1].tool == "list_tasks"


async def test_tool_results_go_to_agent_and_formatter_and_into_memory() -> None:
    async def agent(run: AgentRun) -> None:
        await run.call("complete_task", effect=MutationOp.MUTATION_OP_UPDATE)
        await run.say("Completed.")
        await run.end()

    async with bench() as b:
        b.peers.agent.script = agent
        turn = await b.converse().begin()
        call = (await turn.until("tool_call")).tool_call
        assert call.effect == MutationOp.MUTATION_OP_UPDATE
        utf8 = b'{"item":{"id":"t1","title":"Pay rent","status":"done","dueDate":1700000000000.0}}'
        await turn.answer(call.call.call_id, utf8)
        await turn.answer(call.call.call_id, b'{"second":"is ignored"}')
        await turn.rest()
        assert [result.result.utf8 for result in b.peers.agent.runs[0].results] == [utf8]
        kinds = [given.WhichOneof("input") for given in b.peers.formatter.runs[0].inputs]
        assert kinds[:-1] == ["start", "tool_result", "text"]
        assert kinds[-1] in OVER
        given = b.peers.formatter.runs[0].inputs[1].tool_result
        assert (given.entity, given.result.utf8) == (EntityKind.ENTITY_KIND_TASK, utf8)
        episode = b.peers.memory.episodes["r1"]
        (entity,) = episode.entities
        assert (entity.id, entity.title, entity.changed) == ("t1", "Pay rent", True)
        assert dict(entity.attributes) == {"status": "done", "dueDate": "1700000000000"}
        assert list(episode.tools) == ["complete_task"]


async def test_a_failed_tool_is_told_to_the_agent_alone() -> None:
    async def agent(run: AgentRun) -> None:
        result = await run.call("list_tasks")
        await run.say(result.error.code)
        await run.end()

    async with bench() as b:
        b.peers.agent.script = agent
        turn = await b.converse().begin()
        call = (await turn.until("tool_call")).tool_call.call
        error = ToolError(code="tool_call_expired", message="It took too long.")
        result = ToolResult(call_id=call.call_id, error=error)
        await turn.send(ConverseInput(tool_result=result))
        end = await turn.rest()
        assert turn.text == "tool_call_expired"
        assert end.status == EndStatus.END_STATUS_COMPLETED
        kinds = [given.WhichOneof("input") for given in b.peers.formatter.runs[0].inputs]
        assert kinds[:-1] == ["start", "text"]
        assert kinds[-1] in OVER


async def test_the_formatters_data_request_is_answered() -> None:
    async def formatter(run: FormatRun, given: FormatInput) -> None:
        if given.HasField("data_response"):
            await passes_on(run, run.inputs[-2])  # the close or flush that waited for it
        elif given.WhichOneof("input") in OVER:
            request = DataRequest(request_id=run.request_id, query_id="q1")
            run.send(ServerFrame(data_request=request))
        else:
            await passes_on(run, given)

    async with bench() as b:
        b.peers.formatter.script = formatter
        turn = await b.converse().begin()
        query = (await turn.until("data_request")).frame.data_request.query_id
        response = DataResponse(query_id=query, items=Json(utf8=b"[]"))
        await turn.send(ConverseInput(data_response=response))
        end = await turn.rest()
        assert end.status == EndStatus.END_STATUS_COMPLETED


async def test_what_the_agent_failed_with_is_passed_on_after_the_text() -> None:
    async def agent(run: AgentRun) -> None:
        await run.say("Half an ans")
        error = Error(code=ErrorCode.ERROR_CODE_MODEL_TRUNCATED, message="Broke.", retryable=True)
        await run.end(EndStatus.END_STATUS_FAILED, error)

    async with bench() as b:
        b.peers.agent.script = agent
        turn = await b.converse().begin()
        end = await turn.rest()
        assert turn.text == "Half an ans"
        assert (end.status, end.error.code) == (
            EndStatus.END_STATUS_FAILED,
            ErrorCode.ERROR_CODE_MODEL_TRUNCATED,
        )
        assert not end.HasField("memory")
        assert b.peers.memory.attempts == 0


async def test_a_cancel_reaches_the_agent_and_its_cost_comes_back() -> None:
    async def agent(run: AgentRun) -> None:
        await run.say("Well, ")
        await run.cancelled.wait()
        await run.say("this is not shown")
        cost = Usage(input_tokens=7, output_tokens=2, model_calls=1, estimated=True)
        await run.end(EndStatus.END_STATUS_CANCELLED, usage=cost)

    async with bench() as b:
        b.peers.agent.script = agent
        turn = await b.converse().begin()
        await turn.until("stream_text")
        await turn.cancel()
        end = await turn.rest()
        assert end.status == EndStatus.END_STATUS_CANCELLED
        assert end.error.code == ErrorCode.ERROR_CODE_CANCELLED
        assert end.usage == Usage(input_tokens=17, output_tokens=7, model_calls=2, estimated=True)
        assert turn.text == "Well, "


async def test_a_cancel_ends_the_turn_although_the_agent_stays_silent() -> None:
    async def agent(run: AgentRun) -> None:
        await run.say("Well, ")
        await asyncio.Event().wait()

    async with bench() as b:
        b.peers.agent.script = agent
        turn = await b.converse().begin()
        await turn.until("stream_text")
        loop = asyncio.get_running_loop()
        before = loop.time()
        await turn.cancel()
        await turn.until("stream_end")
        assert loop.time() - before < 1
        end = await turn.rest()
        assert end.status == EndStatus.END_STATUS_CANCELLED
        assert end.usage.estimated
        await eventually(b.peers.agent.runs[0].over.is_set)


async def test_a_cancel_while_routing_closes_the_models_call() -> None:
    gate = asyncio.Event()
    async with bench(Reply([gate])) as b:
        turn = await b.converse().begin()
        asked = await b.model.request(0)
        await turn.cancel()
        end = await turn.rest()
        assert turn.kinds == ["stream_end"]
        assert end.status == EndStatus.END_STATUS_CANCELLED
        assert end.usage.model_calls == 1
        assert end.usage.estimated
        async with asyncio.timeout(5):
            await asked.closed.wait()
        assert b.peers.agent.runs == []


async def test_the_deadline_ends_a_turn_after_what_was_said() -> None:
    async def agent(run: AgentRun) -> None:
        await run.say("Well, ")
        await run.cancelled.wait()
        await run.end(EndStatus.END_STATUS_CANCELLED)

    async with bench(request_deadline_s=0.5) as b:
        b.peers.agent.script = agent
        turn = await b.converse().begin()
        end = await turn.rest()
        assert turn.text == "Well, "
        assert (end.status, end.error.code) == (
            EndStatus.END_STATUS_FAILED,
            ErrorCode.ERROR_CODE_DEADLINE_EXCEEDED,
        )
        assert end.error.retryable


async def test_agent_and_formatter_are_told_how_long_the_turn_may_last() -> None:
    async with bench(request_deadline_s=30) as b:
        turn = await b.converse().begin()
        await turn.rest()
        for run in (b.peers.agent.runs[0], b.peers.formatter.runs[0]):
            assert run.time_left is not None
            assert 25 < run.time_left < 32


@pytest.mark.parametrize("how", ["bare end", "server gone"])
async def test_a_lost_agent_fails_the_turn_after_what_was_said(how: str) -> None:
    said = asyncio.Event()

    async def agent(run: AgentRun) -> None:
        await run.say("Well, ")
        await said.wait()
        if how == "bare end":
            raise LostPeer
        await asyncio.Event().wait()

    async with bench() as b:
        b.peers.agent.script = agent
        turn = await b.converse().begin()
        await turn.until("stream_text")
        said.set()
        if how == "server gone":
            await b.peers.stop("agent")
        end = await turn.rest()
        assert (end.status, end.error.code) == (
            EndStatus.END_STATUS_FAILED,
            ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE,
        )
        assert end.error.retryable
        assert end.usage.estimated


async def test_a_lost_formatter_stops_the_agent() -> None:
    async def formatter(run: FormatRun, given: FormatInput) -> None:
        if given.HasField("text"):
            raise LostPeer

    async def agent(run: AgentRun) -> None:
        await run.say("Well, ")
        await run.cancelled.wait()
        await run.end(EndStatus.END_STATUS_CANCELLED)

    async with bench() as b:
        b.peers.formatter.script = formatter
        b.peers.agent.script = agent
        turn = await b.converse().begin()
        end = await turn.rest()
        assert end.error.code == ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE
        assert b.peers.agent.runs[0].cancelled.is_set()
        assert end.usage == Usage(input_tokens=20, output_tokens=10, model_calls=2)


async def test_without_an_agent_service_the_turn_still_ends() -> None:
    async with bench() as b:
        await b.peers.stop("agent")
        turn = await b.converse().begin()
        end = await turn.rest()
        assert turn.kinds == ["routed", "stream_end"]
        assert end.error.code == ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE
        await b.peers.start("agent")
        await eventually_reaches_the_agent(b)


async def eventually_reaches_the_agent(b: Bench) -> None:
    async with asyncio.timeout(10):
        for attempt in range(1000):
            turn = await b.converse(f"again-{attempt}").begin()
            end = await turn.rest()
            if end.status == EndStatus.END_STATUS_COMPLETED:
                return
            await asyncio.sleep(0.05)


# --- memory


async def test_slow_memory_is_left_out() -> None:
    async with bench(enrich_timeout_s=0.2) as b:
        b.peers.memory.enriching.clear()
        turn = await b.converse().begin()
        end = await turn.rest()
        assert turn.text == "Hello world"
        assert end.memory == MemoryStatus.MEMORY_STATUS_DEFERRED
        # The exchange is kept all the same; the answer does not wait for it.
        episode = await b.peers.memory.episode("r1")
        assert episode.response == "Hello world"


async def test_memory_that_is_down_never_fails_a_turn() -> None:
    async with bench() as b:
        await b.peers.stop("memory")
        turn = await b.converse().begin()
        end = await turn.rest()
        assert end.status == EndStatus.END_STATUS_COMPLETED
        assert end.memory == MemoryStatus.MEMORY_STATUS_DEFERRED
        await b.peers.start("memory")
        await b.peers.memory.episode("r1")


async def test_an_episode_that_is_not_kept_in_time_is_deferred() -> None:
    async with bench(store_timeout_s=0.1) as b:
        b.peers.memory.storing.clear()
        turn = await b.converse().begin()
        end = await turn.rest()
        assert end.memory == MemoryStatus.MEMORY_STATUS_DEFERRED
        b.peers.memory.storing.set()
        await b.peers.memory.episode("r1")


async def test_memory_and_routing_run_side_by_side() -> None:
    gate = asyncio.Event()
    async with bench(Reply([gate, '{"agent":"note_agent","confidence":1,"reason":""}'])) as b:
        turn = await b.converse().begin()
        await b.model.request(0)
        await eventually(lambda: len(b.peers.memory.asked) == 1)
        gate.set()
        await turn.rest()
        assert turn.outputs[0].routed.agent_name == "note_agent"


# --- streams


async def test_a_client_that_reads_slowly_slows_the_agent_and_loses_nothing() -> None:
    total = 3_000
    piece = "x" * 10_000  # HTTP/2's own windows take some 10 MB over the four hops

    async def agent(run: AgentRun) -> None:
        await run.say(*[piece] * total)
        await run.end()

    async with bench() as b:
        b.peers.agent.script = agent
        turn = await b.converse().begin()
        await turn.until("stream_text")
        run = b.peers.agent.runs[0]
        still = await settled(lambda: run.sent)
        assert still < total
        end = await turn.rest()
        assert end.status == EndStatus.END_STATUS_COMPLETED
        assert len(turn.text) == total * len(piece)
        assert turn.batches < total


async def settled(count: Callable[[], int]) -> int:
    """The count, once it has not moved for 0.5 s."""
    async with asyncio.timeout(20):
        while True:
            before = count()
            await asyncio.sleep(0.5)
            if count() == before:
                return before


async def test_a_client_lost_in_the_middle_of_a_write_leaves_nothing() -> None:
    async def agent(run: AgentRun) -> None:
        while True:
            await run.say("x" * 10_000)

    async with bench() as b:
        b.peers.agent.script = agent
        turn = await b.converse().begin()
        await turn.until("stream_text")
        run = b.peers.agent.runs[0]
        await settled(lambda: run.sent)  # nobody reads: the router waits in a write
        turn.call.cancel()
        await eventually(run.over.is_set)
        await eventually(lambda: not own_tasks())


async def test_many_turns_at_once_cancelled_at_any_moment_end_once_each() -> None:
    chance = random.Random(7)

    async def agent(run: AgentRun) -> None:
        for _ in range(20):
            await run.say("word ")
            await asyncio.sleep(0)
        await run.end()

    async def one(number: int) -> StreamEnd:
        turn = await b.converse(f"r{number}").begin()
        for _ in range(chance.randrange(6)):
            await turn.read()
        with suppress(grpc.aio.AioRpcError, asyncio.InvalidStateError):
            await turn.cancel()  # it may be over by now
        return await turn.rest()

    async with bench() as b:
        b.peers.agent.script = agent
        ends = await asyncio.gather(*(one(number) for number in range(40)))
        statuses = {end.status for end in ends}
        assert statuses <= {EndStatus.END_STATUS_COMPLETED, EndStatus.END_STATUS_CANCELLED}
        await eventually(lambda: not own_tasks())


@pytest.mark.parametrize("how", ["bare end", "call cancelled"])
async def test_a_lost_client_stops_the_agent_and_leaves_nothing(how: str) -> None:
    async def agent(run: AgentRun) -> None:
        await run.say("Well, ")
        await asyncio.Event().wait()

    async with bench() as b:
        b.peers.agent.script = agent
        turn = await b.converse().begin()
        await turn.until("stream_text")
        assert own_tasks()
        if how == "bare end":
            await turn.call.done_writing()
            while await turn.read():
                pass
            assert "stream_end" not in turn.kinds
        else:
            turn.call.cancel()
        await eventually(b.peers.agent.runs[0].over.is_set)
        await eventually(b.peers.formatter.runs[0].over.is_set)
        await eventually(lambda: not own_tasks())


async def test_a_turn_that_ended_leaves_nothing() -> None:
    async with bench() as b:
        turns = [await b.converse(f"r{n}").begin() for n in range(8)]
        ends = await asyncio.gather(*(turn.rest() for turn in turns))
        assert {end.status for end in ends} == {EndStatus.END_STATUS_COMPLETED}
        assert [turn.text for turn in turns] == ["Hello world"] * 8
        await eventually(lambda: not own_tasks())


@pytest.mark.parametrize(
    "opening",
    [
        ConverseRequest(request_id="r1", inputs=[ConverseInput(cancel=ConverseCancel())]),
        ConverseRequest(request_id="r1"),
        ConverseRequest(request_id="r1", inputs=[ConverseInput(start=ConverseStart(user_id="u1"))]),
        ConverseRequest(inputs=[ConverseInput(start=ConverseStart(user_id="u1", surface=HOME))]),
        ConverseRequest(request_id="r1", inputs=[ConverseInput(start=ConverseStart(surface=99))]),  # type: ignore[arg-type]
    ],
)
async def test_a_bad_start_is_an_invalid_frame(opening: ConverseRequest) -> None:
    async with bench() as b:
        call = b.stub.Converse()
        await call.write(opening)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call.read()
        assert errors.from_rpc(caught.value).code == ErrorCode.ERROR_CODE_INVALID_FRAME


# --- the rest


async def test_list_tools_is_the_agents_catalogue() -> None:
    async with bench() as b:
        listed = await b.stub.ListTools(RouterServiceListToolsRequest())
        assert [tool.name for tool in listed.tools] == ["list_tasks"]
        await b.peers.stop("agent")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await b.stub.ListTools(RouterServiceListToolsRequest())
        assert errors.from_rpc(caught.value).code == ErrorCode.ERROR_CODE_SERVICE_UNAVAILABLE


async def test_health_tells_which_services_are_reached() -> None:
    async with Peers() as peers, ModelServer() as model:
        settings = RouterSettings(
            listen_addr="127.0.0.1:0",
            agent_addr=peers.agent_addr,
            memory_addr=peers.memory_addr,
            formatter_addr=peers.formatter_addr,
            openai_base_url=model.url,
        )
        async with serving(settings) as (_, port), dial(f"127.0.0.1:{port}", settings) as channel:
            check = channel.unary_unary(
                "/grpc.health.v1.Health/Check",
                request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
                response_deserializer=health_pb2.HealthCheckResponse.FromString,
            )

            async def serves(service: str) -> bool:
                answer = await check(health_pb2.HealthCheckRequest(service=service))
                return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

            async def until(service: str, wanted: bool) -> None:
                async with asyncio.timeout(10):
                    while await serves(service) != wanted:
                        await asyncio.sleep(0.02)

            await until(AGENT, True)
            await until(FORMATTER, True)
            assert await serves("")
            await peers.stop("agent")
            await until(AGENT, False)
            assert await serves(FORMATTER)
            assert await serves("")
            await peers.start("agent")
            await until(AGENT, True)
