"""What becomes of a refresh token that is shown, and who can open its successor."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from cryptography.fernet import InvalidToken
from hypothesis import given
from hypothesis import strategies as st

from memory_svc.crypto.refresh_tokens import Step, Token, fresh, hashed, judge, open_next, seal_next

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
FRESH = Token(UUID(int=1), UUID(int=2), None, None, None, NOW + timedelta(days=1), NOW)
USED = replace(FRESH, used_at=NOW, next_sealed="sealed")


@pytest.mark.parametrize(
    ("token", "step"),
    [
        (FRESH, Step.RENEW),
        (USED, Step.REPEAT),
        (replace(USED, used_at=NOW - timedelta(seconds=30)), Step.REPEAT),
        (replace(USED, used_at=NOW - timedelta(seconds=30.1)), Step.REVOKE),
        (replace(USED, next_sealed=None), Step.REFUSE),
        (replace(USED, next_sealed=None, used_at=NOW - timedelta(days=1)), Step.REVOKE),
        (replace(FRESH, revoked_at=NOW), Step.REFUSE),
        (replace(FRESH, expires_at=NOW), Step.REFUSE),
        (replace(USED, used_at=NOW - timedelta(days=1), revoked_at=NOW), Step.REFUSE),
    ],
)
def test_judging(token: Token, step: Step) -> None:
    assert judge(token) == step


@given(st.datetimes(NOW.replace(tzinfo=None), timezones=st.just(UTC)), st.booleans())
def test_a_used_token_never_gives_another_successor(now: datetime, sealed: bool) -> None:
    token = replace(USED, now=now, expires_at=now + timedelta(days=1))
    assert judge(token if sealed else replace(token, next_sealed=None)) is not Step.RENEW


def test_a_successor_opens_with_its_token_only() -> None:
    token, following = fresh(), fresh()
    sealed = seal_next(token, following)
    assert open_next(token, sealed) == following
    assert following not in sealed
    for other in (fresh(), following, hashed(token).hex()):
        with pytest.raises(InvalidToken):
            open_next(other, sealed)
