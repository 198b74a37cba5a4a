"""What each request of a terminal is answered with. Knows no sockets; what must last goes to a `Site`."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from attendance.clock import Clock
from attendance.errors import OutboxError, RemoteProtocolError
from attendance.punch import BadRecord, RawPunch, Source
from drivers.zk_push import lines, options, replies
from drivers.zk_push.lines import Operation, PushedUser
from drivers.zk_push.options import PushFacts, PushOptions
from drivers.zk_push.replies import Command, CommandResult

_log = logging.getLogger(__name__)

_SMALL: Final = 1 << 20
"""Bytes of an upload that is held in memory whole: options, operations, results, packed ones."""

_UNPACKED: Final = 16 << 20
_HELD_MOST: Final = 1000

_READ: Final = frozenset({"ATTLOG", "OPERLOG", "USERINFO"})
_COUNTED: Final = _READ | {"BIODATA", "IDCARD", "ERRORLOG"}
_ELSEWHERE: Final = frozenset({"RTLOG", "TABLEDATA"})
"""Tables of access-control firmware that hold punches in a form of their own: never acknowledged."""

_KNOWN: Final = _COUNTED | {
    "ATTPHOTO", "USERPIC", "BIOPHOTO", "FINGERTMP", "FACE", "FVEIN", "WORKCODE", "SMS", "RTSTATE",
}  # fmt: skip


class Body(Protocol):
    """The body of a request, read once. Raises DeviceError when it is cut or too slow."""

    @property
    def length(self) -> int:
        """Its bytes, as announced."""
        ...

    def pieces(self) -> Iterator[bytes]:
        """The body in pieces of bounded size that end where a line ends."""
        ...

    def discard(self) -> int:
        """Read it without keeping any; how many lines it had."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request: what for, by which method, its parameters, where it comes from."""

    method: str
    target: str
    peer: str
    body: Body

    @property
    def endpoint(self) -> str:
        """The last part of the path."""
        return replies.endpoint(self.target)


@dataclass(frozen=True, slots=True)
class Reply:
    """What to answer; always plain text. Old clients take every status but 200 for a dead server.

    `dated`: the host's time may go with it, by which the terminal sets its clock.
    """

    body: bytes
    status: int = 200
    dated: bool = True


