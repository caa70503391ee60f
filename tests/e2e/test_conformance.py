"""The promises as a program, run as any operator runs it, against the whole stack."""

import asyncio
import re
import sys

import pytest

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
