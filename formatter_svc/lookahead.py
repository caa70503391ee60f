"""What may follow: where a slip leaves open what a character means, the next few say it.

    ahead(KNOWN_BLOCK, text, i, final)

answers True, False, or None where the text at hand does not say it yet. Each pattern is bounded and
ends with the character that decides, so that an answer never hangs on how the text was cut. Pure.
"""

from __future__ import annotations

from typing import Any, Final

import regex

# What a block may call itself, and what a text may.
DATA_TYPES: Final = ("chart", "table", "timeline", "entity_ref")
TEXT_TYPES: Final = ("text", "markdown", "paragraph")
QUOTES: Final = "\"'“”„‘’`«»＂"

# All the white space there is: what follows it is no white space, but for the 257th.
_SPACE: Final = r"[ \t\r\n]{0,256}+"
_ANY_QUOTE: Final = rf"[{QUOTES}]"
_COLON: Final = r"(?::|=>?)"
_KEY: Final = (
    r'(?:"(?:[^"\\\n]|\\.){0,128}"'
    r"|'(?:[^'\\\n]|\\.){0,128}'"
    r"|[“„”][^“„”\n]{0,128}[”“]"
    r"|[‘’][^‘’\n]{0,128}[’‘]"
    r"|[«»][^«»\n]{0,128}[«»]"
    r"|＂[^＂\n]{0,128}＂)" + _SPACE + _COLON
)
_LONG_KEY: Final = r'"(?:[^"\\\n]|\\.){129}'
_BARE_KEY: Final = r"[^\W\d][\w$-]{0,63}[\"”']?[ \t]{0,16}" + _COLON
_TEXT_WORD: Final = (
    r"(?:type|content|text|value|markdown|title|id"
    r"|headers|rows|charttype|config|checkpoints|entity)"
)
_TEXT_KEY: Final = _TEXT_WORD + r"[\"”']?[ \t]{0,16}:"
_COMMENT: Final = r"/[/*]"
_FENCE: Final = r"[ \t]{0,64}+\r?\n[ \t\r\n]{0,64}+(?:`{3}|~{3})[`~]{0,16}+[ \t]{0,16}+[\r\n]"
_BARE_ELEMENT: Final = (
    r"(?:[-+]?\d[\d.,%]{0,32}+|true|false|null|none|nan|undefined)[ \t\r\n]{0,64}+[,\]]"
)
_TYPES: Final = r"(?:text|markdown|paragraph|chart|table|timeline|entity[-_ ]?ref)"
_BLOCK: Final = (
    rf"\{{[ \t]{{0,16}}{_ANY_QUOTE}?type{_ANY_QUOTE}?[ \t]{{0,16}}:"
    rf"[ \t]{{0,16}}{_ANY_QUOTE}{_TYPES}{_ANY_QUOTE}"
)


def _compiled(pattern: str) -> Any:
    return regex.compile(pattern, regex.IGNORECASE)


# At the start of a string: an answer that was encoded once more.
ENCODED_BLOCK: Final = _compiled(rf"[ \t\r\n]{{0,16}}\[?[ \t\r\n]{{0,16}}{_BLOCK}")
# At a `{`: a block of a type that we know, whose first key is its type; an object with a type.
KNOWN_BLOCK: Final = _compiled(_BLOCK)
TYPED: Final = _compiled(rf"\{{[ \t]{{0,16}}{_ANY_QUOTE}?type{_ANY_QUOTE}?[ \t]{{0,16}}:")

