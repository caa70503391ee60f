"""Registration that is closed, and codes by mail: a real memory_svc and real SMTP."""

import asyncio
import os
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from memory_svc.accounts.registration import invite
from memory_svc.mail import queue
from memory_svc.settings import MemorySettings
from runtime.settings import load
from switchboard.v3 import accounts_pb2 as pb
from switchboard.v3.errors_pb2 import ErrorCode
from tests.contract.test_account_service import refused, register, renew
from tests.contract.test_sign_ins import EMAIL, NEW, guess, login, over
from tests.support.certs import Authority
from tests.support.edge_stack import eventually
from tests.support.memory import PASSWORD, Running, memory_service, settings
from tests.support.smtp import SmtpServer, smtp_server

FROM = "Switchboard <no-reply@example.com>"


@pytest.fixture
async def sink() -> AsyncIterator[SmtpServer]:
    async with smtp_server() as server:
        yield server


@pytest.fixture
async def service(database_url: str, tmp_path: Path, sink: SmtpServer) -> AsyncIterator[Running]:
    url = f"smtp+clear://127.0.0.1:{sink.port}"
    async with memory_service(database_url, tmp_path, mailer_url=url, mail_from=FROM) as running:
        yield running


async def ask(service: Running, email: str = EMAIL) -> None:
    await service.accounts.AskReset(pb.AskResetRequest(email=email))


async def reset(service: Running, code: str, password: str = NEW) -> pb.ResetPasswordResponse:
    asked = pb.ResetPasswordRequest(code=code, new_password=password)
    return await service.accounts.ResetPassword(asked)


async def verified(service: Running) -> bool:
    ((count,),) = await service.fetch(
        "SELECT count(*) FROM users WHERE email_verified_at IS NOT NULL"
    )
    return bool(count)


# Who may register.


async def test_registration_can_be_closed(database_url: str, tmp_path: Path) -> None:
    async with memory_service(database_url, tmp_path, registration="closed") as service:
        policy = await service.accounts.GetPolicy(pb.GetPolicyRequest())
        assert policy.registration == pb.REGISTRATION_CLOSED
        assert not policy.mail
        asked = pb.RegisterRequest(email=EMAIL, password=PASSWORD, invitation="made up")
        error = await refused(service.accounts.Register(asked))
        assert error.code == ErrorCode.ERROR_CODE_FORBIDDEN


async def test_an_invitation_lets_one_in_once(database_url: str, tmp_path: Path) -> None:
    given = settings(database_url, tmp_path)
    environment = {
        **os.environ,
        "DATABASE_URL": database_url,
        "MASTER_KEYS": ",".join(key.get_secret_value() for key in given.master_keys),
        "ERASURE_LEDGER": str(given.erasure_ledger),
        "REGISTRATION": "invitation",
    }
    printed = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "memory_svc", "invite"],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    invitation = printed.stdout.strip()
    async with memory_service(
        database_url,
        tmp_path,
        registration="invitation",
        master_keys=environment["MASTER_KEYS"],
    ) as service:
        assert invitation not in str(await service.fetch("SELECT * FROM invitations"))
        asked = pb.RegisterRequest(email=EMAIL, password=PASSWORD)
        for code in ("", "made up"):
            asked.invitation = code
            error = await refused(service.accounts.Register(asked))
            assert error.code == ErrorCode.ERROR_CODE_FORBIDDEN
        asked.invitation = invitation
        await service.accounts.Register(asked)
        asked.email = "grace@example.com"
        error = await refused(service.accounts.Register(asked))
        assert error.code == ErrorCode.ERROR_CODE_FORBIDDEN


async def test_an_invitation_is_not_lost_on_an_address_that_is_taken(
    database_url: str, tmp_path: Path
) -> None:
    async with memory_service(database_url, tmp_path, registration="invitation") as service:
        first, second = [await invite(service.app.db) for _ in range(2)]
        asked = pb.RegisterRequest(email=EMAIL, password=PASSWORD, invitation=first)
        await service.accounts.Register(asked)
        asked.invitation = second
        error = await refused(service.accounts.Register(asked))
        assert error.code == ErrorCode.ERROR_CODE_CONFLICT
        asked.email = "grace@example.com"
        await service.accounts.Register(asked)


# A new password.


async def test_a_password_is_reset_by_a_code_from_the_mail(
    service: Running, sink: SmtpServer
) -> None:
    session = await register(service)
    welcome = await sink.mail()
    await ask(service, f" {EMAIL.upper()}")
    mail = await sink.mail()
    assert mail.recipients == [EMAIL]
    assert mail.message["From"] == FROM
    assert mail.message["Auto-Submitted"] == "auto-generated"
    assert mail.code != welcome.code
    assert mail.code not in str(await service.fetch("SELECT * FROM account_codes"))
    done = await reset(service, mail.code)
    assert done.user_id == session.user_id
    assert list(done.family_ids) == [session.family_id]
    assert await over(service, session)
    assert await guess(service, PASSWORD) == ErrorCode.ERROR_CODE_UNAUTHENTICATED
    await login(service, NEW)
    assert await verified(service)
    assert (await refused(reset(service, mail.code))).code == ErrorCode.ERROR_CODE_FORBIDDEN


