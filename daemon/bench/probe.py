"""One terminal asked step by step: what works, where it stops, why, and what to do. Nothing is imported."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import StrEnum
from socket import (
    AF_INET,
    AF_INET6,
    AF_UNSPEC,
    SOCK_DGRAM,
    SOCK_STREAM,
    AddressFamily,
    gaierror,
    getaddrinfo,
    socket,
)
from typing import Final

from attendance.clock import Clock
from attendance.errors import (
    ConfigError,
    DeviceError,
    DeviceRefused,
    DeviceUnreachable,
    Obstacle,
    Unsupported,
)
from attendance.terminal import Terminal
from daemon.bench.advice import SECURE, WANTS_KEY, Advice, advice_on
from daemon.bench.log_sample import LogSample, sample_log
from daemon.bench.wall_clock import look_at_clock
from daemon.wording import counted
from drivers.base import CanListen, CanReadUsers, Driver, Session, TellsLayouts
from drivers.zk.layouts import UnknownLayout

SHOWN_BYTES: Final = 96
SOON_FULL_DAYS: Final = 60
_MONTH: Final = 30
_YEAR: Final = 365
ADMINISTRATOR: Final = 2
"""The lowest privilege that is not an ordinary person's."""


class State(StrEnum):
    """How a step ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step, in words: what was found, and what to do where something is wrong."""

    name: str
    state: State
    text: str
    remedy: str = ""
    took_ms: int = 0


@dataclass(slots=True)
class Report:
    """All that a probe found; `facts` are for machines."""

    transport: str
    steps: list[Step] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)

    @property
    def failed(self) -> Step | None:
        """The first step that failed."""
        return next((step for step in self.steps if step.state is State.FAILED), None)


@dataclass(frozen=True, slots=True)
class Found:
    """What a step found, in words."""

    text: str
    state: State = State.OK
    remedy: str = ""


_AFTER_OPENING: Final = ("identity", "clock", "sizes", "log", "users", "live")


