"""Streams of the Responses API: as OpenAI tells them, as others do, cut and cut short."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent_svc.events import (
    Event,
    Finish,
    ProviderError,
    Refused,
    Text,
    ToolCallReady,
    Truncated,
    Usage,
)
from agent_svc.responses import ResponsesAnswer
from tests.support.model_server import Call
from tests.support.responses_server import Refusal, Thought, sse, told

Told = dict[str, Any]

DONE = b"data: [DONE]\n\n"
HELLO = told("Hel", "lo.")
BUSY = told(
    Thought("Let me think."), "Let ", "me see.", Call("f", {"a": 1}), Call("g", id="call_2")
)
BUSY_MEANS: list[Event] = [
    Text("Let me see."),
    ToolCallReady(0, "call_1", "f", '{"a": 1}'),
    ToolCallReady(1, "call_2", "g", "{}"),
]


def heard(pieces: Iterable[bytes]) -> tuple[list[Event], ResponsesAnswer]:
    """All events of a body, neighbouring texts joined, and who read it."""
    answer, events = ResponsesAnswer(), list[Event]()
    for piece in pieces:
        events += answer.feed(piece)
    return joined(events + answer.close()), answer


def read(*body: Told | bytes) -> list[Event]:
    return heard(each if isinstance(each, bytes) else sse(each) for each in body)[0]


def joined(events: Iterable[Event]) -> list[Event]:
    result: list[Event] = []
    for event in events:
        if isinstance(event, Text) and result and isinstance(result[-1], Text):
            result[-1] = Text(result[-1].text + event.text)
        else:
            result.append(event)
    return result


def shown(events: Iterable[Event]) -> list[Event]:
    """The text as one, then the calls."""
    text = "".join(event.text for event in events if isinstance(event, Text))
    said = [Text(text)] if text else []
    return [*said, *(event for event in events if isinstance(event, ToolCallReady))]


def without(events: Iterable[Told], *kinds: str) -> list[Told]:
    return [event for event in events if not any(kind in event["type"] for kind in kinds)]


def changed(events: Iterable[Told], **fields: Any) -> list[Told]:
    """The events with some fields of theirs replaced; None: left out."""
    return [
        {name: value for name, value in (event | given).items() if value is not None}
        for event in events
        for given in [{name: value for name, value in fields.items() if name in event}]
    ]


# --- as OpenAI tells it


def test_text_usage_and_the_end() -> None:
    assert read(*HELLO) == [Text("Hello."), Usage(10, 5), Finish("completed")]


def test_text_is_said_as_it_comes() -> None:
    answer = ResponsesAnswer()
    said = [answer.feed(sse(event)) for event in HELLO if "delta" in event["type"]]
    assert said == [[Text("Hel")], [Text("lo.")]]


def test_calls_come_together_at_the_end() -> None:
    assert read(*BUSY) == [BUSY_MEANS[0], Usage(10, 5), *BUSY_MEANS[1:], Finish("completed")]


def test_the_providers_items_are_kept_as_they_are() -> None:
    _, answer = heard(map(sse, BUSY))
    (kept,) = answer.kept.values()
    assert [item["type"] for item in kept] == ["reasoning", "message", *["function_call"] * 2]
    assert kept[0]["encrypted_content"] == "gAAAA-nobody-reads-this"
    assert kept == BUSY[-1]["response"]["output"]


def test_reasoning_is_not_shown_and_counts() -> None:
    _, silent = heard(map(sse, told("Hi.")))
    events, thoughtful = heard(map(sse, told(Thought("A long thought."), "Hi.")))
    assert shown(events) == [Text("Hi.")]
    assert thoughtful.characters == silent.characters + len("A long thought.")


def test_what_a_call_costs_is_counted_once() -> None:
    _, answer = heard(map(sse, told("Hi.", Call("f", "0123456789"))))
    assert answer.characters == len("Hi." + "f" + "0123456789")


@pytest.mark.parametrize(
    ("finish", "ending"),
    [
        ("length", Truncated("max_output_tokens")),
        ("content_filter", Refused()),
        ("server_error", ProviderError("server_error")),
        ("rate_limit_exceeded", ProviderError("rate_limit_exceeded")),
        ("invalid_prompt", Refused()),
    ],
)
def test_a_response_that_is_not_complete(finish: str, ending: Event) -> None:
    events = read(*told("Hi.", Call("f"), finish=finish))
    assert events == [Text("Hi."), Usage(10, 5), ending]


def test_a_refusal_is_not_shown() -> None:
    assert read(*told("Well. ", Refusal("I cannot."))) == [Text("Well. "), Usage(10, 5), Refused()]
    assert read(*without(told(Refusal("I cannot.")), "refusal"))[-1] == Refused()
    assert read(*without(told(Refusal("I cannot.")), "refusal", "item"))[-1] == Refused()


@pytest.mark.parametrize(
    "error",
    [
        {"type": "error", "code": "rate_limit_exceeded", "message": "m", "param": None},
        {"type": "error", "error": {"type": "x", "code": "rate_limit_exceeded", "message": "m"}},
        {"error": {"type": "rate_limit_exceeded", "message": "m"}},
    ],
)
def test_an_error_ends_the_answer(error: Told) -> None:
    events = read(*HELLO[:-1], error, HELLO[-1])
    assert events == [Text("Hello."), ProviderError("rate_limit_exceeded")]


def test_what_was_filtered_by_an_error_is_a_refusal() -> None:
    assert read({"type": "error", "code": "content_filter", "message": "m"}) == [Refused()]


def test_nothing_is_waited_for_after_the_end() -> None:
    answer = ResponsesAnswer()
    for event in HELLO[:-1]:
        answer.feed(sse(event))
        assert not answer.over
    answer.feed(sse(HELLO[-1]))
    assert answer.over
    assert answer.finished


# --- cut


@settings(deadline=None)
@given(st.lists(st.integers(0, 6000), max_size=20))
def test_any_cut_gives_the_same_events(places: list[int]) -> None:
    body = b"".join(map(sse, told("Grüße, 🌻!", Thought("hm"), "More.", Call("f", {"a": "ß"}))))
    cuts = sorted({min(place, len(body)) for place in places} | {0, len(body)})
    pieces = [body[start:end] for start, end in itertools.pairwise(cuts)]
    whole, answer = heard([body])
    cut, in_pieces = heard(pieces)
    assert cut == whole
    assert (in_pieces.kept, in_pieces.characters) == (answer.kept, answer.characters)


@pytest.mark.parametrize("length", range(1, len(BUSY)))
def test_a_stream_that_breaks_off_is_no_answer(length: int) -> None:
    events, answer = heard(map(sse, BUSY[:length]))
    assert isinstance(events[-1], Truncated)
    assert not any(isinstance(event, ToolCallReady) for event in events)
    assert answer.kept == {}


def test_done_alone_ends_an_answer_too() -> None:
    assert read(*BUSY[:-1], DONE) == [*BUSY_MEANS, Finish("")]


# --- as others tell it

KINDS = (
    *("created", "output_item.added", "content_part.added", "output_text.delta"),
    *("output_text.done", "content_part.done", "arguments.delta", "arguments.done"),
    "output_item.done",
)
STEPS = st.lists(
    st.one_of(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=8),
        st.builds(Thought, st.sampled_from(["", "hm"])),
        st.builds(
            Call,
            st.sampled_from(["f", "g"]),
            st.sampled_from([{}, {"a": 1}, {"a": "b"}]),
        ),
    ),
    max_size=8,
)


def numbered(steps: list[Any]) -> list[Any]:
    """The steps, each call with an id of its own."""
    return [
        Call(step.name, step.arguments, id=f"call_{place}") if isinstance(step, Call) else step
        for place, step in enumerate(steps)
    ]


def meant(steps: Sequence[Any]) -> list[Event]:
    text = "".join(step for step in steps if isinstance(step, str))
    calls = [step for step in steps if isinstance(step, Call)]
    return [
        *([Text(text)] if text else []),
        *(ToolCallReady(i, call.id, call.name, call.text) for i, call in enumerate(calls)),
    ]


def with_identities(events: list[Told], habit: str) -> list[Told]:
    """The events with names for their items as some servers give them."""
    match habit:
        case "no ids":
            return [_rename(event, None) for event in changed(events, item_id=None)]
        case "no places":
            return changed(events, output_index=None)
        case "every place 0":
            return changed(events, output_index=0)
        case "an id for each event":
            return [
                _rename(event | ({"item_id": f"x{n}"} if "item_id" in event else {}), f"x{n}")
                for n, event in enumerate(events)
            ]
        case _:
            return events


def _rename(event: Told, name: str | None) -> Told:
    if "item" not in event:
        return event
    item = {key: value for key, value in event["item"].items() if key != "id"}
    return event | {"item": item | ({} if name is None else {"id": name})}


HABITS = ("as it should", "no ids", "no places", "every place 0", "an id for each event")


@settings(deadline=None)
@given(STEPS.map(numbered), st.sets(st.sampled_from(KINDS)), st.sampled_from(HABITS))
def test_whatever_is_left_out_the_response_makes_up_for(
    steps: list[Any], silent: set[str], habit: str
) -> None:
    events = with_identities(without(told(*steps), *silent), habit)
    assert shown(read(*events)) == meant(steps)


@settings(deadline=None)
@given(STEPS.map(numbered), st.sets(st.sampled_from(KINDS[:-1])), st.sampled_from(HABITS))
@example(["ha", Thought(), "ha"], {"output_item.added", "output_text.delta"}, "every place 0")
@example(["ha", Call("f"), "ha"], set(), "every place 0")
def test_a_response_without_its_output_is_made_up_from_its_items(
    steps: list[Any], silent: set[str], habit: str
) -> None:
    events = told(*steps)
    events[-1] = events[-1] | {"response": events[-1]["response"] | {"output": []}}
    assert shown(read(*with_identities(without(events, *silent), habit))) == meant(steps)


@settings(deadline=None)
@given(STEPS.map(numbered))
def test_the_response_alone_is_an_answer(steps: list[Any]) -> None:
    (*_, end) = told(*steps)
    assert shown(read(end)) == meant(steps)
    assert shown(read(end["response"])) == meant(steps)


@settings(deadline=None)
@given(STEPS.map(numbered), st.data())
def test_an_event_told_twice_says_nothing_new(steps: list[Any], data: st.DataObject) -> None:
    events = told(*steps)
    twice = [event for event in events if "delta" not in event["type"]]
    again = data.draw(st.sampled_from(twice))
    place = events.index(again)
    assert shown(read(*events[: place + 1], again, *events[place + 1 :])) == meant(steps)


def test_calls_that_only_deltas_told_of() -> None:
    events = without(BUSY, "arguments.done", "item.done")[:-1]
    assert shown(read(*events, DONE)) == BUSY_MEANS


def test_a_call_that_has_no_item_of_its_own() -> None:
    name = {"name": "f", "call_id": "call_1"}
    events = [
        event | name if "arguments.done" in event["type"] else event
        for event in without(told(Call("f", {"a": 1})), "output_item")[:-1]
    ]
    assert shown(read(*events, DONE)) == [ToolCallReady(0, "call_1", "f", '{"a": 1}')]


def test_a_call_that_is_announced_with_its_arguments() -> None:
    item = {"type": "function_call", "call_id": "c", "name": "f", "arguments": {"a": 1}}
    added = {"type": "response.output_item.added", "output_index": 0, "item": item}
    assert shown(read(added, DONE)) == [ToolCallReady(0, "c", "f", '{"a":1}')]


def test_a_response_that_says_complete_and_is_not() -> None:
    cut = told("Hi.", finish="length")[-1]["response"]
    assert read({"type": "response.completed", "response": cut})[-1] == Truncated(
        "max_output_tokens"
    )


def test_a_last_response_that_holds_the_last_token_alone() -> None:
    """As vLLM sends it."""
    events = told("Hel", "lo.")
    (item,) = events[-1]["response"]["output"]
    part = item | {"content": [{"type": "output_text", "text": "lo."}]}
    events[-1] = events[-1] | {"response": events[-1]["response"] | {"output": [part]}}
    assert shown(read(*events)) == [Text("Hello.")]


def test_calls_that_go_by_their_call_id_alone() -> None:
    """As llama.cpp tells them: no places, and items without ids of their own."""
    body: list[Told] = [
        {"type": "response.output_text.delta", "item_id": "msg_1", "delta": "Let me "},
        {"type": "response.output_text.delta", "item_id": "msg_1", "delta": "see."},
    ]
    for call_id, name in (("fc_1", "f"), ("fc_2", "g")):
        item = {"type": "function_call", "call_id": call_id, "name": name, "arguments": ""}
        body.append({"type": "response.output_item.added", "item": item})
        delta = {"type": "response.function_call_arguments.delta", "item_id": call_id}
        body += [delta | {"delta": piece} for piece in ("{", "}")]
    text = {"type": "response.output_text.done", "item_id": "msg_1", "text": "Let me see."}
    done = [
        {"type": "response.output_item.done", "item": event["item"] | {"arguments": "{}"}}
        for event in body
        if "item" in event
    ]
    meant = [
        Text("Let me see."),
        ToolCallReady(0, "fc_1", "f", "{}"),
        ToolCallReady(1, "fc_2", "g", "{}"),
    ]
    assert shown(read(*body, text, *done, DONE)) == meant
    assert shown(read(*body, DONE)) == meant


def test_a_part_for_each_token() -> None:
    """As vLLM counts content."""
    count = itertools.count()
    events = [
        event | {"content_index": next(count)} if "content_index" in event else event
        for event in HELLO
    ]
    assert shown(read(*events)) == [Text("Hello.")]


def test_two_parts_of_one_item_alike_and_told_whole() -> None:
    place = {"type": "response.output_text.done", "item_id": "m", "output_index": 0}
    parts = [place | {"content_index": number, "text": "ha"} for number in range(2)]
    content = [{"type": "output_text", "text": "ha"}] * 2
    item = {"type": "message", "id": "m", "content": content}
    done = {"type": "response.output_item.done", "output_index": 0, "item": item}
    assert shown(read(*parts, done, DONE)) == [Text("haha")]


def test_calls_that_neither_an_item_nor_the_response_tells_whole() -> None:
    """As SGLang's router tells them."""
    nothing = {"type": "message", "id": "m", "content": [{"type": "text", "text": ""}]}
    response = {"object": "response", "status": "completed", "output": [nothing]}
    events = without(told(Call("f", {"a": 1})), "item.done")[:-1]
    end = {"type": "response.completed", "response": response}
    assert shown(read(*events, end)) == [ToolCallReady(0, "call_1", "f", '{"a": 1}')]


