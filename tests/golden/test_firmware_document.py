"""docs/firmware.md promises only what the captured bytes prove."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from drivers.zk.events import EVENT_BYTES
from drivers.zk.records import LOG_LAYOUTS
from drivers.zk.users import USER_LAYOUTS

HERE = Path(__file__).parent
PAGE = (HERE.parents[1] / "docs/firmware.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `?(\w+)`? \| [^|]* \| (\d+) \| (?:yes|no) \|", re.MULTILINE)
SECTIONS = {"log": "## Attendance log", "users": "## Users", "events": "## Live events"}


def captured() -> dict[str, Counter[str]]:
    """Whole records, users and events among the captures, by layout."""
    found: dict[str, Counter[str]] = {name: Counter() for name in SECTIONS}
    for entry in json.loads((HERE / "captures.json").read_text(encoding="utf-8")):
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
        elif means.get("event") == "ATTLOG":
            found["events"][str(means["event_bytes"])] += 1
    return found


def told(section: str) -> dict[str, int]:
    part = PAGE.partition(SECTIONS[section])[2].partition("\n## ")[0]
    return {name: int(number) for name, number in ROW.findall(part)}


@pytest.mark.parametrize("section", list(SECTIONS))
def test_the_page_counts_the_captures_that_there_are(section: str) -> None:
    found = captured()[section]
    assert told(section) == {name: found[name] for name in told(section)}
    assert found.keys() <= told(section).keys()


def test_the_page_names_every_layout() -> None:
    assert told("log").keys() == {layout.name for layout in LOG_LAYOUTS}
    assert told("users").keys() == {layout.name for layout in USER_LAYOUTS}
    assert told("events").keys() == {str(length) for length in EVENT_BYTES}
