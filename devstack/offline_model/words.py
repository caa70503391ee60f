"""The words that the rules know: of kinds, of statuses, and of what is wanted. Pure."""

import re
from enum import StrEnum
from typing import Final, Literal

Kind = Literal["task", "project", "note", "checkpoint"]
KINDS: Final[tuple[Kind, ...]] = ("task", "project", "note", "checkpoint")
Shape = Literal["chart", "table", "timeline"]


class Act(StrEnum):
    """What a message asks for."""

    LIST = "list"
    SEARCH = "search"
    COUNT = "count"
    OVERVIEW = "overview"
    CREATE = "create"
    UPDATE = "update"
    COMPLETE = "complete"
    DELETE = "delete"
    SUGGEST = "suggest"
    APPROVE = "approve"
    REMEMBER = "remember"
    RECALL = "recall"
    TALK = "talk"


KIND_WORDS: Final[tuple[tuple[Kind, str], ...]] = (
    ("checkpoint", r"check-?points?|milestones?"),
    ("project", r"projects?"),
    ("note", r"notes?|jot|write down"),
    # "Overdue" alone speaks of tasks; "overdue checkpoints" does not.
    ("task", r"tasks?|to-?dos?(?! to\b)|overdue(?! (?:\w+ )?(?:check-?|mile|proj|note))"),
)

_STATUS: Final[tuple[tuple[str, str], ...]] = (
    ("in_progress", r"in[ _-]progress|doing|started|underway|being worked on"),
    ("todo", r"to[ _-]?do|not started|open|unstarted"),
    ("done", r"done|completed|complete|finished|closed"),
    ("blocked", r"blocked"),
    ("on_hold", r"on[ _-]hold|paused"),
    ("active", r"active"),
)
# The words of one kind's statuses, where the two kinds word the same thing otherwise.
_PROJECT_STATUS: Final = {"done": "completed", "in_progress": "active", "todo": "active"}
_TASK_STATUS: Final = {"active": "in_progress"}
ANY_STATUS = "|".join(pattern for _, pattern in _STATUS)

ACTS: Final[tuple[tuple[Act, str], ...]] = (
    (
        Act.RECALL,
        r"\bwhat (?:do|did) you (?:remember|know)\b|\bdo you remember\b|"
        r"\bwhat did (?:i|we) (?:say|tell|talk|discuss)\b|\bwhat(?:'s| is) my name\b|\bwho am i\b",
    ),
    (
        Act.REMEMBER,
        r"^(?:call me|my name is|i(?: would|'d)? prefer|i (?:always |really )?like|from now on|"
        r"remember(?: that)?|i am called|keep in mind)\b",
    ),
    (Act.APPROVE, r"^(?:approve|accept|confirm)\b"),
    (
        Act.SUGGEST,
        r"\b(?:suggest|propose)\b|^(?:plan|draft) (?:some |the )?(?:checkpoints|milestones)",
    ),
    (Act.DELETE, r"^(?:delete|remove|erase|drop|get rid of|throw away)\b"),
    (
        Act.CREATE,
        r"^(?:add|create|make|new|schedule|write down|write|jot down|jot|take|note that|note:|"
        r"remind me to|start a new|set up|i (?:need|have|must|want) to (?!see|know))\b",
    ),
    (
        Act.COMPLETE,
        r"^(?:complete|finish|check off|tick off|close|resolve)\b|"
        r"^(?:mark|set|move)\b.*\b(?:done|completed?|finished)\W*$|^i(?:'ve| have)? "
        r"(?:finished|completed|done|did)\b|\bis (?:done|finished)[.!]?$",
    ),
    (
        Act.UPDATE,
        r"^(?:move|rename|change|update|set|mark|assign|reassign|postpone|reschedule|push|start|"
        r"put|edit|retitle|prioriti[sz]e|append|reopen)\b",
    ),
    (
        Act.OVERVIEW,
        r"\b(?:overview|dashboard|summary|summari[sz]e|how am i doing|"
        r"where do (?:i|we|things) stand|status report|catch me up|brief me)\b",
    ),
    (
        Act.COUNT,
        r"\bhow many\b|\bcount\b|\b(?:by|per) (?:status|priority|assignee|project|week)\b|"
        r"\bbreakdown\b|"
        r"\bnumber of\b",
    ),
    (
        Act.SEARCH,
        r"^(?:find|search|look (?:for|up))\b|\b(?:about|mention(?:s|ing)?|contain(?:s|ing)?)\b",
    ),
    (
        Act.LIST,
        r"\b(?:list|show|see|display|which|what|what's|whats|give me|get|view|my|all|any|open)\b|"
        r"\b(?:overdue|due|late)\b|\?$",
    ),
)
# Words that stand between the verb and the title.
FILLER = re.compile(
    r"^(?:(?:a|an|the|my|me|some|all|any|new|of|for|that|to|about|called|named|titled|with|item|"
    r"down|check-?points?|milestones?|projects?|notes?|tasks?|to-?dos?|title|name|:|-|–)"
    r"(?=\W|$)[ :,–-]*)+",
    re.I,
)


def kind_of(text: str) -> Kind | None:
    """Returns the kind whose word comes first in a text, None where none is named."""
    found = [
        (match.start(), kind)
        for kind, pattern in KIND_WORDS
        if (match := re.search(rf"\b(?:{pattern})\b", text, re.I))
    ]
    return min(found)[1] if found else None


def status_word(text: str, kind: Kind) -> str:
    """Returns a status as entities of a kind spell it: 'in progress' is 'in_progress'."""
    word = next((word for word, pattern in _STATUS if re.fullmatch(pattern, text, re.I)), "")
    other = _PROJECT_STATUS if kind == "project" else _TASK_STATUS
    return other.get(word, word) or text.lower().replace(" ", "_")