async def test_a_code_holds_for_half_an_hour_and_until_the_next(
    service: Running, sink: SmtpServer
) -> None:
    await register(service)
    await sink.mail()
    await ask(service)
    first = (await sink.mail()).code
    await ask(service)
    second = (await sink.mail()).code
    assert (await refused(reset(service, first))).code == ErrorCode.ERROR_CODE_FORBIDDEN
    async with service.app.db.connection() as db:
        await db.execute("UPDATE account_codes SET expires_at = expires_at - interval '30 min'")
    assert (await refused(reset(service, second))).code == ErrorCode.ERROR_CODE_FORBIDDEN
    await login(service)


async def test_a_refused_new_password_leaves_the_code(service: Running, sink: SmtpServer) -> None:
    await register(service)
    await sink.mail()
    await ask(service)
    code = (await sink.mail()).code
    error = await refused(reset(service, code, "short"))
    assert error.code == ErrorCode.ERROR_CODE_INVALID_FRAME
    await reset(service, code)


async def test_an_address_without_an_account_gets_no_mail_and_the_same_answer(
    service: Running, sink: SmtpServer
) -> None:
    await register(service)
    await sink.mail()
    await ask(service, "nobody@example.com")
    await ask(service)
    assert (await sink.mail()).recipients == [EMAIL]
    assert sink.received.empty()


@pytest.mark.parametrize("email", [EMAIL, "nobody@example.com"])
async def test_nobody_s_mailbox_is_flooded(service: Running, email: str) -> None:
    for _ in range(5):
        await ask(service, email)
    error = await refused(ask(service, email))
    assert error.code == ErrorCode.ERROR_CODE_RATE_LIMITED
    assert error.retry_after_ms is not None


async def test_a_reset_gives_all_guesses_back(
    database_url: str, tmp_path: Path, sink: SmtpServer
) -> None:
    url = f"smtp+clear://127.0.0.1:{sink.port}"
    given = {"mailer_url": url, "mail_from": FROM, "guesses_per_hour": 1}
    async with memory_service(database_url, tmp_path, **given) as service:
        await register(service)
        await sink.mail()
        await guess(service)
        assert await guess(service) == ErrorCode.ERROR_CODE_RATE_LIMITED
        await ask(service)
        await reset(service, (await sink.mail()).code)
        await login(service, NEW)


# The address.


async def test_a_new_account_proves_its_address(service: Running, sink: SmtpServer) -> None:
    session = await register(service)
    mail = await sink.mail()
    assert mail.recipients == [EMAIL]
    assert not await verified(service)
    error = await refused(reset(service, mail.code))  # it is no code for a password
    assert error.code == ErrorCode.ERROR_CODE_FORBIDDEN
    await service.accounts.VerifyEmail(pb.VerifyEmailRequest(code=mail.code))
    assert await verified(service)
    await renew(service, session.refresh_token)
    asked = pb.AskVerificationRequest(user_id=session.user_id)
    error = await refused(service.accounts.AskVerification(asked))
    assert error.code == ErrorCode.ERROR_CODE_CONFLICT


async def test_the_code_can_be_asked_for_again(service: Running, sink: SmtpServer) -> None:
    session = await register(service)
    first = (await sink.mail()).code
    await service.accounts.AskVerification(pb.AskVerificationRequest(user_id=session.user_id))
    second = (await sink.mail()).code
    error = await refused(service.accounts.VerifyEmail(pb.VerifyEmailRequest(code=first)))
    assert error.code == ErrorCode.ERROR_CODE_FORBIDDEN
    await service.accounts.VerifyEmail(pb.VerifyEmailRequest(code=second))


async def test_codes_go_with_the_account(service: Running, sink: SmtpServer) -> None:
    session = await register(service)
    await sink.mail()
    await service.accounts.Delete(
        pb.AccountServiceDeleteRequest(user_id=session.user_id, password=PASSWORD)
    )
    assert await service.fetch("SELECT count(*) FROM account_codes") == [(0,)]


# The mailer.


async def test_without_a_mailer_nothing_of_it_is_offered(database_url: str, tmp_path: Path) -> None:
    async with memory_service(database_url, tmp_path) as service:
        session = await register(service)
        assert not (await service.accounts.GetPolicy(pb.GetPolicyRequest())).mail
        verify = pb.AskVerificationRequest(user_id=session.user_id)
        for call in (
            ask(service),
            reset(service, "code"),
            service.accounts.AskVerification(verify),
            service.accounts.VerifyEmail(pb.VerifyEmailRequest(code="code")),
        ):
            assert (await refused(call)).code == ErrorCode.ERROR_CODE_NOT_FOUND


