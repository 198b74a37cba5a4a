"""docs/schema/*.json, made from the wire models.

After a change of sync.envelope, `write_schemas(Path("docs/schema"))` writes them anew.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from sync.envelope import Batch, EdgeState, Receipt, TerminalHealth, Wire

_MODELS: Final[Mapping[str, type[Wire]]] = {
    "batch": Batch,
    "receipt": Receipt,
    "state": EdgeState,
    "terminal": TerminalHealth,
}


def schemas() -> Mapping[str, str]:
    """File name -> JSON Schema (draft 2020-12) of what travels."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema"}
    return {
        f"{name}.schema.json": json.dumps(dialect | model.model_json_schema(), indent=2) + "\n"
        for name, model in _MODELS.items()
    }


def write_schemas(directory: Path) -> None:
    """Write the files of `schemas`."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, text in schemas().items():
        (directory / name).write_text(text)
