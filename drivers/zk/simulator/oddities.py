"""What is odd in the logs and user tables of terminals that have stood on a wall for years."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from attendance.punch import RawPunch
from drivers.zk.records import pack_record
from drivers.zk.simulator.firmware import Firmware
from drivers.zk.times import pack_time

DEAD_BATTERY: Final = datetime(2000, 1, 1)
NOBODY: Final = "9999"
"""The pin that punches of deleted people have here."""

NO_SUCH_DAY: Final = 29 * 86400
"""In a calendar of months of 31 days, so many seconds after 1 February stands for a 30th."""

Entry = RawPunch | bytes
"""A punch, or a record of any content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Oddities:
    """How many of each there are. `names` is the code page of the people's names."""

    impossible_dates: int = 0
    year_2000: int = 0
    out_of_order: int = 0
    duplicates: int = 0
    of_deleted_users: int = 0
    empty_slots: int = 0
    names: str = "utf-8"


def odd(punches: Sequence[RawPunch], oddities: Oddities, firmware: Firmware, *, seed: int) -> list[Entry]:
    """A log with oddities at places that the seed chooses; each alters a punch, a duplicate repeats one."""
    chance = random.Random(seed)
    log: list[Entry] = list(punches)
    places = list(range(1, len(log)))
    chance.shuffle(places)

    def some(count: int) -> list[int]:
        taken = places[:count]
        del places[:count]
        return taken

    for place in some(oddities.of_deleted_users):
        log[place] = punches[place]._replace(pin=NOBODY)
    for turn, place in enumerate(some(oddities.year_2000)):
        log[place] = punches[place]._replace(wall_time=DEAD_BATTERY + timedelta(minutes=turn))
    for place in some(oddities.out_of_order):
        earlier = punches[place].wall_time - timedelta(days=chance.randint(1, 400))
        log[place] = punches[place]._replace(wall_time=earlier)
    for place in some(oddities.impossible_dates):
        log[place] = _on_30_february(punches[place], firmware)
    for place in sorted(some(oddities.duplicates), reverse=True):
        log.insert(place, log[place])
    return log


def _on_30_february(punch: RawPunch, firmware: Firmware) -> bytes:
    """A record of a day that no calendar has: the clock of a terminal counts such."""
    february = datetime(punch.wall_time.year, 2, 1, punch.wall_time.hour, punch.wall_time.minute)
    right = pack_record(firmware.log, punch._replace(wall_time=february), 1)
    seconds = pack_time(february)
    return right.replace(seconds.to_bytes(4, "little"), (seconds + NO_SUCH_DAY).to_bytes(4, "little"), 1)
