import asyncio
from collections.abc import Mapping

from amqtt.adapters import ReaderAdapter, WriterAdapter

class Broker:
    # No public name, but watched because amqtt tells nobody when they end.
    _broadcast_task: asyncio.Task[None] | None
    _session_monitor_task: asyncio.Task[None] | None
    def __init__(
        self, config: Mapping[str, object] | None = None, loop: asyncio.AbstractEventLoop | None = None
    ) -> None: ...
    async def start(self) -> None: ...
    async def shutdown(self) -> None: ...
    async def external_connected(
        self, reader: ReaderAdapter, writer: WriterAdapter, listener_name: str
    ) -> None: ...
