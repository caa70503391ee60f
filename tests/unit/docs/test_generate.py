"""The docs' tables are what the code says."""

import subprocess
import sys
from pathlib import Path

import pytest

from docs import generate
from switchboard.v3 import errors_pb2, frames_pb2

MADE = generate.tables()


def test_every_page_is_fresh() -> None:
    stale = [str(path) for path, _ in generate.stale_pages()]
    assert not stale, "run 'make docs'"


def test_every_page_uses_only_tables_that_exist_and_every_table_is_used() -> None:
    pages = [(generate.ROOT / page).read_text("utf-8") for page in generate.PAGES]
    used = {mark[2] for page in pages for mark in generate._MARKED.finditer(page)}
    assert used == set(MADE)


def test_a_page_keeps_what_is_not_generated() -> None:
    page = "before\n<!-- generated:x -->\nold\n<!-- end -->\nafter\n"
    made = {"x": lambda: "new"}
    once = generate.fresh(page, made)
    assert once == "before\n<!-- generated:x -->\n\nnew\n\n<!-- end -->\nafter\n"
    assert generate.fresh(once, made) == once


def test_check_names_a_stale_page_and_writes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "page.md"
    page.write_text("<!-- generated:close-codes -->\nold\n<!-- end -->\n")
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "PAGES", ("page.md",))
    monkeypatch.setattr(sys, "argv", ["generate", "--check"])
    with pytest.raises(SystemExit) as ended:
        generate.main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == "page.md is not fresh: run 'make docs'\n"
    assert "old" in page.read_text()

    monkeypatch.setattr(sys, "argv", ["generate"])
    with pytest.raises(SystemExit) as ended:
        generate.main()
    assert ended.value.code == 0
    assert "| 4409 |" in page.read_text()


@pytest.mark.parametrize(
    "envelope, name",
    [(frames_pb2.ClientFrame, "client-frames"), (frames_pb2.ServerFrame, "server-frames")],
)
def test_every_frame_and_field_is_told(envelope: type, name: str) -> None:
    text = MADE[name]()
    for frame in envelope.DESCRIPTOR.fields:  # type: ignore[attr-defined]
        section = text.split(f"#### `{frame.name}`\n")[1].split("#### ")[0]
        for field in frame.message_type.fields:
            assert f"| `{field.name}`" in section
    assert "|  |" not in text, "a field without a comment"


def test_optional_fields_alternatives_words_and_links_are_told() -> None:
    frames = MADE["client-frames"]()
    assert "| `token`? | string |" in frames
    assert r"| `rejected` \| | [ToolRejection](#toolrejection) |" in frames
    assert r"`create` \| `update` \| `delete`" in frames
    assert "| `requests`? | {string: integer} |" in MADE["frame-values"]()
    assert "| `dueDate`? | number |" in MADE["entities"]()


def test_every_error_code_is_told_with_its_facts() -> None:
    text = MADE["error-codes"]()
    for value in errors_pb2.ErrorCode.DESCRIPTOR.values[1:]:
        assert f"| `{value.name.removeprefix('ERROR_CODE_').lower()}` |" in text
    line = next(line for line in text.splitlines() if "`model_truncated`" in line)
    assert line.endswith("| stream_end, REST | yes | 502 |")


def test_every_setting_is_told_and_no_secret_is() -> None:
    text = MADE["settings"]()
    assert "| `EDGE_PORT` | `8080` |" in text
    assert "| `LOG_LEVEL` | `info` |" in text and "every process" in text
    assert "| `MASTER_KEYS` | must be set |" in text
    assert "****" not in text and "SecretStr" not in text
    assert "PydanticUndefined" not in text and "|  |" not in text


def test_the_tools_are_told_with_what_needs_approval() -> None:
    lines = MADE["tools"]().splitlines()
    delete = next(line for line in lines if "`delete_task`" in line)
    assert delete.endswith("| `id` | device, asks |")
    assert next(line for line in lines if "`remember_preference`" in line).endswith("| server |")


def test_the_command_passes_on_this_checkout() -> None:
    ran = subprocess.run(
        [sys.executable, "-m", "docs.generate", "--check"],
        capture_output=True,
        text=True,
        cwd=generate.ROOT,
        check=False,
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_the_settings_of_the_offline_model_are_told() -> None:
    lines = MADE["settings"]().splitlines()
    (line,) = [line for line in lines if "`OFFLINE_MODEL_TOKENS_PER_S`" in line]
    assert "| `250` |" in line
    assert "offline_model" in line
