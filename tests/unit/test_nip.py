"""What a NIP tells: a check too strict would lock every PPPK out."""

import pytest

from sync.central.nip import clean_nip, kind_of, oddities


@pytest.mark.parametrize(
    ("nip", "kind"),
    [
        ("198503172010011001", "pns"),
        ("199202022023211001", "pppk"),
        ("131234567", "other"),
        ("HL-7", "other"),
    ],
)
def test_the_kind_that_a_number_suggests(nip: str, kind: str) -> None:
    assert kind_of(nip) == kind
    assert oddities(nip, kind) == []


@pytest.mark.parametrize(
    ("nip", "kind", "odd"),
    [
        ("19850317201001100", "pns", "17 characters, not 18 digits"),
        ("198502302010011001", "pns", "19850230 is no birth date"),
        ("198503171990011001", "pns", "year of appointment 1990"),
        ("198503172010131001", "pns", "month of appointment 13"),
        ("198503172010013001", "pns", "sex 3, not 1 or 2"),
        ("198503172010011000", "pns", "serial 000 (a spreadsheet rounds"),
    ],
)
def test_each_oddity_is_named(nip: str, kind: str, odd: str) -> None:
    (found,) = oddities(nip, kind)
    assert found.startswith(odd)


def test_printed_spaces_are_taken_out_of_a_nip_and_nothing_else() -> None:
    assert clean_nip(" 19850317 201001 1 001 ") == "198503172010011001"
    assert clean_nip("HL 7") == "HL 7"
