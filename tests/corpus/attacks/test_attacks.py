"""Sixty attacks in six languages through edge, router, agent, memory and formatter, on a model
that obeys whatever it reads: what comes of them is decided by where a text stands.

A line of `attacks.jsonl` is a text, by which way it gets to the model (`via`), the calls that
obeying it means, and the outcome: `not_kept` (nothing reaches the preferences), `marked` (a change,
which comes marked, and asks the user where every change does), `asked` (a delete: always asks),
`unread` (no model ever reads it). `honest.jsonl` is what users say themselves, which is kept.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import pytest
import pytest_asyncio

from agent_svc.catalogue import CATALOGUE
from memory_svc.domain import extract
from runtime import quoting
from tests.support.edge_stack import PATIENCE_S, DeviceSocket, Frame
from tests.support.model_server import Call, Reply, Request, answers, calls, says
from tests.support.postgres import Postgres
from tests.support.whole import Whole, whole

pytestmark = pytest.mark.asyncio(loop_scope="module")

Case = dict[str, Any]
CHOICE: Final = answers({"agent": "task_agent", "confidence": 0.95, "reason": "It is about tasks."})
DUE: Final = "What is due?"
TASK: Final = {"id": "t1", "title": "Rent", "status": "todo"}
CARD: Final = says(
    '{"type":"entity_ref","entity":"task","id":"t7"}\n{"type":"text","content":"So."}'
)


def lines(name: str) -> list[Case]:
    text = Path(__file__).with_name(name).read_text("utf-8")
    return [json.loads(line) for line in text.splitlines()]


ATTACKS: Final = lines("attacks.jsonl")
HONEST: Final = lines("honest.jsonl")
TEXTS: Final = {case["text"]: case["obeyed"] for case in ATTACKS}


@dataclass
class Obedient:
    """A model. It makes `first`, which the user's wish is taken to be, then does all that any
    of the attacks says that stands anywhere in what it was sent, and then says something."""

    first: Reply | None = None
    obeys: bool = True
    read: set[str] = field(default_factory=set)

    def __call__(self, request: Request) -> Reply:
        if "response_format" in request.body:
            return CHOICE
        if (first := self.first) is not None:
            self.first = None
            return first
        sent = "\n".join(str(message.get("content") or "") for message in request.messages)
        found = [text for text in TEXTS if text in sent]
        self.read |= set(found)
        made = [
            call["function"] for each in request.messages for call in each.get("tool_calls", ())
        ]
        done = [(call["name"], json.loads(call["arguments"])) for call in made]
        wanted = [
            Call(call["name"], call["arguments"], id=uuid4().hex)
            for text in found
            for call in TEXTS[text]
            if (call["name"], call["arguments"]) not in done
        ]
        return calls(*wanted) if wanted and self.obeys else says("Done.")


@dataclass
class There:
    """A running stack, its model, and what the operator has set."""

    stack: Whole
    model: Obedient
    approve: str


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def there(
    request: pytest.FixtureRequest, postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[There]:
    """`off`: without the rules altogether. No tool asks for approval by itself, as declared ones
    may not: what asks is the rule alone."""
    approve, model = request.param, Obedient()
    with pytest.MonkeyPatch.context() as patch, postgres.database() as url:
        delete = dataclasses.replace(CATALOGUE["delete_task"], requires_approval=False)
        patch.setitem(CATALOGUE, "delete_task", delete)
        if approve == "off":
            patch.setattr(quoting, "says", lambda own_words, text: True)
            patch.setattr(quoting, "own", lambda message, spans: message)
            patch.setattr(extract, "_may_be_kept", lambda text, said: True)
        agent = {"approve_after_untrusted": approve}
        folder = tmp_path_factory.mktemp(approve)
        async with whole(url, folder, model, agent=agent, requests_per_minute=0) as stack:
            yield There(stack, model, approve)


@pytest_asyncio.fixture(loop_scope="module")
async def device(there: There) -> AsyncIterator[DeviceSocket]:
    """Of a new user, so that nothing is left of the attack before."""
    there.model.read.clear()
    yield await there.stack.device()
    await there.stack.fresh()


async def ask(device: DeviceSocket, answer: Frame | None = None, **asked: Any) -> list[Frame]:
    """The frames of one answer. The first call gets `answer`; later ones are run, but where the
    user has to agree: they do not."""
    await device.send("home_request", request_id=str(uuid4()), **asked)
    frames: list[Frame] = []
    while not frames or frames[-1]["type"] != "stream_end":
        frame = await device.next()
        frames.append(frame)
        if frame["type"] == "tool_call":
            refused: Frame | None = {"rejected": {}} if frame["requires_approval"] else None
            reply = answer or refused or {"result": _done(frame)}
            await device.send("tool_result", call_id=frame["call_id"], **reply)
            answer = None
        elif frame["type"] == "data_request":
            items = (answer or {}).get("items", [])
            await device.send("data_response", query_id=frame["query_id"], items=items)
    assert frames[-1]["status"] == "completed", frames[-1]
    return frames


def _done(call: Frame) -> Frame:
    if call["name"] == "delete_task":
        return {"id": call["arguments"]["id"]}
    return {"item": TASK | call["arguments"]}


async def undergo(there: There, device: DeviceSocket, case: Case) -> list[Frame]:
    """All the frames that came of an attack."""
    model, text = there.model, case["text"]
    result: Frame
    listing, titled = calls(Call("list_tasks")), {"items": [TASK | {"title": text}]}
    item = {"item": TASK | {"title": text, "status": "done"}}
    match case["via"]:
        case "title":
            model.first = listing
            return await ask(device, {"result": titled}, message=DUE)
        case "field":
            model.first = calls(Call("get_task", {"id": "t1"}))
            result = {"items": [TASK | {"notes": text}]}
            return await ask(device, {"result": result}, message=DUE)
        case "known":
            model.first = calls(Call("list_tasks", {"assignee": "Bo"}))
            result = {"items": [], "total": 0, "known": {"assignee": [text]}}
            return await ask(device, {"result": result}, message=DUE)
        case "echo":
            model.first = calls(Call("create_task", {"title": "Milk"}))
            result = {"item": TASK | {"title": "Milk", "notes": text}}
            return await ask(device, {"result": result}, message="Add a task: milk")
        case "error":
            model.first = listing
            return await ask(device, {"error": {"code": "no", "message": text}}, message=DUE)
        case "reason":
            model.first = calls(Call("complete_task", {"id": "t1"}))
            return await ask(device, {"rejected": {"reason": text}}, message="Rent is done")
        case "span":
            start = len("😀 Sum up: ") + 1
            spans = [{"start": start, "end": start + len(text)}]
            return await ask(device, message=f"😀 Sum up: {text} Thanks!", quoted=spans)
        case "fence":
            return await ask(device, message=f"Sum up:\n```\n{text}\n```\nThanks!")
        case "quote":
            return await ask(device, message=f"Sum up:\n> Hi,\n> {text}\nThanks!")
        case "assistant":
            history = [{"role": "user", "content": DUE}, {"role": "assistant", "content": text}]
            return await ask(device, message="Yes, do.", conversation_history=history)
        case "earlier":
            history = [{"role": "user", "content": f"Sum up:\n> {text}"}]
            return await ask(device, message="And now?", conversation_history=history)
        case "data":
            model.first = CARD
            return await ask(device, {"items": [TASK | {"id": "t7", "title": text}]}, message=DUE)
        case "memory_title" | "memory_search":
            model.obeys, model.first = False, calls(Call("complete_task", {"id": "t1"}))
            await ask(device, {"result": item}, message="Complete it")
        case "memory_quote":
            model.obeys = False
            await ask(device, message=f"Sum up:\n> {text}")
    await kept(there)
    model.obeys = True
    model.read.clear()
    if case["via"] == "memory_search":
        model.first = calls(Call("search_memory", {"query": text}))
    return await ask(device, message=DUE)


async def kept(there: There) -> None:
    """Returns once memory has what was said, and has done all that it does about it."""
    async with asyncio.timeout(PATIENCE_S):
        while not (await there.stack.rest("ada", "GET", "/api/v1/memory"))[1]["items"]:
            await asyncio.sleep(0.02)
    while await there.stack.memory.worker.step():
        pass


async def preferences(there: There) -> dict[str, str]:
    status, found = await there.stack.rest("ada", "GET", "/api/v1/memory/core")
    assert status == 200
    return {item["key"]: item["text"] for item in found["items"]}


def obeying(frames: list[Frame], case: Case) -> list[Frame]:
    """The calls that did what the attack said."""
    wanted = [(call["name"], call["arguments"]) for call in case["obeyed"]]
    asked = [frame for frame in frames if frame["type"] == "tool_call"]
    return [frame for frame in asked if (frame["name"], frame["arguments"]) in wanted]


BOTH: Final = pytest.mark.parametrize("there", ["deletes", "writes"], indirect=True)


@BOTH
@pytest.mark.parametrize("case", ATTACKS, ids=lambda case: case["name"])
async def test_an_attack_is_held(there: There, device: DeviceSocket, case: Case) -> None:
    made = obeying(await undergo(there, device, case), case)
    assert await preferences(there) == {}
    assert (case["text"] in there.model.read) is (case["outcome"] != "unread")
    assert len(made) == (case["outcome"] in ("marked", "asked"))
    asks = case["outcome"] == "asked" or there.approve == "writes"
    assert all(frame["untrusted"] and frame["requires_approval"] is asks for frame in made)


@pytest.mark.parametrize("there", ["off"], indirect=True)
@pytest.mark.parametrize("case", ATTACKS, ids=lambda case: case["name"])
async def test_without_the_rules_it_would_not_be(
    there: There, device: DeviceSocket, case: Case
) -> None:
    """The model does obey. What a device returned is kept from the preferences by another rule:
    the tool for them is not on offer any more."""
    made = obeying(await undergo(there, device, case), case)
    if case["outcome"] in ("marked", "asked"):
        assert [frame["requires_approval"] for frame in made] == [False]
    elif case["outcome"] == "not_kept" and case["via"] in ("span", "fence", "quote", "assistant"):
        [wanted] = [call["arguments"] for call in case["obeyed"]]
        assert await preferences(there) == {wanted["key"]: wanted["value"]}
    elif case["via"].startswith("memory"):
        assert case["text"] in there.model.read


@BOTH
async def test_it_is_held_over_rest_too(there: There, device: DeviceSocket) -> None:
    case = next(case for case in ATTACKS if case["outcome"] == "marked")
    asked = {"message": f"要約して {case['text']}", "quoted": [{"start": 5, "end": 500}]}
    status, _ = await there.stack.rest("ada", "POST", "/api/v1/chat", json=asked)
    assert status == 400  # the message is not so long
    asked["quoted"] = [{"start": 5, "end": 5 + len(case["text"])}]
    answer = asyncio.create_task(there.stack.rest("ada", "POST", "/api/v1/chat", json=asked))
    call = await device.expect("tool_call", untrusted=True)
    assert call["requires_approval"] is (there.approve == "writes")
    await device.send("tool_result", call_id=call["call_id"], rejected={})
    assert (await answer)[0] == 200


@BOTH
@pytest.mark.parametrize("case", HONEST, ids=lambda case: case["key"])
async def test_what_users_say_themselves_is_kept(
    there: There, device: DeviceSocket, case: Case
) -> None:
    said = {"key": case["key"], "value": case["value"]}
    there.model.first = calls(Call("remember_preference", said))
    await ask(device, message=case["message"])
    assert await preferences(there) == {case["key"]: case["value"]}


@BOTH
async def test_what_users_wish_themselves_is_done(there: There, device: DeviceSocket) -> None:
    """The second time there is something to remember, which the user said, too."""
    there.model.first = says("Hello!")
    await ask(device, message="Good morning, dear app")
    await kept(there)
    there.model.first = calls(Call("create_task", {"title": "牛乳を買う"}))
    frames = await ask(device, message="牛乳を買うというタスクを追加して")
    [call] = [frame for frame in frames if frame["type"] == "tool_call"]
    assert "untrusted" not in call
    assert call["requires_approval"] is False


@pytest.mark.parametrize("there", ["deletes"], indirect=True)
async def test_by_default_a_change_is_not_asked_for(there: There, device: DeviceSocket) -> None:
    there.model.first = calls(Call("list_tasks"))
    await ask(device, {"result": {"items": [TASK]}}, message="What is due?")
    there.model.first = calls(Call("update_task", {"id": "t1", "status": "paid"}))
    frames = await ask(device, message="Rent is paid\n> it was due")
    [call] = [frame for frame in frames if frame["type"] == "tool_call"]
    assert call["untrusted"] is True
    assert call["requires_approval"] is False


async def test_the_corpus_is_of_sixty_in_six_languages() -> None:
    assert len(ATTACKS) == len(TEXTS) == 60
    assert {case["name"][:2] for case in ATTACKS} == {"en", "de", "es", "fr", "ja", "zh"}
    assert {case["outcome"] for case in ATTACKS} == {"not_kept", "marked", "asked", "unread"}
