"""`hadir simulate --push`: terminals that dial in, each on a thread of its own, until told to stop."""

import json
import random
import signal
import ssl
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Final
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from attendance.errors import ConfigError, DeviceUnreachable
from drivers.switches import Switch
from drivers.zk.simulator.names import invent_names
from drivers.zk.simulator.seeding import FIRST_PIN, past_punches
from drivers.zk_push.simulator import PushTerminal
from drivers.zk_push.switch_table import PushSettings, push_settings

ONCE_WITHIN_S: Final = 60.0
REFUSED_S: Final = 3.0
"""A terminal that is not let in asks again after 2 to 3 seconds."""

POLL_S: Final = 10.0
_STOPS: Final = (signal.SIGINT, signal.SIGTERM)


@dataclass(frozen=True, slots=True)
class People:
    """Who is enrolled in each terminal, and how much they have punched before."""

    users: int
    records: int
    seed: int
    zone: ZoneInfo


@dataclass(frozen=True, slots=True)
class PushRun:
    """What was asked for. `rate` is punches a second over all terminals."""

    url: str
    serials: list[str]
    people: People
    rate: float
    once: bool


def run_push(run: PushRun, chosen: Iterable[tuple[Switch, str]], *, as_json: bool) -> int:
    """Serve until SIGINT or SIGTERM; with `once` until nothing waits.

    Raises ConfigError for an address that is none, DeviceUnreachable where `once` takes too long.
    """
    address, base, tls = _address(run.url)
    settings = push_settings(chosen, base)
    terminals = [
        _filled(PushTerminal(serial=serial, address=address, tls=tls), run.people, number, settings)
        for number, serial in enumerate(run.serials)
    ]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _STOPS)
    stop = threading.Event()
    rounds = [
        _Rounds(terminal, run.people, run.rate / len(terminals), stop, as_json=as_json)
        for terminal in terminals
    ]
    try:
        for each in rounds:
            each.start()
        if not run.once:
            signal.sigwait(_STOPS)
        else:
            _wait_until_empty(run.url, rounds)
    finally:
        stop.set()
        for each in rounds:
            each.end()
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return 0


def _wait_until_empty(url: str, rounds: list["_Rounds"]) -> None:
    deadline = time.monotonic() + ONCE_WITHIN_S
    for each in rounds:
        if not each.empty.wait(max(0.0, deadline - time.monotonic())):
            waiting = sum(one.terminal.waiting for one in rounds)
            raise DeviceUnreachable(f"{url}: {waiting} punches still wait after {ONCE_WITHIN_S:.0f} s")


def _address(url: str) -> tuple[tuple[str, int], str, ssl.SSLContext | None]:
    """Host and port, the path before the endpoints, and for https a TLS that believes every certificate."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
        raise ConfigError(f"--push {url}: should be an address such as http://127.0.0.1:8081/")
    tls = None
    if parts.scheme == "https":
        tls = ssl.create_default_context()
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    path = parts.path.rstrip("/") + "/"
    base = path if path.lower().endswith("/iclock/") else f"{path}iclock/"
    return (parts.hostname, port or (443 if tls else 80)), base, tls


def _filled(terminal: PushTerminal, people: People, number: int, settings: PushSettings) -> PushTerminal:
    """The terminal with its firmware, people and past."""
    terminal.firmware, terminal.faults = settings.firmware, list(settings.faults)
    now = datetime.now(people.zone)
    terminal.zone_hours = (now.utcoffset() or timedelta(0)).total_seconds() / 3600
    terminal.wall_clock = now.replace(tzinfo=None) + settings.offset
    seed = people.seed + number
    pins = [str(FIRST_PIN + turn) for turn in range(people.users)]
    for pin, name in zip(pins, islice(invent_names(seed), len(pins)), strict=True):
        terminal.enrol(pin, name)
    past = past_punches(pins, people.records, seed=seed, last_day=now.date() - timedelta(days=1))
    twice = set(random.Random(seed).sample(range(len(past)), min(settings.duplicates, len(past))))
    for place, punch in enumerate(past):
        for _ in range(2 if place in twice else 1):
            terminal.punch(punch.pin, at=punch.wall_time, state=punch.state_code, verify=punch.verify_code)
    return terminal


class _Rounds:
    """One terminal at work on its thread: it punches, pushes and polls, and says what changed."""

    def __init__(
        self, terminal: PushTerminal, people: People, rate: float, stop: threading.Event, *, as_json: bool
    ) -> None:
        self.terminal = terminal
        self.empty = threading.Event()
        self._users = people.users
        self._rate = rate if people.users else 0.0
        self._stop = stop
        self._as_json = as_json
        self._told: dict[str, object] = {}
        self._thread = threading.Thread(target=self._run, name=f"push-{terminal.serial}", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """Wait for the end of the round, once the stop is set."""
        self.terminal.resting.set()
        self._thread.join()

    def _run(self) -> None:
        turn, last = 0, time.monotonic()
        next_punch = last + 1 / self._rate if self._rate else float("inf")
        next_round = last
        while not self._stop.is_set():
            now = time.monotonic()
            self.terminal.wall_clock += timedelta(seconds=now - last)
            last = now
            if now >= next_punch:
                self.terminal.punch(str(FIRST_PIN + turn % self._users), state=turn // self._users % 2)
                turn += 1
                next_punch = now + 1 / self._rate
                next_round = now
            if now >= next_round:
                next_round = now + self._work()
            self._stop.wait(max(0.0, min(next_punch, next_round) - time.monotonic()))

    def _work(self) -> float:
        """One round; the seconds until the next."""
        done = self.terminal.work()
        self._say()
        if done and not self.terminal.waiting:
            self.empty.set()
        if not self.terminal.registered or not done:
            return REFUSED_S
        delay = self.terminal.options.get("Delay", "")
        return float(delay) if delay.isdecimal() and int(delay) else POLL_S

    def _say(self) -> None:
        terminal = self.terminal
        facts: dict[str, object] = {
            "serial": terminal.serial,
            "registered": terminal.registered,
            "stored": len(terminal.log),
            "waiting": terminal.waiting,
            "lost": terminal.lost + terminal.discarded,
        }
        if facts == self._told:
            return
        self._told = facts
        line = "{serial}: {state}, {stored} records, {waiting} wait, {lost} lost"
        state = "let in" if terminal.registered else "not let in"
        print(json.dumps(facts) if self._as_json else line.format(state=state, **facts), flush=True)
