"""The words of exports, English and Indonesian: headings of columns, and what stands in them for codes. Pure.

After the exports of ZKTeco's attendance programs ("AC-No.", "No.", "Date/Time", "VerifyCode") and what
Indonesian programs and offices write. Read without case, blanks and signs.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Final

from drivers.fields import NO_STATE

_SIGNS: Final = re.compile(r"[^a-z0-9]")

PINS: Final = (
    "acno",
    "pin",
    "nopin",
    "nomorpin",
    "pinno",
    "noabsen",
    "nomorabsen",
    "noabsensi",
    "nomorabsensi",
    "idabsen",
    "idabsensi",
    "userid",
    "iduser",
    "enrollno",
    "enrollid",
    "enrollnumber",
    "badgenumber",
    "badgeno",
    "nofinger",
    "idfinger",
    "fingerid",
    "idmesin",
    "personnelid",
    "personid",
    "id",
    "noid",
    "nomorid",
    "idno",
    "idpegawai",
    "idkaryawan",
    "employeeid",
    "empid",
    "no",
    "nomor",
    "idnumber",
    "empno",
)
"""Headings of the user id, the surest first: beside "AC-No." or "PIN", "No" only counts rows."""

COUNTERS: Final = frozenset({"no", "nomor"})
"""Headings that mean the user id in some exports and the row's number in others."""

_ROLES: Final[Mapping[str, frozenset[str]]] = {
    role: frozenset(words.split())
    for role, words in {
        "moment": "datetime dateandtime tanggalwaktu tanggaljam tanggaldanwaktu tanggaldanjam tglwaktu "
        "tgljam tanggalscan tglscan waktuscan waktuabsen waktuabsensi checktime punchtime atttime logtime "
        "recordtime scantime eventtime verifytime timestamp datadatetime",
        "date": "date tanggal tgl haritanggal attdate punchdate tanggalabsen tanggalabsensi",
        "time": "time waktu jam pukul jamscan jamabsen",
        "state": "status state io inout inoutstatus inoutmode iomode checktype punchstate "
        "statusabsen masukkeluar",
        "verify": "verifikasi verify verifycode verifymode verifytype verification verificationmode verified "
        "metodeverifikasi caraverifikasi jenisverifikasi",
        "work": "workcode kodekerja",
        "serial": "sn serial serialnumber serialno nomorseri noseri snmesin snalat devicesn machinesn "
        "deviceserialnumber",
    }.items()
}

STATES: Final[Mapping[str, int]] = {
    word: code
    for code, words in {
        0: "in cin checkin masuk scanmasuk datang absenmasuk jammasuk",
        1: "out cout checkout pulang keluar scanpulang scankeluar absenpulang jampulang",
        2: "breakout istirahatkeluar mulaiistirahat keluaristirahat",
        3: "breakin outback back kembali istirahatmasuk selesaiistirahat kembaliistirahat",
        4: "otin overtimein lemburmasuk mulailembur",
        5: "otout overtimeout lemburpulang lemburkeluar selesailembur",
        NO_STATE: "none undefined",
    }.items()
    for word in words.split()
}
VERIFIES: Final[Mapping[str, int]] = {
    word: code
    for code, words in {
        1: "fp finger fingerprint sidikjari jari",
        3: "pw pwd password sandi katasandi",
        4: "card rf rfcard rfid kartu",
        15: "face wajah muka",
        21: "vein fv fingervein vena",
        25: "palm telapak telapaktangan",
    }.items()
    for word in words.split()
}
"""Words in place of codes -> the terminal's own numbers, as attendance.normalise reads them."""


def plain(text: str) -> str:
    """Small letters and digits only."""
    return _SIGNS.sub("", text.lower())


def columns_of(cells: Sequence[str]) -> dict[str, int] | None:
    """Where each column stands, if this row is a heading: it names a user id, and a time or a date.

    `date` is there only beside `time`; every column may be a user id: see `pin_columns`.
    """
    names = [plain(cell) for cell in cells]
    found: dict[str, int] = {}
    for place, name in enumerate(names):
        for role, words in _ROLES.items():
            if name in words:
                found.setdefault(role, place)
    moment, date, time = (found.pop(role, None) for role in ("moment", "date", "time"))
    if moment is None and date is not None and time is not None:
        found.update(date=date, time=time)
    else:
        given = next((place for place in (moment, time, date) if place is not None), None)
        if given is None:
            return None
        found["time"] = given
    pins = pin_columns(cells)
    return {"pin": pins[0], **found} if pins else None


def pin_columns(cells: Sequence[str]) -> list[int]:
    """The columns that may hold the user id, the surest first."""
    names = [plain(cell) for cell in cells]
    return [names.index(word) for word in PINS if word in names]
