"""Settings: one frozen object per process, read from the environment once.

A field's variable is its name in upper case. Any of them may come from a file
instead, as `NAME_FILE` (how containers hand out secrets). All problems are told
at once, in one line, without the values: they may be secrets.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, NoReturn, Self, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    FilePath,
    ValidationError,
    model_validator,
)

from runtime.memory_limit import of_cgroup

_HELD: Final = 8
"""One byte in so many is counted as held for somebody: each stands in memory two to three times,
as a message, as its text, and on its way; the process itself takes 60 to 130 MiB."""

_HELD_BYTES: Final = 64 * 1024 * 1024
"""Where there is no limit of memory."""


def _split(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _address(value: str) -> str:
    host, colon, port = value.rpartition(":")
    digits = port.isascii() and port.isdigit()  # "²" is a digit too, and no number
    if not (host and colon and digits and len(port) <= 5 and int(port) < 65536):
        raise ValueError("is not host:port")
    return value


CommaList = Annotated[tuple[str, ...], BeforeValidator(_split)]
"""A list in one variable, its items separated by commas."""

Address = Annotated[str, AfterValidator(_address)]
"""`host:port`; a port of 0 lets the system choose."""


class Settings(BaseModel):
    """What every process may be told."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False
    )

    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="How much is logged: debug, info, warning or error."
    )
    log_format: Literal["human", "json"] = Field(
        "human", description="Logs for people, or one JSON object a line."
    )
    admin_addr: Address | None = Field(
        None, description="Where Prometheus finds /metrics, host:port; not set: nowhere."
    )
    otel_exporter_otlp_endpoint: str = Field(
        "", description="An OTLP/HTTP collector for traces, such as http://127.0.0.1:4318."
    )
    tls_cert_file: FilePath | None = Field(
        None,
        description="This process's certificate (PEM). With the two below: mutual TLS between "
        "the services; renewed files are taken without a restart.",
    )
    tls_key_file: FilePath | None = Field(None, description="The certificate's key (PEM).")
    tls_ca_file: FilePath | None = Field(
        None, description="The authority that signed all services' certificates (PEM)."
    )

    @model_validator(mode="after")
    def _whole_tls(self) -> Self:
        if (
            len({self.tls_cert_file is None, self.tls_key_file is None, self.tls_ca_file is None})
            > 1
        ):
            raise ValueError("TLS_CERT_FILE, TLS_KEY_FILE and TLS_CA_FILE: set all of them or none")
        return self


class ServiceSettings(Settings):
    """What every gRPC service may be told."""

    listen_addr: Address = Field(
        "127.0.0.1:0", description="Where the service listens, host:port; on loopback by default."
    )
    health_addr: Address | None = Field(
        None,
        description="A second listener, in the clear, that serves grpc.health.v1 only: for probes "
        "that have no certificate.",
    )
    drain_s: float = Field(
        10, ge=0, description="How long running calls may go on after SIGTERM, in seconds."
    )
    tls_callers: CommaList = Field(
        (),
        description="Names that callers' certificates must carry one of; empty: any that the "
        "authority signed.",
    )
    memory_limit: int = Field(
        0,
        ge=0,
        description="How much memory the service may use, in bytes: near it nothing more is taken"
        " on (`overloaded`). 0: as its cgroup says.",
    )
    max_held_bytes: int = Field(
        0,
        ge=0,
        description="How many bytes the service may hold for all whom it serves: requests with"
        " their histories and results, and frames that wait or are kept; past it `overloaded`."
        " 0: an eighth of MEMORY_LIMIT, such as 64 MiB of 512; 64 MiB where there is none.",
    )

    @property
    def memory(self) -> int | None:
        """How much memory may be used, in bytes; None: no limit is known."""
        return self.memory_limit or of_cgroup()

    @property
    def held_bytes(self) -> int:
        """How many bytes may be held for all who are served."""
        memory = self.memory
        return self.max_held_bytes or (max(1, memory // _HELD) if memory else _HELD_BYTES)


T = TypeVar("T", bound=Settings)


def load(cls: type[T], program: str, environ: Mapping[str, str] = os.environ) -> T:
    """Reads and checks the settings, or ends the process with status 2 and one line."""
    values, problems = _collect(cls, environ)
    try:
        settings = cls.model_validate(values)
    except ValidationError as error:
        known = {problem.split(":")[0] for problem in problems}
        problems += [line for line in map(_line, error.errors()) if line.split(":")[0] not in known]
    if problems:
        fail(program, "; ".join(problems))
    return settings


def fail(program: str, why: str) -> NoReturn:
    """Ends the process with status 2: the operator must act."""
    print(f"{program}: bad settings: {why}", file=sys.stderr)  # noqa: T201 - logs may not be set up
    raise SystemExit(2)


def _collect(cls: type[Settings], environ: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    values, problems = {}, []
    for field in cls.model_fields:
        name = field.upper()
        value, path = environ.get(name), environ.get(f"{name}_FILE")
        if value and path:
            problems.append(f"{name}: set twice, by itself and by {name}_FILE")
        elif value:
            values[field] = value
        elif path:
            try:
                values[field] = Path(path).read_text("utf-8").strip()
            except (OSError, UnicodeDecodeError) as error:
                problems.append(f"{name}: {name}_FILE cannot be read ({type(error).__name__})")
    return values, problems


def _line(error: Any) -> str:
    why = str(error["msg"]).removeprefix("Value error, ")
    if not error["loc"]:
        return why
    name = str(error["loc"][0]).upper()
    return f"{name}: is not set" if error["type"] == "missing" else f"{name}: {why}"
