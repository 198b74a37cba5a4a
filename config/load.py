"""Settings files to frozen settings: file, environment, secrets; every fault named with its place."""

import os
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, TypeVar, cast, get_args

from pydantic import BaseModel, ValidationError

from attendance.errors import ConfigError
from config.model import CentralConfig, EdgeConfig, Section

ENV_PREFIX: Final = "HADIR_"
_Config = TypeVar("_Config", bound=Section)
_Table = dict[str, Any]


def load_edge(path: Path, environ: Mapping[str, str] | None = None) -> EdgeConfig:
    """Read edge.toml. Raises ConfigError, one line for each fault; touches no network."""
    return _load(path, EdgeConfig, environ)


def load_central(path: Path, environ: Mapping[str, str] | None = None) -> CentralConfig:
    """Read central.toml. Raises ConfigError, one line for each fault; touches no network."""
    return _load(path, CentralConfig, environ)


def load_any(path: Path, environ: Mapping[str, str] | None = None) -> EdgeConfig | CentralConfig:
    """Read a settings file of either kind; an `[edge]` or `[[terminal]]` makes it an edge's."""
    table = _read(path)
    if "edge" in table or "terminal" in table:
        return _load(path, EdgeConfig, environ)
    return _load(path, CentralConfig, environ)


def _load(path: Path, kind: type[_Config], environ: Mapping[str, str] | None) -> _Config:
    table = _read(path)
    _apply_environment(table, os.environ if environ is None else environ, path)
    _resolve_files(table, path)
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        raise ConfigError("\n".join(_lines(error, kind, path))) from None


def _read(path: Path) -> _Table:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; `hadir config init edge` writes a starting one") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
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
            if secret in ("password", "comm_key", "url"):
                table[secret] = _secret(Path(table[key]), f"{path}: {here}")


def _secret(file: Path, where: str) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise ConfigError(f"{where}: {file} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{where}: {file} is not text") from None


def _lines(error: ValidationError, kind: type[BaseModel], path: Path) -> list[str]:
    return [
        f"{path}: {_place(fault['loc'])}: {_complaint(cast(_Table, fault), kind)}" for fault in error.errors()
    ]


def _place(loc: tuple[int | str, ...]) -> str:
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _complaint(fault: _Table, kind: type[BaseModel]) -> str:
    if fault["type"] == "extra_forbidden":
        *parents, key = fault["loc"]
        known = _keys_at(kind, parents)
        near = get_close_matches(str(key), known, n=1, cutoff=0)
        return f"unknown key; the nearest known one is {near[0]!r}" if near else "unknown key"
    if fault["type"] == "missing":
        return "is missing and has no default"
    text = str(fault["msg"]).removeprefix("Value error, ")
    return text[:1].lower() + text[1:] if text.startswith("Input") else text


def _keys_at(kind: type[BaseModel], parents: list[int | str]) -> list[str]:
    """The keys that the table at `parents` may have."""
    for part in parents:
        if isinstance(part, int):
            continue
        annotation = kind.model_fields[part].annotation
        inner = [arg for arg in (annotation, *get_args(annotation)) if isinstance(arg, type)]
        kind = next(arg for arg in inner if issubclass(arg, BaseModel))
    return list(kind.model_fields)
