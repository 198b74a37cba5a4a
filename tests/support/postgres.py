"""A real PostgreSQL server for the tests, on a free port of the loopback, never run as root."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

HOW_TO_INSTALL = "PostgreSQL is not installed: apt-get install postgresql"


def server_binaries() -> Path:
    """The directory of the newest installed server's programs."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    if not versions:
        raise RuntimeError(HOW_TO_INSTALL)
    return versions[-1].parent


def _user() -> str | None:
    """Who the server runs as: never root."""
    return "postgres" if os.geteuid() == 0 else None


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Server:
    """A running cluster of its own, thrown away afterwards."""

    def __init__(self, directory: Path) -> None:
        self._bin = server_binaries()
        self._data = directory / "data"
        self.port = free_port()
        self._run("initdb", "-D", str(self._data), "-U", "hadir", "-A", "trust", "-E", "UTF8", "--no-sync")
        self._count = 0
        self.start()

    @property
    def version(self) -> str:
        return self._run("postgres", "--version").strip()

    def start(self) -> None:
        options = (
            f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self._data}"
            " -c shared_buffers=32MB -c max_connections=40 -c fsync=off -c full_page_writes=off"
        )
        self._run(
            "pg_ctl", "-D", str(self._data), "-w", "-o", options, "-l", str(self._data / "log"), "start"
        )

    def stop(self, mode: str = "fast") -> None:
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", mode, "stop")

    def url(self, database: str, user: str = "hadir") -> str:
        return f"postgresql+psycopg://{user}@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """The URL of an empty database."""
        self._count += 1
        name = f"hadir{self._count}"
        self.admin(f"CREATE DATABASE {name}")
        return self.url(name)

    def admin(self, statement: str, database: str = "postgres") -> None:
        """Run one statement as the owner of everything."""
        with psycopg.connect(
            f"host=127.0.0.1 port={self.port} user=hadir dbname={database}", autocommit=True
        ) as connection:
            connection.execute(statement.encode())

    def require_password(self, user: str) -> None:
        """Let this user in by password only."""
        rules = self._data / "pg_hba.conf"
        rules.write_text(f"host all {user} all scram-sha-256\n{rules.read_text()}")
        self.admin("SELECT pg_reload_conf()")

    def _run(self, program: str, *arguments: str) -> str:
        done = subprocess.run(
            [str(self._bin / program), *arguments],
            user=_user(),
            group=_user(),
            extra_groups=() if _user() else None,
            cwd="/",
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
            check=False,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if program != "pg_ctl" else subprocess.DEVNULL,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed:\n{done.stdout}")
        return done.stdout


@contextmanager
def running() -> Iterator[Server]:
    """A server for as long as the block lasts."""
    directory = Path(tempfile.mkdtemp(prefix="hadir-pg-"))
    if user := _user():
        shutil.chown(directory, user, user)
    try:
        server = Server(directory)
        try:
            yield server
        finally:
            server.stop("immediate")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
