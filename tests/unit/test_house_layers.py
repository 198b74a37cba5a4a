"""Who may import whom, and that the picture in the documents is the truth."""

import re
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path

import grimp

ROOT = Path(__file__).parents[2]
PACKAGES: list[str] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "root_packages"
]
ARROW = re.compile(r"^ *(\w+)(?:\[.*?\])? --> (\w+)", re.MULTILINE)
CENTRE_ONLY = ["alembic", "amqtt", "holidays", "psycopg", "sqlalchemy"]


@cache
def _graph() -> grimp.ImportGraph:
    return grimp.build_graph(PACKAGES[0], *PACKAGES[1:], cache_dir=None)


def _drawn() -> set[tuple[str, str]]:
    """The arrows of the package diagram; `_` in a node's name stands for a dot."""
    diagram = (ROOT / "docs/architecture.md").read_text().partition("```mermaid\n")[2].partition("```")[0]
    return {(one.replace("_", "."), other.replace("_", ".")) for one, other in ARROW.findall(diagram)}


def _node_of(module: str, nodes: set[str]) -> str:
    while module not in nodes:
        module, dot, _ = module.rpartition(".")
        assert dot, "a package is missing in the diagram"
    return module


def test_every_contract_holds() -> None:
    """In a process of its own: import-linter disables the loggers of the process that it runs in."""
    check = "import importlinter.cli as cli, sys; sys.exit(cli.lint_imports(no_cache=True))"
    done = subprocess.run(
        [sys.executable, "-c", check], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_diagram_shows_the_imports_that_exist() -> None:
    drawn = _drawn()
    nodes = {name for arrow in drawn for name in arrow}
    real = {
        (_node_of(importer, nodes), _node_of(imported, nodes))
        for importer in _graph().modules
        for imported in _graph().find_modules_directly_imported_by(importer)
    }
    assert drawn == {(one, other) for one, other in real if one != other}


def test_scoring_reads_the_central_database_and_nothing_else_of_sync() -> None:
    """A score must not depend on how a punch travelled."""
    scoring = [module for module in _graph().modules if _node_of(module, set(PACKAGES)) == "scoring"]
    imported = {name for module in scoring for name in _graph().find_modules_directly_imported_by(module)}
    foreign = {name for name in imported if not name.startswith(("scoring", "attendance"))}
    assert all(name == "sync.central" or name.startswith("sync.central.") for name in foreign), foreign


def test_an_edge_runs_without_the_libraries_of_the_centre() -> None:
    """A box beside the terminals has little disk and few updates: it installs the base only."""
    script = f"""
import sys
for name in {CENTRE_ONLY}:
    sys.modules[name] = None
from daemon.main import main
try:
    main(["edge", "run", "--help"])
except SystemExit as end:
    assert end.code in (0, None), end.code
import daemon.edge
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
