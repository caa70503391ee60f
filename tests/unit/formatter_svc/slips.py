"""Slips that models make: within a block, around it, and in how a value is written.

A slip is a name, a pattern and what it becomes; `{n}` times at most. What comes of a slip has to
be what the block was without it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass

Block = dict[str, object]
Mended = Callable[[re.Match[str]], str]

BLOCKS: dict[str, Block] = {
    "table": {
        "type": "table",
        "headers": ["Task", "Done"],
        "rows": [["Tax", True], ["Call", None]],
    },
    "chart": {
        "type": "chart",
        "chartType": "bar",
        "title": "Open",
        "data": [{"status": "todo", "count": 1200}, {"status": "done", "count": 7}],
        "config": {"count": {"label": "Tasks"}},
    },
    "timeline": {
        "type": "timeline",
        "checkpoints": [
            {"id": "c1", "title": "Beta", "date": 1790000000000},
            {"id": "c2", "title": "Launch", "date": 1790000500000},
        ],
    },
    "entity_ref": {"type": "entity_ref", "entity": "task", "ids": ["t1", "t2"]},
    "text": {"type": "text", "content": "Ann and Bob"},
    "table in Japanese": {"type": "table", "headers": ["作業", "期限"], "rows": [["税金", "金曜"]]},
    "table in Russian": {"type": "table", "headers": ["Задача"], "rows": [["Налоги"], ["Звонок"]]},
    "chart in German": {
        "type": "chart",
        "chartType": "line",
        "title": "Größe",
        "data": [{"Monat": "Mär", "Größe": 3}, {"Monat": "Apr", "Größe": 4.5}],
        "config": {"Größe": {"label": "Größe"}},
    },
    "timeline in Arabic": {
        "type": "timeline",
        "checkpoints": [{"id": "c1", "title": "إطلاق", "date": 1790000000000}],
    },
    "text in Chinese": {"type": "text", "content": "三个任务，明天到期。"},
}


@dataclass(frozen=True)
class Slip:
    """One slip; `apply` answers the text with it, the same text where it has no place for it."""

    name: str
    apply: Callable[[str], str]

    def __repr__(self) -> str:
        return self.name


def sub(name: str, pattern: str, becomes: str | Mended, count: int = 0) -> Slip:
    return Slip(name, lambda text: re.sub(pattern, becomes, text, count=count))


def around(name: str, form: str) -> Slip:
    return Slip(name, lambda text: form.replace("@", text))


def quotes(name: str, left: str, right: str) -> Slip:
    return sub(name, r'"([^"]*)"', rf"{left}\1{right}")


def reordered(name: str, at: int) -> Slip:
    def apply(text: str) -> str:
        members = list(json.loads(text).items())
        kind = members.pop(0)
        members.insert(at if at >= 0 else len(members), kind)
        return json.dumps(dict(members), ensure_ascii=False)

    return Slip(name, apply)


def dumped(name: str, indent: int | str | None, separators: tuple[str, str] | None = None) -> Slip:
    def apply(text: str) -> str:
        value = json.loads(text)
        return json.dumps(value, ensure_ascii=False, indent=indent, separators=separators)

    return Slip(name, apply)


def encoded(name: str, form: str) -> Slip:
    return Slip(name, lambda text: form.replace("@", json.dumps(text, ensure_ascii=False)))


# Only of a block that is JSON still: they come first.
DRESSES = [
    dumped("pretty", 2),
    dumped("pretty with tabs", "\t"),
    dumped("spaced", None, (" , ", " : ")),
    Slip("escaped", lambda text: json.dumps(json.loads(text))),
    Slip(
        "pretty with CRLF",
        lambda text: json.dumps(json.loads(text), indent=1).replace("\n", "\r\n"),
    ),
    reordered("type last", -1),
    reordered("type second", 1),
]

WITHIN = [
    sub("a comma before the end", r"\}$", ",}"),
    sub("commas before all ends", r"([}\]])", r",\1"),
    sub("a comma twice", r'",', '",,', 1),
    sub("a comma first in a list", r"\[", "[,", 1),
    sub("a comma left out between members", r',(?="\w+":["\[])', " ", 1),
    sub("commas left out at line ends", r',(?="[a-zA-Z]+":)', "\n"),
    sub("commas left out behind words of a list", r'(?<="),(?=true|null)', " "),
    sub("a semicolon between members", r',(?="\w+":["\[])', ";", 1),
    sub("a colon left out", r'(?<="type"):', " "),
    sub("equals for colons", r'(?<=["\w]"):', " = "),
    sub("arrows for colons", r'(?<=["\w]"):', " => "),
    sub("a comment to the line's end", r",", ', // it\'s the "type"\n', 1),
    sub("a comment", r",", ", /* see [1] {2} */ ", 1),
    sub("Python's comment", r",", ", # see above\n", 1),
    sub("a comment before the end", r"\}$", " // all\n}"),
    sub("a comment of more lines", r"^\{", "{ /* a\n b */ "),
    sub("three dots in a list", r"\](?=[^\]]*$)", ", ...]"),
    sub("a character for three dots", r"\](?=[^\]]*$)", ", …]"),
    sub("three dots for a member", r"\}$", ", ...}"),
    quotes("single quotes", "'", "'"),
    quotes("typographic quotes", "“", "”"),
    quotes("German quotes", "„", "“"),
    quotes("typographic single quotes", "‘", "’"),
    quotes("wide quotes", "＂", "＂"),
    sub("single quotes on keys", r'"(\w+)":', r"'\1':"),
    sub("typographic quotes on values", r'(?<=:)"([^"]*)"', r"“\1”"),
    sub("backticks on values", r'(?<=:)"([^"]*)"', r"`\1`"),
    sub("bare keys", r'"(\w+)":', r"\1:"),
    Slip(
        "bare keys and single quotes",
        lambda text: re.sub(r'"([^"]*)"', r"'\1'", re.sub(r'"(\w+)":', r"\1: ", text)),
    ),
    sub("a bare type", r'"type":"(\w+)"', r'"type":\1'),
    sub("the closing quote of a key lost", r'"(\w+)":(?=")', r'"\1:', 1),
    sub("the opening quote of a key lost", r',"(\w+)":', r',\1":', 1),
    sub("the opening quote of a value lost", r'(?<=[a-z]":)"(?=[A-Z])', "", 1),
    sub("a last closer lost", r"\}$", ""),
    sub("two closers lost", r"[\]}]\}$", ""),
    sub("a closer too many", r"\}$", "}}"),
    sub("a bracket too many", r"\}$", "}]"),
    sub("a bracket for the last brace", r"\}$", "]"),
    sub("the last two closers swapped", r"\]\}$", "}]"),
    sub("a bracket too many within", r"\](?=,\")", "]]", 1),
    sub("a brace for a bracket", r"\](?=,\")", "}", 1),
    sub("a bracket lost between members", r"\](?=,\"\w+\":)", "", 1),
    sub("line breaks that are not JSON's", r",", ",\n\u00a0", 1),
    sub("a key more", r"\}$", ',"note":"seen"}'),
    sub("a key without a value", r"\}$", ',"note":}'),
    sub("a key of null", r"\}$", ',"note":undefined}'),
    sub("a nested key more", r"\}$", ',"meta":{"a":[{"type":"x"}]}}'),
    sub("type in capitals", r'"type":"(\w+)"', lambda m: f'"type":"{m[1].upper()}"'),
    sub("type with a capital", r'"type":"(\w+)"', lambda m: f'"type":"{m[1].title()}"'),
    sub("the key type with a capital", r'"type"', '"Type"'),
    sub("a triple quote", r'(?<="type":)"(\w+)"', r'"""\1"""'),
    sub("Python's words", r"true|null", lambda m: {"true": "True", "null": "None"}[m[0]]),
    sub("words in capitals", r"true|null", lambda m: m[0].upper()),
    sub("JavaScript's words", r"null", "undefined"),
    sub("NaN", r"null", "NaN"),
    sub("Infinity", r"null", "-Infinity"),
    sub("a grouped number", r":1200", ":1,200"),
    sub("an underscore in a number", r":1200", ":1_200"),
    sub("a sum", r":1200", ":600*2"),
    sub("a sum of three", r":7", ":3 + 2 + 2"),
    sub("a plus sign", r":7", ":+7"),
    sub("a number that ends with a dot", r":7", ":7."),
    sub("a number in hex", r":7", ":0x7"),
    sub("a quote that is not escaped", r"Ann and Bob", 'Ann and "Bob"'),
    sub("a comma and a quote", r"Ann and Bob", 'Ann, "Bob", and all'),
    sub("a line break in a string", r"Ann and Bob", "Ann\n\nand\tBob"),
    sub("backslashes", r"Ann and Bob", r"Ann\\_and \\(Bob\\)"),
    sub("an apostrophe escaped", r"Ann and Bob", r"Ann\\'s and Bob"),
    sub("a path", r"Ann and Bob", r"C:\\Users\\Bob"),
    sub("the key text", r'"content":', '"text":'),
    sub("the key value", r'"content":', '"value":'),
    sub("the key markdown", r'"content":', '"markdown":'),
    sub("the type markdown", r'"type":"text"', '"type":"markdown"'),
    sub("the type paragraph", r'"type":"text"', '"type":"Paragraph"'),
    sub("a list as content", r'"content":("[^"]*")', r'"content":[\1]'),
    sub("a text as content", r'"content":("[^"]*")', r'"content":{"text":\1}'),
]

AROUND = [
    Slip("in a fence, a comma for the last brace", lambda text: f"```json\n{text[:-1]},\n```\n"),
    Slip("in a fence, a bracket for the last brace", lambda text: f"```json\n{text[:-1]}]\n```\n"),
    around("a fence", "```json\n@\n```"),
    around("a bare fence", "```\n@\n```"),
    around("a fence of tildes", "~~~json\n@\n~~~"),
    around("a fence in capitals", "```JSON\n@\n```"),
    around("a fence for JavaScript", "```js\n@\n```"),
    around("a long fence", "````json\n@\n````"),
    around("a fence with a title", '```json title="block"\n@\n```'),
    around("a fence on one line", "```json @ ```"),
    around("a fence that is indented", "  ```json\n  @\n  ```"),
    around("two fences", "```json\n```json\n@\n```\n```"),
    around("a fence in a bare fence", "```\n```json\n@\n```\n```"),
    around("a fence closed twice", "```json\n@\n```\n```"),
    around("a fence that only closes", "@\n```\n"),
    around("the word json", "json\n@"),
    around("the word JSON and a colon", "JSON:\n@"),
    around("the word json in a fence", "```\njson\n@\n```"),
    around("backticks", "`@`"),
    around("two backticks", "``@``"),
    around("a word in backticks", "`json\n@\n`"),
    around("a fence that another closes", "~~~json\n@\n```"),
    around("an array", "[@]"),
    around("an array over lines", "[\n  @,\n]"),
    around("an array that never closes", "[@"),
    around("an array that never opened", "@]"),
    around("arrays", "[[@]]"),
    around("a comma after it", "@,"),
    around("a semicolon after it", "@;"),
    around("spaces", "  \t@  "),
    around("blocks", '{"blocks":[@]}'),
    around("blocks over lines", '{\n  "blocks": [\n    @\n  ]\n}'),
    around("blocks in a fence", '```json\n{"blocks":[@]}\n```'),
    around("a response", '{"response":[@]}'),
    around("a response without a list", '{"response":@}'),
    around("blocks in a response", '{"response":{"blocks":[@]}}'),
    around("a content", '{"content":[@]}'),
    around("a text around it", '{"type":"text","content":[@]}'),
    encoded("a string", "@"),
    encoded("a string in a fence", "```json\n@\n```"),
    encoded("a string in a response", '{"response":@}'),
    encoded("a string in an array", "[@]"),
    Slip("a string without its quotes", lambda text: json.dumps(text, ensure_ascii=False)[1:-1]),
]
