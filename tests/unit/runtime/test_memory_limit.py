"""What a container says of its memory."""

from pathlib import Path

import pytest

from runtime.memory_limit import of_cgroup


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
@pytest.mark.parametrize(
    ("written", "limit"),
    [("536870912\n", 536870912), ("max\n", None), ("9223372036854771712\n", None), ("", None)],
)
def test_the_limit_of_the_cgroup_is_read(
    tmp_path: Path, name: str, written: str, limit: int | None
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(written)
    assert of_cgroup(tmp_path) == limit


def test_without_a_cgroup_there_is_no_limit(tmp_path: Path) -> None:
    assert of_cgroup(tmp_path) is None
