"""`hadir terminal list` and `add`: what is configured, how it is, and one more without harm to the file."""

import json
from pathlib import Path
from typing import Any

import pytest

from config.load import load_edge
from drivers.zk.simulator.faults import Refuse, SilentTcp
from drivers.zk.simulator.server import TerminalServer
from program import run_hadir, write_edge
from sync.outbox import Outbox, TerminalMemory
from terminals import running_terminal, serving, some_terminal

COMMENTED = """\
# Kantor Setda, server room
[edge]
id = "setda-01"   # do not change
timezone = "Asia/Jakarta"
state_dir = "state"

[[terminal]]
id    = "gudang"      # behind the door
host  = "192.0.2.9"
"""


@pytest.fixture
def edge(tmp_path: Path) -> Path:
    path = tmp_path / "edge.toml"
    path.write_text(COMMENTED, encoding="utf-8")
    path.chmod(0o640)
    return path


def add(*arguments: str | Path) -> tuple[int, str, str]:
    done = run_hadir("terminal", "add", *arguments)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def remember(folder: Path, terminal: str, serial: str) -> None:
    memory = TerminalMemory(serial=serial, records=5, last_full_read_at=None, last_contact_at=None)
    with Outbox(folder / "outbox.db", edge="setda-01") as outbox:
        outbox.remember(terminal, memory)


def test_a_terminal_is_appended_and_every_comment_stays(edge: Path) -> None:
    with running_terminal() as running:
        code, out, _ = add("--config", edge, "--id", "lobi", f"127.0.0.1:{running.port}", "--live")
    assert code == 0
    assert "restart hadir-edge" in out
    text = edge.read_text(encoding="utf-8")
    assert text.startswith(COMMENTED)
    assert text.removeprefix(COMMENTED) == (
        f'\n[[terminal]]\nid = "lobi"\nhost = "127.0.0.1"\nport = {running.port}\nlive = true\n'
        'serial = "SIM0000000001"\n'
    )
    assert edge.stat().st_mode & 0o7777 == 0o640
    assert [terminal.id for terminal in load_edge(edge).terminal] == ["gudang", "lobi"]
    assert [path.name for path in edge.parent.iterdir()] == ["edge.toml"]


def test_a_key_is_named_by_its_file_and_does_not_enter_the_settings(edge: Path) -> None:
    key = edge.parent / "lobi.key"
    key.write_text("1234\n", encoding="utf-8")
    with running_terminal(comm_key=1234) as running:
        code, _, _ = add(
            "--config", edge, "--id", "lobi", f"127.0.0.1:{running.port}", "--comm-key-file", key
        )
    assert code == 0
    assert f'comm_key_file = "{key}"' in edge.read_text(encoding="utf-8")
    assert "1234" not in edge.read_text(encoding="utf-8").replace(str(running.port), "")
    assert load_edge(edge).terminal[1].comm_key == 1234


def test_a_terminal_that_speaks_udp_only_is_written_so(edge: Path) -> None:
    with TerminalServer(some_terminal(), transports={"udp"}) as server:
        assert add("--config", edge, "--id", "lobi", f"127.0.0.1:{server.port}")[0] == 0
    assert load_edge(edge).terminal[1].transport == "udp"


