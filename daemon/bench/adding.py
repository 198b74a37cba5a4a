"""A terminal written into edge.toml: appended as text, so that comments and layout stay as they are."""

import fcntl
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from attendance.errors import ConfigError
from config.load import check_edge
from config.model import EdgeConfig
from daemon.bench.known import KnownTerminals

Value = str | int | bool


def table_text(values: Mapping[str, Value]) -> str:
    """A `[[terminal]]` table as TOML."""
    lines = [f"{key} = {_toml(value)}" for key, value in values.items()]
    return "\n".join(["[[terminal]]", *lines, ""])


def refuse_duplicates(config: EdgeConfig, id_: str, host: str, port: int, serial: str | None) -> None:
    """Raises ConfigError where the id, the address or the serial is configured already."""
    known = KnownTerminals(config)
    if any(one.settings.id == id_ for one in known.all):
        raise ConfigError(f"a terminal {id_} is configured already; give the new one another id")
    here = known.at(host, port)
    if here is not None:
        raise ConfigError(f"{host}:{port} is configured already, as terminal {here.settings.id}")
    same = known.with_serial(serial) if serial else None
    if same is not None:
        raise ConfigError(
            f"serial {serial} is configured already, as terminal {same.settings.id}"
            + (f" at {same.address}; if it moved, change host there" if same.address else "")
        )


def append_table(path: Path, table: str) -> None:
    """Append a table to a settings file, whole or not at all; on disk when this returns.

    Mode and owner stay. The result is checked before it takes the file's place. Raises ConfigError.
    """
    real = Path(os.path.realpath(path))
    try:
        with _alone(real.parent):
            before = real.read_bytes()
            newline = "\r\n" if b"\r\n" in before else "\n"
            gap = "" if not before or before.endswith(b"\n") else newline
            text = f"{gap}{newline}{table.replace(chr(10), newline)}"
            after = before + text.encode()
            check_edge(path, after)
            _replace(real, after)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be written: {error.strerror}") from None


def _replace(path: Path, content: bytes) -> None:
    like = path.stat()
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            if (like.st_uid, like.st_gid) != (os.geteuid(), os.getegid()):
                os.fchown(file.fileno(), like.st_uid, like.st_gid)
            os.fchmod(file.fileno(), like.st_mode & 0o7777)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(name).unlink()
        raise


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other hadir writes in this folder meanwhile; what was renamed in it is on disk at the end."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _toml(value: Value) -> str:
    """A TOML value; JSON's strings, numbers and booleans are that, but for one character."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
