"""The state folder."""

import os
import stat
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from devstack.state import Refused, open_state


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_is_private_and_its_keys_are_made_once(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir(mode=0o755)
    first = open_state(folder)
    assert mode(folder) == 0o700
    assert mode(first.master_keys) == mode(first.signing_keys) == 0o600
    keys = (first.master_keys.read_text(), first.signing_keys.read_text())
    Fernet(keys[0].strip())
    assert len(keys[1].strip()) >= 43
    os.close(first.lock)
    again = open_state(folder)
    assert (again.master_keys.read_text(), again.signing_keys.read_text()) == keys
    os.close(again.lock)


def test_belongs_to_one_stack_at_a_time(tmp_path: Path) -> None:
    first = open_state(tmp_path)
    with pytest.raises(Refused, match=rf"another stack \(process {os.getpid()}\) is using"):
        open_state(tmp_path)
    os.close(first.lock)
    os.close(open_state(tmp_path).lock)


def test_a_place_that_is_no_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused, match="cannot be used"):
        open_state(tmp_path / "file")


def test_a_socket_gets_a_short_path(tmp_path: Path) -> None:
    near = open_state(tmp_path)
    assert near.sockets() == tmp_path / "run"
    far = open_state(tmp_path / ("x" * 90))
    assert len(str(far.sockets())) < 80
    assert mode(far.sockets()) == 0o700
    assert far.sockets() == far.sockets()
    far.sockets().rmdir()
    os.close(near.lock)
    os.close(far.lock)
