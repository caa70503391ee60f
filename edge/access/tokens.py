"""Access tokens: short-lived JWTs that the edge signs and checks by itself.

Accounts, passwords and refresh tokens are memory_svc's. Several signing keys may
stand side by side: the newest signs, each still checks what it signed.
"""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

import jwt

from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

_ALGORITHM: Final = "HS256"
_ISSUER: Final = "switchboard"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who holds a token. `expires_at` in seconds since 1970."""

    user_id: str
    family_id: str
    expires_at: float


class Tokens:
    """Signs and checks access tokens, which hold for `lifetime_s` seconds.

    Tokens of a family or user that was revoked here are refused until the last of them
    has expired; other edges are told, and learn of it no later than by then.
    """

    def __init__(
        self, keys: Sequence[str], lifetime_s: float, clock: Callable[[], float] = time.time
    ) -> None:
        self._keys = {_key_id(key): key for key in keys}
        self._newest = _key_id(keys[0])
        self._clock = clock
        self._revoked: dict[str, float] = {}
        self.lifetime_s = lifetime_s

    def issue(self, user_id: str, family_id: str) -> str:
        """A new access token."""
        now = self._clock()
        claims = {
            "iss": _ISSUER,
            "sub": user_id,
            "fam": family_id,
            "iat": now,
            "exp": now + self.lifetime_s,
            "jti": str(uuid4()),
        }
        return jwt.encode(
            claims, self._keys[self._newest], _ALGORITHM, headers={"kid": self._newest}
        )

    def check(self, token: str) -> Identity:
        """Who holds it. Raises SwitchboardError (unauthenticated)."""
        try:
            key = self._keys[str(jwt.get_unverified_header(token).get("kid"))]
            claims = jwt.decode(
                token,
                key,
                algorithms=[_ALGORITHM],
                issuer=_ISSUER,
                options={
                    "require": ["exp", "sub", "fam"],
                    "verify_exp": False,
                    "verify_iat": False,
                },
            )
            identity = Identity(str(claims["sub"]), str(claims["fam"]), float(claims["exp"]))
        except (jwt.InvalidTokenError, KeyError, ValueError, TypeError):
            raise unauthenticated() from None
        if not self.holds(identity):
            raise unauthenticated()
        return identity

    def holds(self, identity: Identity, grace_s: float = 0) -> bool:
        """Whether this identity's token has neither expired, `grace_s` ago, nor been revoked."""
        return self.left(identity) + grace_s > 0 and not self._is_revoked(identity)

    def left(self, identity: Identity) -> float:
        """How long this identity's token still holds, in seconds."""
        return identity.expires_at - self._clock()

    def revoke(self, id_: str) -> None:
        """Refuses the tokens that this family, or this user, was given until now."""
        now = self._clock()
        self._revoked = {known: until for known, until in self._revoked.items() if until > now}
        self._revoked[id_] = now + self.lifetime_s

    def _is_revoked(self, identity: Identity) -> bool:
        # A token of a later sign-in holds for longer than those that were revoked.
        return any(
            self._revoked.get(id_, 0.0) >= identity.expires_at
            for id_ in (identity.user_id, identity.family_id)
        )


def bearer(header: str | None) -> str | None:
    """The token of an Authorization header; None where there is no header.

    Raises SwitchboardError (unauthenticated) for a header of another form.
    """
    if header is None:
        return None
    scheme, _, token = header.partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise unauthenticated()
    return token.strip()


def unauthenticated() -> SwitchboardError:
    """The error of every missing, bad or expired token: it tells nothing more."""
    return SwitchboardError(ErrorCode.ERROR_CODE_UNAUTHENTICATED, "A valid access token is needed.")


def _key_id(key: str) -> str:
    return hashlib.sha256(b"switchboard-kid:" + key.encode()).hexdigest()[:16]
