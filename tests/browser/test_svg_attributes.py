"""The formatter's list of names that are no keys, held against the package that takes them."""

from formatter_svc.svg_attributes import RECHARTS_SVG, is_reserved
from tests.browser import attributes


def test_recharts_list_is_the_formatters() -> None:
    names = {name for name in attributes.of_recharts() if not name.startswith("aria-")}

    assert len(names) > 200
    assert names == RECHARTS_SVG


def test_none_of_recharts_names_is_left_to_a_row() -> None:
    assert [name for name in attributes.of_recharts() if not is_reserved(name)] == []
