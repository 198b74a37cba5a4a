"""Hands for a simulated terminal: a port on which punches are made while it runs.

One JSON object a line, each answered by one line with `ok`. Requests:
`{"punch": {"pin": "1001", "at": "2026-01-05T07:29:00", "verify": 1, "state": 0}}` (all but the
pin may be left out), `{"clear": true}`, `{"offset_s": 60}`, `{"status": true}`; where several
terminals run, with `"terminal": "<serial>"`. Nothing guards it: it belongs on loopback.
"""

import json
import socket
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

from attendance.errors import DataError, DeviceRefused, DeviceUnreachable, LocalProtocolError
from drivers.zk.simulator.listener import Listener
from drivers.zk.simulator.model import SimulatedTerminal

LONGEST_LINE: Final = 65536
ANSWER_WITHIN_S: Final = 10.0

Fields = dict[str, object]


def control_listener(
    terminals: Iterable[SimulatedTerminal], host: str = "127.0.0.1", port: int = 0
) -> Listener:
    """A listener that takes requests for these terminals; it serves within its `with` block.

    Raises ConfigError when the address cannot be had.
    """
    by_serial = {terminal.serial: terminal for terminal in terminals}

    def serve(connection: socket.socket) -> None:
        with connection.makefile("rwb") as lines:
            while line := lines.readline(LONGEST_LINE):
                lines.write(json.dumps(_answer(line, by_serial)).encode() + b"\n")
                lines.flush()

    return Listener(host, port, serve)


def ask(host: str, port: int, request: Fields) -> Fields:
    """Send one request to a control port and give its answer.

    Raises DeviceUnreachable where nothing answers, DeviceRefused with the simulator's reason.
    """
    try:
        with socket.create_connection((host, port), timeout=ANSWER_WITHIN_S) as connection:
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as lines:
                answer = json.loads(lines.readline(LONGEST_LINE))
    except (OSError, ValueError) as error:
        raise DeviceUnreachable(
            f"no simulator answers at {host}:{port} ({error}); hadir simulate --control-port starts one"
        ) from None
    if not isinstance(answer, dict) or not answer.get("ok"):
        reason = answer.get("error") if isinstance(answer, dict) else answer
        raise DeviceRefused(f"the simulator at {host}:{port} refused: {reason}")
    return answer


def _answer(line: bytes, terminals: dict[str, SimulatedTerminal]) -> Fields:
    try:
        request = _object(line)
        if "status" in request and "terminal" not in request:
            return {"ok": True, "terminals": [_facts(terminal) for terminal in terminals.values()]}
        terminal = _chosen(request.pop("terminal", None), terminals)
        return {"ok": True, "terminal": terminal.serial, **_action(request)(terminal)}
    except (ValueError, DataError, DeviceRefused, LocalProtocolError) as error:
        return {"ok": False, "error": str(error)}


def _object(line: bytes) -> Fields:
    request = json.loads(line)
    if not isinstance(request, dict):
        raise DataError("a request is a JSON object")
    return request


def _chosen(serial: object, terminals: dict[str, SimulatedTerminal]) -> SimulatedTerminal:
    if serial is None and len(terminals) == 1:
        return next(iter(terminals.values()))
    if not isinstance(serial, str) or serial not in terminals:
        raise DataError(f"say which terminal: {', '.join(terminals)}")
    return terminals[serial]


def _action(request: Fields) -> Callable[[SimulatedTerminal], Fields]:
    match request:
        case {"punch": dict(wanted)}:
            return lambda terminal: _punch(terminal, wanted)
        case {"clear": True}:
            return _clear
        case {"status": True}:
            return _facts
        case {"offset_s": int(seconds) | float(seconds)}:
            return lambda terminal: _set_offset(terminal, seconds)
    raise DataError("a request is one of punch, clear, offset_s, status")


def _punch(terminal: SimulatedTerminal, wanted: Fields) -> Fields:
    unknown = set(wanted) - {"pin", "at", "verify", "state"}
    if unknown:
        raise DataError(f"a punch has pin, at, verify and state, not {', '.join(sorted(unknown))}")
    at = wanted.get("at")
    made = terminal.punch(
        str(wanted.get("pin", "")),
        at=None if at is None else datetime.fromisoformat(str(at)),
        verify=_code(wanted.get("verify", 1)),
        state=_code(wanted.get("state", 0)),
    )
    return {
        "pin": made.pin,
        "wall_time": made.wall_time.isoformat(),
        "verify": made.verify_code,
        "state": made.state_code,
        "records": terminal.record_count,
    }


def _code(value: object) -> int:
    if not isinstance(value, int):
        raise DataError(f"verify and state are whole numbers, not {value!r}")
    return value


def _clear(terminal: SimulatedTerminal) -> Fields:
    terminal.clear()
    return {"records": terminal.record_count}


def _set_offset(terminal: SimulatedTerminal, seconds: float) -> Fields:
    try:
        terminal.offset = timedelta(seconds=seconds)
    except OverflowError:
        raise DataError(f"an offset of {seconds} s is out of range") from None
    return {"wall_time": terminal.wall_time().isoformat()}


def _facts(terminal: SimulatedTerminal) -> Fields:
    return {
        "serial": terminal.serial,
        "users": terminal.user_count,
        "records": terminal.record_count,
        "wall_time": terminal.wall_time().isoformat(),
        "offset_s": terminal.offset.total_seconds(),
        "enabled": terminal.enabled,
    }
