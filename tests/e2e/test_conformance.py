"""The promises as a program, run as any operator runs it, against the whole stack."""

import asyncio
import re
import sys

import aiohttp
import pytest

from client.conformance.__main__ import run
from client.conformance.device import Unkept
from client.conformance.server import Account, NoAccount, Server
from client.conformance.stories import all_promises
from tests.support.stack import Running

LINE = re.compile(r"^§(\S+) +(pass|FAIL|left out)  (.+)$", re.MULTILINE)


@pytest.mark.timeout(400)  # some promises are about what happens in many seconds
async def test_every_promise_is_kept(stack: Running) -> None:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "client.conformance",
        "--url",
        stack.origin.replace("http", "ws"),
        stdout=asyncio.subprocess.PIPE,
    )
    said = (await process.communicate())[0].decode()
    verdicts = LINE.findall(said)
    promises = all_promises()
    assert [line for line in verdicts if line[1] != "pass"] == [], said
    assert [(line[0], line[2]) for line in verdicts] == [(p.section, p.says) for p in promises]
    assert said.splitlines()[-1] == f"{len(promises)} kept, 0 not kept, 0 left out"
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("section", "left_out"),
    [
        ("7", ["an address is registered once"]),
        ("4.10", ["a user's own change goes to the user's other devices, and to no one else"]),
    ],
)
async def test_with_one_account_only_what_needs_two_is_left_out(
    stack: Running,
    section: str,
    left_out: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    async with aiohttp.ClientSession() as http:
        account = await Server(http, stack.origin).register()

    async def closed(_: Server) -> Account:
        raise NoAccount("registration is closed")

    monkeypatch.setattr(Server, "register", closed)
    failed = await run(stack.origin, account.email, account.password, section)
    verdicts = LINE.findall(capsys.readouterr().out)
    assert failed == 0, verdicts
    found = [line[2] for line in verdicts if line[1] == "left out"]
    assert found == [f"{says} (needs a second account)" for says in left_out]
    assert len(verdicts) > len(left_out)


async def test_without_an_account_it_says_what_to_give(
    stack: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def closed(_: Server) -> Account:
        raise NoAccount("register answered 403")

    monkeypatch.setattr(Server, "register", closed)
    with pytest.raises(Unkept, match="--email and SWITCHBOARD_PASSWORD"):
        await run(stack.origin, None, None, "")
