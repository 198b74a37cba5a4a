"""A real Mosquitto on a free port of this machine, started, killed and started again by tests."""

import contextlib
import logging
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

logger = logging.getLogger(__name__)

_START_S = 10.0


def free_port() -> int:
    """A TCP port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def mosquitto_program() -> str:
    """Where the program is. A machine without it fails the tests and is told the way out."""
    path = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if path is None:
        raise AssertionError("Mosquitto is missing: apt-get install mosquitto")
    return path


def mosquitto_version() -> str:
    """For example `mosquitto version 2.0.11`."""
    told = subprocess.run([mosquitto_program(), "-h"], capture_output=True, text=True, check=False)
    return told.stdout.splitlines()[0]


class Mosquitto:
    """One broker with a directory of its own in the system's temporary one; never runs as root.

    `settings` are lines of mosquitto.conf, beside the listener and the store that are always there.
    """

    def __init__(self, *, port: int | None = None, settings: str = "allow_anonymous true\n") -> None:
        self.port = port or free_port()
        self.directory = Path(tempfile.mkdtemp(prefix="hadir-mosquitto-"))
        self.settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What the broker has written so far."""
        path = self.directory / "mosquitto.log"
        return path.read_text() if path.exists() else ""

    def start(self) -> None:
        """Start it and wait until it accepts connections."""
        conf = self.directory / "mosquitto.conf"
        conf.write_text(
            f"listener {self.port} 127.0.0.1\n"
            f"persistence true\npersistence_location {self.directory}/\n"
            f"log_dest stderr\nlog_type all\n{self.settings}"
        )
        user = self._give_away()
        with (self.directory / "mosquitto.log").open("ab") as log:
            self._process = subprocess.Popen(
                [mosquitto_program(), "-c", str(conf)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                user=user and user.pw_uid,
                group=user and user.pw_gid,
                extra_groups=user and [],
            )
        logger.info("%s on port %d", mosquitto_version(), self.port)
        self._wait_listening()

    def stop(self) -> None:
        """End it as a service manager would; its store is written."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """End it as a power cut would; what it had not saved is gone."""
        self._end(signal.SIGKILL)

    def forget(self) -> None:
        """Remove its store: a broker that was exchanged for an empty one. Only while it is down."""
        (self.directory / "mosquitto.db").unlink(missing_ok=True)

    def remove(self) -> None:
        """Kill it and delete its directory."""
        self.kill()
        shutil.rmtree(self.directory)

    def _give_away(self) -> pwd.struct_passwd | None:
        """Who it runs as when we are root: `nobody`, who gets the directory and all that lies in it."""
        if os.geteuid() != 0:
            return None
        nobody = pwd.getpwnam("nobody")
        for path in (self.directory, *self.directory.rglob("*")):
            os.chown(path, nobody.pw_uid, nobody.pw_gid)
        return nobody

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(10)
            self._process = None

    def _wait_listening(self) -> None:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            if self._process is None or self._process.poll() is not None:
                break
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.02)
        raise AssertionError(f"Mosquitto does not listen on port {self.port}; its log:\n{self.log}")


@contextlib.contextmanager
def running_mosquitto(*, settings: str = "allow_anonymous true\n") -> Iterator[Mosquitto]:
    """A broker that runs for the length of a test."""
    broker = Mosquitto(settings=settings)
    try:
        broker.start()
        yield broker
    finally:
        broker.remove()
