"""docs/firmware.md and docs/drivers.md promise only what the captures and the conformance table prove."""

from pathlib import Path
from typing import get_args

import pytest

from config.model import TerminalSettings
from documents import PAGES, SESSIONS, level_of, tables, with_tables


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_tables_are_those_that_the_tests_make(page: Path) -> None:
    """When this fails: make documents."""
    text = page.read_text(encoding="utf-8")
    assert with_tables(text) == text


def test_every_table_stands_in_a_page() -> None:
    told = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    assert [name for name in tables() if f"<!-- table {name} -->" not in told] == []


def test_every_driver_has_a_level() -> None:
    drivers = get_args(TerminalSettings.model_fields["driver"].annotation)
    assert {driver: level_of(driver) for driver in drivers} == {
        "zk": "gold",
        "pyzk": "silver",
        "zk-push": "bronze",
        "file": "bronze",
    }
    assert set(drivers) == SESSIONS.keys()
