"""Thinking is taken out of an answer in any dress and any cut; prose about it stays."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.thinking import Thinking


def shown(*pieces: str, opens: bool = False, whole: bool = True) -> str:
    thinking = Thinking(opens)
    return "".join(map(thinking.feed, pieces)) + thinking.close(whole=whole)


def cut(text: str, cuts: list[int]) -> list[str]:
    places = sorted(place % (len(text) + 1) for place in cuts)
    return [text[a:b] for a, b in zip([0, *places], [*places, len(text)], strict=True)]


CUTS = st.lists(st.integers(0, 10_000), max_size=8)

PAIRS = [
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
]
FINAL = "<|start|>assistant<|channel|>final<|message|>"
DRESSED = [
    ("<think>plan</think>whole", "whole"),
    ("<thinking>plan</thinking>\n\nwhole", "whole"),
    ("<thought>plan</thought>whole", "whole"),
    ("<Think>plan</THINK>whole", "whole"),
    ("\n\n  <think>\nplan\n</think>\n\nwhole", "whole"),
    ("<think></think>whole", "whole"),
    ("<ſeed:think>whole", "<ſeed:think>whole"),
    ("[THINK]plan[/THINK]whole", "whole"),
    ("◁think▷plan◁/think▷whole", "whole"),
    ("<seed:think>plan</seed:think>whole", "whole"),
    ("<|START_THINKING|>plan<|END_THINKING|><|START_RESPONSE|>whole<|END_RESPONSE|>", "whole"),
    (f"<|channel|>analysis<|message|>plan<|end|>{FINAL}whole<|return|>", "whole"),
    (f"<|channel|>analysis<|message|>plan{FINAL}whole", "whole"),
    (f"<|start|>assistant<|channel|>analysis<|message|>plan<|end|>{FINAL}whole", "whole"),
    (f"{FINAL}whole<|end|>", "whole"),
    (
        "<|channel|>analysis<|message|>plan<|end|><|start|>assistant<|channel|>commentary"
        f" to=functions.f <|constrain|>json<|message|>{{}}<|call|>{FINAL}whole",
        "whole",
    ),
    ("<think>one</think><think>two</think>whole", "whole"),
    ("Hello.\n<think>plan</think>\nworld.", "Hello.\nworld."),
    ("<think>plan of `</think>` here</think>whole", "whole"),
    ("<think>plan</think>\nwhole\n</think>\nmore", "whole\nmore"),
    ('<think>plan</think>{"type":"text","content":"whole"}', '{"type":"text","content":"whole"}'),
    ("<think>plan</think>\n<answer>\nwhole</answer>", "whole"),
    ("<think>plan without an end", ""),
    ("<|channel|>analysis<|message|>plan without an end", ""),
    ("</think>\n\nwhole", "whole"),
    ("</think>whole", "whole"),
    ('<think time="3s">plan</think>whole', "whole"),
    ("<think time='3s' n=2 >plan</think>\nwhole", "whole"),
    ('<thinking type="x">\nplan\n</thinking>\n\nwhole', "whole"),
    ("Sure. <think>plan</think>Answer", "Sure. Answer"),
    ("Sure.<think>\nplan `x` <b>\n</think>\n\nAnswer", "Sure.\n\nAnswer"),
    ('Sure. <think time="3s">plan</think>Answer', "Sure. Answer"),
    ("Sure. [THINK]plan[/THINK]Answer", "Sure. Answer"),
    ("One. <think>a</think>Two. <think>b</think>Three.", "One. Two. Three."),
    ("analysisThe user wants it.assistantfinalHello", "Hello"),
    ("\nanalysis用户想要assistantfinal你好", "你好"),
    ("analysisWe call.assistantcommentary to=f json{}assistantfinalHello", "Hello"),
]

PROSE = [
    "",
    "plain words",
    "  indented, and ends in space \n\n",
    "Models write `<think>` and `</think>` around their plans.",
    "A tag <think> in a sentence, and </think> too.",
    "A </think> b",
    "Say <answer>yes</answer>.",
    "```\n<think>\nx\n</think>\n```\nafter",
    "```xml\n<think>x</think>\n</think>\n```",
    "~~~\n<thought>x\n~~~",
    "````\n```\n<think>\n```\n````\n",
    "``a ` b`` and `<think>`",
    "a <b> c < d <thin <thinker>",
    "<thin",
    "<",
    "[TH",
    "[link](x) [1]",
    "the token <|end|> in prose, <|channel|> too",
    "`</think>`\nnext",
    '{"type":"text","content":"about <think>, </think>"}',
    "\r\nWindows\r\nlines\r\n",
    "tabs\t\n\t<thinker>",
    "the <think> tag opens, </think> closes",
    "It ends with </think>. Then the answer.",
    'Between <think>…</think> and </think>; also (</think>), "</think>" and </think>: all.',
    "Sure. <think>the tag never closes, and so this is text",
    "Sure. <think>the tag\n```\nnever\n``` <thought>closes",
    "<think about it",
    "<think tank=big, of course",
    '<thinker time="3s">',
    "A table | </think> | closes |",
    "**</think>** closes, _</think>_ too.",
    '{"type":"text","content":"ends with </think>"}',
    '{"type":"text","content":"a </think>tag, a <think>tag</think>, \\n</think> {x}"}',
    "Tags (<think>…</think>-style), the </think>-tag, |a| </think>|.",
    "analysis",
    "analysisThe user wants no end of it",
    "analysis of the data, by assistantfinalists",
    "analysisparalysis assistantfinal",
    "Analysis: the assistantfinal",
    "An analysisThe assistantfinalHello",
]


@pytest.mark.parametrize(("text", "answer"), DRESSED)
def test_thinking_is_not_shown_however_it_is_cut(text: str, answer: str) -> None:
    assert shown(text) == answer
    assert shown(*text) == answer
    for at in range(len(text)):
        assert shown(text[:at], text[at:]) == answer


@pytest.mark.parametrize("text", PROSE)
def test_prose_comes_out_byte_for_byte(text: str) -> None:
    for pieces in ([text], list(text), *([text[:at], text[at:]] for at in range(len(text)))):
        thinking = Thinking()
        assert "".join(map(thinking.feed, pieces)) + thinking.close() == text
        assert thinking.hidden == 0
        assert not thinking.lone


@given(st.sampled_from(PAIRS), st.text(max_size=30), st.sampled_from(PROSE), CUTS)
def test_whatever_the_plan_the_prose_after_it_is_what_is_shown(
    pair: tuple[str, str], plan: str, prose: str, cuts: list[int]
) -> None:
    opening, closing = pair
    text = opening + plan.translate(dict.fromkeys(map(ord, "`<[◁"))) + closing + prose
    assert shown(*cut(text, cuts)) == prose.lstrip()


PIECES = st.lists(
    st.sampled_from(
        [
            *("<think>", "</think>", "<thought>", "</thought>", '<think t="1">', "<think ", "="),
            *(
                "analysis",
                "assistantfinal",
                "plan",
                "Plan",
                " ",
                ". ",
                "\n",
                "`",
                "```",
                "{",
                "<b>",
            ),
        ]
    ),
    max_size=14,
).map("".join)


@given(st.one_of(st.text(alphabet="<>/thinko `~\n[]|a{}", max_size=60), PIECES), CUTS)
def test_any_text_gives_the_same_for_every_cut(text: str, cuts: list[int]) -> None:
    """But for a lone closing tag: what was given out before it cannot be recalled."""
    whole, pieces = Thinking(), Thinking()
    at_once = whole.feed(text) + whole.close()
    in_pieces = "".join(map(pieces.feed, cut(text, cuts))) + pieces.close()
    assert whole.lone == pieces.lone
    if whole.lone:
        assert in_pieces.endswith(at_once)
    else:
        assert in_pieces == at_once


@given(st.text(max_size=40), st.text(max_size=40), CUTS, st.sampled_from(["</think>", "[/THINK]"]))
def test_a_model_that_opens_its_thinking_shows_what_follows_its_end(
    plan: str, answer: str, cuts: list[int], closing: str
) -> None:
    plan = plan.translate(dict.fromkeys(map(ord, "`<[◁"))) + "secret"  # no tag of its own
    text = f"{plan}{closing}{answer}"
    assert shown(*cut(text, cuts), opens=True) == shown("<think></think>" + answer)


@given(st.text(max_size=60), CUTS)
def test_one_that_never_says_the_end_of_it_did_not_think(text: str, cuts: list[int]) -> None:
    assert shown(*cut(text, cuts), opens=True) == shown(text)
    assert shown(*cut("secret plan", cuts), opens=True, whole=False) == ""


@given(PIECES, CUTS)
def test_an_opening_that_nothing_closes_takes_nothing(text: str, cuts: list[int]) -> None:
    for tag in ("think", "thought"):
        text = text.replace(f"</{tag}>", "")
    text = "Sure: " + text.replace("\n", " ").replace("`", "")
    assert shown(*cut(text, cuts)) == text


def test_many_openings_that_nothing_closes_are_read_a_few_times_over() -> None:
    thinking = Thinking()
    text = "Sure: " + "<think>a <thought>b [THINK]c " * 3_000
    assert "".join(thinking.feed(text[at : at + 7]) for at in range(0, len(text), 7)) == "Sure: "
    assert thinking.close() == text.removeprefix("Sure: ")


def test_an_answer_that_was_cut_within_its_line_shows_no_thinking() -> None:
    assert shown("Sure. <think>secret", whole=False) == "Sure. "


def test_a_lone_closing_tag_within_a_line_takes_what_has_not_been_sent() -> None:
    for text in (
        "whole",
        "**whole**",
        "1. whole",
        "# whole",
        "你好",
        "<b>whole</b>",
        "- a\n- b",
        "|a|b|",
        "`x`",
    ):
        assert shown(f"secret plan</think>{text}") == text
    assert shown("secret plan</think><answer>whole</answer>") == "whole"
    thinking = Thinking()
    assert "".join(map(thinking.feed, ["secret plan", "</thi", "nk>", "whole"])) + thinking.close()
    assert (thinking.lone, thinking.late) == (True, True)


def test_a_lone_closing_tag_takes_what_has_not_been_sent() -> None:
    thinking = Thinking()
    assert thinking.feed("secret plan\n</think>\n\nwhole") == "whole"
    assert thinking.lone
    assert thinking.hidden > len("secret plan")
    assert shown("secret plan\n</think>", "\n\nwhole") == "whole"
    assert shown('secret plan</think>{"type":"text"}') == '{"type":"text"}'
    assert shown("secret plan\n</thi", "nk>", "\n", "\nwhole") == "whole"
    assert shown("secret plan</think>") == ""
    assert shown("sent. ", "secret\n</think>\nwhole") == "sent. whole"


def test_only_what_was_sent_before_its_end_came_too_late() -> None:
    for pieces, late in [
        (["secret\n</think>\nwhole"], False),
        (["\n\n", "secret\n</think>\nwhole"], False),
        (["secret", "\n</think>\nwhole"], True),
    ]:
        thinking = Thinking()
        shown = "".join(map(thinking.feed, pieces)) + thinking.close()
        assert (thinking.lone, thinking.late) == (True, late)
        assert ("secret" in shown) == late


def test_an_answers_own_tag_is_litter_after_thinking_alone() -> None:
    assert shown("<answer>whole</answer>") == "<answer>whole</answer>"


def test_text_is_held_back_no_longer_than_it_takes() -> None:
    thinking = Thinking()
    assert thinking.feed("Hello") == "Hello"
    assert thinking.feed(" wor") == " wor"
    assert thinking.feed("ld\n") == "ld\n"
    assert thinking.feed("<") == ""
    assert thinking.feed("b>") == "<b>"


def test_what_was_hidden_is_counted() -> None:
    thinking = Thinking()
    thinking.feed("<think>1234</think>Hi")
    assert thinking.hidden == len("<think>1234</think>")
