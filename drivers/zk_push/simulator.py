"""A terminal that pushes: for tests and training. It keeps its log until a server has said OK.

It behaves as firmware of version 2.x was seen to, with switches for what differs. It speaks HTTP with
the standard library's client and shares no code with the receiver.
"""

import http.client
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import Enum
from typing import Final
from urllib.parse import quote

from drivers.zk_push.simulated_lines import FlagForm, LineForm, person_line, punch_line, wants_people

_DRIFT: Final = timedelta(seconds=10)
"""A terminal sets its clock when it is further off than this."""

_SECONDS_OF_A_DAY: Final = 86400


class Stamps(Enum):
    """What firmware makes of the resume point that a server gives back."""

    HONOUR = "honour"
    IGNORE = "ignore"
    ATOI = "atoi"


class Fault(Enum):
    """What goes wrong with the next upload."""

    RESET_BEFORE_REPLY = "the connection breaks after the server has it all, before its reply is read"
    CUT_BODY = "the connection breaks in the middle of the body"
    REBOOT = "the terminal restarts in the middle of the body, and forgets how far it had got"


@dataclass(frozen=True, slots=True, kw_only=True)
class PushFirmware:
    """In what firmware differs. `base` is what a technician typed into the address field before /iclock/.

    With `capacity` the oldest record goes when the log is full, sent or not; 0 is without end.
    `bytes_per_s` is the speed of its line, 0 any. People are sent where TransFlag, read by `flags`, asks.
    """

    push_version: str | None = "2.4.1"
    device_type: str = "att"
    base: str = "/iclock/"
    suffix: str = ""
    newline: bytes = b"\n"
    encoding: str = "utf-8"
    counts_lines: bool = True
    discards_on_500: bool = False
    stamps: Stamps = Stamps.IGNORE
    sets_clock: bool = True
    serial_in_results: bool = True
    batch: int = 100
    lines: LineForm = LineForm.PLAIN
    flags: FlagForm = FlagForm.NAMES
    capacity: int = 0
    bytes_per_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Stored:
    """One record of its log: the compact time that stamps are made of, and the line."""

    stamp: int
    line: bytes


