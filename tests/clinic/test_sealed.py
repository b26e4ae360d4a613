"""What is sealed comes back as it was, or not at all."""

import json

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from clinic.sealed import SealBroken, seal, unseal

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
)


@given(JSON)
def test_what_is_sealed_comes_back_as_it_was(value):
    assert unseal(seal(value)) == value
    assert json.dumps(unseal(seal([value, False, 0, "", None])), sort_keys=True) == json.dumps(
        [value, False, 0, "", None], sort_keys=True
    )


def test_the_same_value_never_seals_to_the_same_text():
    assert len({seal("melasma") for _ in range(50)}) == 50


def test_no_sign_of_a_sealed_value_can_be_changed():
    token = seal("melasma")

    for at in range(len(token.rstrip("=")) - 1):  # the last sign holds bits that mean nothing
        for other in ("A", "B", "1", "=", "\n"):
            if token[at] != other:
                with pytest.raises(SealBroken):
                    unseal(token[:at] + other + token[at + 1 :])
    for broken in ("", "1", token[:-1], token[:20], token[1:], token + "A", "melasma", "gAAAAnonsense", "é"):
        with pytest.raises(SealBroken):
            unseal(broken)


def test_after_a_change_of_keys_old_values_open_and_with_the_old_key_gone_they_do_not(settings):
    settings.FIELD_KEYS = [OLD]
    token = seal("no")

    settings.FIELD_KEYS = [NEW, OLD]
    assert (unseal(token), unseal(seal("new"))) == ("no", "new")
    settings.FIELD_KEYS = [NEW]
    with pytest.raises(SealBroken):
        unseal(token)


def test_what_an_earlier_version_sealed_is_opened(settings):
    settings.FIELD_KEYS = [NEW, OLD]
    sealed = Fernet(OLD).encrypt(json.dumps({"pain": False}).encode()).decode()

    assert unseal(sealed) == {"pain": False}
    settings.FIELD_KEYS = [NEW]
    with pytest.raises(SealBroken):
        unseal(sealed)
