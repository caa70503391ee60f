"""What memory_svc may be told."""

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from pydantic import AfterValidator, BeforeValidator, Field, FilePath, SecretStr, model_validator

from memory_svc.growth import Bounds
from memory_svc.mail.delivery import SCHEMES
from memory_svc.store import address
from runtime.model.client import Endpoint, ModelSettings
from runtime.settings import Address, ServiceSettings, Settings

Registration = Literal["open", "invitation", "closed"]


def _keys(value: object) -> object:
    if isinstance(value, str):
        return tuple(part.strip() for part in value.split(",") if part.strip())
    return value


def _fernet(keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    if not keys:
        raise ValueError("holds no key")
    for number, key in enumerate(keys, 1):
        try:
            Fernet(key.get_secret_value())
        except ValueError:
            raise ValueError(f"key {number} is no Fernet key (32 bytes in base64url)") from None
    return keys


def _postgres(url: SecretStr) -> SecretStr:
    text = url.get_secret_value()
    if text and (wrong := address.problem(text)):
        raise ValueError(wrong)
    return url


def _mailer(url: SecretStr) -> SecretStr:
    text = url.get_secret_value()
    try:
        parts = urlsplit(text)
        usable = parts.scheme in SCHEMES and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if text and not usable:
        raise ValueError(f"is no URL of {', '.join(SCHEMES)}")
    return url


class DatabaseSettings(Settings):
    """All that a migration is told: it sees no key."""

    database_url: Annotated[SecretStr, AfterValidator(_postgres)] = Field(
        min_length=1, description="The Postgres with pgvector that holds accounts and memory."
    )
    database_pooling: Literal["session", "transaction"] = Field(
        "session",
        description="How long a connection is the same: `session` for Postgres itself and poolers"
        " in session mode, `transaction` for poolers in transaction mode.",
    )
    database_direct_url: Annotated[SecretStr, AfterValidator(_postgres)] = Field(
        SecretStr(""),
        description="The way past a pooler, for what needs a session: listening, background jobs"
        " and migrations; not set: DATABASE_URL.",
    )
    database_ca_file: FilePath | None = Field(
        None,
        description="The authority (PEM) that signed the database's certificate; with it, TLS is"
        " asked for, and the certificate and its name are checked (`sslmode=verify-full`).",
    )

    @model_validator(mode="after")
    def _sessions(self) -> Self:
        if self.database_pooling == "transaction" and not self.database_direct_url:
            raise ValueError(
                "DATABASE_DIRECT_URL: is needed with DATABASE_POOLING=transaction: over such a"
                " pooler nothing can be listened to"
            )
        return self

    @property
    def for_statements(self) -> str:
        """The address for all that is done within a transaction."""
        return address.trusting(self.database_url.get_secret_value(), self.database_ca_file)

    @property
    def for_sessions(self) -> str:
        """The address for what outlives a transaction."""
        url = self.database_direct_url or self.database_url
        return address.trusting(url.get_secret_value(), self.database_ca_file)


class MemorySettings(DatabaseSettings, ServiceSettings, ModelSettings):
    """Settings of memory_svc; `MasterKeys` and `ERASURE_LEDGER` are what forgetting rests on."""

    listen_addr: Address = Field(
        "127.0.0.1:50053", description="Where the service listens, host:port; loopback by default."
    )
    database_replica_url: Annotated[SecretStr, AfterValidator(_postgres)] = Field(
        SecretStr(""),
        description="A read replica (hot standby) that recall, lists, searches and exports read"
        " from where it has all that was written of the user; not set: all is read from"
        " DATABASE_URL.",
    )
    database_pool: int = Field(
        10,
        ge=2,
        le=200,
        description="The most connections to the database, and to its replica where there is one.",
    )
    master_keys: Annotated[
        tuple[SecretStr, ...], BeforeValidator(_keys), AfterValidator(_fernet)
    ] = Field(
        description="Fernet keys that wrap the users' keys, separated by commas, newest first."
    )
    erasure_ledger: Path = Field(
        description="File that lists erased accounts and items; keep it outside the database and"
        " its backups."
    )
    embedding_model: str = Field(
        "text-embedding-3-small",
        min_length=1,
        max_length=128,
        description="The model of the embeddings; it must give 1536 dimensions.",
    )
    embedding_base_url: str = Field(
        "",
        pattern="^(https?://|$)",
        description="The provider of embeddings, where it is not that of OPENAI_BASE_URL.",
    )
    embedding_api_key: SecretStr = Field(
        SecretStr(""), description="Its key, where it is not OPENAI_API_KEY."
    )
    embedding_timeout_s: float = Field(
        0.8,
        gt=0,
        description="How long recall waits for an embedding before words alone decide, in seconds.",
    )
    summary_model: str = Field(
        "",
        max_length=128,
        description="A model that rewrites the summaries of exchanges; empty: the heuristic stays.",
    )
    memory_token_budget: int = Field(
        1200, ge=100, le=32_000, description="The most tokens of memory that go with a message."
    )
    pattern_threshold: float = Field(
        0.4, gt=0, lt=1, description="How sure a habit must be (0–1) before agents are told of it."
    )
    pattern_delay_s: float = Field(
        600, ge=0, description="How long after an exchange habits are looked for, in seconds."
    )
    memory_max_facts: int = Field(
        10_000,
        ge=0,
        description="How many facts a user has at the most; past it those go that were superseded,"
        " or not said again the longest. 0: no limit.",
    )
    memory_max_mb: int = Field(
        200,
        ge=0,
        description="About how much of the database a user's facts and exchanges take at the most,"
        " in MB; past it the oldest exchanges go. 0: no limit.",
    )
    episode_retention_days: int = Field(
        0, ge=0, description="Exchanges that are older are forgotten, in days. 0: never."
    )
    fact_retention_days: int = Field(
        0,
        ge=0,
        description="Facts that were last said longer ago are forgotten, in days. 0: never.",
    )
    memory_workers: int = Field(
        2, ge=0, le=32, description="Background jobs at once; each holds a connection."
    )
    refresh_token_days: int = Field(
        30, ge=1, le=400, description="How long a sign-in lasts without being used anew, in days."
    )
    registration: Registration = Field(
        "open",
        description="Who may make an account: open (anybody), invitation (whoever has a code of"
        " `python -m memory_svc invite`) or closed (nobody).",
    )
    mailer_url: Annotated[SecretStr, AfterValidator(_mailer)] = Field(
        SecretStr(""),
        description="How mail is sent: smtps://user:password@host, smtp:// (STARTTLS), smtp+clear://"
        " (closed networks only) or the https:// address of a hook. Empty: resets of passwords and"
        " verification of addresses are not offered.",
    )
    mail_from: str = Field(
        "", max_length=320, description="The address that mail comes from; SMTP needs it."
    )
    guesses_per_hour: float = Field(
        100,
        ge=0,
        description="How many wrong passwords an account is tried with in an hour, wherever they"
        " come from; as many at once. 0: no limit.",
    )
    lookups_per_hour: float = Field(
        600,
        ge=0,
        description="How often a user's memory is searched in an hour, over REST or by an agent's"
        " tool; an export counts for 20, and as many may come at once. 0: no limit.",
    )
    password_workers: int = Field(
        2, ge=1, le=64, description="How many passwords are hashed at once (19 MiB each)."
    )

    @model_validator(mode="after")
    def _mail_has_a_sender(self) -> Self:
        if self.mailer_url.get_secret_value().startswith("smtp") and "@" not in self.mail_from:
            raise ValueError("MAIL_FROM: must be an address where MAILER_URL is SMTP")
        return self

    @property
    def bounds(self) -> Bounds:
        """How much is kept of a user, and for how long."""
        return Bounds(
            self.memory_max_facts,
            self.memory_max_mb * 1_000_000,
            self.episode_retention_days,
            self.fact_retention_days,
        )

    @property
    def endpoint(self) -> Endpoint:
        """The provider of embeddings; summaries are asked of the common one."""
        return self.own("EMBEDDING", self.embedding_base_url, self.embedding_api_key)

    @property
    def for_reading(self) -> str:
        """The address of the replica; empty: there is none."""
        url = self.database_replica_url.get_secret_value()
        return url and address.trusting(url, self.database_ca_file)
