import asyncio
from collections.abc import Mapping

class Broker:
    # No public name, but watched because amqtt tells nobody when they end.
    _broadcast_task: asyncio.Task[None] | None
    _session_monitor_task: asyncio.Task[None] | None
    def __init__(
        self, config: Mapping[str, object] | None = None, loop: asyncio.AbstractEventLoop | None = None
    ) -> None: ...
    async def start(self) -> None: ...
    async def shutdown(self) -> None: ...
