"""What a message wants, read by rules. Pure.

A message loses its clauses one after another (a quoted title, a priority, a date, a
project …); what is left is the title. Quoted text is taken out first, so that no
word of a title is read as a wish.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime

from devstack.offline_model.dates import DAY_PHRASE, RANGE_PHRASE, Range, due_at, range_of
from devstack.offline_model.words import (
    ACTS,
    ANY_STATUS,
    FILLER,
    KIND_WORDS,
    Act,
    Kind,
    Shape,
    kind_of,
    status_word,
)


@dataclass(frozen=True, slots=True)
class Filters:
    """Which items are meant; None leaves one open."""

    status: str | None = None
    priority: str | None = None
    assignee: str | None = None
    overdue: bool = False
    due: Range | None = None


@dataclass(frozen=True, slots=True)
class Intent:
    """One message, understood.

    `title` is the item that is meant, the new item's title, or the words to search
    for. `changes` are fields to set, named as entities name them.
    """

    act: Act
    kind: Kind
    title: str = ""
    changes: dict[str, str | int] = field(default_factory=dict)
    filters: Filters = Filters()
    shape: Shape | None = None
    project: str | None = None
    dates: tuple[int, ...] = ()


_QUOTED = re.compile(r"\"([^\"]{1,500})\"|(?<![\w])'([^']{1,500})'(?!\w)|`([^`]{1,500})`")
_MARK = "\x00"
_OF_TASKS = re.compile(r"\b(?:due|overdue|late|in[ _-]progress|blocked)\b")
# "Show the task Buy milk", and no "show the task list".
_ONE = re.compile(
    r"^(?:show|see|display|open|get|view)(?: me)? (?:the |my )?"
    r"(?:task|project|note|check-?point|milestone):? (?:called |named |titled )?"
    r"(?!(?:list|board|chart|graph|table|timeline|titles?|names?|that|which|with|by)\b)(\S.*)$",
    re.I,
)
_POLITE = re.compile(
    r"^(?:(?:hey|hi|hello|ok|okay|please|now|and|then|also)\b[ ,!]*)*"
    r"(?:(?:can|could|would|will) you (?:please )?|i(?:'d| would) like (?:you )?to |"
    r"i (?:want|need) (?:you )?to (?=add|create|make|delete|remove|complete|finish|move|set|rename|"
    r"see|list|show|find|search)|let'?s |please )?",
    re.I,
)


def read(message: str, default: Kind, now: datetime) -> Intent:
    """Returns what a message asks for; `default` is the kind where no word names one."""
    text = _straight(message)
    act = _act(text)
    match act:
        case Act.REMEMBER:
            return Intent(act, default, changes={**preferences(text)})
        case Act.RECALL | Act.TALK:
            return Intent(act, default, title=text)
        case _:
            return _Reader(text, act, default, now).intent()


def _straight(message: str) -> str:
    text = message.translate({0x201C: '"', 0x201D: '"', 0x201E: '"', 0x2018: "'", 0x2019: "'"})
    text = " ".join(text.replace(_MARK, " ").split())
    return _POLITE.sub("", text, count=1).strip()


def _act(text: str) -> Act:
    bare = _QUOTED.sub("x", text).lower()
    found = next((act for act, pattern in ACTS if re.search(pattern, bare)), None)
    if found is None:
        return Act.LIST if kind_of(bare) else Act.TALK
    if found is Act.LIST and not kind_of(bare) and not _OF_TASKS.search(bare):
        return Act.TALK
    return found


_ANOTHER = re.compile(
    r"(?:[,;.]\s*(?:and\s+)?|\s+and\s+)(?=(?:please )?(?:call me|my name is|i am called"
    r"|i(?: would|'d)? prefer|i (?:always |really )?like|my [\w ]{1,40}? is)\s)",
    re.I,
)
"""Where a second thing to remember begins."""


def preferences(text: str) -> dict[str, str]:
    """Returns all that is to be remembered: 'I prefer tea, call me Sam' holds two things."""
    return dict(preference(part) for part in _ANOTHER.split(text))


def preference(text: str) -> tuple[str, str]:
    """Returns (key, value) of something to remember: 'call me Sam' is ('name', 'Sam')."""
    text = text.strip(" .!")
    bare = re.sub(
        r"^(?:remember(?: that)?|keep in mind(?: that)?|from now on)[ ,:]*", "", text, flags=re.I
    )
    if match := re.match(r"(?:please )?(?:call me|my name is|i am called) (.+)", bare, re.I):
        return "name", match[1].strip("\"'")
    if match := re.match(r"i(?: would|'d)? prefer (.+)", bare, re.I):
        value = match[1]
        topic = "answer_style" if re.search(r"answer|repl|response", value, re.I) else _slug(value)
        return topic, value
    if match := re.match(r"my ([\w ]{1,40}?) is (.+)", bare, re.I):
        return _slug(match[1]), match[2]
    if match := re.match(r"i (?:always |really )?like (.+)", bare, re.I):
        return f"likes_{_slug(match[1])}"[:60], match[1]
    return _slug(bare), bare


def _slug(text: str) -> str:
    slug = "_".join(re.findall(r"[a-z0-9]+", text.lower())[:4])[:60]
    return slug if slug[:1].isalpha() else f"about_{slug}"


class _Reader:
    """Takes a message apart, clause by clause."""

    def __init__(self, text: str, act: Act, default: Kind, now: datetime) -> None:
        self._quotes: list[str] = []
        self._text = _QUOTED.sub(self._keep, text)
        self._act = act
        self._kind = kind_of(self._text) or default
        self._now = now
        self._changes: dict[str, str | int] = {}

    def _keep(self, match: re.Match[str]) -> str:
        self._quotes.append(next(group for group in match.groups() if group is not None))
        return f" {_MARK}{len(self._quotes) - 1}{_MARK} "

    def _restore(self, text: str) -> str:
        whole = re.sub(
            rf"{_MARK}(\d+){_MARK}", lambda match: f'"{self._quotes[int(match[1])]}"', text
        )
        whole = " ".join(whole.split()).strip(" .,;:!?")
        lone = re.fullmatch(r'"([^"]*)"', whole)
        return lone[1] if lone else whole

    def _take(self, pattern: str) -> re.Match[str] | None:
        """Cuts the first match out of the text."""
        match = re.search(pattern, self._text, re.I)
        if match:
            self._text = f"{self._text[: match.start()]} {self._text[match.end() :]}"
        return match

    def intent(self) -> Intent:
        shape = self._shape()
        if self._act is Act.UPDATE:
            self._renaming()
        match self._act:
            case Act.CREATE | Act.UPDATE | Act.COMPLETE | Act.DELETE | Act.APPROVE | Act.SUGGEST:
                project = self._project()
                self._fields()
                filters = Filters()
            case _:
                project = self._project()
                filters = self._filters()
        dates = tuple(
            due
            for phrase in re.findall(DAY_PHRASE, self._text, re.I)
            if self._act is Act.SUGGEST and (due := due_at(phrase, self._now)) is not None
        )
        return Intent(
            self._act, self._kind, self._title(), self._changes, filters, shape, project, dates
        )

    def _shape(self) -> Shape | None:
        match = self._take(
            r"\b(?:as|in|with|on) (?:a |an )?(?:\w+ )?(chart|graph|table|timeline)\b|"
            r"\b(chart|graph|table|timeline|plot) (?:of|for)\b|^(chart|graph|plot)\b"
        )
        word = next((group for group in match.groups() if group), "").lower() if match else ""
        if word in ("chart", "graph", "plot"):
            return "chart"
        return "table" if word == "table" else "timeline" if word == "timeline" else None

    def _project(self) -> str | None:
        """The project that a clause names; 'put project X on hold' names none."""
        if self._kind == "project":
            return None
        verb = r"(?:in|to|for|under|of|from|on)"
        stop = rf"(?= (?:due|by|with|as|at|on|which|that|is|are)\b|[.,?!]|$|{_MARK})"
        match = self._take(rf"\b{verb} (?:the |my )?project:? ({_MARK}\d+{_MARK}|.+?){stop}") or (
            self._take(
                rf"\b{verb} (?:the |my )?((?:(?!\b(?:in|to|for|of|on)\b)[^{_MARK}])+?) project\b"
            )
            or self._take(rf"\b{verb} (?:the |my )?({_MARK}\d+{_MARK}) project\b")
        )
        if not match:
            return None
        return self._restore(match[1])

    def _renaming(self) -> None:
        match = self._take(r"^(rename|retitle)\b(.*?)\b(?:to|as|into)\b(.*)$") or self._take(
            r"^(change|set|update)\b(?: the)? (?:title|name) of\b(.*?)\bto\b(.*)$"
        )
        if match:
            field_name = "name" if self._kind == "project" else "title"
            self._changes[field_name] = self._restore(match[3])
            self._text = f"rename {match[2]}"

    def _fields(self) -> None:
        """Reads the fields to set."""
        if self._kind == "note":
            self._content()
        if match := self._take(
            r"^(?:set|change|update|put|make) (?:the )?priority of\b(?P<of>.*)\bto "
            r"(?P<to>low|medium|high|urgent)\b"
        ):
            self._changes["priority"] = (
                "high" if match["to"].lower() == "urgent" else match["to"].lower()
            )
            self._text = f"set {match['of']}"
        elif match := self._take(
            r"[,(]?\s*\b(?:with |as |at |to |is |has )*(?:a |the )?"
            r"(?:priority:? (?:of |to |is |= ?)?(low|medium|high|urgent)|"
            r"(low|medium|high|urgent)[ -]priority)\b\)?"
        ):
            word = (match[1] or match[2]).lower()
            self._changes["priority"] = "high" if word == "urgent" else word
        if self._kind == "task" and (
            match := self._take(
                rf"[,]?\s*\b(?:assigned to|assign(?:ed)? it to|assignee:?) "
                rf"({_MARK}\d+{_MARK}|(?-i:[A-Z])\w*)"
            )
        ):
            self._changes["assignee"] = self._restore(match[1])
        if self._kind == "task" and (
            match := self._take(r"^(?:re)?assign\b(.*)\bto ((?:\w|\x00)+)\W*$")
        ):
            self._changes["assignee"] = self._restore(match[2])
            self._text = f"assign {match[1]}"
        self._day()
        self._status()

    def _content(self) -> None:
        if match := self._take(
            r"^(?:set|change|update|replace) (?:the )?(?:content|text|body) of\b(.+?)\bto\b (.+)$"
        ):
            self._changes["content"] = self._restore(match[2])
            self._text = f"set {match[1]}"
        elif match := self._take(
            r"[,;:]?\s*\b(?:(?:with|and) )?(?:(?:the|a) )?"
            r"(?:(?:content|text|body)(?: of| to| is)?|saying|that says)\b:? (.+)$"
        ):
            self._changes["content"] = self._restore(match[1])

    def _day(self) -> None:
        lead = r"(?:,? ?\b(?:due date|due|by|until|deadline|on|for|dated?|at|to)\b:?\s*)*"
        if self._kind == "project" or self._act in (Act.DELETE, Act.APPROVE, Act.SUGGEST):
            return
        if self._kind == "note":
            return
        match = self._take(rf"{lead}\b({DAY_PHRASE})(?=\W|$)")
        due = due_at(match[1], self._now) if match else None
        if due is not None:
            self._changes["date" if self._kind == "checkpoint" else "dueDate"] = due

    def _status(self) -> None:
        if self._act not in (Act.UPDATE, Act.CREATE) or self._kind not in ("task", "project"):
            return
        if re.match(r"^(start|reopen)\b", self._text, re.I):
            self._changes["status"] = "in_progress" if self._text[:1] in "sS" else "todo"
            return
        match = self._take(
            rf"[,]?\s*\b(?:(?:(?:to|as|with|is|of) )?status:? (?:to |as |is |= ?)?|to |as |is )?"
            rf"({ANY_STATUS})\W*$"
        )
        if match:
            self._changes["status"] = status_word(match[1], self._kind)
            self._text = re.sub(r"\b(?:to|as|status(?: of)?)\s*$", "", self._text, flags=re.I)

    def _filters(self) -> Filters:
        overdue = self._take(r"\b(?:overdue|past due|late)\b") is not None
        when = self._take(
            rf"\b(?:(?:due|for|on|by|scheduled|happening|dated) )*({RANGE_PHRASE})\b"
        ) or self._take(rf"\b(?:due|by|scheduled|happening|on) (?:on |by )?({DAY_PHRASE})")
        due = range_of(when[1], self._now) if when else None
        priority = self._take(
            r"\b(low|medium|high|urgent)[ -]priority\b|\bpriority (low|medium|high)\b"
        )
        word = (priority[1] or priority[2]).lower() if priority else None
        assignee = self._take(r"\b(?:assigned to|of|for|by) ((?-i:[A-Z])\w+)\b(?! project)")
        status = self._take(rf"\b(?:by|per) status\b|\b({ANY_STATUS})\b")
        return Filters(
            status=status_word(status[1], self._kind) if status and status[1] else None,
            priority="high" if word == "urgent" else word,
            assignee=assignee[1] if assignee and assignee[1] != "I" else None,
            overdue=overdue,
            due=due,
        )

    def _title(self) -> str:
        """What is left: a quoted text if there is one, else the words."""
        if match := re.search(rf"{_MARK}(\d+){_MARK}", self._text):
            return self._quotes[int(match[1])].strip()
        if self._act in (Act.LIST, Act.COUNT, Act.OVERVIEW):
            one = _ONE.match(self._text.strip()) if self._act is Act.LIST else None
            return self._restore(one[1]) if one else ""
        if self._act is Act.SEARCH and (
            match := re.search(
                r"\b(?:about|mention(?:s|ing)?|contain(?:s|ing)?|for|matching|with|called|named)\b(.*)$",
                self._text,
                re.I,
            )
        ):
            return self._restore(FILLER.sub("", match[1].strip()))
        verb = next(pattern for act, pattern in ACTS if act is self._act)
        text = self._text.strip()
        match = re.match(verb, text, re.I)
        if match and self._act is not Act.COMPLETE:
            text = text[match.end() :]
        elif self._act is Act.COMPLETE:
            text = _completing(text)
        if self._act is Act.UPDATE:
            text = re.sub(
                r"^\s*(?:the )?(?:status|priority|due date|deadline|date|assignee) (?:of|for)\b",
                "",
                text,
                flags=re.I,
            )
            text = re.sub(r"\b(?:the )?(?:status|priority|due date)\s*$", "", text, flags=re.I)
            text = re.sub(r"\b(?:to|as|on|by|until)\s*$", "", text.strip(), flags=re.I)
        return self._restore(_trimmed(text, self._kind))


def _completing(text: str) -> str:
    text = re.sub(
        r"^(?:mark|set|move|complete|finish|check off|tick off|close|resolve|i(?:'ve| have)? "
        r"(?:finished|completed|done|did))\b",
        "",
        text,
        flags=re.I,
    )
    return re.sub(r"\b(?:(?:as|to|is)\s+)?(?:done|completed?|finished)\W*$", "", text, flags=re.I)


def _trimmed(text: str, kind: Kind) -> str:
    """Cuts filler before a title, and the kind's own word behind it ('the Apollo project')."""
    text = FILLER.sub("", text.strip())
    plain = next(pattern for name, pattern in KIND_WORDS if name == kind)
    return re.sub(rf"\s+(?:{plain})\W*$", "", text, flags=re.I)
