"""Sign-ins: each a family of refresh tokens, on one device, until it is ended or runs out."""

from dataclasses import dataclass
from datetime import datetime
from typing import Final, assert_never
from uuid import UUID, uuid4

from memory_svc.crypto import refresh_tokens as tokens
from memory_svc.crypto.envelope import Keys, opened
from memory_svc.crypto.refresh_tokens import Step, Token
from memory_svc.keys.cache import KeyCache
from memory_svc.store.accounts import sign_ins
from memory_svc.store.database import Connection, Database
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

MAX_NAME: Final = 120
"""Characters of a device's name; what is longer is cut."""

LISTED: Final = 200
"""Sign-ins that a list names, the last used."""


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in user. `family_id` names the sign-in, `refresh_token` renews it once."""

    user_id: UUID
    family_id: UUID
    refresh_token: str


@dataclass(frozen=True, slots=True)
class SignIn:
    """A sign-in as its user sees it; times in UTC."""

    id: UUID
    name: str
    created_at: datetime
    used_at: datetime
    expires_at: datetime


class SignIns:
    """Opens, renews, lists and ends sign-ins, which hold for `days` without being renewed."""

    def __init__(self, db: Database, keys: KeyCache, days: int = 30) -> None:
        self._db = db
        self._keys = keys
        self._days = days

    async def open(self, db: Connection, user_id: UUID, keys: Keys | None, name: str) -> Session:
        """Opens one, on a device of that name. Without keys the name is not kept."""
        session = Session(user_id, uuid4(), tokens.fresh())
        shown = " ".join("".join(c if c.isprintable() else " " for c in name).split())[:MAX_NAME]
        sealed = keys.seal(shown, sign_ins.place(session.family_id)) if keys and shown else None
        await sign_ins.open_family(
            db,
            user_id,
            session.family_id,
            token_hash=tokens.hashed(session.refresh_token),
            name=sealed,
            days=self._days,
        )
        return session

    async def refresh(self, refresh_token: str) -> Session:
        """Changes a refresh token for the next. Raises UNAUTHENTICATED."""
        async with self._db.transaction() as db:
            token = await sign_ins.lock(db, tokens.hashed(refresh_token))
            following = await self._following(db, refresh_token, token) if token else None
        if token is None or following is None:
            raise SwitchboardError(
                ErrorCode.ERROR_CODE_UNAUTHENTICATED, "This sign-in is over. Please sign in again."
            )
        return Session(token.user_id, token.family_id, following)

    async def _following(self, db: Connection, shown: str, token: Token) -> str | None:
        match tokens.judge(token):
            case Step.RENEW:
                return await self._renew(db, shown, token)
            case Step.REPEAT:
                return tokens.open_next(shown, token.next_sealed or "")
            case Step.REVOKE:
                await sign_ins.revoke(db, token.family_id)
                return None
            case Step.REFUSE:
                return None
            case never:
                assert_never(never)

    async def _renew(self, db: Connection, shown: str, token: Token) -> str:
        following = tokens.fresh()
        await sign_ins.renew(
            db,
            token.family_id,
            old_hash=tokens.hashed(shown),
            new_hash=tokens.hashed(following),
            next_sealed=tokens.seal_next(shown, following),
            days=self._days,
            grace=tokens.GRACE,
        )
        return following

    async def revoke(self, refresh_token: str) -> Session | None:
        """Ends the sign-in that the token belongs to; None where there is none."""
        async with self._db.transaction() as db:
            token = await sign_ins.lock(db, tokens.hashed(refresh_token))
            if token is None:
                return None
            await sign_ins.revoke(db, token.family_id)
        return Session(token.user_id, token.family_id, "")

    async def listed(self, user_id: UUID) -> list[SignIn]:
        """Those that hold, the last used first."""
        keys = await self._keys.get(user_id)
        async with self._db.connection() as db:
            found = await sign_ins.families(db, user_id, LISTED)
        return [
            SignIn(
                each.id,
                (each.name and opened(keys, each.name, sign_ins.place(each.id))) or "",
                each.created_at,
                each.used_at,
                each.expires_at,
            )
            for each in found
        ]

    async def end(self, user_id: UUID, only: UUID | None, keep: UUID | None) -> list[UUID]:
        """Ends all of a user's but `keep`, or `only` one (NOT_FOUND where it is none that
        holds); returns what it ended."""
        async with self._db.connection() as db:
            ended = await sign_ins.end(db, user_id, only, keep)
        if only and not ended:
            raise SwitchboardError(ErrorCode.ERROR_CODE_NOT_FOUND, "There is no such sign-in.")
        return ended

    async def sweep(self) -> None:
        """Drops what is over."""
        async with self._db.connection() as db:
            await sign_ins.sweep(db, self._days, tokens.GRACE)