@pytest.mark.parametrize("scheme", ["smtps", "smtp"])
async def test_mail_is_sent_over_tls_with_a_password(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    files = Authority().issue(tmp_path / "tls", "localhost")
    monkeypatch.setenv("SSL_CERT_FILE", str(files["tls_ca_file"]))
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(files["tls_cert_file"], files["tls_key_file"])
    async with smtp_server(tls=tls, at_once=scheme == "smtps", ada="p@ss/word") as sink:
        url = f"{scheme}://ada:p%40ss%2Fword@localhost:{sink.port}"
        given = {"mailer_url": url, "mail_from": FROM}
        async with memory_service(database_url, tmp_path, **given) as service:
            await register(service)
            mail = await sink.mail()
            assert (mail.secure, mail.user, mail.recipients) == (True, "ada", [EMAIL])


async def test_a_server_without_tls_is_given_no_mail_where_tls_is_asked_for(
    database_url: str, tmp_path: Path, sink: SmtpServer, caplog: pytest.LogCaptureFixture
) -> None:
    given = {"mailer_url": f"smtp://127.0.0.1:{sink.port}", "mail_from": FROM}
    async with memory_service(database_url, tmp_path, **given) as service:
        await register(service)
        await eventually(lambda: "a mail was not sent (SMTPNotSupportedError)" in caplog.text)
        assert sink.received.empty()
        assert EMAIL not in caplog.text


async def test_mail_is_tried_again_while_the_server_is_busy(
    service: Running, sink: SmtpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "PAUSES_S", (0.01, 0.01))
    answers = iter(["451 later", None])
    sink.refuse = lambda _: next(answers)
    await register(service)
    assert (await sink.mail()).recipients == [EMAIL]


async def test_an_address_that_is_refused_is_not_tried_again(
    service: Running, sink: SmtpServer, caplog: pytest.LogCaptureFixture
) -> None:
    asked: list[str] = []

    def refuse(address: str) -> str | None:
        asked.append(address)
        return "550 nobody here" if address == EMAIL else None

    sink.refuse = refuse
    await register(service)
    await eventually(lambda: "a mail cannot be sent" in caplog.text)
    await register(service, "grace@example.com")
    await sink.mail()
    assert asked == [EMAIL, "grace@example.com"]
    assert EMAIL not in caplog.text


async def test_an_address_that_reads_as_two_gets_no_mail(
    service: Running, sink: SmtpServer, caplog: pytest.LogCaptureFixture
) -> None:
    await register(service, "victim,ada@example.com")
    await eventually(lambda: "a mail cannot be sent" in caplog.text)
    assert sink.received.empty()


async def test_a_hook_is_handed_the_mail(database_url: str, tmp_path: Path) -> None:
    taken: asyncio.Queue[dict[str, str]] = asyncio.Queue()

    async def hook(request: web.Request) -> web.Response:
        taken.put_nowait(await request.json())
        return web.Response(status=204)

    app = web.Application()
    app.router.add_post("/mail", hook)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/mail?key=secret"
    try:
        async with memory_service(database_url, tmp_path, mailer_url=url) as service:
            await register(service)
            async with asyncio.timeout(10):
                mail = await taken.get()
            assert (mail["to"], mail["kind"]) == (EMAIL, "verify")
            await service.accounts.VerifyEmail(pb.VerifyEmailRequest(code=mail["code"]))
            assert await verified(service)
    finally:
        await runner.cleanup()


async def test_a_mail_server_that_is_away_costs_a_bounded_memory(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "WAITING", 1)
    given = {"mailer_url": "smtp+clear://127.0.0.1:9", "mail_from": FROM}
    async with memory_service(database_url, tmp_path, **given) as service:
        await register(service)
        error = await refused(ask(service))
        assert error.code == ErrorCode.ERROR_CODE_OVERLOADED
        assert error.retry_after_ms == 30_000
        await login(service)


@pytest.mark.parametrize(
    ("url", "sender"),
    [("smtp://mail.example.com", ""), ("ftp://x", FROM), ("smtp://", FROM), ("mail", FROM)],
)
def test_a_mailer_that_cannot_be_used_is_told_at_start(
    url: str, sender: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    given = settings("postgresql://x/x", tmp_path)
    environment = {
        "DATABASE_URL": "postgresql://x/x",
        "MASTER_KEYS": given.master_keys[0].get_secret_value(),
        "ERASURE_LEDGER": "/nowhere",
        "MAILER_URL": url,
        "MAIL_FROM": sender,
    }
    with pytest.raises(SystemExit):
        load(MemorySettings, "memory_svc", environment)
    assert "MAIL" in capsys.readouterr().err
