"""Guards of the layout: flat top-level packages are easy to lose from a wheel and to collide with."""

import ast
import importlib.metadata
import json
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGES: list[str] = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))

LOCK_LINE = re.compile(
    r"""[a-z0-9][a-z0-9-]*==[0-9a-z.]+(\ ;\ [a-z_]+\ [!=<>]+\ '[A-Za-z0-9.]+'
        (\ (and|or)\ [a-z_]+\ [!=<>]+\ '[A-Za-z0-9.]+')*)?\ \\
      | \ {4}--hash=sha256:[0-9a-f]{64}(\ \\)?""",
    re.VERBOSE,
)
MOST_LINES = 400
MOST_LINES_OF_A_FUNCTION = 60


def _sources() -> Iterator[Path]:
    for folder in (*PACKAGES, "tests", "typings", "bench"):
        yield from sorted((ROOT / folder).rglob("*.py*"))


# A step of the schema is one list, however long.
SOURCES = [path for path in _sources() if path.suffix in (".py", ".pyi") and "versions" not in path.parts]


def _pins(lock: Path) -> dict[str, str]:
    pins = (line.split()[0].split("==") for line in lock.read_text().splitlines() if "==" in line)
    return dict(pins)


def test_no_package_is_forgotten_in_the_wheel() -> None:
    at_root = sorted(path.parent.name for path in ROOT.glob("*/__init__.py"))
    assert sorted(PACKAGES) == at_root
    assert sorted(PROJECT["tool"]["importlinter"]["root_packages"]) == at_root
    assert sorted(PROJECT["tool"]["coverage"]["run"]["source_pkgs"]) == at_root


def test_no_other_distribution_ships_a_name_of_ours() -> None:
    """python-daemon, for one, brings a `daemon`: beside it ours would be merged or become unimportable."""
    owners = importlib.metadata.packages_distributions()
    strangers = {name: set(owners.get(name, [])) - {PROJECT["project"]["name"]} for name in PACKAGES}
    assert not {name: others for name, others in strangers.items() if others}


def test_no_test_folder_shadows_a_package() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_holds_names_versions_and_hashes_only(lock: Path) -> None:
    """An index, a host or a folder in it would bind everyone to one machine."""
    assert not [line for line in lock.read_text().splitlines() if not LOCK_LINE.fullmatch(line)]


@pytest.mark.parametrize(
    ("lock", "extras"),
    [
        ("edge", []),
        ("runtime", ["central", "embedded", "postgres"]),
        ("dev", ["central", "dev", "embedded", "postgres"]),
    ],
)
def test_a_lock_pins_what_the_project_asks_for(lock: str, extras: list[str]) -> None:
    project = PROJECT["project"]
    wanted = [*project["dependencies"]]
    for extra in extras:
        wanted += project["optional-dependencies"][extra]
    names = {re.split(r"[\[<>=]", requirement)[0] for requirement in wanted}
    assert names <= _pins(ROOT / "requirements" / f"{lock}.txt").keys()


def test_the_lock_of_npm_packages_holds_hashes_and_no_address() -> None:
    """Npm writes where it found a package into its lock, which would bind everyone to one machine."""
    text = (ROOT / "tests/interop/package-lock.json").read_text()
    assert "://" not in text
    packages = json.loads(text)["packages"]
    wanted = json.loads((ROOT / "tests/interop/package.json").read_text())["dependencies"]
    assert packages[""]["dependencies"] == wanted
    locked = {name: each for name, each in packages.items() if name}
    assert {f"node_modules/{name}" for name in wanted} <= locked.keys()
    assert all(each["integrity"].startswith("sha512-") and each["version"] for each in locked.values())


def test_every_folder_of_tests_is_run_by_make_test_or_make_interop() -> None:
    """A folder that no target names would never be run again."""
    folders = {f"tests/{path.parent.name}" for path in (ROOT / "tests").glob("*/test_*.py")}
    assert folders == {*PROJECT["tool"]["pytest"]["testpaths"], "tests/interop"}
    assert "make test\nmake interop\n" in (ROOT / ".ci/run").read_text()


def test_what_is_tested_is_what_is_installed() -> None:
    """Except for the clients by others and the fuzzer, which have environments of their own."""
    tested = _pins(ROOT / "requirements/dev.txt")
    for lock in LOCKS:
        if lock.stem in ("interop", "fuzz"):
            continue
        assert _pins(lock).items() <= tested.items(), lock.name


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_and_its_functions_can_be_read_at_once(source: Path) -> None:
    text = source.read_text()
    assert text.count("\n") <= MOST_LINES
    functions = [
        node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    for function in functions:
        lines = (function.end_lineno or function.lineno) - function.lineno + 1
        assert lines <= MOST_LINES_OF_A_FUNCTION, function.name


def test_bare_make_names_every_entry_point() -> None:
    done = subprocess.run(["make", "-C", str(ROOT)], capture_output=True, text=True, check=True)
    for target in ("demo", "test", "check", "interop", "fuzz", "bench", "lock", "clean"):
        assert f"make {target} " in done.stdout