def test_one_that_is_silent_over_tcp_may_only_be_busy_there(edge: Path) -> None:
    """Written as UDP for good, a terminal that another program held would lose its faster way."""
    with TerminalServer(some_terminal(), faults=[SilentTcp()]) as server:
        where = f"127.0.0.1:{server.port}"
        assert add("--config", edge, "--id", "lobi", where, "--timeout", "2")[0] == 0
    assert load_edge(edge).terminal[1].transport == "auto"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--id", "gudang", "192.0.2.10"], "a terminal gudang is configured already"),
        (["--id", "lobi", "192.0.2.9"], "192.0.2.9:4370 is configured already, as terminal gudang"),
        (["--id", "Lobi Depan", "192.0.2.10", "--no-probe"], "must be 1 to 40 of a-z, 0-9 and -"),
        (["--id", "lobi", "192.0.2.10", "--no-probe", "--every", "soon"], "is no duration"),
    ],
)
def test_what_would_break_the_file_is_refused_and_the_file_stays(
    edge: Path, arguments: list[str], words: str
) -> None:
    code, out, err = add("--config", edge, *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert words in err
    assert edge.read_text(encoding="utf-8") == COMMENTED


def test_a_name_cannot_write_further_keys(edge: Path) -> None:
    group = 'a"\nlive = true\n[mqtt]\nhost = "elsewhere"'
    assert add("--config", edge, "--id", "lobi", "192.0.2.10", "--no-probe", "--group", group)[0] == 0
    config = load_edge(edge)
    assert (config.terminal[1].group, config.terminal[1].live) == (group, False)
    assert config.mqtt.host == "127.0.0.1"


def test_one_terminal_under_two_addresses_is_refused(edge: Path) -> None:
    """It would be read twice, and its health told twice: a moved one is to be changed, not added."""
    (edge.parent / "state").mkdir()
    remember(edge.parent / "state", "gudang", "SIM0000000001")
    with running_terminal() as running:
        code, _, err = add("--config", edge, "--id", "lobi", f"127.0.0.1:{running.port}")
    assert (code, edge.read_text(encoding="utf-8")) == (2, COMMENTED)
    assert (
        "serial SIM0000000001 is configured already, as terminal gudang at 192.0.2.9:4370; if it moved" in err
    )


def test_one_that_cannot_be_asked_is_written_only_on_demand(edge: Path) -> None:
    with running_terminal(faults=[Refuse()]) as running:
        code, _, err = add("--config", edge, "--id", "lobi", f"127.0.0.1:{running.port}")
        assert (code, edge.read_text(encoding="utf-8")) == (1, COMMENTED)
        assert "zk-push" in err
        assert "--no-probe" in err
        assert add("--config", edge, "--id", "lobi", f"127.0.0.1:{running.port}", "--no-probe")[0] == 0
    assert load_edge(edge).terminal[1].serial is None


def test_a_file_with_other_line_ends_or_without_the_last_keeps_them(edge: Path) -> None:
    edge.write_bytes(COMMENTED.rstrip().replace("\n", "\r\n").encode())
    assert add("--config", edge, "--id", "lobi", "192.0.2.10", "--no-probe")[0] == 0
    content = edge.read_bytes()
    assert content.count(b"\n") == content.count(b"\r\n")
    assert load_edge(edge).terminal[1].host == "192.0.2.10"


def test_a_link_stays_a_link(edge: Path) -> None:
    """Settings kept in a repository and linked to /etc are common, and a replaced link loses them."""
    link = edge.parent / "linked.toml"
    link.symlink_to(edge)
    assert add("--config", link, "--id", "lobi", "192.0.2.10", "--no-probe")[0] == 0
    assert link.is_symlink()
    assert len(load_edge(edge).terminal) == 2


def listed(*arguments: str | Path) -> tuple[int, list[dict[str, Any]]]:
    done = run_hadir("terminal", "list", *arguments, "--json")
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def test_the_list_shows_what_the_outbox_remembers(edge: Path) -> None:
    (edge.parent / "state").mkdir()
    remember(edge.parent / "state", "gudang", "AAA1")
    code, (gudang,) = listed("--config", edge)
    assert (code, gudang["id"], gudang["serial"], gudang["records"]) == (0, "gudang", "AAA1", 5)
    done = run_hadir("terminal", "list", "--config", edge)
    assert done.stdout.splitlines()[1].split() == ["gudang", "192.0.2.9:4370", "AAA1", "5", "never"]


def test_the_list_asks_each_terminal_and_says_which_does_not_answer(tmp_path: Path) -> None:
    with serving(some_terminal(serial="AAA1", records=7)) as one, running_terminal(comm_key=9) as other:
        path = write_edge(tmp_path, 1883, {"lobi": one.port, "gudang": other.port})
        code, (lobi, gudang) = listed("--config", path, "--probe")
        done = run_hadir("terminal", "list", "--config", path, "--probe")
    assert code == 1
    assert (lobi["now"]["answers"], lobi["now"]["serial"], lobi["now"]["records"]) == (True, "AAA1", 7)
    assert (gudang["now"]["answers"], gudang["now"]["trouble"]) == (False, "it asks for a comm key")
    assert "answers, 7 records" in done.stdout


def test_an_exchanged_terminal_is_seen_in_the_list(tmp_path: Path) -> None:
    with serving(some_terminal(serial="NEW2")) as running:
        path = write_edge(tmp_path, 1883, {"lobi": running.port})
        (tmp_path / "setda-01-state").mkdir()
        remember(tmp_path / "setda-01-state", "lobi", "OLD1")
        _, (lobi,) = listed("--config", path, "--probe")
    assert lobi["now"]["trouble"] == "another terminal: its serial is NEW2, not OLD1"
