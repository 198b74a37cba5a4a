"""Terminals that dial in set their clocks by this host: it must know whether its own is right."""

import sys
from pathlib import Path

import pytest

from daemon.host_clock import synchronised

UNIT = Path(__file__).parents[2] / "systemd/hadir-edge.service"


def test_the_kernel_answers_or_the_answer_is_no(monkeypatch: pytest.MonkeyPatch) -> None:
    assert synchronised() in (True, False)
    monkeypatch.setitem(sys.modules, "ctypes", None)
    assert synchronised() is False


def test_the_service_may_ask_and_may_not_set() -> None:
    """A filter that forbids to ask would leave every terminal without the time, on every site."""
    lines = UNIT.read_text().splitlines()
    assert "ProtectClock=yes" not in lines
    assert "CapabilityBoundingSet=" in lines
    denied = lines.index("SystemCallFilter=~@privileged @resources")
    assert lines.index("SystemCallFilter=adjtimex clock_adjtime") > denied
