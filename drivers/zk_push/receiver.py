"""The HTTP side: connections, deadlines and limits. What a request means is the desk's business.

Terminals read the header lines too: `Date` together with `text/plain` sets their clock, so it is sent
only while the host's own clock is right. Replies are never packed, and a reply is one write.
"""

import io
import logging
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Final, cast

from attendance.errors import AttendanceError, DeviceUnreachable
from drivers.zk_push.desk import Desk, Reply, Request
from drivers.zk_push.replies import RETRY

_log = logging.getLogger(__name__)

_DRAINED: Final = 1 << 20
_SEND_S: Final = 10.0
_LINGER_S: Final = 2.0
_CLOSE_S: Final = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What connections may cost. Seconds: until the next request begins, for its head, for its body."""

    max_body: int = 16 << 20
    connections: int = 512
    idle_s: float = 90.0
    head_s: float = 20.0
    body_s: float = 240.0


class Receiver:
    """Listens from the moment it is made. `serve` runs in one thread; `close` ends it, from another."""

    def __init__(
        self,
        address: tuple[str, int],
        desk: Desk,
        *,
        clock_trusted: Callable[[], bool],
        limits: Limits | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """Raises OSError when the address cannot be had."""
        self._server = _Server(address, desk, clock_trusted, limits or Limits(), tls)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    def serve(self) -> None:
        """Answer until `close`."""
        self._server.serve_forever(poll_interval=0.1)

    def close(self) -> None:
        """Stop listening, and let requests at work finish within seconds. Not without `serve`."""
        self._server.shutdown()
        self._server.server_close()
        self._server.end_connections()


@dataclass(eq=False, slots=True)
class _Connection:
    """One connection. `waits_since` (steady clock): no whole request head has come since; None: at work."""

    socket: socket.socket
    thread: threading.Thread
    waits_since: float | None

    def end(self) -> None:
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RDWR)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    allow_reuse_port = False

    def __init__(
        self,
        address: tuple[str, int],
        desk: Desk,
        clock_trusted: Callable[[], bool],
        limits: Limits,
        tls: ssl.SSLContext | None,
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.desk, self.limits, self.clock_trusted = desk, limits, clock_trusted
        self._tls = tls
        self._lock = threading.Lock()
        self._open: list[_Connection] = []
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        """Without the look-up of the host's own name, which may take long on a site without DNS."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def verify_request(self, _request: object, _client_address: object) -> bool:
        """Make room: of too many connections the one that has waited longest for a request goes."""
        with self._lock:
            if len(self._open) < self.limits.connections:
                return True
            waiting = [one for one in self._open if one.waits_since is not None]
            if waiting:
                longest = min(waiting, key=lambda one: one.waits_since or 0.0)
                longest.end()
                self._open.remove(longest)
            return bool(waiting)

    def finish_request(self, request: object, client_address: object) -> None:
        """One connection, from its first byte to its last, in a thread of its own."""
        plain = cast(socket.socket, request)
        plain.settimeout(self.limits.head_s)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection = _Connection(plain, threading.current_thread(), time.monotonic())
        with self._lock:
            self._open.append(connection)
        try:
            if self._tls is None:
                _Handler(plain, client_address, self)
            else:
                with self._tls.wrap_socket(plain, server_side=True) as secured:
                    connection.socket = secured
                    _Handler(secured, client_address, self)
        finally:
            with self._lock, suppress(ValueError):
                self._open.remove(connection)

    def at_work(self, *, waits: bool) -> None:
        """Note whether this thread's connection waits for a request."""
        me = threading.current_thread()
        with self._lock:
            for connection in self._open:
                if connection.thread is me:
                    connection.waits_since = time.monotonic() if waits else None

    def end_connections(self) -> None:
        with self._lock:
            left = list(self._open)
            for connection in left:
                if connection.waits_since is not None:
                    connection.end()
        deadline = time.monotonic() + _CLOSE_S
        for connection in left:
            connection.thread.join(max(0.0, deadline - time.monotonic()))
            connection.end()

    def handle_error(self, _request: object, _client_address: object) -> None:
        """The top of a connection's thread: a peer that went away is not worth a line, a fault of ours is."""
        error = sys.exc_info()[1]
        if isinstance(error, OSError | AttendanceError):
            _log.debug("a connection ended: %s", error, extra={"action": "push_connection_ended"})
        else:
            _log.error(
                "a request was not answered; the terminal will send it again",
                exc_info=error,
                extra={"action": "push_request_failed"},
            )


