"""Settings files to frozen settings: file, environment, secrets; every fault named with its place."""

import os
import tomllib
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, TypeVar, cast, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from attendance.errors import ConfigError
from config.model import CentralConfig, EdgeConfig, Section

ENV_PREFIX: Final = "HADIR_"
_Config = TypeVar("_Config", bound=Section)
_Table = dict[str, Any]

_NAMES: Final[Mapping[type[Section], str]] = {EdgeConfig: "an edge.toml", CentralConfig: "a central.toml"}
_OWN_TABLES: Final[Mapping[type[Section], AbstractSet[str]]] = {
    EdgeConfig: EdgeConfig.model_fields.keys() - CentralConfig.model_fields.keys(),
    CentralConfig: CentralConfig.model_fields.keys() - EdgeConfig.model_fields.keys(),
}
"""The tables that tell one kind of file from the other."""

_SECRETS: Final = {
    "comm_key": "one number from 0 to 999999, in digits",
    "password": "the password",
    "url": "sqlite:////var/lib/hadir/central.db or postgresql+psycopg://user@host/name",
}
"""What can be given as `X_file` -> what that file should hold."""


def load_edge(path: Path, environ: Mapping[str, str] | None = None) -> EdgeConfig:
    """Read edge.toml. Raises ConfigError, one line for each fault; touches no network."""
    return _load(path, _read(path), EdgeConfig, environ)


def load_central(path: Path, environ: Mapping[str, str] | None = None) -> CentralConfig:
    """Read central.toml. Raises ConfigError, one line for each fault; touches no network."""
    return _load(path, _read(path), CentralConfig, environ)


def check_edge(path: Path, content: bytes) -> EdgeConfig:
    """What `load_edge` would say if the file held this. Raises ConfigError."""
    return _load(path, _parsed(path, content), EdgeConfig, None)


def load_any(path: Path, environ: Mapping[str, str] | None = None) -> EdgeConfig | CentralConfig:
    """Read a settings file of either kind; a table that only edge.toml has makes it an edge's."""
    table = _read(path)
    if not table:
        central = ", ".join(f"[{name}]" for name in CentralConfig.model_fields)
        raise ConfigError(
            f"{path}: has neither [edge], as edge.toml has, nor any table of central.toml: {central}"
        )
    if _OWN_TABLES[EdgeConfig] & table.keys():
        return _load(path, table, EdgeConfig, environ)
    return _load(path, table, CentralConfig, environ)


def _load(path: Path, table: _Table, kind: type[_Config], environ: Mapping[str, str] | None) -> _Config:
    _refuse_other_kind(path, table, kind)
    _apply_environment(table, os.environ if environ is None else environ, path)
    _resolve_files(table, path)
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        raise ConfigError("\n".join(_lines(error, kind, table, path))) from None


def _refuse_other_kind(path: Path, table: _Table, kind: type[Section]) -> None:
    other = CentralConfig if kind is EdgeConfig else EdgeConfig
    foreign = sorted(_OWN_TABLES[other] & table.keys())
    if foreign and not _OWN_TABLES[kind] & table.keys():
        raise ConfigError(
            f"{path}: is {_NAMES[other]}: it has [{foreign[0]}]; what is wanted here is {_NAMES[kind]}"
        )


def _read(path: Path) -> _Table:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; `hadir config init edge` writes a starting one") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    return _parsed(path, content)


def _parsed(path: Path, content: bytes) -> _Table:
    try:
        return tomllib.loads(content.decode())
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not valid TOML: the file is not UTF-8") from None


def _apply_environment(table: _Table, environ: Mapping[str, str], path: Path) -> None:
    """HADIR_SECTION__KEY=value; a terminal is named by its id or its place: HADIR_TERMINAL__LOBI__HOST."""
    for name, value in environ.items():
        keys = name.removeprefix(ENV_PREFIX).lower().split("__")
        if not name.startswith(ENV_PREFIX) or len(keys) == 1:
            continue
        target: Any = table
        for key in keys[:-1]:
            target = _entry(target, key) if isinstance(target, list) else target.setdefault(key, {})
            if not isinstance(target, dict | list):
                raise ConfigError(f"{path}: {name} (environment): no such table in this file")
        if not isinstance(target, dict):
            raise ConfigError(
                f"{path}: {name} (environment): name a terminal, as in HADIR_TERMINAL__LOBI__HOST"
            )
        target[keys[-1]] = value


