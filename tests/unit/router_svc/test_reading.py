"""A classifier's answer, as models write it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from router_svc.reading import parse
from router_svc.routing import AGENTS

GOOD = '{"agent":"task_agent","confidence":0.8,"reason":"x"}'


@pytest.mark.parametrize(
    ("content", "answer"),
    [
        (GOOD, ("task_agent", 0.8)),
        ('{"confidence":1,"agent":"note_agent"}', ("note_agent", 1.0)),
        ('```json\n{"agent":"task_agent","confidence":0}\n```', ("task_agent", 0.0)),
        ('```{"agent":"task_agent","confidence":0}```', ("task_agent", 0.0)),
        (f"Sure! Here it is:\n```\n{GOOD}\n```\nAnything else?", ("task_agent", 0.8)),
        (f"The answer is {GOOD}.", ("task_agent", 0.8)),
        (f'Perhaps {{"agent":"note_agent","confidence":1}}. No: {GOOD}', ("task_agent", 0.8)),
        ('{"route": {"agent": "task_agent", "confidence": 0.7}}', ("task_agent", 0.7)),
        ('{"agent":"task_agent","confidence":0.8,}', ("task_agent", 0.8)),
        ("{'agent': 'task_agent', 'confidence': 0.8, 'sure': True}", ("task_agent", 0.8)),
        ('{"Agent":"Task Agent","Confidence":"0.8"}', ("task_agent", 0.8)),
        ('{"agent":"TASK_AGENT","confidence":80}', ("task_agent", 0.8)),
        ('{"agent":"task","confidence":"80%"}', ("task_agent", 0.8)),
        ('{"agent":"tasks","confidence":"80 %"}', ("task_agent", 0.8)),
        ('{"agent":"task-agent","confidence":"0,8"}', ("task_agent", 0.8)),
        ('{"agent":"task_agent","confidence":"1%"}', ("task_agent", 0.01)),
        ('{"agent":"task_agent","confidence":100}', ("task_agent", 1.0)),
        ('{"agent":"task_agent","confidence":0.8,"reason":"a } and a {"}', ("task_agent", 0.8)),
        ("", None),
        ("task_agent", None),
        ("[]", None),
        ("null", None),
        ('{"agent":"task_agent"}', None),
        ('{"agent":"root_agent","confidence":1}', None),
        ('{"agent":["task_agent"],"confidence":1}', None),
        ('{"agent":"task_agent","confidence":"high"}', None),
        ('{"agent":"task_agent","confidence":true}', None),
        ('{"agent":"task_agent","confidence":101}', None),
        ('{"agent":"task_agent","confidence":-0.1}', None),
        ('{"agent":"task_agent","confidence":1e999}', None),
        ('{"agent":"task_agent","confidence":NaN}', None),
        ('{"agent":"task_agent","confidence":0.9', None),
    ],
)
def test_an_answer_names_an_agent_on_offer_or_none(
    content: str, answer: tuple[str, float] | None
) -> None:
    assert parse(content, AGENTS) == answer


def test_an_agent_that_is_not_on_offer_is_none() -> None:
    assert parse(GOOD, ["note_agent"]) is None


@given(st.text() | st.text("{}[]\"':,agent0 \\").map(lambda text: '{"agent":' + text))
def test_whatever_was_answered_the_agent_is_on_offer(content: str) -> None:
    answer = parse(content, AGENTS)
    assert answer is None or (answer[0] in AGENTS and 0 <= answer[1] <= 1)


@given(st.sampled_from(sorted(AGENTS)), st.integers(0, 100), st.text("abc {}\n`", max_size=30))
def test_what_stands_around_an_answer_does_not_change_it(
    agent: str, percent: int, around: str
) -> None:
    told = f'{{"agent": "{agent}", "confidence": "{percent}%"}}'
    assert parse(f"{around}{told}", AGENTS) == (agent, percent / 100)


@pytest.mark.parametrize("flood", ["{" * 100_000, "[" * 100_000, '{"a":' * 50_000, "{'" * 50_000])
def test_a_flood_is_read_at_once(flood: str) -> None:
    assert parse(flood, AGENTS) is None
