"""Enum values as words."""

from runtime import enums
from switchboard.v3.frames_pb2 import EndStatus, MutationOp


def test_a_value_has_the_word_of_the_wire() -> None:
    assert enums.word(EndStatus.DESCRIPTOR, EndStatus.END_STATUS_FAILED) == "failed"
    assert enums.word(MutationOp.DESCRIPTOR, MutationOp.MUTATION_OP_DELETE) == "delete"


def test_a_value_of_a_newer_version_is_told_by_its_number() -> None:
    assert enums.word(EndStatus.DESCRIPTOR, 99) == "99"


def test_all_words_of_an_enum_are_known_by_number() -> None:
    words = enums.words(EndStatus.DESCRIPTOR)
    assert set(words) == set(EndStatus.values())
    assert words[EndStatus.END_STATUS_COMPLETED] == "completed"
