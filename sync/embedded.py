"""An MQTT broker inside this process (amqtt), for demos, trials and a single small office.

It speaks MQTT 3.1.1 only and forgets its sessions when it ends. That is safe because edges
keep every batch until the centre's receipt; for more than that, run Mosquitto.
"""

import asyncio
import contextlib
import errno
import importlib.util
import ipaddress
import logging
import threading
from types import TracebackType
from typing import Any, Final, Self

from attendance.errors import BrokerUnavailable, ConfigError

logger = logging.getLogger(__name__)

_START_S: Final = 20.0
_STOP_S: Final = 10.0


class EmbeddedBroker:
    """A broker that listens while the block lasts; an asyncio loop in a thread of its own.

    With `username` and `password` only this user is let in. Without, anybody is, and only
    on a loopback address. If it ends by itself, `failed` says why.
    """

    def __init__(
        self, host: str, port: int, username: str | None = None, password: str | None = None
    ) -> None:
        """Raise ConfigError for terms under which no broker may run here."""
        if importlib.util.find_spec("amqtt") is None:
            raise ConfigError(
                "[mqtt] embedded = true needs a broker that is not installed; install hadir[embedded]"
            )
        if (username is None) != (password is None):
            raise ConfigError("[mqtt] username and password (or password_file) go together")
        if username is None and not _loopback(host):
            raise ConfigError(
                f"[mqtt] embedded = true on {host} would let anybody in; give username and password_file, "
                'or host = "127.0.0.1"'
            )
        self._host = host
        self._port = port
        self._login = (username, password) if username is not None and password is not None else None
        self._listening = threading.Event()
        self._failed: BaseException | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="embedded-broker", daemon=True)

    @property
    def failed(self) -> BrokerUnavailable | None:
        """Why the broker ended although nobody stopped it; None while it runs."""
        if self._failed is None:
            return None
        return BrokerUnavailable(
            f"the embedded MQTT broker on {self._host}:{self._port} {_said(self._failed)}"
        )

    def start(self) -> None:
        """Return when it listens. Raises BrokerUnavailable when it cannot, for example on a port in use."""
        _quiet()
        self._thread.start()
        if not self._listening.wait(_START_S) and self._failed is None:
            self._failed = TimeoutError(f"did not start within {_START_S:.0f} s")
        if self.failed is not None:
            raise self.failed
        logger.info(
            "embedded MQTT broker listens on %s:%d", self._host, self._port, extra={"action": "broker_up"}
        )

    def stop(self) -> None:
        """End the broker and its thread. Idempotent."""
        if self._loop is not None and self._stop is not None:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                self._loop.call_soon_threadsafe(self._stop.set)
        if self._thread.is_alive():
            self._thread.join(_STOP_S)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- the broker's thread

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # noqa: BLE001 - the top of a thread: the supervisor asks for `failed`
            self._failed = error
        finally:
            self._listening.set()

    async def _serve(self) -> None:
        from sync.amqtt_broker import serve

        self._loop = asyncio.get_running_loop()
        self._loop.set_exception_handler(_note)
        self._stop = asyncio.Event()
        await serve(self._host, self._port, self._login, listening=self._listening.set, stop=self._stop)


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _said(error: BaseException) -> str:
    """What stopped the broker."""
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return "cannot listen: the port is in use; if a broker runs there already, set embedded = false"
    if isinstance(error, OSError):
        return f"cannot listen: {error.strerror or error}"
    return " ".join(str(error).split()) or type(error).__name__


def _note(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """A client that went away in the middle of something is no news."""
    logger.debug("embedded broker: %s", context.get("message"), extra={"action": "broker_noise"})


def _quiet() -> None:
    """Keep to ourselves what amqtt tells of every connection; what matters is told in one line of ours."""
    for name in ("amqtt", "transitions"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
