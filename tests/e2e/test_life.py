"""The life of a stack: beginning, side by side, and leaving nothing behind."""

import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

from tests.support import ports
from tests.support.device import Device
from tests.support.model_server import ModelServer, Request, says
from tests.support.stack import READY, Running, alive, environment, family, until


def refused(state: Path, **settings: str) -> str:
    """The one line of a stack that does not start."""
    done = subprocess.run(
        [sys.executable, "-m", "devstack"],
        env=environment(state, **settings),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode != 0
    said = (done.stdout + done.stderr).strip().splitlines()
    assert len(said) == 1, said
    return said[0]


def test_it_says_once_that_it_is_ready_and_keeps_its_keys_to_itself(stack: Running) -> None:
    assert len(READY.findall(stack.log())) == 1
    assert stat.S_IMODE(stack.state.stat().st_mode) == 0o700
    for name in ("master_keys", "auth_signing_keys"):
        key = stack.state / name
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert key.read_text().strip() not in stack.log()


def test_a_taken_port_is_named(stack: Running, tmp_path: Path) -> None:
    port = str(urlsplit(stack.origin).port)
    line = refused(tmp_path / "state", EDGE_PORT=port)
    assert f"port {port} of 127.0.0.1 is taken" in line


def test_a_service_that_cannot_start_has_the_last_word_but_one(tmp_path: Path) -> None:
    first = ports.row(6)  # of the stack, and of a service each
    with socket.create_server(("127.0.0.1", first + 1)):
        done = subprocess.run(
            [sys.executable, "-m", "devstack"],
            env=environment(tmp_path / "state", ADMIN_ADDR=f"127.0.0.1:{first}"),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert done.returncode != 0
    said = (done.stdout + done.stderr).splitlines()
    assert any("cannot listen there (Address already in use)" in line for line in said)
    assert any("cannot start (exit status 2): its lines say why" in line for line in said)
    assert not any("asyncio" in line or "Traceback" in line for line in said)


def test_a_state_folder_in_use_is_named(stack: Running) -> None:
    line = refused(stack.state)
    assert f"another stack (process {stack.process.pid}) is using the state folder" in line


async def test_the_commands_of_memory_work_on_the_stack_that_runs(
    stack: Running, device: Device, tmp_path: Path
) -> None:
    assert device.ready
    for command, told in (
        ("rotate-keys", "keys were put under the first master key"),
        ("erase-replay", "0 accounts and 0 items were erased again"),
    ):
        done = memory_command(stack.state, command)
        assert done.returncode == 0 and told in done.stdout + done.stderr
    nowhere = memory_command(tmp_path / "nowhere", "rotate-keys")
    assert nowhere.returncode == 2 and "no stack runs on" in nowhere.stderr
    assert nowhere.stderr.count("\n") == 1


def memory_command(state: Path, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "devstack.memory_command", command],
        env=environment(state),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_bad_settings_are_named_all_at_once(tmp_path: Path) -> None:
    line = refused(tmp_path / "state", EDGE_PORT="eighty", ROUTER_ADDR="nowhere")
    assert "EDGE_PORT" in line and "ROUTER_ADDR" in line


async def test_a_second_stack_lives_beside_the_first_and_dies_without_a_trace(
    stack: Running, tmp_path: Path
) -> None:
    def script(request: Request) -> object:
        return {"agent": "general_agent", "confidence": 1, "reason": "scripted"}

    state = tmp_path / "state"
    async with ModelServer(
        lambda _: says('{"type":"text","content":"Scripted."}'), json=script
    ) as model:
        second = Running(state, OPENAI_BASE_URL=model.url)
        with second:
            assert second.pid_of("devstack.offline_model") == 0
            async with await Device.open(second.origin) as device:
                assert (await device.ask("hello")).text == "Scripted."
            async with await Device.open(stack.origin) as device:
                assert (await device.ask("hello")).text.startswith("Hello! I am the offline model")
            left = family(second.process.pid)
            assert len(left) > 7
            os.kill(second.process.pid, signal.SIGKILL)
            second.process.wait()
            until(lambda: not any(map(alive, left)), 10, "the keeper ended what was left behind")

    with Running(state) as again:
        left = family(again.process.pid)
        assert again.stop() < 10
        assert again.process.returncode == 0
        until(lambda: not any(map(alive, left)), 1, "nothing is left")
    assert not (state / "postgres" / "postmaster.pid").exists()
    assert "died" not in again.log()
