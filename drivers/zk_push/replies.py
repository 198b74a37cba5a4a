"""Requests taken apart, replies put together: paths, query, `OK: n`, commands and results. No network."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from urllib.parse import unquote

from attendance.errors import LocalProtocolError
from drivers.zk_push.lines import decode_text, split_lines

OK: Final = b"OK"
RETRY: Final = b"RETRY"
"""Not received. Clients look for the letters O and K anywhere in a reply: no refusal may contain them."""
HELD: Final = b"UNKNOWN DEVICE"
"""Held at the door: the terminal keeps its data and asks again, without a clock or options from us."""

MOST_COMMANDS: Final = 200
MOST_COMMAND_BYTES: Final = 40_000
_MOST_LINE: Final = 4_000
_RESULT_VALUES: Final = ("StartTime", "EndTime", "AttlogSum", "AttlogCount")
_UNPRINTABLE: Final = re.compile(r"[^ -~\t]")
_CODE: Final = re.compile(r"-?\d{1,9}")


@dataclass(frozen=True, slots=True)
class Command:
    """Work for a terminal. `id` is unique among all terminals: some answers name nothing else."""

    id: int
    text: str

    @property
    def line(self) -> bytes:
        """As it is sent. Raises LocalProtocolError for a text that would be more than one command."""
        if _UNPRINTABLE.search(self.text) or not self.text or len(self.text) > _MOST_LINE:
            raise LocalProtocolError("a command is one line of plain text; only tabs separate its fields")
        return f"C:{self.id}:{self.text}\n".encode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandResult:
    """What a terminal says of a command. `values` holds counts and times only; `told` the whole answer."""

    id: int
    code: int | None
    name: str
    values: Mapping[str, str] = field(default_factory=dict)
    told: Sequence[str] = field(default=(), repr=False)


CHECK: Final = "CHECK"
INFO: Final = "INFO"
SEND_LOG: Final = "LOG"
REBOOT: Final = "REBOOT"


def query_attlog(start: datetime, end: datetime) -> str:
    """Have the punches of a range sent again; times are the terminal's own, the range is closed."""
    return f"DATA QUERY ATTLOG {_range(start, end)}"


def verify_sum(start: datetime, end: datetime) -> str:
    """Have the punches of a range counted; times are the terminal's own, the range is closed."""
    return f"VERIFY SUM ATTLOG {_range(start, end)}"


def endpoint(target: str) -> str:
    """What a request is for, whatever prefix, letter case, slash or suffix its firmware puts around it."""
    path = unquote(target.partition("?")[0])
    last = next((part for part in reversed(path.split("/")) if part), "")
    return last.lower().removesuffix(".aspx").removesuffix(".php")


def parse_query(target: str) -> dict[str, str]:
    """The parameters by name in small letters; the first of equals counts. A plus sign stays one."""
    pairs = (pair.partition("=") for pair in target.partition("?")[2].split("&"))
    query: dict[str, str] = {}
    for name, _, value in pairs:
        query.setdefault(unquote(name).lower(), unquote(value, errors="replace"))
    query.pop("", None)
    return query


def counted(lines: int) -> bytes:
    """The answer to an upload: newer firmware sends everything again unless its lines are counted."""
    return f"OK: {lines}".encode("ascii") if lines else OK


def command_reply(commands: Iterable[Command]) -> bytes:
    """As many commands as one reply may hold, a restart last; OK when there is none."""
    chosen = sorted(commands, key=lambda command: (command.text == REBOOT, command.id))
    said = b""
    for command in chosen[:MOST_COMMANDS]:
        if said and len(said) + len(command.line) > MOST_COMMAND_BYTES:
            break
        said += command.line
    return said or OK


def read_results(body: bytes) -> list[CommandResult]:
    """The results in the body of a `devicecmd`; lines after one belong to it until the next."""
    results: list[CommandResult] = []
    pairs: list[str] = []
    for line in [*split_lines(body), b"ID="]:
        text = decode_text(line)
        if text.upper().startswith("ID="):
            results += _result(pairs)
            pairs = []
        pairs += text.split("&")
    return results


def serial_in(body: bytes) -> str:
    """The serial number repeated in the body of a `devicecmd`; empty where it is not."""
    found = re.search(rb"(?:^|[&\n])SN=([A-Za-z0-9_-]{1,64})(?=[&\r\n]|$)", body)
    return found[1].decode("ascii") if found else ""


def _result(pairs: Sequence[str]) -> list[CommandResult]:
    split = [pair.partition("=") for pair in pairs]
    given = {key.lower(): value for key, _, value in reversed(split)}
    number, code = given.get("id", ""), given.get("return", "")
    if not re.fullmatch(r"\d{1,16}", number, re.ASCII):
        return []
    values = {
        name: given[name.lower()]
        for name in _RESULT_VALUES
        if re.fullmatch(r"[0-9T: -]{1,32}", given.get(name.lower(), ""), re.ASCII)
    }
    name = re.sub(r"[^A-Za-z_ ]", "", given.get("cmd", ""))[:32]
    return [
        CommandResult(
            id=int(number),
            code=int(code) if _CODE.fullmatch(code) else None,
            name=name,
            values=values,
            told=tuple(pairs),
        )
    ]


def _range(start: datetime, end: datetime) -> str:
    return f"StartTime={start:%Y-%m-%d %H:%M:%S}\tEndTime={end:%Y-%m-%d %H:%M:%S}"
