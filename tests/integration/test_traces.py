"""One trace for each request, from the socket to the model and the database; in the logs, too."""

import json
from collections.abc import Iterable
from typing import Any

import pytest

from tests.integration.conftest import Observed
from tests.support.collector import Span
from tests.support.device import Device


def one(spans: Iterable[Span], name: str, service: str = "") -> Span:
    """The only span of this name."""
    found = [span for span in spans if span.name == name and span.service.endswith(service)]
    assert len(found) == 1, (name, found)
    return found[0]


def lines(observed: Observed) -> list[dict[str, Any]]:
    """The stack's log lines that are JSON, whichever process wrote them."""
    found = []
    for line in observed.stack.log().splitlines():
        if "{" in line:
            try:
                found.append(json.loads(line[line.index("{") :]))
            except json.JSONDecodeError:
                continue
    return found


@pytest.fixture
async def trace(observed: Observed, watched_device: Device) -> list[Span]:
    """The spans of one Home request that reads and changes the device's data."""
    answer = await watched_device.ask("complete the report")
    assert answer.end["status"] == "completed"
    assert answer.tools == ["list_tasks", "complete_task"]
    return await observed.collector.trace_with(request_id=answer.request_id)


async def test_a_request_is_one_trace_from_the_socket_to_the_database(trace: list[Span]) -> None:
    root = one(trace, "home request")
    assert root.service == "switchboard-edge"
    assert not root.parent_id
    assert root.attributes["status"] == "completed"
    assert root.attributes["agent"] == "task_agent"

    converse = one(trace, "RouterService/Converse")
    assert converse.parent_id == root.id
    run, form, enrich, store = (
        one(trace, name)
        for name in (
            "AgentService/Run",
            "FormatterService/Format",
            "MemoryService/EnrichContext",
            "MemoryService/StoreEpisode",
        )
    )
    assert {run.parent_id, form.parent_id, enrich.parent_id, store.parent_id} == {converse.id}

    assert one(trace, "classify_intent").parent_id == converse.id
    assert one(trace, "model classify").parent_id == one(trace, "classify_intent").id
    chats = [span for span in trace if span.name == "model chat"]
    assert len(chats) == 3  # look, change, tell
    tools = [one(trace, "tool list_tasks"), one(trace, "tool complete_task")]
    assert {span.parent_id for span in (*chats, *tools)} == {run.id}
    assert {span.attributes["outcome"] for span in tools} == {"result"}
    assert one(trace, "model embed").parent_id == enrich.id

    statements = [span for span in trace if span.name.split()[0] in ("SELECT", "INSERT", "WITH")]
    assert {span.parent_id for span in statements} >= {enrich.id, store.id}
    assert {span.service for span in statements} == {"switchboard-memory_svc"}


async def test_each_step_lies_within_its_parent(trace: list[Span]) -> None:
    by_id = {span.id: span for span in trace}
    slack = 5_000_000  # clocks of two processes, and statements told of a moment later
    for span in trace:
        if parent := by_id.get(span.parent_id):
            assert span.began_ns >= parent.began_ns - slack, (span, parent)
            assert span.began_ns <= parent.ended_ns + slack, (span, parent)
    assert not any(span.failed for span in trace)


async def test_the_lines_of_a_request_carry_its_trace(
    observed: Observed, watched_device: Device
) -> None:
    answer = await watched_device.ask("list my notes")
    spans = await observed.collector.trace_with(request_id=answer.request_id)
    (trace_id,) = {span.trace_id for span in spans}
    about = [line for line in lines(observed) if line.get("request_id") == answer.request_id]
    assert {line["service"] for line in about} >= {"edge", "router_svc"}
    assert {line["trace_id"] for line in about} == {trace_id}
    assert {line["device_id"] for line in about} == {watched_device.device_id}


async def test_requests_side_by_side_are_traces_of_their_own(
    observed: Observed, watched_device: Device
) -> None:
    answers = [await watched_device.home("list my tasks") for _ in range(3)]
    popup = await watched_device.popup("what is overdue?")
    for answer in (*answers, popup):
        await answer.ended(20)
    ids = set()
    for answer in (*answers, popup):
        spans = await observed.collector.trace_with(request_id=answer.request_id)
        ids |= {span.trace_id for span in spans}
        assert len([span for span in spans if not span.parent_id]) == 1
    assert len(ids) == 4


async def test_a_rest_call_is_a_trace_to_the_database(
    observed: Observed, watched_device: Device
) -> None:
    spans = await observed.collector.trace_with("POST /api/v1/auth/register")
    roots = {span.id for span in spans if not span.parent_id}
    calls = [span for span in spans if span.name == "AccountService/Register"]
    assert {span.parent_id for span in calls} == roots
    inserts = [span for span in spans if span.name == "INSERT users"]
    assert {span.parent_id for span in inserts} == {span.id for span in calls}


async def test_no_span_holds_a_word_of_the_user_or_the_model(
    observed: Observed, watched_device: Device
) -> None:
    watched_device.store.items["task"]["t2"]["title"] = "Report on quokkas"
    answer = await watched_device.ask('create a task called "Feed the quokka"')
    assert answer.end["status"] == "completed"
    await observed.collector.trace_with(request_id=answer.request_id)
    assert not any(b"quokka" in body.lower() for body in observed.collector.bodies)
    assert not any(span.events or span.status_text for span in observed.collector.spans)