# At a quote that may close a value: what follows the value of a member of an object, of a text's
# content (where quotes and commas are words of people), and of an element of an array.
AFTER_MEMBER: Final = _compiled(
    rf".{_SPACE}(?:[}}\]]|[,;]{_SPACE}(?:,|{_KEY}|{_LONG_KEY}|{_BARE_KEY}|[}}\]]|{_COMMENT}|\.\.\.|…"
    rf"|{_BLOCK}|[ \t\r\n])|{_COMMENT}|{_KEY}|{_BLOCK}|[ \t\r\n])|.{_FENCE}"
)
AFTER_CONTENT: Final = _compiled(
    rf".{_SPACE}(?:\}}|\]{{1,3}}+{_SPACE}(?:\}}|{_BLOCK})|(?:[,;]{_SPACE})?\]{{1,3}}+{_FENCE}"
    rf"|[,;]{{1,3}}+{_FENCE}|,{_SPACE}(?:(?:,{_SPACE})?{_KEY}|{_LONG_KEY}|{_TEXT_KEY}|(?:(?:\.\.\.|…){_SPACE})?\}}"
    rf"|{_BLOCK}|{_COMMENT}[^\n]{{0,128}}\n|#[^\n]{{0,128}}\n{_SPACE}{_ANY_QUOTE}?{_TEXT_WORD}"
    rf"|[ \t\r\n])|{_COMMENT}[^\n]{{0,128}}\n{_SPACE}[{QUOTES},}}]|/\*[^*\n]{{0,128}}\*/"
    rf"|{_KEY}|{_BLOCK}|[ \t\r\n])|.{_FENCE}"
)
# The same once the content has held a quote of its own, and while a brace of its own is open.
AFTER_QUOTED_CONTENT: Final = _compiled(
    rf".{_SPACE}(?:\}}|\]{{1,3}}+{_SPACE}(?:\}}|{_BLOCK})|,{_SPACE}(?:{_ANY_QUOTE}?{_TEXT_WORD}{_ANY_QUOTE}?{_SPACE}:|{_BLOCK})"
    rf"|{_BLOCK}|[ \t\r\n])"
)
AFTER_OPEN_CONTENT: Final = _compiled(
    rf".{_SPACE}(?:\}}{_SPACE}(?:\{{|\]|,{_SPACE}[{{\[])"
    rf"|,{_SPACE}(?:{_ANY_QUOTE}?type{_ANY_QUOTE}?{_SPACE}:|{_BLOCK})|{_BLOCK}|[ \t\r\n])"
)
AFTER_ELEMENT: Final = _compiled(
    rf".{_SPACE}(?:[\]}}]|[,;]{_SPACE}(?:{_ANY_QUOTE}|[-+,.\d\[{{\]}}…$€£¥~]|{_COMMENT}"
    rf"|(?:true|false|null|none|nan|undefined)\W|[ \t\r\n])|{_COMMENT}|:|{_BLOCK}|[ \t\r\n])"
    rf"|.[ \t\r\n]{{1,256}}+(?:[{QUOTES}\[{{]|{_BARE_ELEMENT})|.{_FENCE}"
)
# At a comma after a bare value of a member: whether another member follows.
NEXT_MEMBER: Final = _compiled(
    rf",(?:{_SPACE}(?:{_ANY_QUOTE}|{_BARE_KEY}|\d{{1,16}}[ \t]{{0,16}}:|[}}\]{{\[]|{_COMMENT}"
    rf"|\.\.\.|…|[ \t\r\n])|[ \t]{{0,64}}[\r\n])"
)
KEY_AHEAD: Final = _compiled(_KEY)
# After a bare word: whether it is a key, whose quote may have been lost.
KEY_ENDS: Final = _compiled(r"(?P<quote>[\"”']?)[ \t]{0,16}+(?::|=>?)")
# At a bare word for a text's content: whether it is none.
BARE_LITERAL: Final = _compiled(
    rf"(?:null|none|undefined|true|false|-?\d{{1,64}}(?:\.\d{{1,64}})?){_SPACE}[,}}\]]"
)
# A quote that ends an answer, but for a comma and closers.
LAST_QUOTE: Final = _compiled(r".[ \t\r\n]*[,;]?[ \t\r\n]*[\]}]*[ \t\r\n]*")
# The closers that stand together, and what they lead to.
CLOSERS_AHEAD: Final = _compiled(
    r"(?P<run>[}\]](?:[ \t\r\n]{0,16}+[}\]]){0,63}+)"
    rf"(?:{_SPACE},{_SPACE}(?:(?P<key>{_KEY}|{_BARE_KEY})"
    rf"|(?P<value>{_ANY_QUOTE}[^{QUOTES}]{{0,128}}{_ANY_QUOTE}{_SPACE}[^:\s]|[-\d\[{{]))"
    rf"|{_SPACE}(?P<bare>{_KEY})|{_SPACE}(?P<end>[^ \t\r\n,}}\]\"'“]))"
)

# At a backslash: LaTeX whose first letter would be an escape; nobody means a form feed and `rac`.
LATEX: Final = regex.compile(
    r"\\(?:(?:frac|forall|flat|beta|binom|boldsymbol|bullet|bmod|bigcup|bigcap|bigl|bigr|times|theta"
    r"|tau|tfrac|triangle|therefore|to|top|nabla|neq|notin|rho|right|rightarrow|rangle|rfloor|rceil"
    r"|rvert)[^a-z]|(?:bar|begin|fbox|footnote|text(?:bf|it|rm|tt)?|tilde|ref)\{)"
)
# At a backslash of a path, one of whose backslashes was no escape; at the first one, after a drive,
# where a line break may be meant.
PATH: Final = regex.compile(r"\\[bfnrt][a-z0-9_]")
PATH_START: Final = regex.compile(r"\\[bfrt][a-z0-9_]")
# At a `{` of prose: what may open an object, a quoted key or a bare one with its colon.
OPENING: Final = _compiled(
    rf"\{{[ \t\r\n]{{0,1024}}+(?:{_ANY_QUOTE}|[^\W\d][\w$-]{{0,63}}+[ \t]{{0,16}}+:|{_COMMENT})"
)
# At a line break: the paragraph ends, or a block begins the next line.
LINE_BREAK: Final = _compiled(rf"\n[ \t]{{0,64}}+(?:\r?\n|{_BLOCK})")
# A word that a model writes before its JSON.
JSON_WORD: Final = _compiled(r"json[ \t]{0,16}+:?[ \t]{0,16}+(?P<next>[\r\n\[{`~\"])")
# A string that holds an answer, encoded once more.
_WRAPPED: Final = (
    "content|text|value|markdown|response|blocks|headers|rows|charttype|data|title|config"
    "|checkpoints|entity|ids?"
)
ENCODED_STRING: Final = _compiled(
    r'"(?:\\[nrt]|[ \t\r\n\[]){0,32}+\{(?:\\[nrt]|[ \t\r\n]){0,32}+\\"'
    rf'(?:type\\"[ \t]{{0,16}}+:[ \t]{{0,16}}+\\"{_TYPES}\\"|(?:{_WRAPPED})\\"[ \t]{{0,16}}+:)'
)
# The same without its quotes.
ENCODED_BARE: Final = _compiled(
    rf'\{{[ \t]{{0,16}}+\\"type\\"[ \t]{{0,16}}+:[ \t]{{0,16}}+\\"{_TYPES}\\"'
)
_CALL: Final = r"(?:tool_?calls?|function_?calls?)"
TOOL_CALL: Final = _compiled(rf"(?P<tag><{_CALL}>)[ \t\r\n]{{0,64}}+[{{\[<]")
TOOL_CALL_END: Final = _compiled(rf"</{_CALL}>")
# The end of a text that a block had cut: its quote and its closers, and nothing after them.
LOST_END: Final = _compiled(
    r'"[ \t]{0,16}+[}\]][}\],;]{0,16}+(?P<end>[ \t]{0,16}+)(?P<next>[\r\n{])'
)


def ahead(pattern: Any, text: str, i: int, final: bool) -> bool | None:
    """Whether what stands at `i` is what the pattern says; None: more text is needed."""
    found = pattern.match(text, i, partial=True)
    if found is None:
        return False
    if found.partial:
        return False if final else None
    return True
