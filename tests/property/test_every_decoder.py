"""Any bytes through every decoder: a value or one error of ours, never another exception."""

import ast
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from attendance.errors import AttendanceError
from decoders import GROUPS, SEEDS

ROOT = Path(__file__).parents[2]
TABLE = (ROOT / "tests/support/decoders.py").read_text(encoding="utf-8")
DECODERS = [(group, name) for group, decoders in GROUPS.items() for name in decoders]
CODECS = [*sorted((ROOT / "drivers/zk").glob("*.py")), *sorted((ROOT / "drivers/zk_push").glob("*.py"))]
DECODES = ("unpack_", "read_", "decode")


@st.composite
def almost(draw: st.DrawFn, group: str) -> bytes:
    """Something that was right, cut, joined and damaged."""
    raw = bytearray(b"".join(draw(st.lists(st.sampled_from(SEEDS[group]), min_size=1, max_size=4))))
    for place, value in draw(st.lists(st.tuples(st.integers(0, 4000), st.integers(0, 255)), max_size=6)):
        raw[place % len(raw)] = value
    return bytes(raw[draw(st.integers(0, 3)) : draw(st.integers(1, len(raw)))])


@pytest.mark.parametrize(("group", "name"), DECODERS)
@given(data=st.data())
def test_garbage_gives_a_value_or_one_typed_error(group: str, name: str, data: st.DataObject) -> None:
    """A crash here is a terminal, a stick or a broker that stops everybody's punches."""
    raw = data.draw(st.binary(max_size=400) | almost(group))
    with suppress(AttendanceError):
        GROUPS[group][name](raw)


@pytest.mark.parametrize("codec", CODECS, ids=lambda path: f"{path.parent.name}.{path.stem}")
def test_no_decoder_is_missing_in_the_table(codec: Path) -> None:
    """A decoder that nobody fuzzes is one that nobody knows."""
    functions = [
        node.name
        for node in ast.parse(codec.read_text(encoding="utf-8")).body
        if isinstance(node, ast.FunctionDef)
    ]
    decoders = [name for name in functions if name.startswith(DECODES)]
    assert [name for name in decoders if name not in TABLE] == []
