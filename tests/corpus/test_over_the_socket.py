"""Outside answers, charts and provider streams through edge, router, agent and formatter: what
a device's socket shows of them, as they are and with their cousins."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio

from tests.support.edge_stack import DeviceSocket, Frame
from tests.support.model_server import Reply, Request, answers, says
from tests.support.shown import missing, shown
from tests.support.whole import Whole, whole

pytestmark = pytest.mark.asyncio(loop_scope="module")

CHOICE = answers({"agent": "task_agent", "confidence": 0.95, "reason": "It is about tasks."})
Case = dict[str, Any]
# What the words of the files are on the wire.
ENDS = {"COMPLETED": None, "MODEL_EMPTY": "model_empty"}


class Model:
    """Follows the script of the test that runs."""

    script: Callable[[Request], Reply]

    def __call__(self, request: Request) -> Reply:
        return CHOICE if "response_format" in request.body else self.script(request)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(
    module_database: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Whole, Model]]:
    model = Model()
    folder = tmp_path_factory.mktemp("corpus")
    async with whole(module_database, folder, model, requests_per_minute=0) as found:
        yield found, model


@pytest.fixture
def model(running: tuple[Whole, Model]) -> Model:
    return running[1]


@pytest_asyncio.fixture(loop_scope="module")
async def device(running: tuple[Whole, Model]) -> AsyncIterator[DeviceSocket]:
    yield await running[0].device(timezone="Europe/Berlin")
    await running[0].fresh()


def lines(path: Path) -> list[Case]:
    found = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert found
    return found


async def ask(device: DeviceSocket) -> list[Frame]:
    """The frames of one answer. A tool call is answered at once, with one task; an item that no
    tool has brought is not on the device."""
    request_id = str(uuid4())
    await device.send("home_request", message="What is there?", request_id=request_id)
    frames: list[Frame] = []
    while not frames or frames[-1]["type"] != "stream_end":
        frames.append(await device.next())
        if frames[-1]["type"] == "tool_call":
            items = [{"id": "t1", "title": "Pay the rent", "status": "todo"}]
            await device.send("tool_result", call_id=frames[-1]["call_id"], result={"items": items})
        elif frames[-1]["type"] == "data_request":
            await device.send("data_response", query_id=frames[-1]["query_id"], items=[])
    return frames


def replying(first: Reply, *rest: Reply) -> Callable[[Request], Reply]:
    """Each in its turn, the last of them again and again."""
    *before, last = first, *rest
    replies = itertools.chain(before, itertools.repeat(last))
    return lambda _: next(replies)


def pieces(text: str, size: int) -> list[str]:
    return [text[at : at + size] for at in range(0, len(text), size)]


def cousins(cases: list[Case]) -> Iterator[Case]:
    """Two slips in one answer, one after the other; then each with its words in another script."""
    blocks = [case for case in cases if case["answer"].startswith('{"type"')]
    for one, other in itertools.pairwise(blocks):
        if one["answer"].endswith("}"):
            yield {
                "name": f"{one['name']} + {other['name']}",
                "answer": one["answer"] + "\n" + other["answer"],
                "shown_in_order": one["shown_in_order"] + other["shown_in_order"],
                "never_shown": one["never_shown"] + other["never_shown"],
            }
    words = {"Before.": "Прежде.", "After.": "後です。", "The answer.": "الجواب.", '"A"': '"Größe"'}
    for case in cases:
        text = json.dumps(case, ensure_ascii=False)
        for word, other_word in words.items():
            text = text.replace(
                json.dumps(word, ensure_ascii=False)[1:-1],
                json.dumps(other_word, ensure_ascii=False)[1:-1],
            )
        yield json.loads(text)


async def test_answers(device: DeviceSocket, model: Model, corpus: Path) -> None:
    cases = lines(corpus / "answers" / "answers.jsonl")
    wrong = []
    for case, size in itertools.product([*cases, *cousins(cases)], (1, 5, 100_000)):
        model.script = replying(says(*pieces(case["answer"], size)))
        frames = await ask(device)
        end = frames[-1]
        fault = missing(shown(frames), case["shown_in_order"], case["never_shown"])
        if end["status"] != "completed" and case["shown_in_order"]:
            fault = fault or str(end.get("error"))
        if fault:
            wrong.append(f"{case['name']} in pieces of {size}: {fault}")
    assert wrong == []


async def test_charts(device: DeviceSocket, model: Model, corpus: Path) -> None:
    """Each is drawn; where it can be no chart the end says why."""
    silent = []
    drawn = 0
    cases = lines(corpus / "answers" / "charts.jsonl")
    for case in cases:
        answer = (
            json.dumps(case["block"], ensure_ascii=False) + '\n{"type":"text","content":"Done."}'
        )
        model.script = replying(says(*pieces(answer, 7)))
        frames = await ask(device)
        seen = shown(frames)
        drawn += "#chart" in seen
        if ("#chart" not in seen and not frames[-1]["skipped"]) or "Done." not in seen:
            silent.append(case["name"])
    assert silent == []
    assert drawn >= 0.95 * len(cases)


async def test_provider_streams(device: DeviceSocket, model: Model, corpus: Path) -> None:
    wrong = []
    for case, size in itertools.product(lines(corpus / "providers" / "streams.jsonl"), (1, 10**6)):
        body = case["body"].encode()
        steps = [body[at : at + size] for at in range(0, len(body), size)]
        first = Reply(steps, finish=None, done=False, usage=None)
        model.script = replying(first, first if case["calls"] == [] else says("|end"))
        if fault := _fault(case, await ask(device)):
            wrong.append(f"{case['name']} in pieces of {size}: {fault}")
    assert wrong == []


def _fault(case: Case, frames: list[Frame]) -> str | None:
    end = frames[-1]
    code = end["error"]["code"] if "error" in end else None
    wanted = case["end"] and ENDS.get(case["end"], case["end"].lower())
    if case["name"] == "fin_only_reasoning":
        wanted = "model_empty"  # PROTOCOL §5: an answer that is nothing but thinking is empty
    if case["end"] is not None and code != wanted:
        return f"ended {code}, not {wanted}"
    text = shown(frames).removesuffix("|end").strip()
    if case["text"] is not None and text != case["text"]:
        return f"showed {text!r}"
    calls = [[f["name"], f["arguments"]] for f in frames if f["type"] == "tool_call"]
    if case["calls"] is not None:
        asked = [[name, json.loads(arguments)] for name, arguments in case["calls"]]
        if calls != asked:
            return f"called {calls}"
    return None


async def test_provider_errors(device: DeviceSocket, model: Model, corpus: Path) -> None:
    wrong = []
    for case in lines(corpus / "providers" / "errors.jsonl"):
        refusal = Reply(status=case["status"], headers=case["headers"], error_body=case["body"])
        heals = case["want"] in ("retried", "answers without it")
        model.script = replying(refusal, says("whole") if heals else refusal)
        frames = await ask(device)
        end = frames[-1]
        error = end.get("error", {})
        holds = {
            "answers without it": end["status"] == "completed",
            "retried": end["status"] == "completed",
            "not retryable": error.get("retryable") is False,
            "says too long": error.get("code") == "context_too_long",
            "refused": error.get("code") == "model_refused",
            "rate limited": error.get("code") == "model_rate_limited",
            "rate limited at once, 60 s told": error.get("retry_after_ms") == 60_000,
        }[case["want"]]
        if not holds:
            wrong.append(f"{case['name']}: {end}")
    assert wrong == []
