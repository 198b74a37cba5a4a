"""Names of invented Indonesian people. Any likeness to a person is chance."""

import random
from collections.abc import Iterator
from itertools import product
from typing import Final

_WOMEN: Final = (
    "Siti", "Sri", "Dewi", "Nur", "Ni Made", "Ni Wayan", "Rina", "Yuliana", "Fitri", "Endang", "Maria",
    "Andi", "Wulan", "Ratna", "Indah", "Lestari", "Ayu", "Hasnah", "Rosmini", "Meity", "Deswita", "Kartika",
)  # fmt: skip
_WOMEN_SECOND: Final = (
    "Rahmawati", "Lestari", "Handayani", "Puspitasari", "Aisyah", "Wahyuni", "Susanti", "Marlina",
    "Kurniasih", "Suryani", "Hidayati", "Anggraini", "Tumewu", "Siregar", "Nasution", "Lumentut",
    "Mokodompit", "Purnamasari", "Novitasari", "Utami", "Fatimah", "Sihombing",
)  # fmt: skip
_MEN: Final = (
    "Ahmad", "Muhammad", "Agus", "Budi", "Eko", "Joko", "I Made", "I Wayan", "Hendra", "Yohanes", "Rudi",
    "Dedi", "Bambang", "Slamet", "Iwan", "Arief", "Taufik", "Jefry", "Ridwan", "Zulkifli", "La Ode",
    "Baharuddin",
)  # fmt: skip
_MEN_SECOND: Final = (
    "Santoso", "Wibowo", "Hidayat", "Setiawan", "Prasetyo", "Saputra", "Kurniawan", "Nugroho", "Sudarma",
    "Siregar", "Simanjuntak", "Rumengan", "Pangemanan", "Mokoginta", "Harahap", "Firmansyah", "Maulana",
    "Susilo", "Gunawan", "Tarigan", "Daeng Matutu", "Rahman",
)  # fmt: skip

_SCRIPTS: Final = {
    "gbk": (("王", "李", "张", "刘", "陈"), ("建国", "秀英", "伟明", "海燕", "国强")),
    "cp1256": (("محمد", "فاطمة", "أحمد", "خديجة"), ("عبدالله", "حسن", "إبراهيم", "يوسف")),
    "cp1252": (("José", "Zoë", "François", "Ângela"), ("Muñoz", "Brönner", "Çelik", "Ålund")),
}
"""Names that a code page has and ASCII has not."""


def invent_names_in(code_page: str, seed: int) -> Iterator[bytes]:
    """Endless names in a code page: those of `invent_names`, or such as are too long for any field."""
    if code_page not in _SCRIPTS:
        yield from (name.encode(code_page) for name in invent_names(seed))
    chance = random.Random(seed)
    while True:
        first, second = map(chance.choice, _SCRIPTS[code_page])
        # One letter in front: characters of two bytes are then cut in the middle.
        yield f"A{(first + second) * 6}".encode(code_page)


def invent_names(seed: int) -> Iterator[str]:
    """Endless names, the same for the same seed; the first 967 differ from each other."""
    pairs = [f"{first} {second}" for first, second in product(_WOMEN, _WOMEN_SECOND) if first != second]
    pairs += [f"{first} {second}" for first, second in product(_MEN, _MEN_SECOND)]
    chance = random.Random(seed)
    while True:
        chance.shuffle(pairs)
        yield from pairs
