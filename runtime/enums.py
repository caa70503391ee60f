"""Values of the contract's enums as words: `END_STATUS_FAILED` is `failed`."""

from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from google.protobuf.descriptor import EnumDescriptor


@cache
def words(enum: EnumDescriptor) -> Mapping[int, str]:
    """The word of each value of an enum, by number."""
    prefix = enum.values_by_number[0].name.removesuffix("UNSPECIFIED")
    return MappingProxyType({v.number: v.name.removeprefix(prefix).lower() for v in enum.values})


def word(enum: EnumDescriptor, value: int) -> str:
    """A value's word; the number itself where this version has no word for it."""
    return words(enum).get(value, str(value))
