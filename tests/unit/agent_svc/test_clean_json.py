"""Arguments are mended where that is certain, and what broke off never becomes whole."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent_svc.clean_json import clean

WHOLE = '{"status":"todo"}'
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-9, 9)
    | st.text(alphabet="ab\",'{}[]:\\\n", max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=2), inner),
    max_leaves=6,
)
OBJECTS = st.dictionaries(st.text(alphabet="abc", min_size=1, max_size=3), VALUES, min_size=1)


@pytest.mark.parametrize(
    "written",
    [
        WHOLE,
        json.dumps(WHOLE),
        json.dumps(json.dumps(WHOLE)),
        '{"status":"todo",}',
        '{"status":"todo" , \n}',
        '{"status":"todo"}}',
        '{"status":"todo"} ]}',
        '{}{"status":"todo"}',
        '```json\n{"status":"todo"}\n```',
        "{'status': 'todo'}",
    ],
)
def test_what_can_mean_one_thing_only_is_made_clean(written: str) -> None:
    assert json.loads(clean(written)) == {"status": "todo"}


def test_what_python_prints_is_read() -> None:
    assert json.loads(clean("{'a': True, 'b': None, 'c': 'it\\'s'}")) == {
        "a": True,
        "b": None,
        "c": "it's",
    }


def test_line_breaks_may_stand_in_strings() -> None:
    assert json.loads(clean('{"text":"one\ntwo",}')) == {"text": "one\ntwo"}


def test_commas_within_strings_stay() -> None:
    assert json.loads(clean('{"text":"a,}",}')) == {"text": "a,}"}


@pytest.mark.parametrize("written", ["null", "None", "{}", '"{}"'])
def test_nothing_is_an_empty_object(written: str) -> None:
    assert clean(written) == "{}"


@pytest.mark.parametrize(
    "written",
    [
        *("", " ", "[1]", "7", '"text"', "{", '{"a": tr', '{"a": NaN}', "{a: 1}", "todo"),
        *('{"a": 1} and more', '{"a": 1}{"b": 2}', "{'a': open('x')}", '{"a": 1', '"{\\"a\\": 1"'),
        *("{}" * 9, "{" * 5000, '{"a":' * 5000, "{'a':" * 5000, '{"' + '\\"' * 50_000, "-" * 9999),
    ],
)
def test_what_cannot_be_read_stays_as_it_was_written(written: str) -> None:
    assert clean(written) == written


@given(OBJECTS, st.sampled_from([None, 1]))
def test_whole_arguments_are_not_touched(value: dict[str, object], indent: int | None) -> None:
    text = json.dumps(value, indent=indent)
    assert clean(text) == text


def dressed(value: dict[str, object]) -> list[str]:
    """The ways in which an object may be written."""
    text = json.dumps(value)
    return [text, json.dumps(text), repr(value), f"```json\n{text}\n```", f"{text[:-1]},}}"]


@given(OBJECTS)
@example({"a": {"b": [1, {"c": "}"}]}})
def test_any_dress_of_an_object_is_read_as_the_object(value: dict[str, object]) -> None:
    for text in dressed(value):
        assert json.loads(clean(text)) == value


@given(OBJECTS, st.data())
def test_arguments_that_broke_off_never_become_whole(
    value: dict[str, object], data: st.DataObject
) -> None:
    text = data.draw(st.sampled_from(dressed(value)))
    part = clean(text[: data.draw(st.integers(1, len(text) - 1))])
    try:
        read = json.loads(part)
    except ValueError:
        return
    # Whole but for the rest of its dress, such as the end of a fence.
    assert not isinstance(read, dict) or read == value
