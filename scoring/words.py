"""The words of `explain`, in Indonesian and English. Text only."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal

Lang = Literal["id", "en"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """One language. `{...}` are filled in by scoring.explain."""

    weekdays: tuple[str, ...]
    months: tuple[str, ...]
    decimal: str
    counts: str
    minutes: str
    total: str
    total_none: str
    policy: str
    cut: str
    none: str
    rules: Mapping[str, str]
    seen: str
    no_in: str
    no_out: str
    evidence: str
    no_scan: str
    article: str
    why: Mapping[str, str]
    unknown_until: str


_ID: Final = Words(
    weekdays=("Senin", "Selasa", "Rabu", "Kamis", "Jumat", "Sabtu", "Minggu"),
    months=(
        "Januari",
        "Februari",
        "Maret",
        "April",
        "Mei",
        "Juni",
        "Juli",
        "Agustus",
        "September",
        "Oktober",
        "November",
        "Desember",
    ),
    decimal=",",
    counts=(
        "{month}: {working} hari kerja; {present} hadir, {absent} tidak masuk tanpa keterangan, "
        "{excused} izin atau dinas, {incomplete} belum lengkap."
    ),
    minutes="Terlambat {late} menit, pulang cepat {early} menit.",
    total="Potongan {deduction} % dari {base}; nilai disiplin {score}.",
    total_none="Belum ada hari kerja yang lengkap: potongan dan nilai belum dapat dihitung.",
    policy="Kebijakan: {policy}.",
    cut="potongan {percent} %",
    none="Tidak ada potongan pada bulan ini.",
    rules={
        "late": "terlambat {minutes} menit (rentang {band} menit)",
        "missing_in": "tidak ada scan masuk",
        "early": "pulang cepat {minutes} menit (rentang {band} menit)",
        "missing_out": "tidak ada scan pulang",
        "absent": "tidak masuk tanpa keterangan",
        "incomplete": "belum lengkap, jadi belum dinilai",
    },
    seen="Masuk {came}, pulang {left}.",
    no_in="tidak ada scan",
    no_out="tidak ada scan",
    evidence="Bukti: {punches}",
    no_scan="tidak ada scan masuk atau pulang pada hari itu, dan data semua terminal sudah masuk",
    article="Dasar: {article}",
    why={
        "never_reported": "Terminal {terminal} terdaftar, tetapi belum pernah mengirim data.",
        "other_serial": "Terminal {terminal}: alat yang mengirim data bukan alat yang terdaftar.",
        "not_read_yet": "Terminal {terminal}: data hari itu belum masuk semua (dibaca penuh: {until}).",
        "before_log": "Terminal {terminal}: catatan alat baru ada sejak {until}.",
        "clock_wrong": "Terminal {terminal}: jam alat salah saat itu; scan dapat tercatat di hari lain.",
        "scored_later": "Terminal {terminal}: scan baru dihitung mulai {until}.",
        "no_terminal": "Tidak ada terminal yang dapat dipakai pada hari itu.",
        "no_pin": "Belum ada PIN terdaftar untuk hari itu.",
    },
    unknown_until="belum pernah",
)

_EN: Final = Words(
    weekdays=("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    months=(
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ),
    decimal=".",
    counts=(
        "{month}: {working} working days; {present} present, {absent} absent without explanation, "
        "{excused} on leave or duty, {incomplete} incomplete."
    ),
    minutes="Late {late} minutes, left early {early} minutes.",
    total="Deduction {deduction} % of {base}; discipline score {score}.",
    total_none="No working day is complete yet: there is no deduction and no score.",
    policy="Policy: {policy}.",
    cut="deduction {percent} %",
    none="No deduction in this month.",
    rules={
        "late": "{minutes} minutes late (band {band} minutes)",
        "missing_in": "no punch on the way in",
        "early": "left {minutes} minutes early (band {band} minutes)",
        "missing_out": "no punch on the way out",
        "absent": "absent without explanation",
        "incomplete": "incomplete, so not judged yet",
    },
    seen="In {came}, out {left}.",
    no_in="no punch",
    no_out="no punch",
    evidence="Evidence: {punches}",
    no_scan="no punch in or out on that day, and the data of every terminal are in",
    article="Basis: {article}",
    why={
        "never_reported": "Terminal {terminal} is listed, but has never sent anything.",
        "other_serial": "Terminal {terminal}: the device that sends data is not the listed one.",
        "not_read_yet": "Terminal {terminal}: that day's data are not all in (last full read: {until}).",
        "before_log": "Terminal {terminal}: its log begins only at {until}.",
        "clock_wrong": "Terminal {terminal}: its clock was wrong then; punches may stand under another day.",
        "scored_later": "Terminal {terminal}: punches are scored only from {until}.",
        "no_terminal": "There is no terminal that could have been used on that day.",
        "no_pin": "No PIN is registered for that day.",
    },
    unknown_until="never",
)

WORDS: Final[Mapping[Lang, Words]] = {"id": _ID, "en": _EN}
