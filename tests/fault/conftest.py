"""Each module has its own processes, and stays on one worker."""

import pytest


@pytest.hookimpl(tryfirst=True)  # before xdist looks for the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "tests/fault/" in item.nodeid:
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
