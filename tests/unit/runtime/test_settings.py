"""Settings: read once, checked whole, told in one line without their values."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from pydantic import Field, SecretStr, ValidationError

from runtime.settings import Address, CommaList, ServiceSettings, Settings, load


class Example(ServiceSettings):
    wait_s: float = Field(1, gt=0, description="A time.")
    database_url: SecretStr = Field(description="A secret that must be set.")
    port: int = Field(1, ge=1, le=65535, description="A number.")
    peer_addr: Address = Field("127.0.0.1:1", description="An address.")
    origins: CommaList = Field(("a",), description="A list.")


def refused(
    environ: Mapping[str, str], capsys: pytest.CaptureFixture[str], cls: type[Settings] = Example
) -> str:
    with pytest.raises(SystemExit) as ended:
        load(cls, "example", environ)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1
    return err


def test_defaults_and_variables_in_upper_case() -> None:
    environ = {"DATABASE_URL": "postgres://u:pw@h/d", "PORT": "8080", "port": "9", "OTHER": "x"}
    settings = load(Example, "example", environ)
    assert settings.port == 8080 and settings.log_level == "info"
    assert settings.database_url.get_secret_value() == "postgres://u:pw@h/d"
    assert "pw" not in repr(settings)


def test_an_empty_variable_is_not_set() -> None:
    environ = {"DATABASE_URL": "x", "PORT": "", "LOG_LEVEL": ""}
    assert load(Example, "example", environ).port == 1


def test_settings_do_not_change() -> None:
    settings = load(Example, "example", {"DATABASE_URL": "x"})
    with pytest.raises(ValidationError):
        setattr(settings, "port", 2)  # noqa: B010 - mypy knows it is frozen


def test_a_list_is_split_at_commas() -> None:
    environ = {"DATABASE_URL": "x", "ORIGINS": " app://*, ,null,"}
    assert load(Example, "example", environ).origins == ("app://*", "null")


def test_all_problems_are_told_at_once_in_one_line_without_values(
    capsys: pytest.CaptureFixture[str],
) -> None:
    environ = {"PORT": "70000", "LOG_LEVEL": "shout", "PEER_ADDR": "nowhere-s3cret"}
    line = refused(environ, capsys)
    assert line.startswith("example: bad settings: ")
    for name in ("DATABASE_URL: is not set", "PORT: ", "LOG_LEVEL: ", "PEER_ADDR: is not host"):
        assert name in line
    assert "70000" not in line and "shout" not in line and "s3cret" not in line


def test_any_setting_may_come_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("postgres://from-file\n")
    (tmp_path / "port").write_text("81")
    environ = {"DATABASE_URL_FILE": str(tmp_path / "url"), "PORT_FILE": str(tmp_path / "port")}
    settings = load(Example, "example", environ)
    assert settings.database_url.get_secret_value() == "postgres://from-file"
    assert settings.port == 81


def test_a_file_that_cannot_be_read_or_a_setting_set_twice_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "port").write_text("81")
    line = refused(
        {
            "DATABASE_URL_FILE": str(tmp_path / "missing"),
            "PORT": "1",
            "PORT_FILE": str(tmp_path / "port"),
        },
        capsys,
    )
    assert "DATABASE_URL: DATABASE_URL_FILE cannot be read (FileNotFoundError)" in line
    assert "PORT: set twice, by itself and by PORT_FILE" in line
    assert line.count("DATABASE_URL:") == 1


def test_binary_files_are_told_and_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "url").write_bytes(b"\xff\xfekey")
    line = refused({"DATABASE_URL_FILE": str(tmp_path / "url")}, capsys)
    assert "cannot be read (UnicodeDecodeError)" in line and "key" not in line.split("DATABASE")[0]


@pytest.mark.parametrize("address", ["localhost:0", "127.0.0.1:65535", "[::1]:50051"])
def test_addresses(address: str) -> None:
    environ = {"DATABASE_URL": "x", "PEER_ADDR": address}
    assert load(Example, "example", environ).peer_addr == address


@pytest.mark.parametrize(
    "address", ["localhost", ":80", "h:", "h:x", "h:65536", "h:-1", "h:\u00b2"]
)
def test_what_is_no_address(address: str, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused({"DATABASE_URL": "x", "PEER_ADDR": address}, capsys)
    assert line.endswith("PEER_ADDR: is not host:port\n")


@pytest.mark.parametrize("time", ["inf", "nan", "1e999"])
def test_times_have_an_end(time: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "WAIT_S: " in refused({"DATABASE_URL": "x", "WAIT_S": time}, capsys)