_HELD: Final = Reply(replies.HELD, dated=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What one piece of an upload held. `dropped` counts what was not read, by kind."""

    records: tuple[RawPunch | BadRecord, ...] = ()
    operations: tuple[Operation, ...] = ()
    users: tuple[PushedUser, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)


class Site(Protocol):
    """Who may call, and where what they bring is kept. Called from many threads; raises OutboxError."""

    def admitted(self, serial: str) -> PushOptions | None:
        """How this terminal is to behave; None for one that is not known."""
        ...

    def seen(self, serial: str, peer: str, facts: PushFacts) -> None:
        """An admitted terminal called."""
        ...

    def deliver(self, serial: str, upload: Upload) -> None:
        """Keep what a terminal brought; it is on disk when this returns."""
        ...

    def stamps(self, serial: str) -> Mapping[str, str]:
        """The resume point of each table, as the terminal gave it."""
        ...

    def keep_stamp(self, serial: str, table: str, stamp: str) -> None:
        """Keep a resume point; only after `deliver` of all that it stands for."""
        ...

    def commands(self, serial: str) -> Sequence[Command]:
        """Work that is due for a terminal."""
        ...

    def finished(self, serial: str, result: CommandResult) -> None:
        """A terminal told how a command went."""
        ...

    def terminal_of(self, command_id: int) -> str | None:
        """The serial number of the terminal that a command was for."""
        ...


class Desk:
    """Answers requests. Any thread; `clock_trusted`: whether the host's clock may be told."""

    def __init__(
        self, site: Site, clock: Clock, *, clock_trusted: Callable[[], bool], failure_status: int = 200
    ) -> None:
        self._site = site
        self._clock = clock
        self._clock_trusted = clock_trusted
        self._failure = Reply(replies.RETRY, failure_status)
        self._told: set[tuple[str, str]] = set()
        self._held: set[str] = set()
        self._failing: set[str] = set()

    def answer(self, request: Request) -> Reply:
        """The reply to one request. Raises DeviceError where none can be given; the terminal sends again."""
        query = replies.parse_query(request.target)
        serial = query.get("sn", "")
        if not serial and request.endpoint == "devicecmd":
            return self._results(request, "")
        options_ = self._site.admitted(serial) if options.is_serial(serial) else None
        if options_ is None:
            self._tell_held(serial, request.peer)
            return _HELD
        try:
            reply = self._for_admitted(request, query, serial, options_)
        except OutboxError as error:
            return self._refused(serial, error)
        if request.endpoint == "cdata" and request.method == "POST":
            self._tell_taken(serial)
        return reply

    def _for_admitted(
        self, request: Request, query: Mapping[str, str], serial: str, options_: PushOptions
    ) -> Reply:
        self._site.seen(serial, request.peer, PushFacts(push_version=query.get("pushver")))
        match request.endpoint, request.method:
            case "cdata", "GET":
                return self._handshake(query, serial, options_)
            case "cdata", "POST":
                return self._taken(request, query, serial)
            case ("getrequest", _) | ("devicecmd", "GET"):
                if "info" in query:
                    self._site.seen(serial, request.peer, options.read_info(query["info"]))
                return Reply(replies.command_reply(self._site.commands(serial)))
            case "devicecmd", _:
                return self._results(request, serial)
            case (("registry" | "push" | "rtdata" | "querydata"), _):
                self._tell_access_control(serial)
                return _HELD
            case "exchange", _:
                self._tell(serial, "encryption", "it demands encryption: turn that off in its menu")
            case (("ping" | "fdata"), _):
                pass
            case _:
                self._tell(serial, "endpoint", "it asks for something that hadir does not know")
        request.body.discard()
        return Reply(replies.OK)

    # --- handshake

    def _handshake(self, query: Mapping[str, str], serial: str, options_: PushOptions) -> Reply:
        if query.get("type") == "time":
            if not self._clock_trusted():
                return Reply(replies.RETRY)
            return Reply(options.time_reply(options_.zone, self._clock.now()))
        if options.access_control(query):
            self._tell_access_control(serial)
            return _HELD
        stamps = self._site.stamps(serial)
        return Reply(options.handshake_reply(serial, query, options_, stamps, self._clock.now()))

    # --- uploads

    def _taken(self, request: Request, query: Mapping[str, str], serial: str) -> Reply:
        table = query.get("table", "").upper()
        if table in _ELSEWHERE:
            self._tell_access_control(serial)
            request.body.discard()
            return Reply(replies.RETRY)
        if table == "OPTIONS":
            text = lines.decode_text(_small(request.body))
            self._site.seen(serial, request.peer, options.read_options(text.replace("\n", ",").split(",")))
            return Reply(replies.OK)
        if table in _READ:
            packed = query.get("contenttype", "").lower() == "tgz"
            count = self._read(request.body, serial, table, packed=packed)
        else:
            count = self._dropped(request.body, serial, table)
        self._keep_stamp(serial, table, query.get("stamp"))
        return Reply(replies.counted(count) if table in _COUNTED else replies.OK)

    def _read(self, body: Body, serial: str, table: str, *, packed: bool) -> int:
        """A body of any size to the site, a piece at a time; how many lines there were."""
        if packed:
            return self._read_packed(_small(body), serial, table)
        count = 0
        for piece in body.pieces():
            lines_in_it, upload = _read_piece(table, piece, count)
            self._site.deliver(serial, upload)
            count += lines_in_it
        return count

    def _read_packed(self, body: bytes, serial: str, table: str) -> int:
        try:
            count, upload = _read_piece(table, lines.unpack_tgz(body, most=_UNPACKED), 0)
        except RemoteProtocolError as error:
            # Taken all the same: a terminal sends again what is refused, for ever, and nothing after it.
            unread = BadRecord(raw=body, reason=str(error), position=0, source=Source.PUSH)
            count, upload = (
                1,
                Upload(records=(unread,)) if table == "ATTLOG" else Upload(dropped={"other": 1}),
            )
        self._site.deliver(serial, upload)
        return count

    def _dropped(self, body: Body, serial: str, table: str) -> int:
        if table not in _KNOWN:
            self._tell(serial, "table", "it sends a table that hadir does not know; that is not kept")
        count = body.discard()
        if count:
            kind = table if table in _KNOWN else "other"
            self._site.deliver(serial, Upload(dropped={kind: count}))
        return count

    def _keep_stamp(self, serial: str, table: str, stamp: str | None) -> None:
        if stamp is None or table not in options.STAMPS:
            return
        if options.is_stamp(stamp):
            self._site.keep_stamp(serial, table, stamp)
        else:
            self._tell(serial, "stamp", "its resume point is no plain text and is not kept")

    # --- results of commands

    def _results(self, request: Request, serial: str) -> Reply:
        body = _small(request.body)
        found = replies.read_results(body)
        serial = serial or replies.serial_in(body)
        for result in found:
            owner = serial or self._site.terminal_of(result.id)
            if owner is not None and self._site.admitted(owner) is not None:
                self._site.seen(owner, request.peer, options.read_options(result.told))
                self._site.finished(owner, result)
        return Reply(replies.OK)

    # --- what a person must hear, once

    def _tell_held(self, serial: str, peer: str) -> None:
        """Strangers who make up serial numbers fill neither the memory nor the log."""
        named = serial if options.is_serial(serial) else "(unreadable)"
        if named in self._held or len(self._held) >= _HELD_MOST:
            return
        self._held.add(named)
        _log.warning(
            "a terminal with serial %s at %s is held at the door: no [[terminal]] with driver "
            '"zk-push" has this serial',
            named,
            peer,
            extra={"action": "push_held"},
        )

    def _refused(self, serial: str, error: OutboxError) -> Reply:
        if serial not in self._failing:
            self._failing.add(serial)
            _log.error(
                "terminal with serial %s: its punches are not taken, and it keeps them: %s",
                serial,
                error,
                extra={"action": "push_refused"},
            )
        return self._failure

    def _tell_taken(self, serial: str) -> None:
        if serial in self._failing:
            self._failing.discard(serial)
            _log.info(
                "terminal with serial %s: punches are taken again", serial, extra={"action": "push_taken"}
            )

    def _tell_access_control(self, serial: str) -> None:
        self._tell(
            serial,
            "access_control",
            "it runs access-control firmware, whose punches hadir does not take: "
            "copy its data, then set its device type to T&A PUSH",
        )

    def _tell(self, serial: str, what: str, text: str) -> None:
        if (serial, what) not in self._told:
            self._told.add((serial, what))
            _log.warning("terminal with serial %s: %s", serial, text, extra={"action": f"push_{what}"})


def _read_piece(table: str, piece: bytes, start: int) -> tuple[int, Upload]:
    """How many lines a piece has, and what they are."""
    if table == "ATTLOG":
        punches = lines.read_attlog(piece, start=start)
        return punches.lines, Upload(records=punches.records)
    found = lines.read_operlog(piece) if table == "OPERLOG" else lines.read_users(piece)
    return found.lines, Upload(operations=found.operations, users=found.users, dropped=found.dropped)


def _small(body: Body) -> bytes:
    """A body that is held whole; nothing of one that is too large for what it claims to be."""
    if body.length > _SMALL:
        body.discard()
        return b""
    return b"".join(body.pieces())
