"""The command line: finds the command, runs it, and turns errors into one line and an exit code."""

import argparse
import importlib
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from keyword import iskeyword
from typing import Final, NoReturn

from attendance.errors import AttendanceError, ConfigError

DONE: Final = 0
FAILED: Final = 1
WRONG_USAGE: Final = 2

COMMANDS: Final = (
    "demo",
    "edge",
    "central",
    "import",
    "load",
    "score",
    "explain",
    "terminal",
    "config",
    "simulate",
)
"""Each is a module of daemon.commands with `register(subparsers)`; a keyword's has a `_` behind it."""

_EXTRAS: Final = {
    "sqlalchemy": "central",
    "alembic": "central",
    "holidays": "central",
    "psycopg": "postgres",
    "amqtt": "embedded",
}

_EPILOG: Final = """\
examples:
  hadir demo                                  see everything work on this machine
  hadir config init edge > edge.toml          a commented starting file
  hadir edge run --config edge.toml --once    read every terminal now, and deliver
"""


class _Parser(argparse.ArgumentParser):
    """Says one line on wrong usage, and where help is; subparsers are made of the same class."""

    def error(self, message: str) -> NoReturn:
        """End with exit code 2."""
        self.exit(WRONG_USAGE, f"hadir: {' '.join(message.split())}; see {self.prog} --help\n")

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Refuse what is left over here, where the command that it was given to is known."""
        found, rest = super().parse_known_args(args, namespace)
        if rest:
            self.error(f"unrecognized arguments: {' '.join(rest)}")
        return found, rest


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0 done, 1 failed, 2 wrong usage or configuration."""
    try:
        arguments = _parser().parse_args(argv)
        code: int = arguments.func(arguments)
    except ConfigError as error:
        return _complain(error, WRONG_USAGE)
    except AttendanceError as error:
        return _complain(error, FAILED)
    except ModuleNotFoundError as error:
        return _complain(_missing_extra(error), WRONG_USAGE)
    except BrokenPipeError:
        sys.stderr.close()
        return FAILED
    except KeyboardInterrupt:
        return FAILED
    return code


def _complain(error: Exception, code: int) -> int:
    print(f"hadir: {error}".replace("\n", "\nhadir: "), file=sys.stderr)
    return code


def _missing_extra(error: ModuleNotFoundError) -> ConfigError:
    package = (error.name or "").partition(".")[0]
    extra = _EXTRAS.get(package)
    if extra is None:
        raise error
    return ConfigError(f"this needs {package}, which is not installed: pip install 'hadir[{extra}]'")


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="hadir",
        description="Every punch from an office's attendance terminals, whole and on time, in the database.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"hadir {program_version()}")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for name in COMMANDS:
        importlib.import_module(f"daemon.commands.{name}{'_' * iskeyword(name)}").register(subparsers)
    return parser


def program_version() -> str:
    """The installed version, or `0` in a tree that was never installed."""
    try:
        return version("hadir")
    except PackageNotFoundError:
        return "0"
