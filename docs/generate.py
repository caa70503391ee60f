"""Writes the tables of the docs that can be read from the code: `make docs`.

A table stands between `<!-- generated:NAME -->` and `<!-- end -->`; what is between
them is written over. With `--check` nothing is written, and stale tables are named.
"""

import argparse
import importlib
import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from docs import turn_states
from docs.contract import Contract, table
from docs.measures import alerts_table, metrics_table
from docs.models import families_table, profile_table
from runtime.settings import Settings

ROOT = Path(__file__).resolve().parent.parent
PAGES = ("README.md", *sorted(f"docs/{page.name}" for page in Path(__file__).parent.glob("*.md")))
CONTRACT = ROOT / "gen" / "switchboard" / "v3" / "contract.binpb"
PROCESSES = (
    "edge",
    "router_svc",
    "agent_svc",
    "memory_svc",
    "formatter_svc",
    "devstack.offline_model",
    "devstack",
)
_MARKED = re.compile(r"(<!-- generated:([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def tables() -> dict[str, Callable[[], str]]:
    """Every table by its name."""
    contract = Contract(CONTRACT)
    return {
        "client-frames": lambda: contract.frames("ClientFrame"),
        "server-frames": lambda: contract.frames("ServerFrame"),
        "frame-values": contract.values,
        "blocks": lambda: contract.file_objects("blocks.proto"),
        "entities": lambda: contract.file_objects("entities.proto"),
        "error-codes": contract.error_codes,
        "close-codes": contract.close_codes,
        "services": contract.rpcs,
        "settings": settings_table,
        "tools": tools_table,
        "profile": profile_table,
        "families": families_table,
        "metrics": metrics_table,
        "alerts": alerts_table,
        "turn-states": turn_states.diagram,
    }


def settings_table() -> str:
    """Every environment variable, with the processes that read it.

    Where services and devstack read the same one, the services say what it is: devstack
    only fills in what is not set.
    """
    read: dict[str, dict[str, FieldInfo]] = {}
    for process in PROCESSES:
        for name, field in _settings_of(process).items():
            read.setdefault(name.upper(), {})[process.rpartition(".")[2]] = field
    return table(
        ("variable", "default", "what it is", "read by"),
        [
            (
                f"`{name}`",
                _defaults(by),
                _cell(next(iter(by.values())).description or ""),
                "every process" if len(by) == len(PROCESSES) else ", ".join(by),
            )
            for name, by in sorted(read.items())
        ],
    )


def _settings_of(process: str) -> dict[str, FieldInfo]:
    module = importlib.import_module(f"{process}.settings")
    fields: dict[str, FieldInfo] = {}
    for _, cls in inspect.getmembers(module, inspect.isclass):
        if issubclass(cls, Settings) and cls.__module__ == module.__name__:
            fields |= cls.model_fields
    return fields


def _defaults(by: dict[str, FieldInfo]) -> str:
    own = [process for process in by if process != "devstack"] or ["devstack"]
    shown = {process: _default(by[process]) for process in own}
    if len(set(shown.values())) == 1:
        return next(iter(shown.values()))
    return "<br>".join(f"{process}: {default}" for process, default in shown.items())


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    match value:
        case _ if value is PydanticUndefined:
            return "must be set"
        case SecretStr() | None | "" | ():
            return "–"
        case tuple():
            value = ",".join(map(str, value))
        case float() if value.is_integer():
            value = int(value)
    return f"`{value}`"


def tools_table() -> str:
    """The tool catalogue: what each takes, what it changes, and whether the user is asked."""
    catalogue = importlib.import_module("agent_svc.catalogue").CATALOGUE
    rows = []
    for name, tool in catalogue.items():
        where = "server" if tool.runs_on_server else "device, asks" * tool.requires_approval
        rows.append(
            (f"`{name}`", _cell(tool.description), _arguments(tool.arguments), where or "device")
        )
    return table(("tool", "what it does", "arguments", "runs on"), rows)


def _arguments(schema: dict[str, Any]) -> str:
    required = schema.get("required", ())
    return ", ".join(
        f"`{name}`" if name in required else f"`{name}`?" for name in schema.get("properties", {})
    )


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def fresh(text: str, made: dict[str, Callable[[], str]]) -> str:
    """Returns a page with its tables made anew. Raises KeyError for a table that is none."""
    return _MARKED.sub(lambda mark: f"{mark[1]}\n{made[mark[2]]()}\n\n{mark[3]}", text)


def stale_pages() -> Iterator[tuple[Path, str]]:
    """Yields each page whose tables are not what the code says, with what it should be."""
    made = tables()
    for page in PAGES:
        path = ROOT / page
        text = path.read_text("utf-8")
        if (new := fresh(text, made)) != text:
            yield path, new


def main() -> None:
    """Writes what is stale, or with `--check` names it and fails."""
    parser = argparse.ArgumentParser(prog="docs.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when not fresh")
    check = parser.parse_args().check
    stale = list(stale_pages())
    for path, text in stale:
        name = path.relative_to(ROOT)
        if check:
            print(f"{name} is not fresh: run 'make docs'", file=sys.stderr)  # noqa: T201
        else:
            path.write_text(text, "utf-8")
            print(f"wrote {name}")  # noqa: T201
    sys.exit(bool(check and stale))


if __name__ == "__main__":
    main()
