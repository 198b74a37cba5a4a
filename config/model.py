"""Every key of edge.toml and central.toml, with its default. The one place where a default stands."""

from datetime import date, time, timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from attendance.terminal import WESTERN_TIME, Terminal
from config.fields import Duration, Encoding, Id, TimesOfDay, Zone


def _host_and_port(listen: str) -> str:
    try:
        parts = urlsplit(f"//{listen}")
        if parts.hostname and parts.port:
            return listen
    except ValueError:
        pass
    raise ValueError(f"{listen!r} is no address; write host:port, for example 127.0.0.1:8080")


Listen = Annotated[str, AfterValidator(_host_and_port)]
Port = Annotated[int, Field(ge=1, le=65535)]
Serial = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
CommKey = Annotated[int, Field(ge=0, le=999_999)]

DEFAULT_GROUP = "default"
"""The terminal group of a site that has only one."""


class Section(BaseModel):
    """A table of a settings file: frozen, and closed to unknown keys."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, hide_input_in_errors=True
    )


class Mqtt(Section):
    """How to reach the broker."""

    host: str = "127.0.0.1"
    port: Port = 1883
    username: str | None = None
    password: str | None = Field(default=None, repr=False)
    password_file: Path | None = None
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    @model_validator(mode="after")
    def _whole(self) -> "Mqtt":
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together")
        if self.cert_file is not None and self.ca_file is None:
            raise ValueError("cert_file needs ca_file, the authority that signed the broker's certificate")
        return self


class CentralMqtt(Mqtt):
    """The centre's side: it may run the broker itself."""

    embedded: bool = False


class Edge(Section):
    """The edge itself."""

    id: Id
    timezone: Zone = WESTERN_TIME
    state_dir: Path = Path("/var/lib/hadir")
    host_clock: Literal["kernel", "trusted"] = "kernel"
    slots: TimesOfDay = ()


class TerminalSettings(Section):
    """One `[[terminal]]`."""

    id: Id
    driver: Literal["zk", "pyzk", "zk-push", "file"] = "zk"
    serial: Serial | None = None
    host: str = ""
    port: Port = 4370
    transport: Literal["tcp", "udp", "auto"] = "tcp"
    comm_key: CommKey = Field(default=0, repr=False)
    comm_key_file: Path | None = None
    every: Duration = timedelta(seconds=60)
    live: bool = False
    group: str = Field(default=DEFAULT_GROUP, min_length=1)
    since: date | None = None
    timezone: Zone | None = None
    unit: str | None = None
    encoding: Encoding = "utf-8"
    timeout: Duration = timedelta(seconds=10)
    clock: Literal["never", "alert", "correct"] = "alert"
    clock_beyond: Duration = timedelta(seconds=30)
    clock_any_time: bool = False
    slots: TimesOfDay | None = None
    clear: Literal["never", "when-full"] = "never"
    clear_at: Annotated[int, Field(ge=1, le=100)] = 80

    @property
    def polled(self) -> bool:
        """Whether we dial this terminal (True), or it dials in or is carried by hand."""
        return self.driver in ("zk", "pyzk")

    @model_validator(mode="after")
    def _host_given(self) -> "TerminalSettings":
        if self.polled and not self.host:
            raise ValueError("host is missing: the terminal's address, for example 192.0.2.10")
        return self

    @model_validator(mode="after")
    def _can_clear(self) -> "TerminalSettings":
        if self.clear != "never" and self.driver != "zk":
            raise ValueError(
                f'clear = "{self.clear}" needs driver = "zk"; driver {self.driver} clears no log'
            )
        return self


