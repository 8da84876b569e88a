from __future__ import annotations

import re
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.tenants.keys import IssuedKey, KeyRecord, digest_of, key_id_of, mint
from gateway.tenants.types import Role

RECORD = KeyRecord(key_id="A" * 12, tenant="law", role=Role.CALLER, name="", created_at_s=0.0)


def test_a_key_names_itself_and_no_two_are_alike() -> None:
    made = [mint() for _ in range(500)]
    assert all(key_id_of(text) == key_id for key_id, text in made)
    assert len({key_id for key_id, _ in made}) == len({text for _, text in made}) == 500


def test_the_secret_has_more_than_128_random_bits() -> None:
    secrets = [mint()[1].rpartition("_")[2] for _ in range(500)]
    assert {len(secret) for secret in secrets} == {32}
    symbols = set("".join(secrets))
    assert len(symbols) == 62, "every symbol is used, each worth log2(62) = 5.95 bits"
    for place in range(32):
        assert len({secret[place] for secret in secrets}) > 50, "in every place: misses 12 of 62 once in 1e9 runs"


@given(st.text(max_size=80) | st.from_regex(r"tri_[0-9A-Za-z]{10,14}_[0-9A-Za-z]{30,34}", fullmatch=True))
@settings(deadline=timedelta(seconds=1))
def test_only_what_has_the_form_of_a_key_has_an_id(text: str) -> None:
    form = re.fullmatch(r"tri_([0-9A-Za-z]{12})_[0-9A-Za-z]{32}", text)
    assert key_id_of(text) == (form[1] if form else None)


def test_digits_of_other_scripts_and_line_ends_are_no_part_of_a_key() -> None:
    _, text = mint()
    assert key_id_of(text[:-1] + "٣") is None
    assert key_id_of(text + "\n") is None


@given(st.integers(0, 48), st.characters())
def test_another_key_has_another_digest(place: int, symbol: str) -> None:
    text = "tri_AAAAAAAAAAAA_" + "a" * 32
    other = text[:place] + symbol + text[place + 1 :]
    assert (digest_of(other) == digest_of(text)) == (other == text)
    assert re.fullmatch(r"[0-9a-f]{64}", digest_of(text))


def test_the_text_of_a_key_does_not_show_when_it_is_printed() -> None:
    key_id, text = mint()
    key = IssuedKey(text=text, record=RECORD)
    assert text.rpartition("_")[2] not in f"{key} {key!r} {[key]}"
    assert key_id not in f"{RECORD}"


def test_a_key_is_in_force_until_it_expires_or_is_revoked() -> None:
    import msgspec

    expiring = msgspec.structs.replace(RECORD, expires_at_s=10.0)
    assert [expiring.in_force(now_s=now_s) for now_s in (0.0, 9.999, 10.0, 11.0)] == [True, True, False, False]
    assert RECORD.in_force(now_s=1e12)
    assert not msgspec.structs.replace(RECORD, revoked_at_s=5.0).in_force(now_s=0.0), "clocks may differ"
