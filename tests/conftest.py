"""What every test relies on: a header that names the real parts, and nothing left running behind a test."""

import platform
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings
from sqlalchemy import Engine

import postgres
from sync.central import store

JOIN_SECONDS = 5.0

# A busy machine must not fail a test: how long an example takes says nothing about the code.
settings.register_profile("hadir", deadline=None)
settings.load_profile("hadir")


def _first_line(program: str | None, option: str, package: str) -> str:
    if program is None:
        return f"missing, install with: apt-get install {package}"
    # Mosquitto prints its version with exit code 3.
    done = subprocess.run([program, option], capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).partition("\n")[0]


def pytest_report_header() -> list[str]:
    servers = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    return [
        f"python: {platform.python_version()}, sqlite: {sqlite3.sqlite_version}",
        f"mosquitto: {_first_line(shutil.which('mosquitto', path='/usr/sbin:/usr/bin'), '-h', 'mosquitto')}",
        f"postgresql: {_first_line(str(servers[-1]) if servers else None, '--version', 'postgresql')}",
    ]


@pytest.fixture(autouse=True)
def _no_thread_left() -> Iterator[None]:
    """A thread that outlives its test would disturb a later one, and outlive a stopped daemon."""
    before = set(threading.enumerate())
    yield
    left = [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]
    for thread in left:
        thread.join(JOIN_SECONDS)
    names = [thread.name for thread in left if thread.is_alive()]
    assert not names, f"threads still running after the test: {names}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[postgres.Server]:
    """A real PostgreSQL, started once for all tests that want one."""
    with postgres.running() as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, on each kind that the centre may use."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/central.db"
    server: postgres.Server = request.getfixturevalue("postgres_server")
    return server.new_database()


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    """An empty central database of each kind."""
    made = store.open_engine(database_url)
    store.initialise(made)
    yield made
    made.dispose()