def _entry(entries: list[_Table], key: str) -> _Table | None:
    for place, entry in enumerate(entries):
        if key in (str(place), str(entry.get("id", "")).replace("-", "_")):
            return entry
    return None


def _resolve_files(table: _Table, path: Path, where: str = "") -> None:
    """Make paths relative to the settings file; read each secret that is given as `X_file` into `X`."""
    for key, value in list(table.items()):
        here = f"{where}{key}"
        if isinstance(value, dict):
            _resolve_files(value, path, f"{here}.")
        elif isinstance(value, list):
            for place, entry in enumerate(value):
                if isinstance(entry, dict):
                    _resolve_files(entry, path, f"{here}[{place}].")
        elif (key.endswith("_file") or key == "state_dir") and isinstance(value, str):
            table[key] = str(path.parent / value)
            secret = key.removesuffix("_file")
            if secret in _SECRETS:
                if secret in table:
                    raise ConfigError(f"{path}: {where}{secret}: is given, and {key} too; give one of them")
                table[secret] = _secret(Path(table[key]), f"{path}: {here}")


def _secret(file: Path, where: str) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"{where}: {file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{where}: {file} is not text") from None


def _lines(error: ValidationError, kind: type[BaseModel], table: _Table, path: Path) -> list[str]:
    lines = []
    for details in error.errors():
        fault = cast(_Table, details)
        loc = fault["loc"]
        file = _file_of_secret(table, loc)
        place = _place(loc) + ("_file" if file else "")
        complaint = f"{file} should hold {_SECRETS[loc[-1]]}" if file else _complaint(fault, kind)
        lines.append(f"{path}: {place}: {complaint}")
    return lines


def _file_of_secret(table: _Table, loc: Sequence[int | str]) -> str | None:
    """The file that the value at `loc` was read from; None where it stands in the settings."""
    if not loc or loc[-1] not in _SECRETS:
        return None
    found: Any = table
    for part in loc[:-1]:
        found = found[part]
    file: str | None = found.get(f"{loc[-1]}_file")
    return file


def _place(loc: tuple[int | str, ...]) -> str:
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _complaint(fault: _Table, kind: type[BaseModel]) -> str:
    *parents, key = fault["loc"]
    section = _section_at(kind, parents)
    if fault["type"] == "extra_forbidden":
        near = get_close_matches(str(key), list(section.model_fields), n=1, cutoff=0)
        return f"unknown key; the nearest known one is {near[0]!r}" if near else "unknown key"
    if fault["type"] == "missing":
        return "is missing and has no default"
    limits = _limits(section.model_fields.get(str(key)))
    if limits:
        secret = not section.model_fields[key].repr
        return f"must be {limits}" + ("" if secret else f", not {fault['input']!r}")
    text = str(fault["msg"]).removeprefix("Value error, ")
    return text[:1].lower() + text[1:] if text.startswith("Input") else text


def _section_at(kind: type[BaseModel], parents: Sequence[int | str]) -> type[BaseModel]:
    """The model of the table at `parents`."""
    for part in parents:
        if isinstance(part, int):
            continue
        annotation = kind.model_fields[part].annotation
        inner = [arg for arg in (annotation, *get_args(annotation)) if isinstance(arg, type)]
        kind = next(arg for arg in inner if issubclass(arg, BaseModel))
    return kind


def _limits(field: FieldInfo | None) -> str:
    """The numbers that a field takes, in words; empty where it is not limited."""
    marks = field.metadata if field else []
    low = next((mark.ge for mark in marks if hasattr(mark, "ge")), None)
    high = next((mark.le for mark in marks if hasattr(mark, "le")), None)
    if low is None:
        return "" if high is None else f"{high} or less"
    return f"{low} or more" if high is None else f"{low} to {high}"
