"""FormatterService as the router sees it: a real server on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import orjson
import pytest
from grpc_health.v1 import health_pb2

from formatter_svc.service import FORMATTER, FormatterServicer
from formatter_svc.settings import FormatterSettings
from runtime.channels import dial
from runtime.errors import from_rpc
from runtime.server import Server
from switchboard.v3.agent_pb2 import RunText, Surface
from switchboard.v3.entities_pb2 import EntityKind
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.formatter_pb2 import (
    FormatClose,
    FormatFlush,
    FormatInput,
    FormatOutput,
    FormatRequest,
    FormatResponse,
    FormatStart,
    FormatToolResult,
)
from switchboard.v3.formatter_pb2_grpc import (
    FormatterServiceStub,
    add_FormatterServiceServicer_to_server,
)
from switchboard.v3.frames_pb2 import DataResponse, Domain, SkippedBlock
from switchboard.v3.values_pb2 import Json

HOME = FormatInput(start=FormatStart(surface=Surface.SURFACE_HOME, device_connected=True))
POPUP = FormatInput(start=FormatStart(surface=Surface.SURFACE_POPUP, agent_name="note_agent"))
CLOSE = FormatInput(close=FormatClose())
FLUSH = FormatInput(flush=FormatFlush())
BOUND_S = 10


def text(words: str) -> FormatInput:
    return FormatInput(text=RunText(text=words))


@pytest.fixture
async def channel() -> AsyncIterator[grpc.aio.Channel]:
    settings = FormatterSettings(listen_addr="127.0.0.1:0")
    server = Server(settings, "formatter_svc", [FORMATTER])
    add_FormatterServiceServicer_to_server(FormatterServicer(), server.grpc)
    port = await server.start()
    async with dial(f"127.0.0.1:{port}", settings) as dialled:
        yield dialled
    await server.stop()


@dataclass
class Answer:
    """One call, from the router's side."""

    call: grpc.aio.StreamStreamCall[FormatRequest, FormatResponse]
    outputs: list[FormatOutput] = field(default_factory=list)

    async def send(self, *inputs: FormatInput) -> None:
        await self.call.write(FormatRequest(request_id="r1", inputs=inputs))

    async def read(self) -> FormatOutput:
        while not self.outputs:
            async with asyncio.timeout(BOUND_S):
                response = await self.call.read()
            assert isinstance(response, FormatResponse), "the stream is over"
            assert response.request_id == "r1"
            self.outputs += response.outputs
        return self.outputs.pop(0)

    async def over(self) -> bool:
        async with asyncio.timeout(BOUND_S):
            return not self.outputs and await self.call.read() is grpc.aio.EOF


@asynccontextmanager
async def answering(channel: grpc.aio.Channel, *inputs: FormatInput) -> AsyncIterator[Answer]:
    call = FormatterServiceStub(channel).Format()
    answer = Answer(call)
    try:
        await answer.send(*inputs)
        yield answer
    finally:
        call.cancel()


async def test_a_home_answer(channel: grpc.aio.Channel) -> None:
    async with answering(channel, HOME) as answer:
        await answer.send(text('[{"type":"text","content":"Hel'))
        assert (await answer.read()).frame.stream_text.chunk == "Hel"
        await answer.send(text("lo"))
        assert (await answer.read()).frame.stream_text.chunk == "lo"
        await answer.send(
            text('"},{"type":"table","headers":["a"],"rows":[[1]]},{"type":"table"}]')
        )
        block = (await answer.read()).frame.stream_block
        assert orjson.loads(block.data.utf8) == {"headers": ["a"], "rows": [[1]]}
        await answer.send(CLOSE)
        end = (await answer.read()).end
        assert dict(end.blocks_skipped) == {"bad_table": 1}
        assert end.skipped == [SkippedBlock(block_type="table", reason="bad_table")]
        assert await answer.over()


async def test_a_flush_is_answered_once_nothing_waits_for_the_device(
    channel: grpc.aio.Channel,
) -> None:
    words = text('{"type":"table"}{"type":"entity_ref","entity":"task","id":"b"}Well {')
    async with answering(channel, HOME, words, FLUSH) as answer:
        asked = (await answer.read()).frame.data_request
        await answer.send(FormatInput(data_response=DataResponse(query_id=asked.query_id)))
        shown = [(await answer.read()).frame.stream_text.chunk for _ in range(2)]
        assert "".join(shown) == "Well {"
        assert [each.reason for each in (await answer.read()).flushed.skipped] == [
            "bad_table",
            "entity_not_found",
        ]
        await answer.send(text(" Done."), FLUSH, CLOSE)
        assert (await answer.read()).frame.stream_text.chunk == " Done."
        assert len((await answer.read()).flushed.skipped) == 2
        assert len((await answer.read()).end.skipped) == 2
        assert await answer.over()


