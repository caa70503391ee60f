"""The operator's file: what it may say, and how its errors are told."""

from pathlib import Path

import pytest

from runtime.model.client import ModelSettings
from runtime.model.profiles import Profile
from runtime.settings import load


def known(path: Path, model: str) -> Profile:
    return load(ModelSettings, "x", {"MODEL_PROFILES": str(path)}).profiles().of(model)


def test_the_file_overrules_what_is_known_by_name(tmp_path: Path) -> None:
    path = tmp_path / "models.toml"
    path.write_text(
        '["gpt-4o*"]\ncontext_window = 9000\nschema_without = ["format"]\n'
        '["*mini"]\ntemperature = 1\nextra_body = {top_k = 20, x = {y = [1]}}\n'
    )
    assert known(path, "gpt-4o-mini") == Profile(
        context_window=9000,
        schema_without=("format",),
        temperature=1,
        extra_body={"top_k": 20, "x": {"y": [1]}},
    )
    assert known(path, "gpt-4o").temperature is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[qwen", "is no TOML: "),
        ("temperature = 1", "[temperature] is no table: begin with a model's name in brackets"),
        ("[q]\ntemprature = 1", "[q] temprature: no such setting, did you mean temperature?"),
        ("[q]\ncontext_window = -5", "[q] context_window: must be 1 or more"),
        ("[q]\nextra_body = {messages = [], model = 'x'}", "may not set messages, model"),
        ("[q]\nwhatever = 1", "[q] whatever: no such setting"),
        ('[q]\ntemperature = "hot"', "[q] temperature: Input should be a valid number"),
        ('[q]\nsystem_role = "root"', "[q] system_role: Input should be 'system', 'developer'"),
        ("[q]\ntools = 1", "[q] tools: Input should be a valid boolean"),
        ("[q]\ncontext_window = true", "[q] context_window: Input should be a valid integer"),
    ],
)
def test_an_error_in_the_file_ends_the_process_with_one_line(
    text: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "models.toml"
    path.write_text(text)
    with pytest.raises(SystemExit):
        known(path, "q")
    line = capsys.readouterr().err
    assert line.startswith(f"x: bad settings: MODEL_PROFILES: {path}") and told in line
    assert line.count("\n") == 1


def test_a_file_that_is_not_there_ends_the_process_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        known(tmp_path / "none.toml", "q")
    assert "cannot be read (No such file or directory)" in capsys.readouterr().err
