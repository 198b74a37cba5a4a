"""What `hadir simulate` leaves in files: settings for an edge, and a log of the punches."""

import json
import resource
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attendance.errors import ConfigError
from attendance.punch import RawPunch
from drivers.zk.simulator.fleet import Fleet, Told
from drivers.zk.simulator.model import SimulatedTerminal

_FILES_OF_ITS_OWN: Final = 64
_FILES_A_TERMINAL: Final = 4
"""It listens over TCP and UDP, serves one client, and lets a second one wait."""

_EVERYWHERE: Final = ("0.0.0.0", "::")  # noqa: S104 - recognised here, so as not to be written as an address


def allow_open_files(terminals: int) -> None:
    """Raise this process's limit of open files, as far as it may be, to what so many terminals need."""
    wanted = _FILES_OF_ITS_OWN + _FILES_A_TERMINAL * terminals
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise ConfigError(
            f"{terminals} terminals need {wanted} open files, and this user may have {hard};"
            " raise it with ulimit -Hn, or take fewer"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def write_edge_settings(file: Path, fleet: Fleet, timezone: str) -> None:
    """An edge.toml that polls and listens to every terminal of the fleet; each is a group of its own.

    Raises ConfigError where it cannot be written.
    """
    tables = [
        f"# Simulated terminals. Check with: hadir config check {file}",
        f'[edge]\nid = "simulated"\ntimezone = "{timezone}"\nstate_dir = "edge-state"\n',
        '[mqtt]\nhost = "127.0.0.1"\nport = 1883\n',
    ]
    for terminal, server in zip(fleet.terminals, fleet.servers, strict=True):
        name = terminal.serial.lower()
        host = "127.0.0.1" if server.host in _EVERYWHERE else server.host
        over = "" if "tcp" in server.transports else 'transport = "udp"\n'
        key = f"comm_key = {terminal.comm_key}\n" if terminal.comm_key else ""
        tables.append(
            f'[[terminal]]\nid = "{name}"\nhost = "{host}"\nport = {server.port}\n{over}{key}'
            f'every = "60s"\nlive = true\ngroup = "{name}"\n'
        )
    try:
        file.write_text("\n".join(tables), encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"--write-config {file}: {error.strerror}; name a file in a folder of yours"
        ) from None


@contextmanager
def punch_log(file: Path | None) -> Iterator[Told]:
    """Something to tell of punches: it appends a JSON object a line; to nowhere without a file.

    Keys: terminal (serial), pin, wall_time, verify, state, made_at (Unix time in seconds, when the terminal
    had it). Raises ConfigError where the file cannot be written.
    """
    if file is None:
        yield lambda _terminal, _punch: None
        return
    try:
        lines = file.open("a", encoding="utf-8", buffering=1)
    except OSError as error:
        raise ConfigError(f"--punch-log {file}: {error.strerror}; name a file in a folder of yours") from None
    with lines:

        def tell(terminal: SimulatedTerminal, punch: RawPunch) -> None:
            made = {
                "terminal": terminal.serial,
                "pin": punch.pin,
                "wall_time": punch.wall_time.isoformat(),
                "verify": punch.verify_code,
                "state": punch.state_code,
                "made_at": round(time.time(), 6),
            }
            lines.write(json.dumps(made) + "\n")

        yield tell
