"""Keys and ciphertexts: what opens, and what does not."""

from dataclasses import replace
from uuid import UUID, uuid4

import numpy as np
import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from memory_svc.crypto.envelope import (
    IntegrityError,
    MasterKeys,
    Place,
    UserKeys,
    WrongMasterKeyError,
    opened,
)

ANN, ROW = UUID(int=1), UUID(int=2)
PLACE = Place("memory_core", ROW, "value_encrypted", 3)
KEY = Fernet.generate_key()
KEYS = UserKeys(ANN, KEY)


@given(st.text())
def test_a_text_opens_where_it_was_sealed(text: str) -> None:
    text = text.encode(errors="replace").decode()
    assert KEYS.open(KEYS.seal(text, PLACE), PLACE) == text


@pytest.mark.parametrize(
    "elsewhere",
    [
        replace(PLACE, table="memory_episodic"),
        replace(PLACE, row=uuid4()),
        replace(PLACE, column="previous_encrypted"),
        replace(PLACE, revision=4),
        replace(PLACE, revision=30),
    ],
)
def test_and_nowhere_else(elsewhere: Place) -> None:
    token = KEYS.seal("secret", PLACE)
    with pytest.raises(IntegrityError):
        KEYS.open(token, elsewhere)
    assert opened(KEYS, token, elsewhere) is None


def test_nor_for_another_user_even_with_the_same_key() -> None:
    with pytest.raises(IntegrityError):
        UserKeys(uuid4(), KEY).open(KEYS.seal("secret", PLACE), PLACE)


@pytest.mark.parametrize("token", ["", "no token", "gAAAAA", "ü"])
def test_what_is_no_token_is_an_integrity_error(token: str) -> None:
    with pytest.raises(IntegrityError):
        KEYS.open(token, PLACE)


def test_terms_and_digests_are_the_users_own() -> None:
    other = UserKeys(ANN, Fernet.generate_key())
    assert KEYS.term("oslo") == UserKeys(ANN, KEY).term("oslo")
    assert KEYS.term("oslo") != other.term("oslo")
    assert KEYS.digest("oslo") != other.digest("oslo")
    assert -(2**63) <= KEYS.term("oslo") < 2**63


def test_rotations_are_the_users_own_and_stay_the_same() -> None:
    vector = np.ones(1536, np.float32)
    assert np.array_equal(KEYS.rotate(vector), UserKeys(ANN, KEY).rotate(vector))
    other = UserKeys(ANN, Fernet.generate_key())
    assert abs(float(KEYS.rotate(vector) @ other.rotate(vector))) / 1536 < 0.15


def test_a_wrapped_key_opens_for_its_user_under_any_master_at_hand() -> None:
    old, new = (Fernet.generate_key().decode() for _ in range(2))
    wrapped = MasterKeys([old]).wrap(ANN, KEY)
    assert MasterKeys([new, old]).unwrap(ANN, wrapped) == KEY
    with pytest.raises(WrongMasterKeyError):
        MasterKeys([new]).unwrap(ANN, wrapped)
    with pytest.raises(IntegrityError):
        MasterKeys([old]).unwrap(uuid4(), wrapped)


def test_a_master_key_is_named_without_telling_it() -> None:
    key = Fernet.generate_key().decode()
    masters = MasterKeys([key])
    assert masters.knows(masters.current_id)
    assert not masters.knows("another")
    assert masters.current_id not in key
