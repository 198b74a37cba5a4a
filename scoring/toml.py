"""TOML data files to frozen models; every fault named with its file and key path."""

import tomllib
from datetime import time
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from attendance.errors import ConfigError

Percent = Annotated[Decimal, Field(ge=0, le=100)]
LocalTime = Annotated[time, Field(description="the terminal's own wall clock")]
_Model = TypeVar("_Model", bound="Table")


class Table(BaseModel):
    """A table of a policy or ladder file: frozen, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def read_toml(path: Path, kind: type[_Model]) -> _Model:
    """Read and check one file. Raises ConfigError, one line for each fault. Decimals stay exact."""
    try:
        with path.open("rb") as file:
            table = tomllib.load(file, parse_float=Decimal)
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file") from None
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None
    try:
        return kind.model_validate(table)
    except ValidationError as error:
        lines = (
            f"{path}: {_place(fault['loc'])}: {_complaint(dict(fault), kind)}" for fault in error.errors()
        )
        raise ConfigError("\n".join(lines)) from None


def _place(loc: tuple[int | str, ...]) -> str:
    text = ""
    for part in loc:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text or "file"


def _complaint(fault: dict[str, Any], kind: type[BaseModel]) -> str:
    if fault["type"] == "extra_forbidden":
        *parents, key = fault["loc"]
        near = get_close_matches(str(key), _keys_at(kind, parents), n=1, cutoff=0)
        return f"unknown key; the nearest known one is {near[0]!r}" if near else "unknown key"
    if fault["type"] == "missing":
        return "is missing and has no default"
    text = str(fault["msg"]).removeprefix("Value error, ")
    return text[:1].lower() + text[1:] if text.startswith("Input") else text


def _keys_at(kind: type[BaseModel], parents: list[int | str]) -> list[str]:
    for part in parents:
        if isinstance(part, int):
            continue
        fields = {field.alias or name: field for name, field in kind.model_fields.items()}
        inner = _model_in(fields[part].annotation) if part in fields else None
        if inner is None:
            return []
        kind = inner
    return [field.alias or name for name, field in kind.model_fields.items()]


def _model_in(annotation: object) -> type[BaseModel] | None:
    """The table inside `X`, `X | None` or `tuple[X, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (tuple, dict, Union, UnionType):
        found = (_model_in(argument) for argument in get_args(annotation))
        return next((model for model in found if model is not None), None)
    return None
