"""The ways by which a terminal's punches reach us: the one table that the conformance suite runs over.

A driver joins with one row in WAYS: what it reads, what it must refuse, what it bears, and how it fails. See
docs/drivers.md.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from attendance.errors import (
    AttendanceError,
    DataError,
    DeviceError,
    DeviceRefused,
    DeviceTimeout,
    DeviceUnreachable,
    RemoteProtocolError,
)
from attendance.punch import BadRecord, RawPunch, Source
from attendance.terminal import Terminal
from drivers.base import Driver
from drivers.file.driver import FileDriver
from drivers.table import driver_named
from drivers.zk.simulator.faults import (
    BadChecksum,
    CloseAfter,
    Duplicate,
    EarlyAck,
    Lose,
    Merge,
    Refuse,
    Reorder,
    Segment,
    Silent,
)
from drivers.zk.simulator.faults import Fault as ZkFault
from drivers.zk.simulator.firmware import KINDS
from drivers.zk_push.simulator import Fault as PushFault
from drivers.zk_push.simulator import PushFirmware, drain
from pushing import SERIAL, receiving, said
from scripted import ScriptedTerminal, body_of, over_tcp, over_udp, reply
from sync.envelope import WirePunch
from terminals import made_log, serving, some_terminal

Records = list[RawPunch | BadRecord]


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One terminal with `records` punches, as one layout of a way has it, with one fault or (empty) none."""

    records: int
    folder: Path
    layout: str
    fault: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way of reading. `read` gives what came in of a case, or raises one AttendanceError.

    `layouts` must give exactly the terminal's punches, `refuses` an error and nothing; a fault that the way
    `bears` changes no punch, one that `fails` gives its error. `garbage` has the way read any bytes.
    """

    name: str
    driver: str
    source: Source
    layouts: Sequence[str]
    refuses: Sequence[str] = ()
    bears: Sequence[str] = ()
    fails: Mapping[str, type[AttendanceError]] = field(default_factory=dict)
    read: Callable[[Case], Records]
    garbage: Callable[[bytes, Path], object]


# --- terminals that are dialled

_ZK_FAULTS: Final[Mapping[str, Sequence[ZkFault]]] = {
    "": (),
    "one byte at a time": (Segment(1),),
    "pieces of seven bytes": (Segment(7),),
    "frames in one write": (Merge(),),
    "falls silent": (Silent(after_frames=3),),
    "closes at once": (CloseAfter(0),),
    "closes in the middle": (CloseAfter(300),),
    "damaged reply": (BadChecksum(3),),
    "refuses": (Refuse(),),
    "loses datagrams": (Lose(0.1),),
    "sends datagrams twice": (Duplicate(0.3),),
    "datagrams overtake each other": (Reorder(0.3),),
    "closing ACK before the last data": (EarlyAck(),),
}
_ZK_BEARS: Final = ("one byte at a time", "pieces of seven bytes", "frames in one write")
_ZK_FAILS: Final[Mapping[str, type[DeviceError]]] = {
    "falls silent": DeviceTimeout,
    "closes at once": DeviceUnreachable,
    "closes in the middle": DeviceUnreachable,
    "damaged reply": RemoteProtocolError,
    "refuses": DeviceRefused,
}


_UDP_BEARS: Final = (
    "loses datagrams",
    "sends datagrams twice",
    "datagrams overtake each other",
    "closing ACK before the last data",
)


def _dialled(driver: Driver, transport: str = "tcp") -> Callable[[Case], Records]:
    def read(case: Case) -> Records:
        terminal = some_terminal(records=case.records, firmware=KINDS[case.layout])
        timeout_s = 0.5 if case.fault == "falls silent" else 20.0
        with (
            serving(terminal, _ZK_FAULTS[case.fault], transport) as running,
            driver.open(running.as_configured(timeout_s)) as session,
        ):
            return list(session.read_log())

    return read


_SCRIPTED: Final = {"tcp": over_tcp, "udp": over_udp}


def _dialled_garbage(driver: Driver, transport: str = "tcp") -> Callable[[bytes, Path], object]:
    """Any bytes as the body of the log, and as what follows a request for it."""

    def read(raw: bytes, _folder: Path) -> None:
        for answer in (reply(1501, body_of(raw)), reply(1501, raw), lambda _request: [raw, b""]):
            script = ScriptedTerminal({1503: answer, 13: answer, 9: answer, 50: reply(2000, raw)})
            with ExitStack() as stack:
                terminal = stack.enter_context(_SCRIPTED[transport](script, timeout_s=0.5))
                stack.enter_context(suppress(AttendanceError))
                session = stack.enter_context(driver.open(terminal))
                list(session.read_log())

    return read


# --- terminals that dial in

_PUSH_LAYOUTS: Final[Mapping[str, PushFirmware]] = {
    "2.4": PushFirmware(),
    "1.0, CRLF": PushFirmware(push_version=None, newline=b"\r\n", counts_lines=False),
    ".aspx, small batches": PushFirmware(suffix=".aspx", batch=7),
    "under a path": PushFirmware(base="/dinas/rahasia/iclock/", encoding="gbk"),
}
_PUSH_FAULTS: Final[Mapping[str, Sequence[PushFault]]] = {
    "": (),
    "reply lost": (PushFault.RESET_BEFORE_REPLY,),
    "upload cut": (PushFault.CUT_BODY,),
    "both, twice": (PushFault.CUT_BODY, PushFault.RESET_BEFORE_REPLY) * 2,
}


def _pushed(case: Case) -> Records:
    with receiving(case.folder) as running:
        terminal = running.terminal(_PUSH_LAYOUTS[case.layout])
        for punch in made_log(case.records):
            terminal.punch(punch.pin, at=punch.wall_time, state=punch.state_code, verify=punch.verify_code)
        terminal.faults.extend(_PUSH_FAULTS[case.fault])
        assert drain([terminal])
        return [_raw(punch) for punch in running.punches()]


def _raw(punch: WirePunch) -> RawPunch:
    return RawPunch(
        pin=punch.pin,
        wall_time=datetime.fromisoformat(punch.wall),
        verify_code=punch.verify_code,
        state_code=punch.state_code,
        work_code=punch.work_code,
        source=punch.source,
    )


def _pushed_garbage(raw: bytes, folder: Path) -> None:
    """Any bytes as a body: the receiver answers, and goes on."""
    with receiving(folder) as running:
        for table in ("ATTLOG", "OPERLOG", "options"):
            status, _body, _headers = said(
                running.port, "POST", f"/iclock/cdata?SN={SERIAL}&table={table}", raw
            )
            assert status in (200, 400)


# --- files

_HEADING: Final = "No;PIN;Nama;Tanggal;Waktu;Status;Verifikasi"


def _attlog(punches: Iterable[RawPunch]) -> list[str]:
    return [
        f"{one.pin:>9}\t{one.wall_time:%Y-%m-%d %H:%M:%S}\t1\t{one.state_code}\t{one.verify_code}\t0"
        for one in punches
    ]


def _sheet(punches: Iterable[RawPunch]) -> list[str]:
    """As office programs write it: months and codes in words."""
    rows = [
        f"{number};{one.pin};Siti;{one.wall_time:%d-%b-%Y};{one.wall_time:%H.%M.%S};"
        f"{('Masuk', 'Pulang')[one.state_code]};Sidik Jari"
        for number, one in enumerate(punches, start=1)
    ]
    return [_HEADING, *rows]


def _table(punches: Iterable[RawPunch]) -> list[str]:
    rows = [f"<tr><td>{'</td><td>'.join(line.split(';'))}</td></tr>" for line in _sheet(punches)]
    return ["<html><table>", *rows, "</table></html>"]


_FILE_LAYOUTS: Final[Mapping[str, Callable[[Iterable[RawPunch]], bytes]]] = {
    "attlog.dat": lambda punches: "".join(f"{line}\r\n" for line in _attlog(punches)).encode(),
    "attlog.dat in UTF-16": lambda punches: "".join(f"{line}\n" for line in _attlog(punches)).encode(
        "utf-16"
    ),
    "CSV": lambda punches: "\n".join(_sheet(punches)).encode("utf-8-sig"),
    "tab-separated": lambda punches: "\r\n".join(_sheet(punches)).replace(";", "\t").encode("cp1252"),
    "HTML called .xls": lambda punches: "\n".join(_table(punches)).encode(),
}
_FILE_FAULTS: Final[Mapping[str, Callable[[bytes], bytes]]] = {
    "": lambda content: content,
    "half a line at the end": lambda content: content + b"     1001\t2026-01-0",
    "NULs at the end": lambda content: content + bytes(4096),
    "rubbish in the middle": lambda content: content.replace(b"\n", b"\n\xff\x00rubbish\n", 1),
    "empty": lambda _content: b"",
    "a workbook": lambda _content: b"PK\x03\x04" + bytes(100),
    "something else": lambda _content: b"Laporan bulan Januari\n" * 3,
}


def _carried(case: Case) -> Records:
    path = case.folder / "1_attlog.dat"
    path.write_bytes(_FILE_FAULTS[case.fault](_FILE_LAYOUTS[case.layout](made_log(case.records))))
    return _read_file(path)


def _carried_garbage(raw: bytes, folder: Path) -> object:
    path = folder / "1_attlog.dat"
    path.write_bytes(raw)
    with suppress(AttendanceError):
        return _read_file(path)
    return None


def _read_file(path: Path) -> Records:
    with FileDriver(path).open(Terminal(id="lobi")) as session:
        return list(session.read_log())


WAYS: Final[tuple[Way, ...]] = (
    Way(
        name="zk tcp",
        driver="zk",
        source=Source.LOG,
        layouts=tuple(KINDS),
        bears=_ZK_BEARS,
        fails=_ZK_FAILS,
        read=_dialled(driver_named("zk")),
        garbage=_dialled_garbage(driver_named("zk")),
    ),
    Way(
        name="zk udp",
        driver="zk",
        source=Source.LOG,
        layouts=tuple(KINDS),
        bears=_UDP_BEARS,
        fails={"falls silent": DeviceTimeout, "refuses": DeviceRefused},
        read=_dialled(driver_named("zk"), "udp"),
        garbage=_dialled_garbage(driver_named("zk"), "udp"),
    ),
    Way(
        name="pyzk",
        driver="pyzk",
        source=Source.LOG,
        layouts=("40", "ngteco", "jz4725"),
        refuses=("49", "22", "16", "8a", "8b", "mixed"),
        bears=_ZK_BEARS,
        fails=_ZK_FAILS,
        read=_dialled(driver_named("pyzk")),
        garbage=_dialled_garbage(driver_named("pyzk")),
    ),
    Way(
        name="push",
        driver="zk-push",
        source=Source.PUSH,
        layouts=tuple(_PUSH_LAYOUTS),
        bears=[name for name in _PUSH_FAULTS if name],
        read=_pushed,
        garbage=_pushed_garbage,
    ),
    Way(
        name="file",
        driver="file",
        source=Source.FILE,
        layouts=tuple(_FILE_LAYOUTS),
        bears=("half a line at the end", "NULs at the end", "rubbish in the middle"),
        fails={"empty": DataError, "a workbook": DataError, "something else": DataError},
        read=_carried,
        garbage=_carried_garbage,
    ),
)
