"""PURE: tool calls that a model writes into its text, in the dresses of several families.

    <tool_call>{"name": "list_tasks", "arguments": {}}</tool_call>      Hermes, Qwen
    <tool_call><function=list_tasks><parameter=status>todo…             Qwen3-Coder
    <tool_call>list_tasks<arg_key>status</arg_key><arg_value>…          GLM
    <function=list_tasks>{"status": "todo"}</function>                  Llama
    <function_calls><invoke name="list_tasks"><parameter name=…         Claude, MiniMax
    [TOOL_CALLS][{"name": "list_tasks", "arguments": {}}]               Mistral

None of it is for people, so outside of code it is never shown. A call is one to run only where
a line begins with it and nothing but calls follows: what a model quotes from a note, or shows
as an example, is no call.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from agent_svc.clean_json import clean
from agent_svc.events import ToolCallReady
from agent_svc.tool_calls import name_of
from runtime.prose import Openings, Prose, Span

MAX_CALLS: Final = 32
MAX_CHARACTERS: Final = 256 * 1024
"""Of one call; a longer one is not run."""

_OPENINGS: Final = Openings(
    [
        Span("<tool_call>", ("</tool_call>", "<|im_end|>")),
        Span("<function_call>", ("</function_call>",)),
        Span("<function=", ("</function>",)),
        Span("<function_calls>", ("</function_calls>",)),
        Span("<minimax:tool_call>", ("</minimax:tool_call>",)),
        Span("<|tool_call|>", ("<|/tool_call|>", "<|end_of_text|>")),
        Span("<|python_tag|>", ("<|eom_id|>", "<|eot_id|>")),
        Span("[tool_calls]", ("[/tool_calls]", "</s>")),
        Span("<｜tool▁calls▁begin｜>", ("<｜tool▁calls▁end｜>",)),
        Span("<|tool_calls_section_begin|>", ("<|tool_calls_section_end|>",)),
    ]
)
# What makes it the opening of a call, and not a word about one.
_CALL: Final = re.compile(r"\s{0,64}(?:[{\[<]|\w[\w.:-]{0,63}[\n<>{\[])")
_MAY_BE_CALL: Final = re.compile(r"\s{0,64}(?:\w[\w.:-]{0,63})?\Z")


class TextCalls(Prose):
    """The text of one answer, and the calls that were written into it."""

    def __init__(self) -> None:
        super().__init__(_OPENINGS)
        self._opening = ""
        self._begins_line = False
        self._pieces: list[str] = []
        self._size = 0
        self._found: list[ToolCallReady] = []

    @property
    def calls(self) -> list[ToolCallReady]:
        """The calls that the text ended with."""
        return list(self._found)

    def close(self) -> str:
        """What was held back. The end of the text ends a call, too."""
        shown = super().close()
        if self._span is None:
            return shown
        if not self._begins_line and self._size <= MAX_CHARACTERS:
            return shown + self._opening + "".join(self._pieces)  # a sentence about calls
        self._take(closed=False)
        return shown

    def _give(self, end: int) -> None:
        if self._found and self._text[self._at : end].strip():  # something follows the calls
            self._found.clear()
        super()._give(end)

    def _counts(self, span: Span, end: int, last: bool) -> bool | None:
        if _CALL.match(self._text, end):
            return True
        return None if not last and _MAY_BE_CALL.match(self._text, end) else False

    def _in_text(self, last: bool) -> bool:
        match self._openings.at(self._text, self._at, last=last):
            case Span() as span:
                end = self._at + len(span.opening)
                if (counts := self._counts(span, end, last)) is None:
                    return False
                if counts:
                    self._begin(span, end)
                    return True
            case "wait":
                return False
            case None:
                pass
        return super()._in_text(last)

    def _begun(self, span: Span) -> None:
        self._opening, self._begins_line = span.opening, self._line_start
        self._pieces, self._size = [], 0

    def _inside(self, text: str) -> None:
        self._size += len(text)
        if self._size <= MAX_CHARACTERS:
            self._pieces.append(text)

    def _ended(self, span: Span) -> None:
        self._take(closed=True)

    def _take(self, *, closed: bool) -> None:
        if not self._begins_line or self._size > MAX_CHARACTERS:
            return
        for name, arguments in _calls_in(self._opening + "".join(self._pieces), closed=closed):
            if len(self._found) < MAX_CALLS:
                place = len(self._found)
                self._found.append(ToolCallReady(place, "", name, arguments, from_text=True))


_TAGGED: Final = re.compile(
    r"<function=\s*([\w.:-]+)\s*>(.*?)(?:</function>|\Z)"
    r"|<invoke\s+name=[\"']([\w.:-]+)[\"']\s*>(.*?)(?:</invoke>|\Z)"
    r"|<tool_call>\s*([\w.:-]+)\s*(<arg_key>.*|)\Z",
    re.DOTALL,
)
_PARAMETER: Final = re.compile(
    r"<parameter(?:=|\s+name=)[\"']?([\w.:-]+)[\"']?\s*>(.*?)</parameter>"
    r"|<arg_key>\s*([\w.:-]+)\s*</arg_key>\s*<arg_value>(.*?)</arg_value>",
    re.DOTALL,
)
# Mistral's, Kimi's and DeepSeek's newer ones: a name, then the arguments.
_NAMED: Final = re.compile(
    r"(?:\[tool_calls\]|<\|tool_call_begin\|>|<｜tool▁call▁begin｜>)\s*(?:function<｜tool▁sep｜>)?"
    r"([\w.:-]+)\s*(?:\[ARGS\]|<\|tool_call_argument_begin\|>|<｜tool▁sep｜>|```json|\s)*(?=\{)",
    re.IGNORECASE,
)
_decoder: Final = json.JSONDecoder(strict=False)


def _calls_in(text: str, *, closed: bool) -> Iterator[tuple[str, str]]:
    """Names and arguments of the calls in a span. Arguments in tags count only where the span was
    closed: of those that broke off nobody can tell whether one is missing."""
    named = list(_NAMED.finditer(text))
    for found in named:
        if (value := _object_at(text, found.end())) is not None:
            yield name_of(found[1]), json.dumps(value)
    tagged = [] if named else list(_TAGGED.finditer(text))
    for found in tagged:
        name = found[1] or found[3] or found[5]
        body = next(each for each in (found[2], found[4], found[6]) if each is not None)
        if body.strip().startswith("{"):
            if (value := _object_at(clean(body.strip()), 0)) is not None:
                yield name_of(name), json.dumps(value)
        elif closed:
            yield name_of(name), json.dumps(_parameters(body))
    if not named and not tagged:
        yield from _objects(text)


def _objects(text: str) -> Iterator[tuple[str, str]]:
    """Calls that are objects with a name and arguments, side by side or in a list."""
    at = text.find("{")
    while at >= 0:
        value = _object_at(text, at)
        if value is None:
            return
        call = value["function"] if isinstance(value.get("function"), dict) else value
        name = call.get("name") or call.get("function")
        if isinstance(name, str) and name:
            keys = (key for key in ("arguments", "parameters", "input") if key in call)
            given: Any = call.get(next(keys, ""), {})
            yield name_of(name), clean(given) if isinstance(given, str) else json.dumps(given)
        at = text.find("{", _end_of(text, at))


def _object_at(text: str, at: int) -> dict[str, Any] | None:
    try:
        value, _ = _decoder.raw_decode(text, at)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def _end_of(text: str, at: int) -> int:
    return int(_decoder.raw_decode(text, at)[1])


def _parameters(body: str) -> dict[str, Any]:
    return {
        found[1] or found[3]: _value(found[2] if found[1] else found[4])
        for found in _PARAMETER.finditer(body)
    }


def _value(written: str) -> Any:
    """A parameter: text, but for what can only be JSON. A number stays text: it may be a name."""
    text = written.strip("\n")
    if text.strip()[:1] in {"{", "["} or text.strip() in {"true", "false", "null"}:
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return text
    return text