@dataclass(kw_only=True, eq=False)
class PushTerminal:
    """One terminal; used by one thread, `punch` by any. `zone_hours` is what its clock is set by.

    `lost` counts records that went before any server had them; `resting`, once set, ends all rests.
    """

    serial: str
    address: tuple[str, int]
    firmware: PushFirmware = field(default_factory=PushFirmware)
    zone_hours: float = 7.0
    wall_clock: datetime = field(default_factory=lambda: datetime(2026, 1, 5, 7, 30))
    tls: ssl.SSLContext | None = None
    timeout_s: float = 10.0
    faults: list[Fault] = field(default_factory=list)
    resting: threading.Event = field(default_factory=threading.Event)
    registered: bool = field(init=False, default=False)
    options: dict[str, str] = field(init=False, default_factory=dict)
    log: list[Stored] = field(init=False, default_factory=list)
    discarded: int = field(init=False, default=0)
    results: list[tuple[str, int]] = field(init=False, default_factory=list)
    lost: int = field(init=False, default=0)
    _position: int = field(init=False, default=0)
    _gone: int = field(init=False, default=0)
    _stored: int = field(init=False, default=0)
    _unsent_people: list[bytes] = field(init=False, default_factory=list)
    _stamp: int = field(init=False, default=0)
    _lock: threading.Lock = field(init=False, repr=False, default_factory=threading.Lock)

    # --- people at the terminal

    def punch(self, pin: str, *, at: datetime | None = None, state: int = 0, verify: int = 1) -> None:
        """Store a punch; by its own clock unless `at` is given."""
        when = at or self.wall_clock
        with self._lock:
            self._stored += 1
            number = self._stored
        self.store(punch_line(self.firmware.lines, number, pin, when, state, verify), when)

    def enrol(self, pin: str, name: str) -> None:
        """Enrol somebody, to be told of where the server asks for people."""
        with self._lock:
            self._unsent_people.append(person_line(pin, name, self.firmware.encoding))

    def store(self, line: bytes, when: datetime) -> None:
        """Store a line as it is."""
        with self._lock:
            self.log.append(Stored(compact(when), line))
            if self.firmware.capacity and len(self.log) > self.firmware.capacity:
                del self.log[0]
                self.lost += self._position <= self._gone
                self._gone += 1

    @property
    def waiting(self) -> int:
        """Records that no server has accepted."""
        return self._gone + len(self.log) - max(self._position, self._gone)

    # --- its side of the protocol

    def work(self) -> bool:
        """One round: handshake where it is due, then what waits, then a poll. Whether all of it succeeded."""
        if not self.registered and not self.handshake():
            return False
        return self.upload() and self.send_people() and self.poll()

    def handshake(self) -> bool:
        """Ask for options; whether the server let us in."""
        more = f"&pushver={self.firmware.push_version}" if self.firmware.push_version else ""
        target = f"options=all{more}&language=73&DeviceType={self.firmware.device_type}&PushOptionsFlag=1"
        body = self._get("cdata", target)
        if body is None or not (b"Stamp=" in body or b"ServerVer=" in body):
            return False
        # Clients drop a last line that has no line feed.
        lines = body.decode("latin-1").split("\n")[:-1]
        self.options = dict(line.partition("=")[::2] for line in lines)
        if zone := self.options.get("TimeZone"):
            hours = _atoi(zone)
            self.zone_hours = hours / 60 if abs(hours) >= 25 else hours
        self._go_back()
        self.registered = True
        return True

    def upload(self) -> bool:
        """Send everything that waits, batch by batch; False at the first that is not accepted."""
        while (found := self._batch())[1]:
            start, batch = found
            body = b"".join(stored.line + self.firmware.newline for stored in batch)
            stamp = batch[-1].stamp
            status, reply = self._post("cdata", f"table=ATTLOG&Stamp={stamp}", body)
            if status >= 500 and self.firmware.discards_on_500:
                self.discarded += len(batch)
            elif not self._accepted(status, reply, len(batch)):
                return False
            self._position = start + len(batch)
            self._stamp = stamp
        return True

    def _batch(self) -> tuple[int, list[Stored]]:
        """What is due next, and how many records were ever stored before it."""
        with self._lock:
            start = max(self._position, self._gone)
            first = start - self._gone
            return start, self.log[first : first + self.firmware.batch]

    def send_people(self) -> bool:
        """Tell of those enrolled, where the server asks for people; whether it has them or did not ask."""
        if not self._unsent_people or not wants_people(
            self.firmware.flags, self.options.get("TransFlag", "")
        ):
            return True
        with self._lock:
            body = b"".join(line + self.firmware.newline for line in self._unsent_people)
            count = len(self._unsent_people)
        if not self._accepted(*self.send("OPERLOG", body), count):
            return False
        with self._lock:
            del self._unsent_people[:count]
        return True

    def send(self, table: str, body: bytes, *, stamp: str = "9999") -> tuple[int, bytes]:
        """Upload a body to any table; status and reply, status 0 without one."""
        return self._post("cdata", f"table={table}&Stamp={quote(stamp)}", body)

    def poll(self, info: str = "") -> bool:
        """Ask for work, do it, report; whether the server answered."""
        body = self._get("getrequest", f"INFO={quote(info)}" if info else "")
        if body is None:
            return False
        if body.startswith(b"UN"):
            self.registered = False
            return False
        for number, text in re.findall(r"C:(\w+):([^\n]*)\n", body.decode("latin-1")):
            code, more = self._obey(text)
            named = f"ID={number}&Return={code}&CMD={text.split(' ')[0]}{more}\n".encode()
            self._post("devicecmd", "", named, with_serial=self.firmware.serial_in_results)
            self.results.append((text, code))
        return True

    def _obey(self, text: str) -> tuple[int, str]:
        """Carry out a command; its return code, and what stands after it in the answer."""
        found = re.search(r"StartTime=(.{19})\tEndTime=(.{19})", text)
        if text.startswith(("DATA QUERY ATTLOG", "VERIFY SUM ATTLOG")) and found:
            start, end = (compact(datetime.fromisoformat(one)) for one in found.groups())
            chosen = [stored for stored in self.log if start <= stored.stamp <= end]
            if text.startswith("VERIFY"):
                times = f"StartTime={found[1]}&EndTime={found[2]}"
                return 0, f"&{times}&AttlogSum={len(chosen)}"
            body = b"".join(stored.line + self.firmware.newline for stored in chosen)
            self.send("ATTLOG", body)
            return 0, ""
        known: dict[str, Callable[[], object]] = {
            "CHECK": self.handshake,
            "LOG": self.upload,
            "INFO": lambda: None,
            "REBOOT": self._restart,
        }
        if text not in known:
            return -1002, ""
        known[text]()
        return 0, f"\nTransactionCount={len(self.log)}" if text == "INFO" else ""

    def _restart(self) -> None:
        self.registered = False

    def _go_back(self) -> None:
        """Take the server's resume point as this firmware does."""
        given = self.options.get("ATTLOGStamp", self.options.get("Stamp", "0"))
        if self.firmware.stamps is Stamps.IGNORE:
            return
        wanted = _atoi(given)
        if self.firmware.stamps is Stamps.HONOUR and not given.isdigit():
            wanted = self._stamp
        after = (place for place, stored in enumerate(self.log) if stored.stamp > wanted)
        self._position = self._gone + next(after, len(self.log))

    def _accepted(self, status: int, reply: bytes, lines: int) -> bool:
        if status != http.client.OK or b"OK" not in reply:
            return False
        counted = re.search(rb"OK: ?(\d+)", reply)
        return not self.firmware.counts_lines or (counted is not None and int(counted[1]) == lines)

    # --- HTTP

    def _target(self, endpoint: str, query: str, *, with_serial: bool = True) -> str:
        parts = [f"SN={self.serial}" if with_serial else "", query]
        joined = "&".join(part for part in parts if part)
        return f"{self.firmware.base}{endpoint}{self.firmware.suffix}?{joined}"

    def _get(self, endpoint: str, query: str) -> bytes | None:
        status, body = self._exchange("GET", self._target(endpoint, query), None)
        return body if status == http.client.OK else None

    def _post(self, endpoint: str, query: str, body: bytes, *, with_serial: bool = True) -> tuple[int, bytes]:
        return self._exchange("POST", self._target(endpoint, query, with_serial=with_serial), body)

    def _exchange(self, method: str, target: str, body: bytes | None) -> tuple[int, bytes]:
        connection = self._connection()
        try:
            if body is not None and self.faults:
                return self._with_fault(connection, target, body, self.faults.pop(0))
            connection.request(method, target, body=self._paced(body), headers=_headers(body))
            response = connection.getresponse()
            said = response.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()
        self._see_date(response.getheader("Date"), response.getheader("Content-Type", ""))
        return response.status, said

    def _paced(self, body: bytes | None) -> bytes | Iterable[bytes] | None:
        """The body, at once or by the tenth of a second at the speed of the line."""
        if body is None or not self.firmware.bytes_per_s:
            return body
        size = max(1, int(self.firmware.bytes_per_s / 10))
        return self._slowly([body[at : at + size] for at in range(0, len(body), size)])

    def _slowly(self, pieces: list[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            yield piece
            self.resting.wait(len(piece) / self.firmware.bytes_per_s)

    def _with_fault(
        self, connection: http.client.HTTPConnection, target: str, body: bytes, fault: Fault
    ) -> tuple[int, bytes]:
        if fault is Fault.REBOOT:
            self.registered = False
            self._position = self._gone
        sent = body if fault is Fault.RESET_BEFORE_REPLY else body[: len(body) // 2]
        connection.putrequest("POST", target)
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(sent)
        if fault is Fault.RESET_BEFORE_REPLY:
            # The reply is there and is thrown away unread.
            connection.sock.recv(1, socket.MSG_PEEK) if self.tls is None else connection.sock.recv(1)
        return 0, b""

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self.address
        if self.tls is not None:
            return http.client.HTTPSConnection(host, port, timeout=self.timeout_s, context=self.tls)
        return http.client.HTTPConnection(host, port, timeout=self.timeout_s)

    def _see_date(self, date: str | None, kind: str | None) -> None:
        """Set the clock by a reply, as firmware does where it is plain text and has a date."""
        if not self.firmware.sets_clock or date is None or "text/plain" not in (kind or ""):
            return
        with suppress(ValueError):
            told = parsedate_to_datetime(date).astimezone(UTC).replace(tzinfo=None)
            told += timedelta(hours=self.zone_hours)
            if abs(told - self.wall_clock) > _DRIFT:
                self.wall_clock = told


def _headers(body: bytes | None) -> dict[str, str]:
    length = {} if body is None else {"Content-Length": str(len(body))}
    return {"User-Agent": "iClock Proxy/1.09"} | length


def compact(when: datetime) -> int:
    """A wall time as terminals count it: seconds in a calendar of months of 31 days."""
    days = ((when.year - 2000) * 12 + when.month - 1) * 31 + when.day - 1
    return days * _SECONDS_OF_A_DAY + (when.hour * 60 + when.minute) * 60 + when.second


def drain(terminals: Iterable[PushTerminal], *, rounds: int = 50) -> bool:
    """Let terminals work until nothing waits; whether that came about."""
    for _ in range(rounds):
        if not [terminal for terminal in terminals if not terminal.work() or terminal.waiting]:
            return True
    return False


def _atoi(text: str) -> int:
    """What C makes of a text: its leading number, else 0."""
    found = re.match(r"[+-]?\d+", text.strip())
    return int(found[0]) if found else 0
