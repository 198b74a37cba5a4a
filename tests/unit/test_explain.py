"""Plain words for each deduction: what the person reads must be what was counted."""

from decimal import Decimal

import pytest

from scoring.explain import Story, explain_day, explain_month
from scoring.queries import StoredDay, StoredMonth
from scoring.rules import Missing, Reason, Rule, Why
from scoring.words import WORDS, Lang


def day(status: str, *reasons: Reason, **facts: str) -> StoredDay:
    return StoredDay(
        local_date="2026-08-03",
        unit="bkd",
        status=status,
        in_time=facts.get("in_time"),
        out_time=facts.get("out_time"),
        late_minutes=None,
        early_minutes=None,
        worked_minutes=None,
        deduction_pct=None,
        reasons=[reason.as_json() for reason in reasons],
    )


LATE = Reason(
    rule=Rule.LATE,
    article="Perbup 1 pasal 2",
    band="61-90",
    minutes=61,
    percent=Decimal("1.25"),
    punches=("S1/7/2026-08-03T08:31:00",),
)


def test_a_deduction_in_indonesian_has_date_minutes_percent_punch_and_article() -> None:
    assert explain_day(day("present", LATE, in_time="08:31:00")) == (
        "Senin, 3 Agustus 2026: terlambat 61 menit (rentang 61-90 menit), potongan 1,25 %\n"
        "  Masuk 08:31:00, pulang tidak ada scan.\n"
        "  Bukti: S1/7/2026-08-03T08:31:00\n"
        "  Dasar: Perbup 1 pasal 2"
    )


def test_the_same_in_english() -> None:
    assert explain_day(day("present", LATE, in_time="08:31:00"), "en").splitlines()[0] == (
        "Monday, 3 August 2026: 61 minutes late (band 61-90 minutes), deduction 1.25 %"
    )


def test_an_absence_says_that_all_data_are_in() -> None:
    absent = Reason(rule=Rule.ABSENT, article="pasal 3", percent=Decimal("1.5"))
    told = explain_day(day("absent", absent))
    assert "tidak masuk tanpa keterangan, potongan 1,5 %" in told
    assert "data semua terminal sudah masuk" in told


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (
            Missing(Why.NOT_READ_YET, "e1", "lobi", "S1", "2026-08-03T09:05:00Z"),
            (
                "Terminal e1/lobi (S1): data hari itu belum masuk semua "
                "(dibaca penuh: Senin, 3 Agustus 2026 09:05 UTC)."
            ),
        ),
        (Missing(Why.NOT_READ_YET, "e1", "lobi"), "(dibaca penuh: belum pernah)"),
        (Missing(Why.SCORED_LATER, "e1", "lobi", None, "2026-08-10"), "mulai Senin, 10 Agustus 2026"),
        (Missing(Why.NEVER_REPORTED, "e1", "lobi", "S1"), "belum pernah mengirim data"),
    ],
)
def test_an_incomplete_day_names_the_terminal_that_is_missing(missing: Missing, said: str) -> None:
    told = explain_day(day("incomplete", Reason(rule=Rule.INCOMPLETE, terminals=(missing,))))
    assert told.startswith("Senin, 3 Agustus 2026: belum lengkap, jadi belum dinilai\n")
    assert said in told
    assert "potongan" not in told


@pytest.mark.parametrize("lang", ["id", "en"])
def test_there_are_words_for_every_rule_and_every_gap(lang: Lang) -> None:
    assert set(WORDS[lang].rules) == {str(rule) for rule in Rule}
    assert set(WORDS[lang].why) == {str(why) for why in Why}


def story(*days: StoredDay, deduction: float | None) -> Story:
    month = StoredMonth(
        month="2026-08",
        unit="bkd",
        working_days=19,
        present_days=18,
        absent_days=0,
        excused_days=0,
        incomplete_days=1,
        late_minutes=61,
        early_minutes=0,
        deduction_pct=deduction,
        discipline_score=None if deduction is None else 100 - deduction,
        policy="tulang-bawang",
    )
    return Story(
        nip="198503172010011001",
        name="Ani",
        unit_name="BKD",
        base="bagian disiplin TPP",
        month=month,
        days=days,
    )


def test_a_month_sums_up_and_shows_only_days_that_have_a_reason() -> None:
    told = explain_month(story(day("present"), day("present", LATE), deduction=1.25))
    assert told.splitlines()[:5] == [
        "Ani (NIP 198503172010011001), BKD",
        (
            "Agustus 2026: 19 hari kerja; 18 hadir, 0 tidak masuk tanpa keterangan, "
            "0 izin atau dinas, 1 belum lengkap."
        ),
        "Terlambat 61 menit, pulang cepat 0 menit.",
        "Potongan 1,25 % dari bagian disiplin TPP; nilai disiplin 98,75.",
        "Kebijakan: tulang-bawang.",
    ]
    assert told.count("Senin") == 1


def test_a_faultless_month_and_an_unfinished_one_say_so() -> None:
    assert explain_month(story(deduction=0)).endswith("Tidak ada potongan pada bulan ini.")
    assert "Belum ada hari kerja yang lengkap" in explain_month(story(deduction=None))