class Push(Section):
    """The receiver for terminals that dial in (driver zk-push). An empty `listen` is off."""

    listen: Annotated[str, AfterValidator(lambda listen: listen and _host_and_port(listen))] = ""
    max_body: Annotated[int, Field(ge=65_536)] = 16_777_216
    failure_status: Literal[200, 503] = 200
    cert_file: Path | None = None
    key_file: Path | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of `listen`."""
        parts = urlsplit(f"//{self.listen}")
        return parts.hostname or "", parts.port or 0

    @model_validator(mode="after")
    def _whole(self) -> "Push":
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file go together")
        return self


class EdgeConfig(Section):
    """edge.toml."""

    edge: Edge
    mqtt: Mqtt = Mqtt()
    push: Push = Push()
    terminal: tuple[TerminalSettings, ...] = ()

    @field_validator("terminal")
    @classmethod
    def _ids_unique(cls, terminals: tuple[TerminalSettings, ...]) -> tuple[TerminalSettings, ...]:
        seen: set[str] = set()
        for terminal in terminals:
            if terminal.id in seen:
                raise ValueError(f"two terminals have the id {terminal.id!r}; each needs its own")
            seen.add(terminal.id)
        return terminals

    @field_validator("terminal")
    @classmethod
    def _serials_unique(cls, terminals: tuple[TerminalSettings, ...]) -> tuple[TerminalSettings, ...]:
        seen: set[str] = set()
        for terminal in terminals:
            if terminal.driver == "zk-push" and terminal.serial in seen:
                raise ValueError(f"two terminals that dial in have the serial {terminal.serial!r}")
            if terminal.driver == "zk-push" and terminal.serial:
                seen.add(terminal.serial)
        return terminals

    @field_validator("terminal")
    @classmethod
    def _zones_stated(
        cls, terminals: tuple[TerminalSettings, ...], known: ValidationInfo
    ) -> tuple[TerminalSettings, ...]:
        edge: Edge | None = known.data.get("edge")
        for terminal in terminals:
            stated = terminal.timezone or edge is None or "timezone" in edge.model_fields_set
            if terminal.clock == "correct" and not stated:
                raise ValueError(
                    f'terminal {terminal.id!r} has clock = "correct", and no timezone is written for it or '
                    "in [edge]; a clock is set only by a zone that was stated, for example Asia/Makassar"
                )
        return terminals

    @property
    def dialling_in(self) -> tuple[TerminalSettings, ...]:
        """The terminals that the receiver lets in, by their serials; none while it is off."""
        if not self.push.listen:
            return ()
        return tuple(
            terminal for terminal in self.terminal if terminal.driver == "zk-push" and terminal.serial
        )

    def slots_of(self, settings: TerminalSettings) -> tuple[time, ...]:
        """The local times at which people at a terminal are on time or late."""
        return self.edge.slots if settings.slots is None else settings.slots

    def device(self, settings: TerminalSettings) -> Terminal:
        """What a driver needs to know about one terminal."""
        return Terminal(
            id=settings.id,
            host=settings.host,
            port=settings.port,
            transport=settings.transport,
            comm_key=settings.comm_key,
            zone=settings.timezone or self.edge.timezone,
            encoding=settings.encoding,
            timeout=settings.timeout,
        )


class Database(Section):
    """Where the centre keeps everything."""

    url: str = Field(default="sqlite:////var/lib/hadir/central.db", repr=False)
    url_file: Path | None = None

    @field_validator("url")
    @classmethod
    def _known_database(cls, url: str) -> str:
        scheme = url.partition(":")[0]
        if scheme not in ("sqlite", "postgresql+psycopg"):
            right = "sqlite:////var/lib/hadir/central.db or postgresql+psycopg://user@host/name"
            raise ValueError(f"{scheme!r} is no database that hadir knows; write {right}")
        return url


class Console(Section):
    """The web console of the centre."""

    listen: Listen = "127.0.0.1:8080"


class Scoring(Section):
    """Which rules decide the score."""

    policy: str = "tulang-bawang"


class CentralConfig(Section):
    """central.toml."""

    database: Database = Database()
    mqtt: CentralMqtt = CentralMqtt()
    console: Console = Console()
    scoring: Scoring = Scoring()
