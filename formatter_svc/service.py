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
    FormatFlushed,
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
            answer = Answer(formatter(first.request_id, first.inputs[0].start))
            reader = asyncio.create_task(_read(first.inputs[1:], request_iterator, inputs))
            try:
                if opening := _framed(answer.formatter.open()):
                    yield FormatResponse(request_id=first.request_id, outputs=opening)
                async for batch in inputs:
                    if outputs := answer.outputs(batch):
                        yield FormatResponse(request_id=first.request_id, outputs=outputs)
                    if answer.formatter.done:
                        return
                await reader  # raises what ended the stream, if it was no end
                if answer.formatter.closed:  # nobody is left to answer what was asked of the device
                    yield FormatResponse(request_id=first.request_id, outputs=answer.given_up())
            finally:
                metrics.skipped(answer.formatter.skipped)
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


class Answer:
    """A formatter's inputs and outputs, as they stand in messages."""

    def __init__(self, formatter: Formatter) -> None:
        self.formatter = formatter
        self._flushes = 0  # not answered yet: what came before them waits for the device

    def outputs(self, batch: Sequence[FormatInput]) -> list[FormatOutput]:
        """What a batch of inputs brings; texts one behind the other are taken together."""
        outputs: list[FormatOutput] = []
        for kind, group in groupby(batch, lambda each: each.WhichOneof("input")):
            inputs = list(group)
            if kind == "text":
                outputs += _framed(self.formatter.text([each.text.text for each in inputs]))
                continue
            for each in inputs:
                outputs += _framed(self._other(each)) + self._flushed()
                if self.formatter.done:
                    return [*outputs, self._end()]
        return outputs

    def given_up(self) -> list[FormatOutput]:
        """What is left where the device will not answer any more."""
        return [*_framed(self.formatter.give_up()), *self._flushed(), self._end()]

    def _other(self, given: FormatInput) -> list[ServerFrame]:
        match given.WhichOneof("input"):
            case "tool_result":
                return self.formatter.tool_result(given.tool_result)
            case "data_response":
                return self.formatter.data_response(given.data_response)
            case "flush":
                self._flushes += 1
                return self.formatter.flush()
            case "close":
                return self.formatter.close()
            case _:  # a second start, or an input of a newer contract
                return []

    def _flushed(self) -> list[FormatOutput]:
        if not self._flushes or self.formatter.waits:
            return []
        flushed = FormatOutput(flushed=FormatFlushed(skipped=self.formatter.told))
        answers, self._flushes = [flushed] * self._flushes, 0
        return answers

    def _end(self) -> FormatOutput:
        skipped = {reason.value: count for reason, count in self.formatter.skipped.items()}
        return FormatOutput(end=FormatEnd(blocks_skipped=skipped, skipped=self.formatter.told))


def _framed(frames: list[ServerFrame]) -> list[FormatOutput]:
    metrics.shown(frames)
    return [FormatOutput(frame=frame) for frame in frames]
