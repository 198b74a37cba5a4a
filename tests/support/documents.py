"""The tables of docs/firmware.md and docs/drivers.md, made from what the tests run on.

A table stands between `<!-- table NAME -->` and `<!-- end -->`; `make documents` writes it anew.
"""

import json
import re
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from attendance.punch import Source
from drivers.base import (
    CanClearLog,
    CanHoldStill,
    CanListen,
    CanReadOperations,
    CanReadTail,
    CanReadUsers,
    CanSetClock,
    CanWriteUsers,
)
from drivers.file.driver import FileSession
from drivers.pyzk import PyzkSession
from drivers.zk.events import EVENT_BYTES
from drivers.zk.operations import OPERATION_LAYOUTS
from drivers.zk.records import LOG_LAYOUTS
from drivers.zk.session import ZkSession
from drivers.zk.users import USER_LAYOUTS
from ways import WAYS

ROOT: Final = Path(__file__).parents[2]
GOLDEN: Final = ROOT / "tests/golden"
PAGES: Final = tuple(ROOT / "docs" / name for name in ("firmware.md", "drivers.md"))
_TABLE: Final = re.compile(r"<!-- table (\w+) -->\n.*?<!-- end -->", re.DOTALL)

SESSIONS: Final[Mapping[str, type]] = {
    "zk": ZkSession,
    "pyzk": PyzkSession,
    "zk-push": object,
    "file": FileSession,
}
"""Driver -> what it gives; a terminal that dials in gives no session."""

_LAYOUTS: Final[Mapping[str, Iterable[str]]] = {
    "log": [layout.name for layout in LOG_LAYOUTS],
    "users": [layout.name for layout in USER_LAYOUTS],
    "operations": [layout.name for layout in OPERATION_LAYOUTS],
    "events": [str(length) for length in EVENT_BYTES],
}


def _has(protocol: type) -> Callable[[str], bool]:
    return lambda driver: issubclass(SESSIONS[driver], protocol)


def _conforms(driver: str) -> bool:
    ways = [way for way in WAYS if way.driver == driver]
    return bool(ways) and all(way.layouts and way.bears for way in ways)


CRITERIA: Final[tuple[tuple[str, str, Callable[[str], bool]], ...]] = (
    (
        "bronze",
        "stands in the conformance table, with layouts that it reads and faults that it bears",
        _conforms,
    ),
    (
        "silver",
        "reads a terminal's own log whole, so that a read can prove a day complete",
        lambda driver: all(way.source is Source.LOG for way in WAYS if way.driver == driver),
    ),
    ("silver", "lists the people enrolled (`CanReadUsers`)", _has(CanReadUsers)),
    ("silver", "sets the clock (`CanSetClock`)", _has(CanSetClock)),
    ("gold", "reads only what is new (`CanReadTail`)", _has(CanReadTail)),
    ("gold", "tells of punches as they are made (`CanListen`)", _has(CanListen)),
    ("gold", "reads the operation log (`CanReadOperations`)", _has(CanReadOperations)),
    ("gold", "writes people (`CanWriteUsers`)", _has(CanWriteUsers)),
    ("gold", "clears the log (`CanClearLog`)", _has(CanClearLog)),
    ("gold", "locks the keys while it reads (`CanHoldStill`)", _has(CanHoldStill)),
    (
        "gold",
        "reads every log layout of docs/firmware.md, over each of its transports",
        lambda driver: all(set(_LAYOUTS["log"]) <= set(way.layouts) for way in WAYS if way.driver == driver),
    ),
)
"""Level, criterion, and how a driver is seen to meet it. A level needs those below it too."""

LEVELS: Final = ("bronze", "silver", "gold")


def level_of(driver: str) -> str:
    """The highest level of which, and below which, every criterion is met; empty for none."""
    reached = ""
    for level in LEVELS:
        if not all(meets(driver) for its, _, meets in CRITERIA if its == level):
            break
        reached = level
    return reached


def captured() -> dict[str, Counter[str]]:
    """Whole records, users, operations and events among the captures, by layout."""
    found: dict[str, Counter[str]] = {name: Counter() for name in _LAYOUTS}
    for entry in json.loads((GOLDEN / "captures.json").read_text(encoding="utf-8")):
        means, length = entry["means"], len(entry["hex"]) // 2
        kind = means["kind"]
        if kind.startswith("att-") and length % means["record_bytes"] == 0:
            found["log"][kind.removeprefix("att-")] += length // means["record_bytes"]
        elif kind == "user-record" and length == means["record_bytes"]:
            found["users"][str(length)] += 1
        elif kind == "user-write" and means["checksum_ok"]:
            found["users"]["72"] += 1
        elif kind in ("users-72", "data-packet"):
            found["users"]["72"] += len(means.get("users", means.get("whole_users", [])))
        elif kind == "oplog":
            found["operations"]["operator first"] += 1
        elif means.get("event") == "ATTLOG":
            found["events"][str(means["event_bytes"])] += 1
    return found


def tables() -> dict[str, str]:
    """Every table by its name, as the pages have it."""
    notes = tomllib.loads((GOLDEN / "firmware.toml").read_text(encoding="utf-8"))
    return {
        **{name: _firmware(name, notes[name], captured()[name]) for name in _LAYOUTS},
        "drivers": _drivers(),
    }


def with_tables(page: str) -> str:
    """A page with its tables made anew."""
    made = tables()
    return _TABLE.sub(lambda found: f"<!-- table {found[1]} -->\n{made[found[1]]}\n<!-- end -->", page)


def _firmware(name: str, notes: Mapping[str, Any], counts: Counter[str]) -> str:
    """One row a layout, in the order of the notes. Raises KeyError for a layout without notes."""
    seen = "names by" if name == "events" else "seen on"
    head = ["bytes" if name == "events" else "layout", seen, "captured"]
    if name != "operations":
        head.append("outside client")
    if name == "log":
        head.append("read by (conformance)")
    rows = []
    unknown = (set(_LAYOUTS[name]) | counts.keys()) ^ notes.keys()
    if unknown:
        raise KeyError(f"tests/golden/firmware.toml and the codec differ in {name}: {sorted(unknown)}")
    for layout, note in notes.items():
        row = [
            layout if name in ("events", "operations") else f"`{layout}`",
            note["seen"],
            str(counts[layout]),
        ]
        if name != "operations":
            row.append("yes" if note["client"] else "no")
        if name == "log":
            row.append(", ".join(way.name for way in WAYS if layout in way.layouts))
        rows.append([*row, note["rests"]])
    return _table([*head, "otherwise rests on"], rows)


def _drivers() -> str:
    rows = [
        [level, criterion, *("yes" if meets(driver) else "no" for driver in SESSIONS)]
        for level, criterion, meets in CRITERIA
    ]
    reached = ["", "**stands at**", *(f"**{level_of(driver)}**" for driver in SESSIONS)]
    return _table(["level", "criterion", *(f"`{driver}`" for driver in SESSIONS)], [*rows, reached])


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |".replace("|  |", "| |") for line in lines)