def test_text_under_its_other_name() -> None:
    item = {"type": "message", "content": [{"type": "text", "text": "Hi."}]}
    response = {"object": "response", "status": "completed", "output": [item]}
    assert shown(read({"type": "response.completed", "response": response})) == [Text("Hi.")]


def test_a_failure_that_says_why_only_afterwards() -> None:
    """As Azure's filter does."""
    failed = {"type": "response.failed", "response": {"status": "failed", "error": None}}
    why = {"type": "error", "error": {"code": "content_policy_violation", "message": "m"}}
    assert read(*HELLO[:-1], failed, why) == [Text("Hello."), Refused()]
    assert read(HELLO[0], failed) == [ProviderError("unknown")]
    assert read(HELLO[0], failed, *HELLO[1:]) == [ProviderError("unknown")]


def test_a_failure_without_a_response() -> None:
    failed = {"type": "response.failed", "error": {"code": "server_error", "message": "m"}}
    assert read(failed) == [ProviderError("server_error")]


def test_why_a_response_is_incomplete_decides_what_it_is() -> None:
    for reason, ending in {
        "max_output_tokens": Truncated("max_output_tokens"),
        "content_filter": Refused(),
        "safety_guardrail": Refused(),
        "steered": Truncated("steered"),
        None: Truncated("incomplete"),
    }.items():
        response = {"status": "incomplete", "incomplete_details": {"reason": reason}}
        assert read({"type": "response.incomplete", "response": response}) == [ending]


