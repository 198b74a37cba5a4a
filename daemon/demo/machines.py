"""The demo's moving parts: terminals in this process, centre and edge as processes of their own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, Self
from zoneinfo import ZoneInfo

from attendance.errors import AttendanceError
from attendance.terminal import User
from daemon.demo.scenario import EDGE, GROUP, TERMINALS, VISITOR_PIN, ZONE, Scenario
from drivers.zk.simulator.model import SimulatedTerminal
from drivers.zk.simulator.server import TerminalServer

START_S: Final = 30.0
STOP_S: Final = 15.0


class DemoFailed(AttendanceError):
    """The demo did not reach its end; the text says where and what to read."""


def build_terminals(scenario: Scenario) -> dict[str, SimulatedTerminal]:
    """A terminal for each entry of the scenario, with its people enrolled and its log filled."""
    terminals = {}
    for number, (name, unit) in enumerate(TERMINALS.items(), start=1):
        terminal = SimulatedTerminal(serial=f"DEMO{number:09d}", zone=ZoneInfo(ZONE))
        people = [(person.pin, person.name) for person in scenario.people if person.unit == unit]
        people.append((VISITOR_PIN, "Tamu"))
        terminal.enrol(
            User(uid=uid, pin=pin, name=text, name_raw=text.encode()[:24])
            for uid, (pin, text) in enumerate(people, start=1)
        )
        for punch in scenario.logs[name]:
            terminal.store(punch)
        terminals[name] = terminal
    return terminals


@contextmanager
def serving(terminals: dict[str, SimulatedTerminal]) -> Iterator[dict[str, int]]:
    """Switch the terminals on; gives the port of each."""
    with ExitStack() as stack:
        yield {name: stack.enter_context(TerminalServer(item)).port for name, item in terminals.items()}


def write_settings(folder: Path, ports: dict[str, int]) -> tuple[Path, Path]:
    """central.toml and edge.toml of the demo."""
    broker_port = _free_port()
    central, edge = folder / "central.toml", folder / "edge.toml"
    database = json.dumps(f"sqlite:///{folder / 'central.db'}")
    central.write_text(
        f"[database]\nurl = {database}\n\n"
        f'[mqtt]\nhost = "127.0.0.1"\nport = {broker_port}\nembedded = true\n\n'
        '[scoring]\npolicy = "tulang-bawang"\n',
        encoding="utf-8",
    )
    terminals = "".join(
        f'\n[[terminal]]\nid = "{name}"\nhost = "127.0.0.1"\nport = {port}\n'
        f'every = "5s"\nlive = true\ngroup = "{GROUP}"\nunit = "{TERMINALS[name]}"\n'
        for name, port in ports.items()
    )
    edge.write_text(
        f'[edge]\nid = "{EDGE}"\ntimezone = "{ZONE}"\nstate_dir = "edge-state"\n\n'
        f'[mqtt]\nhost = "127.0.0.1"\nport = {broker_port}\n{terminals}',
        encoding="utf-8",
    )
    return central, edge


def _free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Service:
    """One `hadir ... run` process, its log in a file. It is up when the log says `up`."""

    def __init__(self, name: str, settings: Path, log: Path, *, up: str) -> None:
        self.name = name
        self._up = up
        self.log = log
        self._command = [sys.executable, "-P", "-m", "daemon", name, "run", "--config", str(settings)]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        environment = {key: value for key, value in os.environ.items() if not key.startswith("HADIR_")}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment
            )
        try:
            self._wait_until_up()
        except DemoFailed:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait()

    def check(self) -> None:
        """Raise DemoFailed if the process has ended."""
        if self._process is not None and (code := self._process.poll()) is not None:
            raise DemoFailed(f"`hadir {self.name} run` ended with exit code {code}; its log: {self.log}")

    def _wait_until_up(self) -> None:
        deadline = time.monotonic() + START_S
        while self._up not in self.log.read_text(encoding="utf-8"):
            self.check()
            if time.monotonic() > deadline:
                raise DemoFailed(f"`hadir {self.name} run` is not up after {START_S:.0f} s; log: {self.log}")
            time.sleep(0.05)

    def stop(self) -> None:
        """SIGTERM, and wait for an orderly end. Raises DemoFailed if it is none."""
        self.check()
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            code = self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            raise DemoFailed(
                f"`hadir {self.name} run` did not end within {STOP_S:.0f} s; log: {self.log}"
            ) from None
        if code:
            raise DemoFailed(f"`hadir {self.name} run` ended with exit code {code}; its log: {self.log}")