class Probe:
    """One probe of one terminal. `tell` hears of each step as it ends."""

    def __init__(
        self,
        terminal: Terminal,
        driver: Driver,
        clock: Clock,
        *,
        zone_given: bool,
        tell: Callable[[Step], None] = lambda _step: None,
    ) -> None:
        self._terminal = terminal
        self._driver = driver
        self._clock = clock
        self._zone_given = zone_given
        self._tell = tell
        self._where = f"{terminal.host}:{terminal.port}"
        self._over = False
        self._report = Report(terminal.transport)
        self._sample: LogSample | None = None

    def run(self, *, try_udp: bool) -> Report:
        """Every step. With `try_udp` the terminal is asked over UDP where TCP leads nowhere.

        Raises ConfigError for what can never work.
        """
        if self._terminal.transport == "auto":
            self._terminal, self._report.transport = replace(self._terminal, transport="tcp"), "tcp"
        if not self._find_address():
            return self._report
        with ExitStack() as stack:
            session = self._open(stack, try_udp=try_udp)
            if session is not None:
                for name in _AFTER_OPENING:
                    self._ask(name, session)
        return self._report

    # -- until there is a session

    def _find_address(self) -> bool:
        host, port = self._terminal.host, self._terminal.port
        try:
            found = getaddrinfo(host, port, AF_UNSPEC, SOCK_STREAM)
        except (gaierror, UnicodeError):
            self._give_up(advice_on(DeviceUnreachable("", obstacle=Obstacle.NO_NAME), self._where, 0))
            return False
        family, _, _, _, address = found[0]
        ours = _our_address(family, (str(address[0]), port))
        self._report.facts |= {"address": address[0], "port": port, "asked_from": ours}
        self._note("address", Found(f"{address[0]}, asked from {ours}" if ours else str(address[0])))
        return True

    def _open(self, stack: ExitStack, *, try_udp: bool) -> Session | None:
        self._driver.check(self._terminal, {})
        asked = self._clock.monotonic()
        try:
            session = stack.enter_context(self._driver.open(self._terminal))
        except DeviceError as error:
            advice = advice_on(error, self._where, self._terminal.comm_key)
            if not (try_udp and self._terminal.transport != "udp" and _may_speak_udp(error)):
                self._give_up(advice, asked, error)
                return None
            return self._open_udp(stack, advice, error)
        self._note("connection", Found(self._report.transport.upper()), asked)
        self._note("handshake", Found("a session is open"))
        key = "accepted" if self._terminal.comm_key else "none asked for"
        self._note("key", Found(key))
        return session

    def _open_udp(self, stack: ExitStack, tcp: Advice, tcp_error: DeviceError) -> Session | None:
        terminal = replace(self._terminal, transport="udp")
        asked = self._clock.monotonic()
        try:
            self._driver.check(terminal, {})
            session = stack.enter_context(self._driver.open(terminal))
        except ConfigError:
            self._give_up(tcp, asked, tcp_error)
            return None
        except DeviceRefused as error:
            if error.code not in (WANTS_KEY, SECURE):
                self._give_up(tcp, asked, tcp_error)
                return None
            self._answers_udp(tcp, asked)
            self._give_up(advice_on(error, self._where, terminal.comm_key), asked, error)
            return None
        except DeviceError:
            self._give_up(replace(tcp, cause=f"{tcp.cause}; UDP gives no answer either"), asked, tcp_error)
            return None
        self._answers_udp(tcp, asked)
        self._note("handshake", Found("a session is open"))
        self._note("key", Found("accepted" if terminal.comm_key else "none asked for"))
        return session

    def _answers_udp(self, tcp: Advice, asked: float) -> None:
        self._report.transport = "udp"
        text = f"UDP; over TCP {tcp.cause}"
        remedy = 'give it transport = "udp" in edge.toml'
        if tcp.step == "handshake":
            # A second client over TCP waits unheard, and may be let in over UDP all the same.
            remedy = f"if no other program holds it over TCP (the edge?), {remedy}"
        self._note("connection", Found(text, State.WARNING, remedy), asked)

    def _give_up(self, advice: Advice, asked: float | None = None, error: DeviceError | None = None) -> None:
        """The step that stops the probe; those before it went well, those after are skipped."""
        before = {"handshake": ["connection"], "key": ["connection", "handshake"]}.get(advice.step, [])
        for name in before:
            if name not in [step.name for step in self._report.steps]:
                self._note(
                    name, Found(self._report.transport.upper() if name == "connection" else "answered")
                )
        if isinstance(error, DeviceRefused):
            self._report.facts["refusal_code"] = error.code
        self._note(advice.step, Found(advice.cause, State.FAILED, advice.remedy), asked)

    # -- within the session

    def _ask(self, name: str, session: Session) -> None:
        if self._over:
            self._note(name, Found("not asked: the session ended", State.SKIPPED))
            return
        asks: dict[str, Callable[[Session], Found]] = {
            "identity": self._identity,
            "clock": self._wall_clock,
            "sizes": self._sizes,
            "log": self._log,
            "users": self._users,
            "live": self._live,
        }
        asked = self._clock.monotonic()
        try:
            found = asks[name](session)
        except UnknownLayout as error:
            found = self._unknown_layout(name, error)
        except (DeviceRefused, Unsupported) as error:
            found = _without(name, error)
        except DeviceError as error:
            self._over = True
            found = Found(
                str(error), State.FAILED, "try again; if it stays, note what was asked, and the firmware"
            )
        self._note(name, found, asked)

    def _identity(self, session: Session) -> Found:
        identity = session.identify()
        self._report.facts |= {
            "serial": identity.serial,
            "model": identity.model,
            "firmware": identity.firmware,
            "platform": identity.platform,
        }
        parts = [f"serial {identity.serial}"]
        parts += [part for part in (identity.model, identity.platform, identity.firmware) if part]
        return Found(", ".join(parts))

    def _wall_clock(self, session: Session) -> Found:
        look = look_at_clock(session, self._terminal.zone, self._clock, zone_given=self._zone_given)
        self._report.facts |= look.facts
        return Found(look.text, State.OK if look.right else State.WARNING, look.remedy)

    def _sizes(self, session: Session) -> Found:
        sizes = session.read_sizes()
        self._report.facts |= {
            "users": sizes.users,
            "records": sizes.records,
            "capacity": sizes.record_capacity,
        }
        if sizes.records is None:
            return Found("it tells no counts: its log is read whole at every poll", State.WARNING)
        room = f" of {sizes.record_capacity:,}" if sizes.record_capacity else ""
        people = "" if sizes.users is None else f", {counted(sizes.users, 'user')}"
        return Found(f"{sizes.records:,}{room} records{people}")

    def _log(self, session: Session) -> Found:
        sample = self._sample = sample_log(session)
        layout = session.layouts.get("log", "") if isinstance(session, TellsLayouts) else ""
        days = sample.days_left(_number(self._report.facts.get("capacity")), self._terminal.zone, self._clock)
        self._report.facts |= {
            "log_layout": layout or None,
            "log_records": sample.records,
            "log_oldest": sample.oldest.isoformat(sep=" ") if sample.oldest else None,
            "log_newest": sample.newest.isoformat(sep=" ") if sample.newest else None,
            "log_read_by_part": sample.by_part,
            "days_until_full": days,
        }
        if sample.records == 0:
            return Found("empty")
        kind = f"layout {layout}, " if layout else ""
        span = f"{sample.oldest:%F} to {sample.newest:%F}" if sample.oldest and sample.newest else "no dates"
        how = "" if sample.by_part else "; read whole each time: this firmware gives no parts"
        text = f"{kind}{sample.records:,} records, {span}{how}"
        if sample.bad:
            text += f"; {sample.bad} of {sample.looked_at} looked at cannot be punches"
            return Found(text, State.WARNING, "they are kept as evidence, and count for nobody")
        return _with_room(text, days)

    def _users(self, session: Session) -> Found:
        if not isinstance(session, CanReadUsers):
            return Found("not asked: this driver reads no users", State.SKIPPED)
        people = list(session.read_users())
        layout = session.layouts.get("users", "") if isinstance(session, TellsLayouts) else ""
        admins = sum(person.privilege >= ADMINISTRATOR for person in people)
        self._report.facts |= {
            "users_layout": layout or None,
            "users_read": len(people),
            "administrators": admins,
        }
        if not people:
            return Found("nobody is enrolled")
        kind = f"layout {layout}, " if layout else ""
        text = f"{kind}{counted(len(people), 'person', 'people')}, {counted(admins, 'administrator')}"
        if not admins:
            return Found(text, State.WARNING, "without an administrator anyone can open the terminal's menu")
        return Found(text)

    def _live(self, session: Session) -> Found:
        if not isinstance(session, CanListen):
            return Found("not asked: this driver hears no live events", State.SKIPPED)
        session.listen(quiet=timedelta(seconds=1))
        self._report.facts["live"] = True
        return Found("it tells of punches as they are made (live = true)")

    def _unknown_layout(self, name: str, error: UnknownLayout) -> Found:
        remedy = "send these bytes, with model and firmware, to whoever maintains hadir"
        if error.raw:
            self._report.facts[f"{name}_sample"] = error.raw[:SHOWN_BYTES].hex()
            remedy += f": {error.raw[:SHOWN_BYTES].hex()}"
        else:
            remedy = "tell model and firmware to whoever maintains hadir; punches are read without users"
        return Found(str(error), State.FAILED if name == "log" else State.WARNING, remedy)

    def _note(self, name: str, found: Found, asked: float | None = None) -> None:
        took = 0 if asked is None else round((self._clock.monotonic() - asked) * 1000)
        step = Step(name=name, state=found.state, text=found.text, remedy=found.remedy, took_ms=took)
        self._report.steps.append(step)
        self._tell(step)