def test_calls_are_cleaned_as_those_of_chat_are() -> None:
    call = Call("functions.f", '{"a": 1,}')
    assert shown(read(*told(call))) == [ToolCallReady(0, "call_1", "f", '{"a":1}')]


@pytest.mark.parametrize("body", [b"", b"<html><body>Welcome</body></html>", b": ping\n\n"])
def test_no_answer_at_all(body: bytes) -> None:
    assert read(body) == [ProviderError("no_answer")]


def test_usage_by_its_other_name() -> None:
    usage = {"prompt_tokens": 3, "completion_tokens": 4}
    response = {"object": "response", "status": "completed", "usage": usage}
    assert Usage(3, 4) in read({"type": "response.completed", "response": response})


def test_halves_of_a_character() -> None:
    halves = b'data: {"type":"response.output_text.delta","delta":"\\ud83c"}\n\n'
    halves += b'data: {"type":"response.output_text.delta","delta":"\\udf3b"}\n\n'
    assert read(halves, DONE) == [Text("🌻"), Finish("")]


def test_half_a_character_is_not_said_back() -> None:
    item = '{"type":"message","content":[{"type":"output_text","text":"a\\ud83c"}]}'
    done = f'data: {{"type":"response.output_item.done","item":{item}}}\n\n'
    events, answer = heard([done.encode(), DONE])
    assert shown(events) == [Text("a")]
    json.dumps(answer.kept, ensure_ascii=False).encode()