async def test_a_popup_answers_a_flush(channel: grpc.aio.Channel) -> None:
    async with answering(channel, POPUP, text("Hi"), FLUSH, CLOSE) as answer:
        assert (await answer.read()).frame.HasField("popup_domain")
        assert (await answer.read()).frame.stream_text.chunk == "Hi"
        assert not (await answer.read()).flushed.skipped
        assert (await answer.read()).HasField("end")


async def test_a_popup_answer(channel: grpc.aio.Channel) -> None:
    async with answering(channel, POPUP) as answer:
        opened = (await answer.read()).frame.popup_domain
        assert (opened.request_id, opened.domain) == ("r1", Domain.DOMAIN_NOTES)
        await answer.send(text('{"type":'), text(" x"), CLOSE)
        assert (await answer.read()).frame.stream_text.chunk == '{"type":'
        assert (await answer.read()).frame.stream_text.chunk == " x"
        assert (await answer.read()).HasField("end")
        assert await answer.over()


async def test_all_in_one_message(channel: grpc.aio.Channel) -> None:
    async with answering(channel, HOME, text("Hi "), text("there"), CLOSE, text("late")) as answer:
        assert (await answer.read()).frame.stream_text.chunk == "Hi there"
        assert (await answer.read()).HasField("end")
        assert await answer.over()


async def test_entities_from_results_and_from_the_device(channel: grpc.aio.Channel) -> None:
    held = FormatToolResult(
        entity=EntityKind.ENTITY_KIND_TASK, result=Json(utf8=b'{"items":[{"id":"a"}]}')
    )
    words = text('{"type":"entity_ref","entity":"task","ids":["a","b"]}Done.')
    async with answering(channel, HOME, FormatInput(tool_result=held), words, CLOSE) as answer:
        asked = (await answer.read()).frame.data_request
        assert (asked.entity, list(asked.ids.values)) == (EntityKind.ENTITY_KIND_TASK, ["b"])
        items = DataResponse(query_id=asked.query_id, items=Json(utf8=b'[{"id":"b"}]'))
        await answer.send(FormatInput(data_response=items))
        for entity_id in ("a", "b"):
            block = (await answer.read()).frame.stream_block
            card = {"entity": "task", "item": {"id": entity_id}}
            assert orjson.loads(block.data.utf8) == card
        assert (await answer.read()).frame.stream_text.chunk == "Done."
        assert (await answer.read()).HasField("end")


async def test_a_device_that_can_answer_no_more(channel: grpc.aio.Channel) -> None:
    words = text('{"type":"entity_ref","entity":"task","id":"b"}Done')
    async with answering(channel, HOME, words, CLOSE) as answer:
        assert (await answer.read()).frame.HasField("data_request")
        await answer.call.done_writing()
        assert (await answer.read()).frame.stream_text.chunk == "Done"
        assert dict((await answer.read()).end.blocks_skipped) == {"entity_not_found": 1}
        assert await answer.over()


async def test_a_bare_end_has_no_end_of_its_own(channel: grpc.aio.Channel) -> None:
    async with answering(channel, HOME, text("Hi")) as answer:
        assert (await answer.read()).frame.stream_text.chunk == "Hi"
        await answer.call.done_writing()
        assert await answer.over()


@pytest.mark.parametrize("inputs", [[], [text("Hi")], [CLOSE]])
async def test_the_first_input_is_start(
    channel: grpc.aio.Channel, inputs: list[FormatInput]
) -> None:
    async with answering(channel, *inputs) as answer:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await answer.read()
        assert from_rpc(caught.value).code == ErrorCode.ERROR_CODE_INVALID_FRAME


async def test_answers_side_by_side(channel: grpc.aio.Channel) -> None:
    async def one(number: int) -> str:
        async with answering(channel, HOME) as answer:
            for word in (f"n{number}", " a", " b"):
                await answer.send(text(word))
            await answer.send(CLOSE)
            said = ""
            while not (output := await answer.read()).HasField("end"):
                said += output.frame.stream_text.chunk
            return said

    said = await asyncio.gather(*map(one, range(20)))
    assert said == [f"n{number} a b" for number in range(20)]


async def test_a_torrent_is_taken_in_whole(channel: grpc.aio.Channel) -> None:
    async with answering(channel, HOME) as answer:
        words = [f"word{n} " for n in range(5000)]
        for at in range(0, len(words), 500):
            await answer.send(*map(text, words[at : at + 500]))
        await answer.send(CLOSE)
        said = ""
        while not (output := await answer.read()).HasField("end"):
            said += output.frame.stream_text.chunk
        assert said == "".join(words)


async def test_health(channel: grpc.aio.Channel) -> None:
    request = health_pb2.HealthCheckRequest(service="")
    check = channel.unary_unary(
        "/grpc.health.v1.Health/Check",
        request_serializer=health_pb2.HealthCheckRequest.SerializeToString,
        response_deserializer=health_pb2.HealthCheckResponse.FromString,
    )
    answer = await check(request, timeout=BOUND_S)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING
