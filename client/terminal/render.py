"""What the user sees. Everything shown here was written by a model, a server or a
file, so it is shown as text only: a terminal must not take any of it as a command.
"""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.box import ROUNDED, SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from client.terminal.reading import TITLE, is_overdue
from client.terminal.store import Entity

BAR_WIDTH = 32
MAX_ROWS = 60
COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "red")
# Shown on a card in this order, after the title; other keys are not shown.
CARD_KEYS = (
    "status",
    "priority",
    "assignee",
    "dueDate",
    "date",
    "createdAt",
    "projectId",
    "clientId",
    "isAiSuggested",
    "isApproved",
    "content",
)
TIME_KEYS = ("dueDate", "date", "createdAt")
LABELS = {
    "dueDate": "due",
    "createdAt": "written",
    "projectId": "project",
    "clientId": "client",
    "isAiSuggested": "suggested",
    "isApproved": "approved",
    "content": "text",
}

BLOCKS = {
    "chart": "chart",
    "table": "table",
    "timeline": "timeline",
    "text": "text",
    "entity_ref": "card",
}


def plain(text: object) -> str:
    """Returns text that a terminal only shows.

    Control characters (ESC, C0, C1) become visible signs; marks that reorder what
    is read and lone surrogates become U+FFFD; line breaks and tabs stay.
    """
    return "".join(map(_shown, str(text)))


def _shown(character: str) -> str:
    if character in "\n\t" or character.isprintable():
        return character
    code = ord(character)
    match unicodedata.category(character):
        case "Cc" if code == 0x0D:
            return ""
        case "Cc" if code < 0x20:
            return chr(0x2400 + code)
        case "Zs" | "Co" | "Cn":
            return character
        case "Zl" | "Zp":
            return "\n"
    return character if code in _JOINERS else "\ufffd"


# What holds emoji and the letters of some scripts together.
_JOINERS = (0x200C, 0x200D)


class Screen:
    """Prints an answer as it arrives. `errors` takes what is no part of the answer."""

    def __init__(self, console: Console, errors: Console) -> None:
        self.console = console
        self._errors = errors
        self._at_start = True

    def text(self, chunk: str) -> None:
        """Prints a piece of running text at once."""
        shown = plain(chunk)
        if shown:
            self.console.print(Text(shown), end="", soft_wrap=True)
            self._at_start = shown.endswith("\n")

    def block(self, block_type: str, data: Any, now: int) -> None:
        """Prints a whole block on lines of its own; one of an unknown type is named only."""
        self.finish_line()
        try:
            shown = renderable(block_type, data, now)
        except (LookupError, TypeError, ValueError, AttributeError):
            shown = Text(f"[{plain(block_type)}: cannot be shown here]", style="dim")
        self.console.print(shown)

    def note(self, line: str, style: str = "dim") -> None:
        """Prints a line about the answer, beside it."""
        self.finish_line()
        self._errors.print(Text(plain(line), style=style))

    def question(self, line: str) -> None:
        """Prints a question and stays behind it."""
        self.finish_line()
        self._errors.print(Text(plain(line), style="bold yellow"), end=" ")

    def finish_line(self) -> None:
        """Starts a new line where the running text has not."""
        if not self._at_start:
            self.console.print()
            self._at_start = True


def left_out(skipped: Sequence[Mapping[str, Any]]) -> str:
    """Tells in a line which blocks an answer lacks, and why; "" where it lacks none.

    `skipped` is that of a `stream_end`. A type that only the model knows is a "block".
    """
    counted = Counter(
        (BLOCKS.get(block["block_type"], "block"), str(block["reason"]).replace("_", " "))
        for block in skipped
    )
    return "; ".join(
        f"{count} {word}{'s' if count > 1 else ''} could not be shown ({reason})"
        for (word, reason), count in counted.items()
    )


def renderable(block_type: str, data: Any, now: int) -> RenderableType:
    """Makes a block showable. Raises LookupError, TypeError or ValueError for what is no block."""
    match block_type:
        case "chart":
            return chart(data)
        case "table":
            return table(data)
        case "timeline":
            return timeline(data, now)
        case "entity_ref":
            return card(data["entity"], data["item"], now)
    return Text(f"[{plain(block_type)}]", style="dim")


