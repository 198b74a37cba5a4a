"""Whose turn it is with a terminal: one session at a time among the programs of this machine.

Two lock files a terminal in `state_dir/locks`, both flock(2), so that a process that dies leaves none
behind. `ID.session` is held by whoever talks with the terminal; `ID.wish` by a command that wants to.
The edge, which may listen for days, looks at the wish before and during its session, and gives way.
"""

import fcntl
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from attendance.clock import Clock
from attendance.errors import ConfigError, DeviceTimeout
from attendance.terminal import Terminal
from drivers.base import Driver, Session
from sync.outbox_file import give_to_owner

_log = logging.getLogger(__name__)

FOLDER: Final = "locks"
EDGE_PATIENCE_S: Final = 60.0
"""A command that holds a terminal for longer is told as a failure of that terminal."""
LOOK_EVERY_S: Final = 0.1


class Turn:
    """The turns at one terminal. `edge` and `command` raise DeviceTimeout when the other side keeps it."""

    def __init__(self, state_dir: Path, terminal: str) -> None:
        self._state_dir = state_dir
        self._terminal = terminal
        self._told = False

    @contextmanager
    def edge(self, stop: threading.Event, clock: Clock) -> Iterator[None]:
        """The edge's session; a command that waits goes first. Without lock files it talks all the same."""
        try:
            session = self._open("session")
        except OSError as error:
            self._tell_no_locks(error)
            yield
            return
        try:
            deadline = clock.monotonic() + EDGE_PATIENCE_S
            while self.wanted() or not _locked(session):
                if stop.is_set() or clock.monotonic() >= deadline:
                    raise DeviceTimeout(f"{self._holder()} keeps terminal {self._terminal}")
                clock.wait(stop, LOOK_EVERY_S)
            _sign(session)
            yield
        finally:
            os.close(session)

    def wanted(self) -> bool:
        """Whether a command waits for the terminal, or has it. Cheap where none ever did."""
        try:
            wish = os.open(self._path("wish"), os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            return not _locked(wish, fcntl.LOCK_SH)
        finally:
            os.close(wish)

    @contextmanager
    def command(self, patience_s: float) -> Iterator[None]:
        """A command's session, once the edge has given way. Raises ConfigError without the right to ask it.

        Where the edge never ran there is nobody to ask.
        """
        if not self._state_dir.is_dir():
            yield
            return
        try:
            wish, session = self._open("wish"), self._open("session")
        except OSError as error:
            raise ConfigError(
                f"{self._state_dir / FOLDER}: {error.strerror}; only the edge's own user or root may ask it "
                f"to give way at terminal {self._terminal}: sudo -u hadir hadir terminal ..."
            ) from None
        try:
            deadline = time.monotonic() + patience_s
            while not (_locked(wish) and _locked(session)):
                if time.monotonic() >= deadline:
                    raise DeviceTimeout(
                        f"{self._holder()} is talking with terminal {self._terminal} and takes one client at "
                        "a time: it may be reading a long log; try again, or wait longer with --wait"
                    )
                time.sleep(LOOK_EVERY_S)
            _sign(session)
            yield
        finally:
            os.close(session)
            os.close(wish)

    def _path(self, name: str) -> Path:
        return self._state_dir / FOLDER / f"{self._terminal}.{name}"

    def _open(self, name: str) -> int:
        """A lock file, made for the user whom the folder of the state belongs to."""
        path = self._path(name)
        if not path.parent.is_dir():
            path.parent.mkdir(exist_ok=True)
            give_to_owner(path.parent, self._state_dir)
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        give_to_owner(path, self._state_dir)
        return file

    def _holder(self) -> str:
        try:
            pid = self._path("session").read_text(encoding="utf-8").strip()
        except (OSError, ValueError):
            pid = ""
        return f"another hadir program (pid {pid})" if pid else "another hadir program"

    def _tell_no_locks(self, error: OSError) -> None:
        if not self._told:
            self._told = True
            _log.warning(
                "terminal %s: commands beside the edge cannot take their turn: %s",
                self._terminal,
                error,
                extra={"action": "no_locks", "terminal": self._terminal},
            )


@dataclass(frozen=True, slots=True)
class Line:
    """The edge's way to one terminal: where it is, what speaks with it, and whose turn it is."""

    terminal: Terminal
    driver: Driver
    turn: Turn

    @contextmanager
    def open(self, stop: threading.Event, clock: Clock) -> Iterator[Session]:
        """A session in the edge's turn. Raises as Turn.edge and Driver.open."""
        with self.turn.edge(stop, clock), self.driver.open(self.terminal) as session:
            yield session


def _locked(file: int, how: int = fcntl.LOCK_EX) -> bool:
    """Lock if nobody else has; again on the same file is harmless."""
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sign(file: int) -> None:
    os.ftruncate(file, 0)
    os.pwrite(file, str(os.getpid()).encode(), 0)
