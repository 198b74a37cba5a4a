"""The broker of `sync.embedded`, over amqtt: who is let in, and with which protocol. Needs amqtt installed.

We listen ourselves: amqtt 0.12 takes an MQTT 5 CONNECT for one of 3.1.1, and with a last will, a login
or properties in it waits for bytes that never come, so the client would never learn to step down.
"""

import asyncio
import contextlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from amqtt.adapters import StreamReaderAdapter, StreamWriterAdapter
from amqtt.broker import Broker
from amqtt.plugins.base import BaseAuthPlugin
from amqtt.session import Session

_LISTENER: Final = "default"
_CONNECT: Final = 0x10
_CONNECT_S: Final = 10.0
_SHORTEST_CONNECT: Final = 10
_LONGEST_CONNECT: Final = 1 << 17
_LEVEL_311: Final = 4
_SHUTDOWN_S: Final = 5.0

# CONNACK "unsupported protocol version", as MQTT 5 writes it, and as every version before.
_REFUSE_5: Final = bytes.fromhex("20 03 00 84 00")
_REFUSE_OLD: Final = bytes.fromhex("20 02 00 01")


class OneLogin(BaseAuthPlugin):
    """Lets in who knows the one login; anybody where none is set.

    Sessions are not marked anonymous: amqtt would keep nothing for an anonymous subscriber
    that is away for a moment.
    """

    async def authenticate(self, *, session: Session) -> bool | None:
        """See amqtt."""
        login: OneLogin.Config = self.config
        if login.username is None:
            return True
        name_fits = _same(session.username, login.username)
        return _same(session.password, login.password) and name_fits

    @dataclass
    class Config:
        """The login; None for a broker on the loopback that anybody may use."""

        username: str | None = None
        password: str | None = field(default=None, repr=False)


async def serve(
    host: str, port: int, login: tuple[str, str] | None, *, listening: Callable[[], None], stop: asyncio.Event
) -> None:
    """Serve until `stop`. Raises OSError if it cannot listen, RuntimeError if the broker ends by itself."""
    username, password = login or (None, None)
    broker = Broker(
        {
            "listeners": {_LISTENER: {"type": "external"}},
            "plugins": {f"{__name__}.OneLogin": {"username": username, "password": password}},
        }
    )
    connections: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(_converse(broker, reader, writer))
        connections.add(task)
        task.add_done_callback(connections.discard)

    await broker.start()
    server = await asyncio.start_server(connected, host, port)
    try:
        listening()
        await _until_end(broker, stop)
    finally:
        server.close()
        await asyncio.wait_for(broker.shutdown(), _SHUTDOWN_S)
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def _until_end(broker: Broker, stop: asyncio.Event) -> None:
    """Wait for `stop`. The two tasks that do amqtt's work are its only sign of life."""
    work = [task for task in (broker._broadcast_task, broker._session_monitor_task) if task]  # noqa: SLF001
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait([stopped, *work], return_when=asyncio.FIRST_COMPLETED)
    if not stopped.done():
        stopped.cancel()
        raise RuntimeError("ended by itself")


async def _converse(broker: Broker, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One client, from its CONNECT to its end. What a client does wrong ends its connection, no more."""
    with contextlib.suppress(OSError, EOFError, TimeoutError):
        try:
            connect, level = await asyncio.wait_for(_read_connect(reader), _CONNECT_S)
            if level == _LEVEL_311:
                replay = _Replay(connect, reader)
                await broker.external_connected(replay, StreamWriterAdapter(writer), _LISTENER)
            elif connect:
                writer.write(_REFUSE_5 if level > _LEVEL_311 else _REFUSE_OLD)
                await writer.drain()
        finally:
            writer.close()


async def _read_connect(reader: asyncio.StreamReader) -> tuple[bytes, int]:
    """The bytes of a CONNECT packet, and its protocol level; empty and 0 if the client begins otherwise."""
    head = await reader.readexactly(1)
    length = 0
    for shift in (0, 7, 14, 21):
        head += await reader.readexactly(1)
        length |= (head[-1] & 0x7F) << shift
        if head[-1] < 0x80:
            break
    if head[0] != _CONNECT or not _SHORTEST_CONNECT <= length <= _LONGEST_CONNECT:
        return b"", 0
    body = await reader.readexactly(length)
    name_end = 2 + int.from_bytes(body[:2])
    return head + body, body[name_end] if name_end < length else 0


class _Replay(StreamReaderAdapter):
    """Gives amqtt the CONNECT that we have read already, and then the rest of the stream."""

    def __init__(self, first: bytes, reader: asyncio.StreamReader) -> None:
        super().__init__(reader)
        self._first = first

    async def read(self, n: int = -1) -> bytes:
        """See amqtt."""
        if not self._first:
            return await super().read(n)
        end = len(self._first) if n < 0 else n
        part, self._first = self._first[:end], self._first[end:]
        return part + await super().read(n - len(part)) if len(part) < n else part


def _same(given: str | None, right: str | None) -> bool:
    return hmac.compare_digest((given or "").encode(), (right or "").encode())