def _may_speak_udp(error: DeviceError) -> bool:
    """Whether another transport could help: not where the terminal itself has answered, nor without a way."""
    if isinstance(error, DeviceUnreachable):
        return error.obstacle not in (Obstacle.NO_NAME, Obstacle.NO_ROUTE)
    return not isinstance(error, DeviceRefused)


def _our_address(family: AddressFamily, address: tuple[str, int]) -> str:
    """From which of its addresses this machine would speak; nothing is sent."""
    if family not in (AF_INET, AF_INET6):
        return ""
    with socket(family, SOCK_DGRAM) as unsent:
        try:
            unsent.connect(address)
        except OSError:
            return ""
        return str(unsent.getsockname()[0])


def _without(name: str, error: DeviceError) -> Found:
    """What a terminal could not or would not do."""
    if name == "identity":
        return Found(str(error), State.FAILED, "set its serial number in its menu, or use another terminal")
    if name == "live":
        return Found(
            f"no live events: {error}", State.WARNING, "polling works all the same: leave live = false"
        )
    return Found(str(error), State.FAILED if name == "log" else State.WARNING)


def _with_room(text: str, days: int | None) -> Found:
    if days is None:
        return Found(text)
    if days <= 0:
        return Found(
            f"{text}; full", State.WARNING, "it overwrites its oldest punches, or takes no more: clear it"
        )
    text += f"; full in about {_long(days)}"
    if days > SOON_FULL_DAYS:
        return Found(text)
    return Found(text, State.WARNING, "once the centre has every record: hadir terminal clear")


def _long(days: int) -> str:
    if days < 2 * _MONTH:
        return counted(days, "day")
    return f"{days // _MONTH} months" if days < 2 * _YEAR else f"{days // _YEAR} years"


def _number(value: object) -> int | None:
    return value if isinstance(value, int) else None
