"""Where the MQTT broker is, and in plain words why there is no session with it. Knows no MQTT library."""

import logging
import socket
import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from attendance.errors import ConfigError

logger = logging.getLogger(__name__)

UNSUPPORTED_VERSION: Final = 132
"""MQTT 5's reason code for a protocol version that the broker does not speak."""

NO_ANSWER: Final = (
    "it closed the connection without an answer; is this an MQTT broker, and does it want TLS (ca_file) "
    "or a client certificate (cert_file, key_file)?"
)

_SHORT_S: Final = 10.0
_FLAPPING: Final = 3
"""So many sessions in a row that last less than _SHORT_S are a fault of their own."""

_REASONS: Final = {
    UNSUPPORTED_VERSION: "it speaks neither MQTT 5 nor 3.1.1",
    133: "it does not accept the client id",
    134: "wrong user name or password",
    135: "this user is not let in: wrong user name or password, or not authorised",
    136: "it is not available at the moment",
    137: "it is too busy",
    138: "this client is banned",
    139: "it is shutting down",
    141: "it heard nothing from here for too long",
    142: "another client has connected with the same id",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerAddress:
    """Where the broker is and how to be let in. TLS is used when `ca_file` is given."""

    host: str
    port: int
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None

    def __str__(self) -> str:
        """`host:port`, as it stands in log lines."""
        return f"{self.host}:{self.port}"


class LinkLog:
    """Says in the log that the broker is lost, each reason once, and once that it is back."""

    def __init__(self, address: BrokerAddress, client_id: str) -> None:
        self._address = address
        self._client_id = client_id
        self._told: set[str] = set()
        self._since = 0.0
        self._short = 0

    def lost(self, reason: str) -> None:
        """There is no session, for this reason."""
        if reason in self._told:
            return
        self._told.add(reason)
        logger.warning(
            "no session with the MQTT broker at %s: %s; trying again by itself",
            self._address,
            reason,
            extra={"action": "broker_lost"},
        )

    def dropped(self) -> None:
        """A session ended without a word. Two clients with one id throw each other out like this for ever."""
        self._short = self._short + 1 if time.monotonic() - self._since < _SHORT_S else 0
        if self._flaps:
            self.lost(
                f"the connection is lost again and again after seconds; "
                f"does another client use the id {self._client_id!r}?"
            )
        else:
            self.lost("the connection was lost")

    def back(self, protocol: str) -> None:
        """There is a session."""
        self._since = time.monotonic()
        if self._flaps:
            return
        again = "again " if self._told else ""
        self._told.clear()
        logger.info(
            "connected %sto the MQTT broker at %s (MQTT %s)",
            again,
            self._address,
            protocol,
            extra={"action": "broker_back"},
        )

    @property
    def _flaps(self) -> bool:
        return self._short >= _FLAPPING


def tls_context(address: BrokerAddress) -> ssl.SSLContext | None:
    """TLS as the address asks for it; None without a `ca_file`.

    Raises ConfigError for a file that cannot be used, and for an address without a host.
    """
    if not address.host:
        raise ConfigError("[mqtt] host is empty; write the broker's name or address")
    if address.ca_file is None:
        return None
    try:
        context = ssl.create_default_context(cafile=str(address.ca_file))
    except OSError as error:
        raise ConfigError(
            f"[mqtt] ca_file {address.ca_file}: {_file_fault(error)}; a PEM certificate is expected"
        ) from error
    # Python 3.13 began to refuse authorities made by hand over formalities; an upgrade must not stop an edge.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if address.cert_file is None:
        return context
    try:
        context.load_cert_chain(address.cert_file, address.key_file)
    except OSError as error:
        raise ConfigError(
            f"[mqtt] cert_file {address.cert_file}, key_file {address.key_file}: {_file_fault(error)}; "
            "a PEM certificate and its own key are expected"
        ) from error
    return context


def refusal(code: int, name: str) -> str:
    """Why the broker refused or ended a session, from its reason code and the code's name."""
    return _REASONS.get(code, f"it says {name.lower()!r}")


def connection_fault(error: OSError) -> str:
    """Why no connection came about."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not accepted ({error.verify_message}); does ca_file belong to it?"
        case ssl.SSLError():
            return f"TLS failed ({error.reason or error}); is this the broker's port for TLS?"
        case socket.gaierror():
            return "its host name is not known"
        case ConnectionRefusedError():
            return "connection refused; is the broker running there?"
        case TimeoutError():
            return "no answer"
        case _:
            return error.strerror or str(error)


def _file_fault(error: OSError) -> str:
    return "cannot be used" if isinstance(error, ssl.SSLError) else error.strerror or str(error)
