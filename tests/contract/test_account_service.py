"""AccountService as its callers see it: a real server, a real database."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import grpc
import pytest

from runtime.errors import SwitchboardError, from_rpc
from switchboard.v3 import accounts_pb2 as pb
from switchboard.v3.errors_pb2 import ErrorCode
from tests.support.memory import PASSWORD, Running, memory_service


@pytest.fixture
async def service(database_url: str, tmp_path: Path) -> AsyncIterator[Running]:
    async with memory_service(database_url, tmp_path) as running:
        yield running


async def refused(call: object) -> SwitchboardError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call  # type: ignore[misc]
    return from_rpc(caught.value)


async def register(service: Running, email: str = "ada@example.com") -> pb.Session:
    request = pb.RegisterRequest(email=email, password=PASSWORD)
    return (await service.accounts.Register(request)).session


async def renew(service: Running, token: str) -> pb.Session:
    return (await service.accounts.Refresh(pb.RefreshRequest(refresh_token=token))).session


async def age(service: Running, seconds: int) -> None:
    async with service.app.db.connection() as db:
        await db.execute(
            "UPDATE refresh_tokens SET used_at = used_at - make_interval(secs => $1)",
            float(seconds),
        )


async def test_a_registered_user_signs_in_whatever_the_case_of_the_address(
    service: Running,
) -> None:
    made = await register(service, "Ada@Example.com")
    request = pb.AuthenticateRequest(email=" ada@example.COM", password=PASSWORD)
    session = (await service.accounts.Authenticate(request)).session
    assert session.user_id == made.user_id
    assert session.family_id != made.family_id
    assert session.refresh_token != made.refresh_token


async def test_an_address_is_taken_once(service: Running) -> None:
    await register(service)
    error = await refused(
        service.accounts.Register(pb.RegisterRequest(email="ADA@example.com", password=PASSWORD))
    )
    assert error.code == ErrorCode.ERROR_CODE_CONFLICT


@pytest.mark.parametrize(
    ("email", "password"),
    [
        ("no address", PASSWORD),
        ("", PASSWORD),
        ("a@b", "short"),
        ("a@b", "x" * 257),
        ("a\x00@b", PASSWORD),
        (f"{'a' * 65}@b", PASSWORD),
    ],
)
async def test_what_cannot_register(service: Running, email: str, password: str) -> None:
    request = pb.RegisterRequest(email=email, password=password)
    assert (await refused(service.accounts.Register(request))).code == (
        ErrorCode.ERROR_CODE_INVALID_FRAME
    )


@pytest.mark.parametrize("email", ["ada@example.com", "nobody@example.com", "\x00"])
async def test_a_wrong_password_and_an_unknown_address_look_alike(
    service: Running, email: str
) -> None:
    await register(service)
    request = pb.AuthenticateRequest(email=email, password="not the password")
    error = await refused(service.accounts.Authenticate(request))
    assert error.code == ErrorCode.ERROR_CODE_UNAUTHENTICATED
    assert error.message == "The e-mail address or the password is wrong."


async def test_passwords_and_tokens_stand_in_the_database_as_hashes_only(
    service: Running,
) -> None:
    session = await register(service)
    async with service.app.db.connection() as db:
        stored = str(
            [
                [tuple(row) for row in await db.fetch(f"SELECT * FROM {table}")]
                for table in ("users", "refresh_tokens", "refresh_families")
            ]
        )
    assert "$argon2id$" in stored
    assert PASSWORD not in stored
    assert session.refresh_token not in stored


async def test_a_refresh_token_gives_the_next_of_its_family(service: Running) -> None:
    first = await register(service)
    second = await renew(service, first.refresh_token)
    third = await renew(service, second.refresh_token)
    assert {first.family_id} == {second.family_id, third.family_id}
    assert len({first.refresh_token, second.refresh_token, third.refresh_token}) == 3


async def test_a_token_shown_again_at_once_gives_the_same_successor(service: Running) -> None:
    first = await register(service)
    lost = await renew(service, first.refresh_token)
    assert await renew(service, first.refresh_token) == lost
    third = await renew(service, lost.refresh_token)
    assert await renew(service, lost.refresh_token) == third
    assert await renew(service, first.refresh_token) == lost
    assert await service.fetch("SELECT count(*) FROM refresh_tokens") == [(3,)]


async def test_a_successor_is_kept_no_longer_than_it_may_be_asked_for(service: Running) -> None:
    second = await renew(service, (await register(service)).refresh_token)
    await age(service, 31)
    await renew(service, second.refresh_token)
    kept = await service.fetch(
        "SELECT count(*) FROM refresh_tokens WHERE used_at IS NOT NULL AND next_sealed IS NOT NULL"
    )
    assert kept == [(1,)]  # of the one that was just used
    await age(service, 31)
    await service.app.sign_ins.sweep()
    assert await service.fetch("SELECT count(next_sealed) FROM refresh_tokens") == [(0,)]


async def test_a_token_shown_again_later_revokes_its_family(service: Running) -> None:
    first = await register(service)
    other = await service.accounts.Authenticate(
        pb.AuthenticateRequest(email="ada@example.com", password=PASSWORD)
    )
    second = await renew(service, first.refresh_token)
    await age(service, 31)
    for token in (first.refresh_token, second.refresh_token):
        error = await refused(service.accounts.Refresh(pb.RefreshRequest(refresh_token=token)))
        assert error.code == ErrorCode.ERROR_CODE_UNAUTHENTICATED
    await renew(service, other.session.refresh_token)


async def test_logout_revokes_the_family_and_names_it(service: Running) -> None:
    first = await register(service)
    second = await renew(service, first.refresh_token)
    ended = await service.accounts.Revoke(pb.RevokeRequest(refresh_token=first.refresh_token))
    assert (ended.user_id, ended.family_id) == (first.user_id, first.family_id)
    error = await refused(
        service.accounts.Refresh(pb.RefreshRequest(refresh_token=second.refresh_token))
    )
    assert error.code == ErrorCode.ERROR_CODE_UNAUTHENTICATED


async def test_revoking_an_unknown_token_does_nothing(service: Running) -> None:
    assert (
        await service.accounts.Revoke(pb.RevokeRequest(refresh_token="no such token"))
        == pb.RevokeResponse()
    )


async def test_the_family_of_a_copied_token_can_still_be_named(service: Running) -> None:
    first = await register(service)
    await renew(service, first.refresh_token)
    await age(service, 31)
    await refused(service.accounts.Refresh(pb.RefreshRequest(refresh_token=first.refresh_token)))
    ended = await service.accounts.Revoke(pb.RevokeRequest(refresh_token=first.refresh_token))
    assert (ended.user_id, ended.family_id) == (first.user_id, first.family_id)


async def test_an_expired_family_is_over(service: Running) -> None:
    first = await register(service)
    async with service.app.db.connection() as db:
        await db.execute("UPDATE refresh_families SET expires_at = now() - interval '1 second'")
    error = await refused(
        service.accounts.Refresh(pb.RefreshRequest(refresh_token=first.refresh_token))
    )
    assert error.code == ErrorCode.ERROR_CODE_UNAUTHENTICATED


async def test_the_key_is_wrapped_for_its_user(service: Running) -> None:
    session = await register(service)
    async with service.app.db.connection() as db:
        row = await db.fetchrow("SELECT id, encryption_key FROM users")
    assert str(row["id"]) == session.user_id
    assert len(service.app.masters.unwrap(row["id"], row["encryption_key"])) == 44


async def test_deleting_asks_for_the_password_again(service: Running) -> None:
    session = await register(service)
    wrong = pb.AccountServiceDeleteRequest(user_id=session.user_id, password="wrong password")
    assert (await refused(service.accounts.Delete(wrong))).code == (
        ErrorCode.ERROR_CODE_UNAUTHENTICATED
    )
    await renew(service, session.refresh_token)


async def test_whether_an_account_may_be_deleted_can_be_asked_first(service: Running) -> None:
    session = await register(service)
    ask = pb.AccountServiceDeleteRequest(
        user_id=session.user_id, password=PASSWORD, check_only=True
    )
    await service.accounts.Delete(ask)
    await renew(service, session.refresh_token)
    ask.password = "wrong password"
    assert (await refused(service.accounts.Delete(ask))).code == (
        ErrorCode.ERROR_CODE_UNAUTHENTICATED
    )


async def test_a_deleted_account_is_gone_and_its_address_free(service: Running) -> None:
    session = await register(service)
    await service.accounts.Delete(
        pb.AccountServiceDeleteRequest(user_id=session.user_id, password=PASSWORD)
    )
    login = pb.AuthenticateRequest(email="ada@example.com", password=PASSWORD)
    assert (await refused(service.accounts.Authenticate(login))).code == (
        ErrorCode.ERROR_CODE_UNAUTHENTICATED
    )
    error = await refused(
        service.accounts.Refresh(pb.RefreshRequest(refresh_token=session.refresh_token))
    )
    assert error.code == ErrorCode.ERROR_CODE_UNAUTHENTICATED
    assert (await register(service)).user_id != session.user_id
    ledger = service.app.settings.erasure_ledger.read_text()
    assert session.user_id in ledger


async def test_refreshing_at_the_same_moment_keeps_one_family(service: Running) -> None:
    first = await register(service)
    sessions = await asyncio.gather(*(renew(service, first.refresh_token) for _ in range(8)))
    assert {session.family_id for session in sessions} == {first.family_id}
    assert len({session.refresh_token for session in sessions}) == 1


async def test_an_account_survives_a_restart_of_the_service(
    database_url: str, tmp_path: Path
) -> None:
    async with memory_service(database_url, tmp_path) as running:
        session = await register(running)
        masters = [key.get_secret_value() for key in running.app.settings.master_keys]
    async with memory_service(database_url, tmp_path, master_keys=",".join(masters)) as running:
        await renew(running, session.refresh_token)
    connection = await asyncpg.connect(database_url)
    assert await connection.fetchval("SELECT count(*) FROM users") == 1
    await connection.close()
