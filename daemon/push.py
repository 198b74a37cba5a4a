"""The receiver for terminals that dial in, as a part of the edge: its memory, its certificate, its thread."""

import logging
import ssl
import threading
from collections.abc import Callable
from typing import Final

from attendance.clock import Clock
from attendance.errors import AttendanceError, ConfigError
from config.model import EdgeConfig, Push
from daemon.host_clock import synchronised
from daemon.push_memory import PushMemory
from daemon.push_site import PushSite
from drivers.zk_push.desk import Desk
from drivers.zk_push.receiver import Limits, Receiver
from sync.envelope import TerminalHealth
from sync.outbox import Outbox

_log = logging.getLogger(__name__)

MEMORY_FILE: Final = "push.db"
_WATCH_S: Final = 5.0
_TRUST_FOR_S: Final = 10.0


class PushUnavailable(AttendanceError):
    """The receiver cannot listen where the settings say."""

    transient = True


class PushReception:
    """Receives from all terminals that dial in."""

    def __init__(
        self,
        settings: EdgeConfig,
        outbox: Outbox,
        report: Callable[[TerminalHealth], None],
        clock: Clock,
        *,
        clock_trusted: Callable[[], bool] = synchronised,
    ) -> None:
        """Raises ConfigError for a certificate that cannot be used."""
        self._settings = settings
        self._outbox = outbox
        self._report = report
        self._clock = clock
        self._clock_trusted = clock_trusted
        self._tls = _tls_of(settings.push)

    def run(self, stop: threading.Event) -> None:
        """Receive until stopped. Raises PushUnavailable, OutboxError."""
        path = self._settings.edge.state_dir / MEMORY_FILE
        with PushMemory(path, stream=self._outbox.stream, clock=self._clock) as memory:
            site = PushSite(self._settings, self._outbox, memory, self._report, self._clock)
            receiver = self._receiver(site)
            serving = threading.Thread(target=receiver.serve, name="push receiver", daemon=True)
            serving.start()
            _log.info(
                "terminals may dial in at %s: %s",
                self._settings.push.listen,
                ", ".join(terminal.id for terminal in self._settings.dialling_in),
                extra={"action": "push_started"},
            )
            try:
                while not self._clock.wait(stop, _WATCH_S):
                    site.watch()
            finally:
                receiver.close()
                serving.join()

    def _receiver(self, site: PushSite) -> Receiver:
        push = self._settings.push
        desk = Desk(site, self._clock, clock_trusted=self._clock_trusted, failure_status=push.failure_status)
        try:
            return Receiver(
                push.address,
                desk,
                clock_trusted=self._clock_trusted,
                limits=Limits(max_body=push.max_body),
                tls=self._tls,
            )
        except OSError as error:
            raise PushUnavailable(f"push.listen {push.listen}: {error.strerror or error}") from error


def _tls_of(push: Push) -> ssl.SSLContext | None:
    if push.cert_file is None or push.key_file is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(push.cert_file, push.key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(
            f"push.cert_file {push.cert_file} with push.key_file {push.key_file}: "
            f"cannot be used: {error.strerror or error}"
        ) from None
    return context
