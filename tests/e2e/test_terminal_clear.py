"""`hadir terminal clear`: by whoever has the outbox, and only what the centre has acknowledged."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from config.load import load_edge
from daemon.clear_orders import ClearOrder, clear_spool
from drivers.zk.commands import Command
from drivers.zk.simulator.faults import LoseReply, OneClient
from program import eventually, run_hadir, running_hadir, write_edge
from sync.envelope import Receipt
from sync.outbox import Outbox
from sync.outbox_memory import remembered
from terminals import Running, serving, some_terminal

RECORDS = 30


@dataclass(frozen=True, slots=True)
class Site:
    """A terminal that has been read, and an outbox of which the centre knows nothing yet."""

    edge: Path
    running: Running

    @property
    def outbox(self) -> Path:
        return self.edge.parent / "setda-01-state" / "outbox.db"

    @property
    def records(self) -> int:
        """How many the terminal holds."""
        return self.running.terminal.record_count

    def acknowledge(self) -> None:
        with Outbox(self.outbox, edge="setda-01") as outbox:
            outbox.seal()
            ends = ((1, outbox.last_number),)
            outbox.settle(Receipt(edge="setda-01", stream=outbox.stream, committed=ends))

    def clear(self, *arguments: str) -> tuple[int, dict[str, Any], str]:
        done = run_hadir("terminal", "clear", "lobi", "--config", self.edge, "--json", *arguments)
        assert "Traceback" not in done.stderr
        return done.returncode, json.loads(done.stdout or "{}"), done.stderr


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with serving(some_terminal(records=RECORDS), [OneClient()]) as running:
        edge = write_edge(tmp_path, 1, {"lobi": running.port}, extra='live = true\nevery = "1s"')
        run_hadir("edge", "run", "--config", edge, "--once", "--timeout", "3")
        yield Site(edge, running)


def test_what_the_centre_has_not_acknowledged_stays(site: Site) -> None:
    code, _, err = site.clear("--yes")
    assert (code, site.records) == (1, RECORDS)
    assert err.startswith("hadir: lobi is not cleared: 30 of 30 records looked at are not acknowledged")
    assert err.count("\n") == 1


def test_what_the_centre_has_is_cleared_where_no_edge_runs(site: Site) -> None:
    site.acknowledge()
    code, facts, err = site.clear("--yes")
    assert (code, err) == (0, "")
    assert facts == {"terminal": "lobi", "serial": "SIM0000000001", "records": RECORDS}
    assert site.records == 0


def test_a_lost_reply_is_told_as_what_it_is_and_the_next_command_finds_out(site: Site) -> None:
    """Told "not cleared", a technician would clear it again."""
    site.acknowledge()
    site.running.server.faults = [LoseReply(Command.CLEAR_ATTLOG)]
    code, _, err = site.clear("--yes")
    assert (code, err.count("\n"), site.records) == (1, 1, 0)
    assert err.startswith("hadir: lobi: whether its log was cleared is not known")
    site.running.server.faults = []
    code, _, err = site.clear("--yes")
    assert (code, site.running.terminal.clearings) == (1, 1)
    assert "had been cleared before, and the reply was lost" in err


def test_an_edge_that_listens_clears_at_a_command_and_reads_on(site: Site, tmp_path: Path) -> None:
    """The technician need not stop the service, and nothing that is punched afterwards is passed over."""
    site.acknowledge()
    with running_hadir("edge", "run", "--config", site.edge, log=tmp_path / "edge.log") as process:
        eventually(lambda: site.running.server.connections > 0, what="the edge is in session")
        code, facts, err = site.clear("--yes")
        assert (code, err, facts["records"], site.records) == (0, "", RECORDS, 0), process.log
        site.running.terminal.punch("1001")
        eventually(lambda: remembered(site.outbox)["lobi"].records == 1, what="the edge reads on")
        assert "cleared by command" in process.log
        assert process.stop() == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["lobi"], "this empties the terminal's log; add --yes"),
        (["gudang", "--yes"], "no terminal gudang is configured; known: lobi"),
    ],
)
def test_nothing_is_cleared_by_accident(site: Site, arguments: list[str], words: str) -> None:
    site.acknowledge()
    done = run_hadir("terminal", "clear", "--config", site.edge, *arguments)
    assert (done.returncode, done.stderr, site.records) == (2, f"hadir: {words}\n", RECORDS)


def test_an_order_of_last_week_is_not_carried_out_by_an_edge_that_is_started_today(site: Site) -> None:
    site.acknowledge()
    at = (datetime.now(UTC) - timedelta(days=7)).isoformat()
    job = clear_spool(load_edge(site.edge)).hand_in(BytesIO(), ClearOrder(terminal="lobi", at=at))
    with running_hadir("edge", "run", "--config", site.edge, log=site.edge.with_suffix(".log")) as process:
        eventually(lambda: "too old" in process.log, what="the order is refused")
        assert process.stop() == 0
    assert not job.path.exists()
    assert site.records == RECORDS
