"""What the loop and the profiles ask, in the words of the Responses API."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from agent_svc.events import Text, ToolCallReady
from agent_svc.responses import ResponsesAnswer
from agent_svc.responses_request import input_items, responses_body
from devstack.offline_model.refusals import check_items, check_outputs
from runtime.model.profiles import Profile
from runtime.model.requests import chat_body
from tests.support.model_server import Call
from tests.support.responses_server import Thought, sse, told

TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "list_tasks",
        "description": "Lists tasks.",
        "parameters": {"type": "object", "properties": {"limit": {"type": "integer"}}},
    },
}
PROMPT = {"role": "system", "content": "You help."}
HELLO = {"role": "user", "content": "Hello"}


def asked(*messages: dict[str, Any], profile: Profile | None = None, **more: Any) -> dict[str, Any]:
    chat = chat_body(profile or Profile(), "some-model", messages, stream=True, **more)
    return responses_body(chat)


def call(call_id: str, arguments: str = "{}") -> dict[str, Any]:
    function = {"name": "list_tasks", "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def called(call_id: str, **more: Any) -> dict[str, Any]:
    """A call as a provider gives it."""
    item = {"type": "function_call", "id": "fc_1", "call_id": call_id, "status": "completed"}
    return {**item, "name": "list_tasks", "arguments": "{}", **more}


def thought(**more: Any) -> dict[str, Any]:
    return {"type": "reasoning", "id": "rs_1", "summary": [], **more}


def test_a_request_stores_nothing_and_asks_for_reasoning_that_it_can_say_back() -> None:
    assert asked(PROMPT, HELLO, tools=[TOOL]) == {
        "model": "some-model",
        "instructions": "You help.",
        "input": [
            {
                "type": "message",
                "role": "user",
                "content": [{"type": "input_text", "text": "Hello"}],
            }
        ],
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "tools": [{"type": "function", "strict": False, **TOOL["function"]}],
        "stream": True,
    }


def test_what_a_profile_says_goes_by_its_name_there() -> None:
    profile = Profile(
        max_output_tokens=500,
        reasoning_effort="low",
        parallel_tool_calls=False,
        temperature=0.5,
        extra_body={"service_tier": "flex"},
    )
    body = asked(HELLO, profile=profile, tools=[TOOL])
    assert body["max_output_tokens"] == 500
    assert body["reasoning"] == {"effort": "low"}
    assert body["parallel_tool_calls"] is False
    assert body["temperature"] == 0.5
    assert body["extra_body"] == {"service_tier": "flex"}
    assert body.keys().isdisjoint({"max_completion_tokens", "reasoning_effort", "stream_options"})


def test_strict_tools_are_strict_there_too() -> None:
    (tool,) = asked(HELLO, profile=Profile(strict_tools=True), tools=[TOOL])["tools"]
    assert tool["strict"] is True
    assert tool["parameters"]["required"] == ["limit"]


def test_no_tools_are_no_list() -> None:
    assert "tools" not in asked(HELLO)


def test_a_prompt_for_developers_is_one_here_too() -> None:
    body = asked(PROMPT, HELLO, profile=Profile(system_role="developer"))
    assert body["instructions"] == "You help."
    assert [item["role"] for item in body["input"]] == ["user"]


def test_a_later_prompt_stays_where_it_is() -> None:
    items = asked(PROMPT, HELLO, {"role": "system", "content": "Be brief."})["input"]
    assert [item["role"] for item in items] == ["user", "system"]


def test_a_round_of_tools() -> None:
    said = {"role": "assistant", "content": "Let me see.", "tool_calls": [call("a"), call("b")]}
    results = [{"role": "tool", "tool_call_id": each, "content": each.upper()} for each in "ab"]
    assert list(input_items([said, *results])) == [
        {
            "type": "message",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Let me see."}],
        },
        {"type": "function_call", "call_id": "a", "name": "list_tasks", "arguments": "{}"},
        {"type": "function_call", "call_id": "b", "name": "list_tasks", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "a", "output": "A"},
        {"type": "function_call_output", "call_id": "b", "output": "B"},
    ]


def test_what_is_blank_is_left_out() -> None:
    blank = [
        {"role": role, "content": text} for role in ("user", "assistant") for text in ("", " ")
    ]
    assert list(input_items([*blank, {"role": "assistant", "content": None}])) == []


def test_the_providers_own_items_go_back_in_place_of_the_text() -> None:
    message = {"type": "message", "role": "assistant", "id": "m", "content": [{"text": "Hm."}]}
    items = [thought(encrypted_content="x=="), message, called("a")]
    said = {"role": "assistant", "content": "Hm.", "tool_calls": [call("a")]}
    assert list(input_items([said | {"responses_output": items}])) == items


def test_a_call_goes_back_by_the_id_that_its_result_names() -> None:
    items = [called("", arguments="{"), called("same"), called("same")]
    calls = [call("ours"), call("same"), call("other", '{"limit": 1}')]
    said = {"role": "assistant", "tool_calls": calls, "responses_output": items}
    returned = list(input_items([said]))
    assert [item["call_id"] for item in returned] == ["ours", "same", "other"]
    assert [item["arguments"] for item in returned] == ["{}", "{}", '{"limit": 1}']


def test_a_call_that_no_item_told_of_goes_back_after_them() -> None:
    items = [thought(encrypted_content="x==")]
    said = {"role": "assistant", "tool_calls": [call("a")], "responses_output": items}
    assert [item["type"] for item in input_items([said])] == ["reasoning", "function_call"]


def test_text_that_no_item_told_of_goes_back_before_them() -> None:
    said = {"role": "assistant", "content": "Hm.", "tool_calls": [call("a")]}
    returned = input_items([said | {"responses_output": [called("a")]}])
    assert [item["type"] for item in returned] == ["message", "function_call"]


def test_calls_that_were_read_from_the_text_do_not_stand_in_it_too() -> None:
    content = [{"type": "output_text", "text": "Hm. <tool_call>{}</tool_call>"}]
    items = [thought(encrypted_content="x=="), {"type": "message", "content": content}]
    said = {"role": "assistant", "content": "Hm.", "tool_calls": [call("a")]}
    message, _, made = input_items([said | {"responses_output": items}])
    assert message["content"] == [{"type": "output_text", "text": "Hm."}]
    assert made["call_id"] == "a"


def test_reasoning_that_cannot_be_read_again_is_left_out_with_all_that_names_it() -> None:
    items = [thought(encrypted_content=None), called("a")]
    said = {"role": "assistant", "tool_calls": [call("a")], "responses_output": items}
    (returned,) = input_items([said])
    assert returned["type"] == "function_call"
    assert "id" not in returned


def test_a_model_that_gives_no_reasoning_is_asked_for_none_and_told_of_none() -> None:
    items = [thought(encrypted_content="x=="), called("a")]
    said = {"role": "assistant", "tool_calls": [call("a")], "responses_output": items}
    body = responses_body({"model": "m", "messages": [HELLO, said]}, encrypted=False)
    assert "include" not in body
    _, returned = body["input"]
    assert returned == {name: value for name, value in called("a").items() if name != "id"}


def test_reasoning_in_plain_words_goes_back() -> None:
    """As open models give it."""
    item = thought(content=[{"type": "reasoning_text", "text": "Hm."}], status=None)
    said = {"role": "assistant", "tool_calls": [call("a")], "responses_output": [item, called("a")]}
    first, _ = input_items([said])
    assert first == {name: value for name, value in item.items() if name != "status"}


def test_reasoning_that_led_to_nothing_does_not_go_back() -> None:
    items = [thought(encrypted_content="x==")]
    said = {"role": "assistant", "content": None, "responses_output": items}
    assert list(input_items([said])) == []


STEPS = st.lists(
    st.one_of(
        st.sampled_from(["Let me see. ", "Hm."]),
        st.builds(Thought, st.sampled_from(["", "hm"]), st.sampled_from(["sealed", None])),
        st.builds(Call, st.just("f"), st.just({}), st.sampled_from(["", "a", "b"])),
    ),
    max_size=6,
)


def as_the_loop_says_it(steps: list[Any], number: int) -> list[dict[str, Any]]:
    """A round of an answer of these steps, its calls with ids of their own, and its results."""
    answer = ResponsesAnswer()
    events = [event for each in told(*steps) for event in answer.feed(sse(each))]
    events += answer.close()
    text = "".join(event.text for event in events if isinstance(event, Text))
    ready = [event for event in events if isinstance(event, ToolCallReady)]
    calls = [call(f"{number}-{event.index}") for event in ready]
    said = {"role": "assistant", "content": text, "tool_calls": calls, **answer.kept}
    results = [{"role": "tool", "tool_call_id": each["id"], "content": "{}"} for each in calls]
    return [said, *results]


@settings(deadline=None)
@given(st.lists(STEPS, max_size=4))
def test_whatever_was_said_goes_back_in_a_form_that_is_taken(rounds: list[list[Any]]) -> None:
    messages = [
        said for place, steps in enumerate(rounds) for said in as_the_loop_says_it(steps, place)
    ]
    items = list(input_items(messages))
    check_items(items)
    check_outputs(items)  # every call has its output, after it
    for place, item in enumerate(items):
        if item["type"] == "reasoning":
            assert item["encrypted_content"]
            assert items[place + 1]["type"] in {"reasoning", "message", "function_call"}