class _TimedStream(io.RawIOBase):
    """The bytes of a connection, as long as they come before `until` (steady clock)."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self.until = 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        left = self.until - time.monotonic()
        if left <= 0:
            raise TimeoutError("too slow")
        self._connection.settimeout(left)
        return self._connection.recv_into(cast(bytearray, buffer))


class HttpBody:
    """A request's body as it comes in; never more than a piece of it is held."""

    def __init__(self, stream: io.BufferedReader, length: int, *, piece: int = 256 * 1024) -> None:
        self._stream = stream
        self._piece = piece
        self.length = length
        self.left = length

    def pieces(self) -> Iterator[bytes]:
        """See desk.Body. A line longer than a piece is given cut, and its rest is not read as lines."""
        held, inside_long_line = b"", False
        while self.left:
            held += self._next(self._piece - len(held))
            if inside_long_line:
                _, end, held = held.partition(b"\n")
                inside_long_line = not end
                continue
            whole = len(held) if not self.left else held.rfind(b"\n") + 1
            if whole == 0 and len(held) == self._piece:
                whole, inside_long_line = len(held), True
            if whole:
                yield held[:whole]
                held = held[whole:]
        if held:
            yield held

    def discard(self) -> int:
        """See desk.Body."""
        count, last = 0, b"\n"
        while self.left:
            chunk = self._next(self._piece)
            count += chunk.count(b"\n")
            last = chunk[-1:]
        return count + (last != b"\n")

    def _next(self, most: int) -> bytes:
        chunk = self._stream.read(min(most, self.left))
        if not chunk:
            raise DeviceUnreachable(f"the connection ended {self.left} bytes before the end of an upload")
        self.left -= len(chunk)
        return chunk


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    rfile: io.BufferedReader

    def setup(self) -> None:
        super().setup()
        self.rfile.close()
        self._timed = _TimedStream(self.connection)
        self.rfile = io.BufferedReader(self._timed, 65536)

    def handle_one_request(self) -> None:
        """Wait for a request, read its head, answer; each within its own time."""
        self.close_connection = True
        self.server.at_work(waits=True)
        self._allow(self.server.limits.idle_s)
        if self.rfile.peek(1):
            self._allow(self.server.limits.head_s)
            super().handle_one_request()

    def do_GET(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def _serve(self) -> None:
        length = self._announced()
        if isinstance(length, HTTPStatus):
            self._refuse(length)
            return
        self.server.at_work(waits=False)
        self._allow(self.server.limits.body_s)
        body = HttpBody(self.rfile, length)
        peer = str(self.client_address[0])
        reply = self.server.desk.answer(Request(method=self.command, target=self.path, peer=peer, body=body))
        self.close_connection = self.close_connection or body.left > 0
        self._send(reply)
        self._linger(body)

    def _linger(self, body: HttpBody) -> None:
        """Take some of what the desk did not want: a connection closed on it would take the reply along."""
        if 0 < body.left <= _DRAINED:
            self.server.at_work(waits=True)
            self._allow(_LINGER_S)
            body.discard()

    def _announced(self) -> int | HTTPStatus:
        """The length of the body, or why it is refused."""
        if self.headers.get("Transfer-Encoding"):
            return HTTPStatus.LENGTH_REQUIRED
        given = self.headers.get_all("Content-Length") or ["0"]
        if len(given) > 1 or not (given[0].isascii() and given[0].isdigit() and len(given[0]) < 16):
            return HTTPStatus.BAD_REQUEST
        length = int(given[0])
        return length if length <= self.server.limits.max_body else HTTPStatus.REQUEST_ENTITY_TOO_LARGE

    def _refuse(self, status: HTTPStatus) -> None:
        _log.warning(
            "an upload from %s was refused: %s",
            self.client_address[0],
            status.phrase,
            extra={"action": "push_body_refused"},
        )
        self.close_connection = True
        self._send(Reply(RETRY, status, dated=False))

    def send_error(self, code: int, _message: str | None = None, _explain: str | None = None) -> None:
        """What the library refuses (a request line that is none, too many headers), in our form."""
        self.close_connection = True
        self._send(Reply(RETRY, code, dated=False))

    def _send(self, reply: Reply) -> None:
        head = [
            f"HTTP/1.1 {int(reply.status)} {HTTPStatus(reply.status).phrase}",
            "Content-Type: text/plain",
            f"Content-Length: {len(reply.body)}",
            f"Connection: {'close' if self.close_connection else 'keep-alive'}",
        ]
        if reply.dated and self.server.clock_trusted():
            head.append(f"Date: {formatdate(usegmt=True)}")
        self.connection.settimeout(_SEND_S)
        self.wfile.write("\r\n".join([*head, "", ""]).encode("ascii") + reply.body)

    def _allow(self, seconds: float) -> None:
        self._timed.until = time.monotonic() + seconds

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Nothing: request lines may carry keys."""
