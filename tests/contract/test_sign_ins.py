"""Sign-ins, passwords that change, and guesses, as the callers of AccountService see them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from memory_svc.accounts import passwords
from switchboard.v3 import accounts_pb2 as pb
from switchboard.v3.errors_pb2 import ErrorCode
from tests.contract.test_account_service import age, refused, register, renew
from tests.support.memory import PASSWORD, Running, memory_service, settings

EMAIL = "ada@example.com"
NEW = "a better one, at last"


@pytest.fixture
async def service(database_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with memory_service(database_url, tmp_path) as running:
        yield running


async def login(
    service: Running, password: str = PASSWORD, name: str = "", email: str = EMAIL
) -> pb.Session:
    request = pb.AuthenticateRequest(email=email, password=password, device_name=name)
    return (await service.accounts.Authenticate(request)).session


async def guess(service: Running, password: str = "a guess", email: str = EMAIL) -> int:
    return (await refused(login(service, password, email=email))).code


async def listed(service: Running, of: pb.Session) -> list[pb.SignIn]:
    asked = pb.ListSignInsRequest(user_id=of.user_id)
    return list((await service.accounts.ListSignIns(asked)).sign_ins)


async def over(service: Running, session: pb.Session) -> bool:
    request = pb.RefreshRequest(refresh_token=session.refresh_token)
    error = await refused(service.accounts.Refresh(request))
    return error.code == ErrorCode.ERROR_CODE_UNAUTHENTICATED


# Who is signed in.


async def test_sign_ins_are_listed_by_device_the_last_used_first(service: Running) -> None:
    first = await register(service)
    phone = await login(service, name="  Ada's\tphone\x00 ")
    found = await listed(service, first)
    assert [each.family_id for each in found] == [phone.family_id, first.family_id]
    assert [each.device_name for each in found] == ["Ada's phone", ""]
    await renew(service, first.refresh_token)
    newest = (await listed(service, first))[0]
    assert newest.family_id == first.family_id
    assert newest.created_at.ToDatetime() < newest.used_at.ToDatetime()
    assert newest.used_at.ToDatetime() < newest.expires_at.ToDatetime()


async def test_a_device_s_name_stands_encrypted(service: Running) -> None:
    session = await register(service)
    await login(service, name="Ada's phone")
    stored = str(await service.fetch("SELECT * FROM refresh_families"))
    assert "phone" not in stored
    assert (await listed(service, session))[0].device_name == "Ada's phone"


async def test_long_names_are_cut(service: Running) -> None:
    session = await register(service)
    await login(service, name="x" * 5_000)
    assert (await listed(service, session))[0].device_name == "x" * 120


async def test_one_sign_in_is_ended_and_the_others_go_on(service: Running) -> None:
    first, second = await register(service), await login(service)
    request = pb.EndSignInsRequest(user_id=first.user_id, family_id=second.family_id)
    assert list((await service.accounts.EndSignIns(request)).family_ids) == [second.family_id]
    assert await over(service, second)
    await renew(service, first.refresh_token)
    assert [each.family_id for each in await listed(service, first)] == [first.family_id]
    again = await refused(service.accounts.EndSignIns(request))
    assert again.code == ErrorCode.ERROR_CODE_NOT_FOUND


async def test_nobody_ends_another_s_sign_in(service: Running) -> None:
    first, other = await register(service), await register(service, "grace@example.com")
    for family in (other.family_id, "no such id"):
        request = pb.EndSignInsRequest(user_id=first.user_id, family_id=family)
        error = await refused(service.accounts.EndSignIns(request))
        assert error.code == ErrorCode.ERROR_CODE_NOT_FOUND
    await renew(service, other.refresh_token)


@pytest.mark.parametrize("keep", [True, False])
async def test_signing_out_everywhere(service: Running, keep: bool) -> None:
    first, second = await register(service), await login(service)
    other = await register(service, "grace@example.com")
    kept = first.family_id if keep else ""
    request = pb.EndSignInsRequest(user_id=first.user_id, keep_family_id=kept)
    ended = set((await service.accounts.EndSignIns(request)).family_ids)
    assert ended == {second.family_id} | (set() if keep else {first.family_id})
    assert await over(service, second)
    assert [each.family_id for each in await listed(service, first)] == ([kept] if keep else [])
    if not keep:
        assert await over(service, first)
    await renew(service, other.refresh_token)


async def test_what_is_over_goes_in_time(service: Running) -> None:
    first = await register(service)
    await renew(service, first.refresh_token)
    ended = await login(service)
    await service.accounts.Revoke(pb.RevokeRequest(refresh_token=ended.refresh_token))
    await service.app.sign_ins.sweep()
    assert await service.fetch("SELECT count(*) FROM refresh_families") == [(2,)]
    async with service.app.db.connection() as db:
        await db.execute("UPDATE refresh_families SET revoked_at = revoked_at - interval '2 days'")
    await age(service, 31 * 86_400)
    await service.app.sign_ins.sweep()
    assert await service.fetch("SELECT count(*) FROM refresh_families") == [(1,)]
    assert await service.fetch("SELECT count(*) FROM refresh_tokens") == [(1,)]


# The password.


def change(session: pb.Session, password: str, new: str) -> pb.ChangePasswordRequest:
    return pb.ChangePasswordRequest(
        user_id=session.user_id,
        family_id=session.family_id,
        password=password,
        new_password=new,
    )


async def test_a_changed_password_ends_all_other_sign_ins(service: Running) -> None:
    first, second = await register(service), await login(service)
    ended = await service.accounts.ChangePassword(change(first, PASSWORD, NEW))
    assert list(ended.family_ids) == [second.family_id]
    assert await over(service, second)
    await renew(service, first.refresh_token)
    assert await guess(service, PASSWORD) == ErrorCode.ERROR_CODE_UNAUTHENTICATED
    await login(service, NEW)


@pytest.mark.parametrize(
    ("password", "new", "code"),
    [
        ("not the password", NEW, ErrorCode.ERROR_CODE_UNAUTHENTICATED),
        (PASSWORD, "short", ErrorCode.ERROR_CODE_INVALID_FRAME),
        (PASSWORD, "x" * 257, ErrorCode.ERROR_CODE_INVALID_FRAME),
    ],
)
async def test_a_refused_change_changes_nothing(
    service: Running, password: str, new: str, code: int
) -> None:
    first, second = await register(service), await login(service)
    error = await refused(service.accounts.ChangePassword(change(first, password, new)))
    assert error.code == code
    await renew(service, second.refresh_token)
    await login(service)


async def test_signing_in_while_the_password_changes_leaves_no_sign_in_behind(
    service: Running,
) -> None:
    first = await register(service)
    tries = [asyncio.create_task(login(service)) for _ in range(6)]
    await service.accounts.ChangePassword(change(first, PASSWORD, NEW))
    await asyncio.gather(*tries, return_exceptions=True)
    assert [each.family_id for each in await listed(service, first)] == [first.family_id]


# Guesses.


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com"])
async def test_an_account_is_guessed_at_so_often_whether_or_not_there_is_one(
    database_url: str, tmp_path: Path, email: str
) -> None:
    async with memory_service(database_url, tmp_path, guesses_per_hour=3) as service:
        await register(service)
        for _ in range(3):
            assert await guess(service, email=email) == ErrorCode.ERROR_CODE_UNAUTHENTICATED
        error = await refused(login(service, PASSWORD, email=f" {email.upper()}"))
        assert error.code == ErrorCode.ERROR_CODE_RATE_LIMITED
        assert error.retry_after_ms is not None
        assert 0 < error.retry_after_ms <= 1_200_000
        await register(service, "grace@example.com")
        await login(service, email="grace@example.com")


async def test_guesses_at_the_same_moment_are_no_more_than_the_limit(
    database_url: str, tmp_path: Path
) -> None:
    async with memory_service(database_url, tmp_path, guesses_per_hour=3) as service:
        await register(service)
        found = await asyncio.gather(*(guess(service) for _ in range(12)))
        assert found.count(ErrorCode.ERROR_CODE_UNAUTHENTICATED) == 3
        assert found.count(ErrorCode.ERROR_CODE_RATE_LIMITED) == 9


async def test_guesses_are_counted_over_all_that_ask_for_the_password(
    database_url: str, tmp_path: Path
) -> None:
    async with memory_service(database_url, tmp_path, guesses_per_hour=3) as service:
        session = await register(service)
        erase = pb.AccountServiceDeleteRequest(user_id=session.user_id, password="a guess")
        await guess(service)
        await refused(service.accounts.Delete(erase))
        await refused(service.accounts.ChangePassword(change(session, "a guess", NEW)))
        erase.password = PASSWORD
        error = await refused(service.accounts.Delete(erase))
        assert error.code == ErrorCode.ERROR_CODE_RATE_LIMITED
        await renew(service, session.refresh_token)  # who is signed in notices nothing


async def test_guesses_are_counted_over_replicas_and_restarts(
    database_url: str, tmp_path: Path
) -> None:
    masters = ",".join(
        key.get_secret_value() for key in settings(database_url, tmp_path).master_keys
    )
    given = {"guesses_per_hour": 3, "master_keys": masters}
    async with (
        memory_service(database_url, tmp_path, **given) as one,
        memory_service(database_url, tmp_path, **given) as two,
    ):
        await register(one)
        for service in (one, two, one):
            assert await guess(service) == ErrorCode.ERROR_CODE_UNAUTHENTICATED
        assert await guess(two) == ErrorCode.ERROR_CODE_RATE_LIMITED
    async with memory_service(database_url, tmp_path, **given) as service:
        assert await guess(service) == ErrorCode.ERROR_CODE_RATE_LIMITED


async def test_an_hour_gives_all_guesses_back(database_url: str, tmp_path: Path) -> None:
    async with memory_service(database_url, tmp_path, guesses_per_hour=3) as service:
        await register(service)
        while await guess(service) != ErrorCode.ERROR_CODE_RATE_LIMITED:
            pass
        async with service.app.db.connection() as db:
            await db.execute("UPDATE account_attempts SET at = at - interval '1 hour'")
        for _ in range(3):
            assert await guess(service) == ErrorCode.ERROR_CODE_UNAUTHENTICATED
        assert await guess(service) == ErrorCode.ERROR_CODE_RATE_LIMITED


async def test_the_right_password_takes_no_guesses_away(database_url: str, tmp_path: Path) -> None:
    async with memory_service(database_url, tmp_path, guesses_per_hour=2) as service:
        await register(service)
        for _ in range(5):
            await login(service)
        await guess(service)
        await login(service)
        assert await guess(service) == ErrorCode.ERROR_CODE_UNAUTHENTICATED
        assert await guess(service, PASSWORD) == ErrorCode.ERROR_CODE_RATE_LIMITED


async def test_who_is_sent_away_by_the_crowd_made_no_guess(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with memory_service(database_url, tmp_path, guesses_per_hour=2) as service:
        await register(service)
        with monkeypatch.context() as patch:
            patch.setattr(passwords, "WAITING", -2)  # with its two workers: nobody may wait
            for _ in range(4):
                assert await guess(service) == ErrorCode.ERROR_CODE_RATE_LIMITED
        await login(service)


async def test_a_hundred_guesses_and_no_more(service: Running) -> None:
    """As it comes, without a word in the settings."""
    await register(service)
    key = service.app.accounts._guesses._key(EMAIL)
    async with service.app.db.connection() as db:
        await db.execute("INSERT INTO account_attempts VALUES ($1, 99, now())", key)
    assert await guess(service) == ErrorCode.ERROR_CODE_UNAUTHENTICATED
    error = await refused(login(service))
    assert error.code == ErrorCode.ERROR_CODE_RATE_LIMITED
    assert error.retry_after_ms is not None
    assert error.retry_after_ms <= 36_000
