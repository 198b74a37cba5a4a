"""Passwords, templates and comm keys of a terminal reach no disk, no log and no output of hadir.

The terminals hold recognisable ones wherever firmware was seen to keep them: in the records of users, in
slots between them, and in stale memory. The programs run whole, and say all that they can be made to say.
"""

from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.main import main
from drivers.zk.simulator import conversation
from drivers.zk.simulator.firmware import AK3750, JZ4725, KINDS, NGTECO, TFT
from drivers.zk.simulator.model import SimulatedTerminal
from mosquitto import free_port
from program import eventually, run_hadir, running_hadir, write_edge
from terminals import START, Running, serving, some_terminal

PASSWORD = b"Rah4s!a7"
TEMPLATE = b"JSS21\0" + bytes(range(0x90, 0xB0))
COMM_KEY = 918_273
LONG = 8
"""Bytes of the longest password; black and white terminals keep five."""


def forms(secret: bytes) -> set[bytes]:
    """A secret as it might stand somewhere: as it is, hexadecimal, as Python text; a long one in Base64."""
    found = {secret, secret.hex().encode(), secret.hex().upper().encode(), secret.hex(" ").encode()}
    if len(secret) >= LONG:
        found |= {b64encode(bytes(offset) + secret)[2 + 2 * bool(offset) : -4] for offset in range(3)}
    return found | {repr(secret)[2:-1].encode()}


def with_password(raw: bytes, size: int) -> bytes:
    return raw[:3] + PASSWORD[:size].ljust(size, b"\0") + raw[3 + size :]


def keep_secrets(terminal: SimulatedTerminal) -> None:
    """Give everybody a password, and templates to whatever of the user table may hold some."""
    size = terminal.firmware.users.record_bytes
    table = terminal.user_records()
    for at in range(0, len(table), size):
        raw = with_password(table[at : at + size], 5 if size == 28 else 8)
        if size == 120:
            raw = raw[:11] + TEMPLATE[:24] + raw[35:]
        terminal.write_user(raw)
    if terminal.firmware is AK3750:
        slot = bytes([1, 0, 0x31]) + TEMPLATE
        terminal.add_empty_slot(slot.ljust(72, b"\x5a"))


def check(texts: Iterable[str | bytes], folders: Iterable[Path]) -> None:
    """Search everything that the programs left behind."""
    secrets = {*forms(PASSWORD), *forms(PASSWORD[:5]), *forms(TEMPLATE[:16]), str(COMM_KEY).encode()}
    found = [text.encode() if isinstance(text, str) else text for text in texts]
    files = [file for folder in folders for file in folder.rglob("*") if file.is_file()]
    assert any(file.name == "outbox.db" for file in files)
    for content in [*found, *(file.read_bytes() for file in files)]:
        for secret in secrets:
            assert secret not in content, secret


UNKNOWN_USERS = replace(TFT, version="users of an unknown layout")
STALE = replace(JZ4725, buffered=False)
KINDS_OF_TERMINAL = {
    "tft": TFT,
    "rubbish": replace(TFT, rubbish=True),
    "ngteco": NGTECO,
    "by-uid": KINDS["8b"],
    "numbers": KINDS["16"],
    "slots": AK3750,
    "stale": STALE,
    "unknown": UNKNOWN_USERS,
}
PUNCHED = b"2026-01-20T07:30:00"
READABLE = len(KINDS_OF_TERMINAL) - 1
"""Nothing can be read from stale memory."""


@contextmanager
def terminals(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Running]]:
    """One of each kind, full of secrets."""
    monkeypatch.setattr(conversation, "STALE_MEMORY", TEMPLATE * 4)
    with ExitStack() as stack:
        found: dict[str, Running] = {}
        for name, firmware in KINDS_OF_TERMINAL.items():
            terminal = some_terminal(
                serial=f"SIM-{name}", users=12, records=30, firmware=firmware, comm_key=COMM_KEY
            )
            keep_secrets(terminal)
            found[name] = stack.enter_context(serving(terminal))
        odd = found["unknown"].terminal
        table = odd.user_records() + PASSWORD
        monkeypatch.setattr(odd, "user_records", lambda: table)
        yield found


def test_an_edge_and_the_bench_at_their_most_talkative_give_nothing_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """A password in a log file is one that must be changed at every terminal."""
    key_file = tmp_path / "lobi.key"
    key_file.write_text(str(COMM_KEY), encoding="ascii")
    state, log = tmp_path / "setda-01-state", tmp_path / "edge.log"
    with terminals(monkeypatch) as running:
        ports = {name: one.port for name, one in running.items()}
        config = write_edge(tmp_path, free_port(), ports, extra=f'comm_key_file = "{key_file}"\nlive = true')
        once = run_hadir("edge", "run", "--config", config, "--once", "--timeout", "20s", "--verbose")
        with running_hadir("edge", "run", "--config", config, "--verbose", log=log) as edge:
            listening = [one for name, one in running.items() if name != "stale"]
            eventually(lambda: all(one.server.connections for one in listening), what="the edge listens")
            for one in listening:
                one.terminal.punch("1001", at=START.replace(day=20))
            eventually(
                lambda: everything_in(state).count(b"2026-01-20T07:30:00") >= READABLE, what="all is kept"
            )
            edge.stop()
        said = [once.stdout, once.stderr, edge.log, *bench(config, ports, capfd)]
    check(said, [state])
    assert "unknown layout" in "".join(said)
    assert "Siti" in "".join(said)


def everything_in(folder: Path) -> bytes:
    return b"".join(file.read_bytes() for file in folder.iterdir() if file.is_file())


def bench(config: Path, ports: Mapping[str, int], capfd: pytest.CaptureFixture[str]) -> list[str]:
    """What the technician's commands print: people read, named anew, added and removed; each way to fail."""
    for name, port in ports.items():
        at = [name, "--config", str(config)]
        for change in (
            [],
            ["--json"],
            ["--csv", "-"],
            ["--write-name", "1002", "Siti", "--yes"],
            ["--add", "77", "Budi", "--yes"],
            ["--delete", "77", "--yes"],
        ):
            main(["terminal", "users", *at, *change])
        main(["terminal", "probe", *at, "--json"])
        main(["terminal", "probe", f"127.0.0.1:{port}", "--comm-key", "1"])
    return list(capfd.readouterr())


def test_the_search_would_find_them(tmp_path: Path) -> None:
    """Otherwise the test above could pass by looking away."""
    (tmp_path / "outbox.db").write_bytes(b"")
    for leak in (
        PASSWORD,
        PASSWORD.hex().encode(),
        b64encode(b"x" + PASSWORD),
        repr(TEMPLATE).encode(),
        TEMPLATE.hex(" ").encode(),
        b"key 918273",
    ):
        with pytest.raises(AssertionError):
            check([leak], [tmp_path])
