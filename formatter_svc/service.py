"""FormatterService: protobuf in and out, around the formatters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from itertools import groupby
from typing import Any, Final

import grpc

from formatter_svc import metrics
from formatter_svc.frames import Formatter, formatter
from runtime import logs
from runtime.errors import SwitchboardError
from runtime.stream import BoundedStream
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.formatter_pb2 import (
    DESCRIPTOR,
    FormatEnd,
    FormatInput,
    FormatOutput,
    FormatRequest,
    FormatResponse,
)
from switchboard.v3.formatter_pb2_grpc import FormatterServiceServicer
from switchboard.v3.frames_pb2 import ServerFrame

FORMATTER: Final = DESCRIPTOR.services_by_name["FormatterService"].full_name

# Inputs that wait to be formatted. Then the router is no longer read; all go out as one message.
MAX_QUEUED: Final = 256

Context = grpc.aio.ServicerContext[Any, Any]


class FormatterServicer(FormatterServiceServicer):
    """Formats answers; keeps nothing between them."""

    async def Format(  # noqa: N802 - the name in the contract
        self, request_iterator: AsyncIterator[FormatRequest], context: Context
    ) -> AsyncIterator[FormatResponse]:
        """Formats one answer."""
        first = await anext(aiter(request_iterator), None)
        if first is None or not first.inputs or not first.inputs[0].HasField("start"):
            raise SwitchboardError(
                ErrorCode.ERROR_CODE_INVALID_FRAME, "The first input must be start."
            )
        with logs.bind(request_id=first.request_id):
            inputs: BoundedStream[FormatInput] = BoundedStream(MAX_QUEUED)
            answer = formatter(first.request_id, first.inputs[0].start)
            reader = asyncio.create_task(_read(first.inputs[1:], request_iterator, inputs))
            try:
                if opening := _framed(answer.open()):
                    yield FormatResponse(request_id=first.request_id, outputs=opening)
                async for batch in inputs:
                    if outputs := _outputs(answer, batch):
                        yield FormatResponse(request_id=first.request_id, outputs=outputs)
                    if answer.done:
                        return
                await reader  # raises what ended the stream, if it was no end
                if answer.closed:  # nobody is left to answer what was asked of the device
                    outputs = [*_framed(answer.give_up()), _end(answer)]
                    yield FormatResponse(request_id=first.request_id, outputs=outputs)
            finally:
                metrics.skipped(answer.skipped)
                reader.cancel()


async def _read(
    given: Sequence[FormatInput],
    requests: AsyncIterator[FormatRequest],
    inputs: BoundedStream[FormatInput],
) -> None:
    try:
        for each in given:
            await inputs.put(each)
        async for request in requests:
            for each in request.inputs:
                await inputs.put(each)
    finally:
        inputs.close()


def _outputs(answer: Formatter, batch: Sequence[FormatInput]) -> list[FormatOutput]:
    """What a batch of inputs brings; texts that wait one behind the other are taken together."""
    outputs: list[FormatOutput] = []
    for kind, group in groupby(batch, lambda each: each.WhichOneof("input")):
        inputs = list(group)
        if kind == "text":
            outputs += _framed(answer.text([each.text.text for each in inputs]))
            continue
        for each in inputs:
            outputs += _framed(_other(answer, each))
            if answer.done:
                return [*outputs, _end(answer)]
    return outputs


def _other(answer: Formatter, given: FormatInput) -> list[ServerFrame]:
    match given.WhichOneof("input"):
        case "tool_result":
            return answer.tool_result(given.tool_result)
        case "data_response":
            return answer.data_response(given.data_response)
        case "close":
            return answer.close()
        case _:  # a second start, or an input of a newer contract
            return []


def _framed(frames: list[ServerFrame]) -> list[FormatOutput]:
    metrics.shown(frames)
    return [FormatOutput(frame=frame) for frame in frames]


def _end(answer: Formatter) -> FormatOutput:
    skipped = {reason.value: count for reason, count in answer.skipped.items()}
    return FormatOutput(end=FormatEnd(blocks_skipped=skipped))
