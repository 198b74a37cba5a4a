"""The whole program in tests: hadir as processes, with settings as the contract writes them."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import create_engine, text

PATIENCE_S = 60.0
HADIR = [sys.executable, "-P", "-m", "daemon"]


def run_hadir(
    *arguments: str | Path, env: Mapping[str, str] | None = None, timeout_s: float = PATIENCE_S
) -> subprocess.CompletedProcess[str]:
    """Run one command to its end."""
    return subprocess.run(
        [*HADIR, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=timeout_s,
        env=_environment(env),
        stdin=subprocess.DEVNULL,
    )


def _environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    plain = {key: value for key, value in os.environ.items() if not key.startswith("HADIR_")}
    return plain | dict(extra or {})


@dataclass(slots=True)
class Process:
    """A command that stays."""

    popen: subprocess.Popen[bytes]
    log_file: Path

    @property
    def log(self) -> str:
        """All that it has printed so far, stdout and stderr."""
        return self.log_file.read_text(encoding="utf-8", errors="replace")

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.popen.send_signal(signal.SIGTERM)
        return self.popen.wait(PATIENCE_S)

    def kill(self) -> None:
        """SIGKILL: what a power cut is to a process."""
        self.popen.kill()
        self.popen.wait(PATIENCE_S)


@contextmanager
def running_hadir(
    *arguments: str | Path, log: Path, env: Mapping[str, str] | None = None
) -> Iterator[Process]:
    """A hadir process for the length of the block; killed at its end if it still runs."""
    with log.open("ab") as file:
        popen = subprocess.Popen(
            [*HADIR, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=_environment(env),
        )
    process = Process(popen, log)
    try:
        yield process
    finally:
        if popen.poll() is None:
            process.kill()


def eventually(condition: Callable[[], object], *, what: str, within_s: float = PATIENCE_S) -> None:
    """Wait until `condition()` is true; fail with `what` when it never is."""
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {within_s:.0f} s: {what}"
        time.sleep(0.05)


def write_central(
    folder: Path, url: str, broker_port: int, *, embedded: bool = False, policy: str = "tulang-bawang"
) -> Path:
    """central.toml."""
    path = folder / "central.toml"
    path.write_text(
        f'[database]\nurl = "{url}"\n[mqtt]\nhost = "127.0.0.1"\nport = {broker_port}\n'
        f'embedded = {str(embedded).lower()}\n[scoring]\npolicy = "{policy}"\n',
        encoding="utf-8",
    )
    return path


def write_edge(
    folder: Path, broker_port: int, terminals: Mapping[str, int], *, extra: str = "", id_: str = "setda-01"
) -> Path:
    """edge.toml with terminals as {id: port}; `extra` lines go into each `[[terminal]]`."""
    path = folder / f"{id_}.toml"
    blocks = "".join(
        f'[[terminal]]\nid = "{name}"\nhost = "127.0.0.1"\nport = {port}\ntimeout = "3s"\n{extra}\n'
        for name, port in terminals.items()
    )
    path.write_text(
        f'[edge]\nid = "{id_}"\ntimezone = "Asia/Jakarta"\nstate_dir = "{id_}-state"\n'
        f'[mqtt]\nhost = "127.0.0.1"\nport = {broker_port}\n{blocks}',
        encoding="utf-8",
    )
    return path


def query(url: str, statement: str, **parameters: object) -> list[tuple[object, ...]]:
    """Rows from the central database, as another system would read them."""
    engine = create_engine(url)
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement), parameters)]
    finally:
        engine.dispose()


def stored_identities(url: str) -> list[tuple[str, ...]]:
    """(serial, pin, date, time) of every row of v1_punch, sorted, repeats included."""
    rows = query(url, "SELECT terminal_serial, pin, local_date, local_time FROM v1_punch")
    return sorted(tuple(map(str, row)) for row in rows)
