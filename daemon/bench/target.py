"""Which terminal a command means: an address, or the id of a configured one, and with which key and zone."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from attendance.errors import ConfigError
from attendance.terminal import Terminal
from daemon.turns import Turn

if TYPE_CHECKING:
    from config.model import EdgeConfig, TerminalSettings

DEFAULT_PORT: Final = 4370
MAX_COMM_KEY: Final = 999_999
REACH: Final = timedelta(seconds=5)
"""How long a first sign of a terminal may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A terminal to talk with. `settings` and `config` are None for one that is named by address alone."""

    terminal: Terminal
    zone_given: bool
    wait_s: float
    settings: "TerminalSettings | None" = None
    config: "EdgeConfig | None" = None

    @property
    def name(self) -> str:
        """How to speak of it."""
        where = f"{self.terminal.host}:{self.terminal.port}"
        return f"{self.settings.id} ({where})" if self.settings else where

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the terminal's turn, where an edge of this machine may be talking with it."""
        if self.config is None or self.settings is None:
            yield
            return
        with Turn(self.config.edge.state_dir, self.settings.id).command(self.wait_s):
            yield


def add_target(parser: argparse.ArgumentParser, *, timeout_s: float = 10.0) -> None:
    """The argument and the options that name a terminal."""
    parser.add_argument(
        "terminal", metavar="ID|HOST[:PORT]", help="an id of edge.toml (with --config), or an address"
    )
    parser.add_argument("--config", type=Path, metavar="FILE", help="edge.toml, for configured terminals")
    add_key(parser)
    parser.add_argument(
        "--transport", choices=("tcp", "udp", "auto"), help="default: as configured, else tcp"
    )
    parser.add_argument("--timezone", metavar="ZONE", help="where it stands, such as Asia/Makassar")
    parser.add_argument(
        "--timeout",
        type=seconds,
        default=timeout_s,
        metavar="S",
        help=f"for each step (default: {timeout_s:g})",
    )
    parser.add_argument(
        "--wait",
        type=seconds,
        default=30.0,
        metavar="S",
        help="how long the edge on this machine may take to give way (default: 30)",
    )


def add_key(parser: argparse.ArgumentParser) -> None:
    """The options that give a comm key."""
    parser.add_argument(
        "--comm-key",
        type=_comm_key,
        metavar="K",
        help="the terminal's comm key; others see it in process lists",
    )
    parser.add_argument("--comm-key-file", type=Path, metavar="FILE", help="a file with the comm key")


def target_of(arguments: argparse.Namespace) -> Target:
    """The terminal that the arguments name. Raises ConfigError."""
    config = load_config(arguments.config)
    settings = _settings_of(arguments.terminal, config)
    if config is not None and settings is not None:
        if not settings.polled:
            raise ConfigError(
                f"terminal {settings.id} is not dialled (driver {settings.driver}): it comes by itself"
            )
        terminal = config.device(settings)
    else:
        host, port = parse_address(arguments.terminal)
        zone = config.edge.timezone if config else Terminal(id="-").zone
        terminal = Terminal(id="bench", host=host, port=port, zone=zone)
    if arguments.timezone is not None:
        terminal = replace(terminal, zone=_zone(arguments.timezone))
    timeout = timedelta(seconds=arguments.timeout)
    return Target(
        terminal=replace(
            terminal,
            comm_key=given_key(arguments, terminal.comm_key),
            transport=arguments.transport or terminal.transport,
            timeout=timeout,
            reach=min(timeout, REACH),
        ),
        zone_given=arguments.timezone is not None or states_zone(config, settings),
        wait_s=arguments.wait,
        settings=settings,
        config=config,
    )


def load_config(path: Path | None) -> "EdgeConfig | None":
    """The edge's settings, where they are given. Raises ConfigError."""
    if path is None:
        return None
    from config.load import load_edge

    return load_edge(path)


def parse_address(text: str, default_port: int = DEFAULT_PORT) -> tuple[str, int]:
    """`192.0.2.10`, `192.0.2.10:4370`, `[2001:db8::10]:4370` as host and port. Raises ConfigError."""
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        good = bool(bracket) and (not rest or rest.startswith(":"))
        port = rest[1:]
        good = good and (not rest or bool(port))
    elif text.count(":") > 1:
        host, port, good = text, "", True
    else:
        host, colon, port = text.partition(":")
        good = bool(port) or not colon
    if not (good and host and " " not in host) or (port and not _is_port(port)):
        raise ConfigError(f"{text!r} is no address; write for example 192.0.2.10 or 192.0.2.10:4370")
    return host, int(port or default_port)


def given_key(arguments: argparse.Namespace, default: int = 0) -> int:
    """The comm key of --comm-key or --comm-key-file. Raises ConfigError."""
    if arguments.comm_key_file is None:
        return default if arguments.comm_key is None else int(arguments.comm_key)
    if arguments.comm_key is not None:
        raise ConfigError("--comm-key and --comm-key-file: give one of them")
    path: Path = arguments.comm_key_file
    try:
        return _comm_key(path.read_text(encoding="utf-8").strip())
    except OSError as error:
        raise ConfigError(f"--comm-key-file {path}: {error.strerror}") from None
    except (UnicodeDecodeError, argparse.ArgumentTypeError):
        raise ConfigError(
            f"--comm-key-file {path}: should hold one number from 0 to {MAX_COMM_KEY}"
        ) from None


def seconds(text: str) -> float:
    """`2.5`, `10s` or `5m` as seconds above zero, for argparse."""
    from config.fields import parse_duration

    try:
        value = parse_duration(text).total_seconds() if text[-1:].isalpha() else float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not 0 < value <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} should be seconds above 0, such as 10")
    return value


def _settings_of(name: str, config: "EdgeConfig | None") -> "TerminalSettings | None":
    """The configured terminal of this id, else the one that is dialled at this address."""
    if config is None:
        return None
    for settings in config.terminal:
        if settings.id == name:
            return settings
    if not any(mark in name for mark in ".:") and name != "localhost":
        known = ", ".join(settings.id for settings in config.terminal) or "none"
        raise ConfigError(f"no terminal {name} is configured; known: {known}")
    host, port = parse_address(name)
    return next((one for one in config.terminal if one.polled and (one.host, one.port) == (host, port)), None)


def states_zone(config: "EdgeConfig | None", settings: "TerminalSettings | None") -> bool:
    """Whether somebody wrote down where the terminal stands; a default tells nothing."""
    if config is None:
        return False
    return "timezone" in config.edge.model_fields_set or bool(settings and settings.timezone)


def _comm_key(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and int(text) <= MAX_COMM_KEY):
        raise argparse.ArgumentTypeError(f"a comm key is one number from 0 to {MAX_COMM_KEY}")
    return int(text)


def _is_port(text: str) -> bool:
    return text.isascii() and text.isdecimal() and 0 < int(text) < 1 << 16


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(
            f"--timezone {name}: no such zone; write for example Asia/Jakarta, Asia/Makassar or Asia/Jayapura"
        ) from None
