"""Other systems read batches and receipts by docs/: what is written there must be what travels."""

import json
from pathlib import Path

import pytest

from sync.envelope import TOPIC_ROOT, EdgeState
from sync.schema import schemas, write_schemas
from sync.window import FIRST_SILENCE_S, LONGEST_SILENCE_S, SIZE

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", sorted(schemas()))
def test_the_schema_files_are_those_of_the_models(name: str) -> None:
    assert (DOCS / "schema" / name).read_text() == schemas()[name], (
        "see sync/schema.py for how to write them anew"
    )


def test_writing_makes_the_same_files(tmp_path: Path) -> None:
    write_schemas(tmp_path / "new")
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        path.name for path in (DOCS / "schema").iterdir()
    }
    assert json.loads((tmp_path / "new" / "state.schema.json").read_text())["title"] == EdgeState.__name__


def test_the_protocol_page_names_every_topic_schema_and_figure() -> None:
    page = (DOCS / "protocol.md").read_text()
    for tail in ("up/punches", "up/state", "up/terminals/{terminal}", "down/ack"):
        assert f"`{TOPIC_ROOT}/{{edge}}/{tail}`" in page
    for name in schemas():
        assert f"(schema/{name})" in page
    for figure in (SIZE, FIRST_SILENCE_S, LONGEST_SILENCE_S):
        assert f"{figure:.0f}" in page
