"""The push port is open to a network: noise, sloth and size from it must not keep a terminal out."""

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import cast

import pytest

from attendance.clock import SystemClock
from attendance.errors import ConfigError
from centre import until
from daemon.push import PushReception, PushUnavailable
from drivers.zk_push.desk import Desk, Site
from drivers.zk_push.receiver import Limits, Receiver
from drivers.zk_push.simulator import drain
from pushing import SERIAL, START, filled, push_settings, receiving, said
from sync.outbox import Outbox


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of this machine that vouches for itself, and its key."""
    program = shutil.which("openssl")
    assert program is not None, "openssl is missing: apt-get install openssl"
    cert, key = folder / "push.pem", folder / "push.key"
    made = [program, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    extensions = [
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-addext",
        "keyUsage=digitalSignature,keyCertSign",
    ]
    subprocess.run(
        [*made, *extensions, "-days", "2", "-subj", "/CN=edge", "-keyout", str(key), "-out", str(cert)],
        check=True,
        capture_output=True,
    )
    return cert, key


def test_an_upload_of_any_size_is_taken_in_pieces(tmp_path: Path) -> None:
    """A terminal that was offline for a year: its whole log in one body."""
    lines = [
        b"%d\t%s\t0\t1\n" % (n % 9 + 1, str(START + timedelta(seconds=n)).encode()) for n in range(20_000)
    ]
    with receiving(tmp_path) as running:
        target = f"/iclock/cdata?SN={SERIAL}&table=ATTLOG&Stamp=1"
        assert said(running.port, "POST", target, b"".join(lines))[:2] == (200, b"OK: 20000")
        assert running.outbox.queued() == 20_000


def raw(port: int, data: bytes) -> bytes:
    """Everything that is answered to some bytes until the connection ends."""
    with socket.create_connection(("127.0.0.1", port), 10) as connection:
        connection.sendall(data)
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
        return answer


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"Content-Length: 99999999999\r\n", b"413"),
        (b"Content-Length: -5\r\n", b"400"),
        (b"Content-Length: 5\r\nContent-Length: 6\r\n", b"400"),
        (b"Transfer-Encoding: chunked\r\n", b"411"),
        (b"X: y\r\n" * 200, b"431"),
    ],
)
def test_impossible_uploads_are_refused_without_being_read(
    tmp_path: Path, head: bytes, status: bytes
) -> None:
    with receiving(tmp_path) as running:
        target = f"POST /iclock/cdata?SN={SERIAL}&table=ATTLOG HTTP/1.1\r\n".encode()
        answer = raw(running.port, target + head + b"\r\n")
        assert answer.split()[1] == status
        assert b"OK" not in answer.partition(b"\r\n\r\n")[2]
        assert drain([filled(running.terminal(), 3)])


@pytest.mark.parametrize(
    "noise", [b"\x16\x03\x01\x02\x00", b"\r\n\r\n", b"GET\r\n\r\n", b"A" * 70_000, b"\0" * 50]
)
def test_noise_on_the_port_disturbs_no_terminal(tmp_path: Path, noise: bytes) -> None:
    with receiving(tmp_path) as running:
        with socket.create_connection(("127.0.0.1", running.port), 10) as connection:
            connection.sendall(noise)
            assert drain([filled(running.terminal(), 3)])
        assert len(running.punches()) == 3


def test_slow_strangers_do_not_keep_terminals_out(tmp_path: Path) -> None:
    """More half-open requests than there is room for: the oldest of them goes when a terminal calls."""
    with receiving(tmp_path) as running:
        connections = [socket.create_connection(("127.0.0.1", running.port), 10) for _ in range(600)]
        try:
            for connection in connections:
                connection.sendall(b"GET /iclock/cdata?SN=")
            assert drain([filled(running.terminal(), 3)])
        finally:
            for connection in connections:
                connection.close()


class Nobody:
    """A site that admits no one."""

    def admitted(self, serial: str) -> None:
        return None


@contextmanager
def alone(limits: Limits) -> Iterator[Receiver]:
    """A receiver without an edge around it."""
    desk = Desk(cast(Site, Nobody()), SystemClock(), clock_trusted=lambda: True)
    receiver = Receiver(("127.0.0.1", 0), desk, clock_trusted=lambda: True, limits=limits)
    thread = threading.Thread(target=receiver.serve)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.close()
        thread.join()


@pytest.mark.parametrize("head", [b"", b"GET /", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n1"])
def test_a_request_that_does_not_go_on_is_ended(head: bytes) -> None:
    """A connection that says nothing more must not be held for ever."""
    with (
        alone(Limits(idle_s=0.2, head_s=0.2, body_s=0.2)) as receiver,
        socket.create_connection(("127.0.0.1", receiver.port), 10) as connection,
    ):
        connection.sendall(head)
        while connection.recv(4096):
            pass


def test_a_head_that_drips_has_one_deadline_in_all() -> None:
    """A byte now and then must not buy more time."""
    with (
        alone(Limits(idle_s=0.5, head_s=0.5)) as receiver,
        socket.create_connection(("127.0.0.1", receiver.port), 10) as connection,
    ):
        connection.settimeout(0.05)

        def ended() -> bool:
            try:
                connection.sendall(b"G")
                return connection.recv(1) == b""
            except TimeoutError:
                return False
            except OSError:
                return True

        until(ended, "the receiver ends the connection")


def test_a_stop_ends_idle_connections() -> None:
    with alone(Limits()) as receiver:
        connection = socket.create_connection(("127.0.0.1", receiver.port), 10)
        until(lambda: threading.active_count() > 2, "the connection has its thread")
    with connection:
        assert connection.recv(1) == b""


# --- TLS, ports, power cuts


def test_tls_where_the_settings_name_a_certificate(tmp_path: Path) -> None:
    cert, key = certificate(tmp_path)
    with receiving(tmp_path, push={"cert_file": cert, "key_file": key}) as running:
        terminal = filled(running.terminal(), 20)
        assert not terminal.work(), "plain HTTP is not answered on this port"
        terminal.tls = ssl.create_default_context(cafile=cert)
        assert drain([terminal])
        assert len(running.punches()) == 20


def test_a_certificate_that_cannot_be_used_is_a_fault_of_the_settings(tmp_path: Path) -> None:
    settings = push_settings(tmp_path, 1, push={"cert_file": tmp_path / "no", "key_file": tmp_path / "no"})
    with (
        Outbox(tmp_path / "outbox.db", edge="setda-01") as outbox,
        pytest.raises(ConfigError, match=r"push\.cert_file"),
    ):
        PushReception(settings, outbox, lambda _: None, SystemClock())


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        Outbox(tmp_path / "outbox.db", edge="setda-01") as outbox,
    ):
        port = taken.getsockname()[1]
        reception = PushReception(push_settings(tmp_path, port), outbox, lambda _: None, SystemClock())
        with pytest.raises(PushUnavailable, match=f"push.listen 127.0.0.1:{port}"):
            reception.run(threading.Event())
