"""Recorded streams of real providers: whole, split at every byte, cut short at every byte."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from agent_svc.events import Event, Finish, ProviderError, Text, ToolCallReady, Truncated, Usage
from agent_svc.parts import ChatAnswer
from switchboard.v3.agent_pb2 import RunEnd
from switchboard.v3.errors_pb2 import ErrorCode
from switchboard.v3.frames_pb2 import EndStatus
from tests.support.agents import agents
from tests.support.model_server import CUT, STOP, Reply, Step, says

STREAMS = sorted((Path(os.environ.get("CORPUS", ".")) / "model_streams").glob("*.sse"))


@pytest.fixture(params=STREAMS, ids=lambda path: path.stem)
def stream(request: pytest.FixtureRequest) -> Path:
    path = request.param
    assert isinstance(path, Path)
    return path


def read(*pieces: bytes) -> list[Event]:
    answer, events = ChatAnswer(), list[Event]()
    for piece in pieces:
        events += answer.feed(piece)
    return events + answer.close()


def test_the_corpus_holds_streams(corpus: Path) -> None:
    assert [path.stem for path in STREAMS] == sorted(
        entry["id"].replace("/", "_")
        for entry in json.loads((corpus / "model_streams" / "index.json").read_text())
    )


def test_whole(stream: Path, corpus: Path) -> None:
    """What the recording's index says of it, and what its chunks say, comes out."""
    index = json.loads((corpus / "model_streams" / "index.json").read_text())
    [facts] = [entry for entry in index if entry["id"].replace("/", "_") == stream.stem]
    *events, ending = read(stream.read_bytes())
    assert ending == Finish(facts["finish"][0])
    assert "".join(event.text for event in events if isinstance(event, Text)) == _text_of(stream)
    calls = [event for event in events if isinstance(event, ToolCallReady)]
    assert len(calls) == facts["tool_calls"]
    for call in calls:
        assert call.name
        assert isinstance(json.loads(call.arguments), dict)
    reported = "usage-none" not in facts["quirks"]
    assert bool([event for event in events if isinstance(event, Usage)]) == reported


def test_split_at_every_byte(stream: Path) -> None:
    body = stream.read_bytes()
    whole = read(body)
    assert read(*(body[at : at + 1] for at in range(len(body)))) == whole
    for at in range(len(body)):
        assert read(body[:at], body[at:]) == whole
    windows = body.replace(b"\n", b"\r\n")
    assert read(*(windows[at : at + 1] for at in range(len(windows)))) == whole


def test_cut_short_at_every_byte(stream: Path) -> None:
    """A cut before the finish has come is never a success, and no tool of it runs."""
    body = stream.read_bytes()
    *whole, ending = read(body)
    calls = [event for event in whole if isinstance(event, ToolCallReady)]
    finished = body.index(b"}", body.index(b'"finish_reason":"'))
    for at in range(len(body)):
        *events, cut_ending = read(body[:at])
        cut_calls = [event for event in events if isinstance(event, ToolCallReady)]
        if at <= finished:
            assert cut_ending in (Truncated("no finish_reason"), ProviderError("no_answer"))
        if isinstance(cut_ending, Finish):
            assert cut_ending == ending
            assert cut_calls == calls
        else:
            assert isinstance(cut_ending, Truncated | ProviderError)
            assert not cut_calls


async def test_through_the_whole_service(stream: Path) -> None:
    """Served by a provider and read as agents do: in one piece, then byte by byte."""
    body = stream.read_bytes()
    bytes_ = [body[at : at + 1] for at in range(len(body))]
    assert {*await _answers([body], [*bytes_])} == {_text_of(stream)}


async def _answers(*bodies: list[Step]) -> list[str]:
    said = []
    for steps in bodies:
        script = [Reply(steps, finish=None, done=False), says("|end")]
        async with agents(script) as there, there.run() as run:
            outputs = await run.rest()
            assert outputs[-1].end.status == EndStatus.END_STATUS_COMPLETED
            text = "".join(output.text.text for output in outputs)
            said.append(text.partition("|end")[0].rstrip("\n"))
    return said


@pytest.mark.parametrize("how", [CUT, STOP], ids=["dropped", "ended"])
async def test_cut_short_through_the_whole_service(stream: Path, how: Step) -> None:
    """However the connection goes, the run ends as truncated, after the text that did come."""
    first = stream.read_bytes().index(b"\n\n", stream.read_bytes().index(b"data:")) + 2
    body = stream.read_bytes()
    finished = body.index(b'"finish_reason":"')
    text = _text_of(stream)
    cuts = [first, *range(first, finished, max(1, finished // 12)), finished]
    replies = iter([Reply([body[:at], how], finish=None, done=False) for at in cuts])
    async with agents(lambda _: next(replies)) as there:
        for _ in cuts:
            async with there.run() as run:
                outputs = await run.rest()
            end: RunEnd = outputs[-1].end
            assert end.status == EndStatus.END_STATUS_FAILED
            assert end.error.code == ErrorCode.ERROR_CODE_MODEL_TRUNCATED
            assert text.startswith("".join(output.text.text for output in outputs))
            assert not [output for output in outputs if output.HasField("tool_call")]


def _text_of(stream: Path) -> str:
    """The text as a plain reading of the recording gives it."""
    text = ""
    for line in stream.read_text().splitlines():
        if line.startswith("data: {"):
            for choice in json.loads(line[6:])["choices"]:
                text += choice["delta"].get("content") or ""
    return text