def table(data: Mapping[str, Any]) -> RenderableType:
    """A table, its numbers to the right."""
    rows: Sequence[Sequence[Any]] = data["rows"]
    shown = Table(box=SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for column, header in enumerate(data["headers"]):
        numeric = bool(rows) and all(_is_number(row[column]) for row in rows)
        shown.add_column(Text(plain(header)), justify="right" if numeric else "left")
    for row in rows[:MAX_ROWS]:
        shown.add_row(*(Text(_cell(value)) for value in row))
    return _with_rest(shown, len(rows))


def chart(data: Mapping[str, Any]) -> RenderableType:
    """A chart of any kind, as bars: lengths are to scale within the chart."""
    rows: Sequence[Mapping[str, Any]] = data["data"]
    bars = _shares(rows) if data["chartType"] in ("pie", "radial") else _series(data, rows)
    longest = max((abs(value) for _, _, value, _ in bars if value is not None), default=0)
    pie = data["chartType"] in ("pie", "radial")
    total = sum(value for _, _, value, _ in bars if value is not None) if pie else 0
    unit = plain(data.get("unit") or "")
    shown = Table.grid(padding=(0, 1))
    for label, series, value, colour in bars[:MAX_ROWS]:
        length = round(BAR_WIDTH * abs(value) / longest) if value and longest else 0
        text = _cell(value) + (f" {unit}" if unit and value is not None else "")
        if value is not None and total and unit != "%":
            text += f" ({100 * value / total:.0f} %)"
        bar = Text("█" * max(length, 1 if value else 0), style=colour)
        shown.add_row(Text(label), Text(series, style=colour), bar, Text(text))
    return _titled(str(data.get("title") or ""), _with_rest(shown, len(bars)))


_Bar = tuple[str, str, float | None, str]


def _series(data: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> list[_Bar]:
    config: Mapping[str, Any] = data["config"]
    x = next(key for key in rows[0] if key not in config)
    named = {key: plain(entry.get("label", key)) for key, entry in config.items()}
    several = len(named) > 1
    return [
        (
            _cell(row[x]) if first else "",
            label if several else "",
            row.get(key),
            COLOURS[number % len(COLOURS)],
        )
        for row in rows
        for first, number, (key, label) in (
            (number == 0, number, pair) for number, pair in enumerate(named.items())
        )
    ]


def _shares(rows: Sequence[Mapping[str, Any]]) -> list[_Bar]:
    word = next(k for k, v in rows[0].items() if isinstance(v, str) and k != "fill")
    count = next(k for k, v in rows[0].items() if _is_number(v))
    return [
        (_cell(row[word]), "", row[count], COLOURS[number % len(COLOURS)])
        for number, row in enumerate(rows)
    ]


def timeline(data: Mapping[str, Any], now: int) -> RenderableType:
    """Dates one under another; those that are past are filled."""
    checkpoints = data["checkpoints"]
    shown = Table.grid(padding=(0, 1))
    for point in checkpoints[:MAX_ROWS]:
        past = point["date"] < now
        shown.add_row(
            Text("●" if past else "○", style="green" if past else "cyan"),
            Text(day(point["date"]), style="bold"),
            Text(plain(point["title"])),
        )
    return _with_rest(shown, len(checkpoints))


def card(kind: str, item: Entity, now: int) -> RenderableType:
    """One entity in a frame, an overdue task in red."""
    late = kind == "task" and is_overdue(item, now)
    fields = Table.grid(padding=(0, 2))
    for key in CARD_KEYS:
        value = item.get(key)
        if value is not None and value != "":
            shown = day(value) if key in TIME_KEYS else _cell(value)
            if key == "dueDate" and late:
                shown += "  overdue"
            fields.add_row(Text(LABELS.get(key, key), style="dim"), Text(shown))
    title = f"{plain(kind)}: {plain(item.get(TITLE.get(kind, 'title'), item['id']))}"
    return Panel(
        fields,
        title=Text(title.replace("\n", " "), style="bold"),
        title_align="left",
        border_style="red" if late else "cyan",
        box=ROUNDED,
        expand=False,
        width=max(40, min(76, cell_len(title) + 8)),
    )


def day(milliseconds: float) -> str:
    """A date as people here write it: in the machine's own time zone, with the weekday."""
    try:
        return datetime.fromtimestamp(milliseconds / 1000).astimezone().strftime("%a %Y-%m-%d")
    except (OverflowError, OSError, ValueError):
        return _cell(milliseconds)


def _cell(value: object) -> str:
    match value:
        case None:
            return "–"
        case bool():
            return "yes" if value else "no"
        case float() if value.is_integer():
            return str(int(value))
    return plain(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _with_rest(shown: Table, count: int) -> Table:
    if count > MAX_ROWS:
        shown.add_row(Text(f"… and {count - MAX_ROWS} more", style="dim"))
    return shown


def _titled(title: str, content: RenderableType) -> RenderableType:
    return Panel(content, title=Text(plain(title), style="bold"), title_align="left", expand=False)
