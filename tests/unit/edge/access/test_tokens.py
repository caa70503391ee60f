"""Access tokens."""

import base64
import json
from typing import Any

import jwt
import pytest

from edge.access.tokens import Identity, Tokens, bearer
from runtime.errors import SwitchboardError
from switchboard.v3.errors_pb2 import ErrorCode

OLD, NEW = "o" * 40, "n" * 40


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def refused(tokens: Tokens, token: str) -> bool:
    try:
        tokens.check(token)
    except SwitchboardError as error:
        return error.code == ErrorCode.ERROR_CODE_UNAUTHENTICATED
    return False


def test_what_is_issued_is_checked_until_it_expires() -> None:
    clock = Clock()
    tokens = Tokens([NEW], 900, clock)
    token = tokens.issue("u", "f")
    assert tokens.check(token) == Identity("u", "f", 1_900.0)
    clock.now = 1_899
    assert tokens.left(tokens.check(token)) == 1
    clock.now = 1_900
    assert refused(tokens, token)


def test_the_newest_key_signs_and_older_ones_still_check() -> None:
    clock = Clock()
    before, after = Tokens([OLD], 900, clock), Tokens([NEW, OLD], 900, clock)
    assert after.check(before.issue("u", "f")).user_id == "u"
    assert refused(before, after.issue("u", "f"))
    assert refused(Tokens([NEW], 900, clock), before.issue("u", "f"))


def forged(header: dict[str, Any], claims: dict[str, Any]) -> str:
    parts = [json.dumps(part).encode() for part in (header, claims)]
    return ".".join([base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts] + [""])


def test_forgeries() -> None:
    tokens = Tokens([NEW], 900, Clock())
    good = tokens.issue("u", "f")
    kid = jwt.get_unverified_header(good)["kid"]
    claims = {"iss": "switchboard", "sub": "u", "fam": "f", "exp": 5_000.0}
    assert tokens.check(jwt.encode(claims, NEW, "HS256", headers={"kid": kid})).user_id == "u"
    for token in (
        "",
        "x",
        "x.y.z",
        good[:-2],
        forged({"alg": "none", "kid": kid}, claims),
        jwt.encode(claims, NEW, "HS256"),
        jwt.encode(claims, NEW + "x" * 40, "HS384", headers={"kid": kid}),
        jwt.encode({**claims, "iss": "x"}, NEW, "HS256", headers={"kid": kid}),
        *(
            jwt.encode({k: v for k, v in claims.items() if k != gone}, NEW, headers={"kid": kid})
            for gone in claims
        ),
    ):
        assert refused(tokens, token)


@pytest.mark.parametrize("revoked", ["u", "f"])
def test_revoked(revoked: str) -> None:
    clock = Clock()
    tokens = Tokens([NEW], 900, clock)
    token, other = tokens.issue("u", "f"), tokens.issue("u2", "f2")
    tokens.revoke(revoked)
    assert refused(tokens, token)
    assert tokens.check(other).user_id == "u2"


@pytest.mark.parametrize("revoked", ["u", "f"])
def test_whoever_was_let_in_is_asked_after_again(revoked: str) -> None:
    clock = Clock()
    tokens = Tokens([NEW], 900, clock)
    known = tokens.check(tokens.issue("u", "f"))
    assert tokens.holds(known)
    clock.now += 901
    assert not tokens.holds(known)
    assert tokens.holds(known, grace_s=2)
    clock.now -= 901
    tokens.revoke(revoked)
    assert not tokens.holds(known, grace_s=2)


def test_a_later_sign_in_is_not_revoked() -> None:
    clock = Clock()
    tokens = Tokens([NEW], 900, clock)
    tokens.revoke("u")
    clock.now += 1
    assert tokens.check(tokens.issue("u", "f2")).user_id == "u"


def test_bearer() -> None:
    assert bearer(None) is None
    assert bearer("Bearer abc") == bearer("bearer  abc ") == "abc"
    for header in ("", "Bearer", "Bearer ", "Basic abc", "abc"):
        with pytest.raises(SwitchboardError):
            bearer(header)
