"""What becomes of a refresh token that is shown."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from memory_svc.accounts import Step, judge
from memory_svc.store.sessions import Token

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
FRESH = Token(UUID(int=1), UUID(int=2), None, None, NOW + timedelta(days=1), NOW)


@pytest.mark.parametrize(
    ("token", "step"),
    [
        (FRESH, Step.RENEW),
        (replace(FRESH, used_at=NOW - timedelta(seconds=30)), Step.RENEW),
        (replace(FRESH, used_at=NOW - timedelta(seconds=30.1)), Step.REVOKE),
        (replace(FRESH, revoked_at=NOW), Step.REFUSE),
        (replace(FRESH, expires_at=NOW), Step.REFUSE),
        (replace(FRESH, used_at=NOW - timedelta(days=1), revoked_at=NOW), Step.REFUSE),
    ],
)
def test_judging(token: Token, step: Step) -> None:
    assert judge(token) == step