def test_what_cannot_be_read_is_an_error() -> None:
    assert read(b"data: <html>\n\n") == [ProviderError("invalid_chunk")]
    assert isinstance(read(HELLO[0], b'data: {"type":')[-1], Truncated)


@pytest.mark.parametrize("strange", ["[]", "null", "7", '"x"', "{}", '{"type":"response.new"}'])
def test_what_is_strange_is_passed_over(strange: str) -> None:
    assert shown(read(f"data: {strange}\n\n".encode(), *BUSY)) == BUSY_MEANS


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 3) | st.sampled_from(["", "x", "message"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "id", "content", "text", "name"]), inner)
    ),
    max_leaves=6,
)


@settings(deadline=None)
@given(st.data())
def test_a_field_of_a_wrong_type_breaks_nothing(data: st.DataObject) -> None:
    events = json.loads(json.dumps(BUSY))
    for _ in range(data.draw(st.integers(1, 4))):
        holder: Any = data.draw(st.sampled_from(events))
        while True:
            key = data.draw(st.sampled_from(sorted(holder))) if isinstance(holder, dict) else 0
            inner = holder[key]
            if inner and isinstance(inner, dict | list) and data.draw(st.booleans()):
                holder = inner
                continue
            holder[key] = data.draw(JSON)
            break
    *rest, ending = read(*events)
    assert isinstance(ending, Finish | Truncated | Refused | ProviderError)
    assert not any(isinstance(event, Finish | Truncated) for event in rest)


@settings(deadline=None)
@given(st.permutations([event for event in BUSY if "done" in event["type"]]))
def test_in_whatever_order_things_are_done(done: list[Told]) -> None:
    assert shown(read(*without(BUSY[:-1], "done"), *done, BUSY[-1])) == BUSY_MEANS
