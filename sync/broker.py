"""The session with the MQTT broker, over paho-mqtt. The only module that knows paho.

MQTT 5 first; 3.1.1 by itself where the broker refuses 5. QoS 1 only. The broker is
a pipe that may lose and repeat: nothing here says that a message has arrived anywhere.
"""

import logging
import random
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, ParamSpec, Protocol

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from sync import reach
from sync.reach import BrokerAddress, LinkLog

__all__ = ["BrokerAddress", "BrokerClient", "Message", "PahoClient", "ProtocolName"]

logger = logging.getLogger(__name__)

ProtocolName = Literal["5", "3.1.1"]

KEEPALIVE_S: Final = 20
SESSION_EXPIRY_S: Final = 14 * 24 * 3600
MAX_WAITING: Final = 1000
"""Messages that may wait in memory for the broker; above it `publish` gives None."""

_STOP_S: Final = 2.0
_MAX_DELAY_S: Final = 30
_PAUSE_AFTER_FAILURE_S: Final = 3.0

_P = ParamSpec("_P")


@dataclass(frozen=True, slots=True)
class Message:
    """A message that the broker handed over. `token` (packet id, generation of the session) is for `ack`."""

    topic: str
    payload: bytes
    token: tuple[int, int]


class BrokerClient(Protocol):
    """What the publisher and the ingest need of a broker."""

    @property
    def connected(self) -> bool:
        """Whether there is a session now, as far as is known."""
        ...

    @property
    def protocol(self) -> str:
        """The protocol in use: "5" or "3.1.1"."""
        ...

    def start(self) -> None:
        """Begin to connect, and to connect again, until stop(). A broker that is down is no error."""
        ...

    def stop(self) -> None:
        """Send what was published, disconnect and end, within about two seconds."""
        ...

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int | None:
        """Hand a message to the broker with QoS 1; its id, or None when it was not taken."""
        ...

    def ack(self, message: Message) -> None:
        """Tell the broker that a message is dealt with; nothing happens if its session is gone."""
        ...


class _Network(mqtt.Client):
    """paho's client, which also keeps why it could not connect and tells when its thread ends."""

    connect_fault: str | None = None
    on_end: Callable[[mqtt.Client, Exception | None], None]

    def reconnect(self) -> MQTTErrorCode:
        self.connect_fault = None
        try:
            code = super().reconnect()
            if isinstance(made := self.socket(), socket.socket):  # or each message waits 40 ms for an ACK
                made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            self.connect_fault = reach.connection_fault(error)
            raise
        return code

    def loop_forever(
        self,
        timeout: float = 1.0,
        retry_first_connection: bool = False,  # noqa: FBT001, FBT002 - paho's signature
    ) -> MQTTErrorCode:
        try:
            code = super().loop_forever(timeout, retry_first_connection)
        except Exception as error:  # noqa: BLE001 - the top of paho's thread
            self.on_end(self, error)
            return MQTTErrorCode.MQTT_ERR_UNKNOWN
        self.on_end(self, None)
        return code


class PahoClient:
    """A BrokerClient that keeps its session up by itself. One keeper thread, and paho's own.

    The callbacks run in paho's thread and must not block. One that raises is logged and
    the session is opened anew; with `manual_ack` the broker then hands over again what
    was not acknowledged. `on_published(id, refused)` may come before `publish` returns
    that id. Messages that the broker did not confirm are forgotten with their session.
    """

    def __init__(  # noqa: PLR0913 - the terms of a session
        self,
        address: BrokerAddress,
        *,
        client_id: str,
        subscriptions: Sequence[str] = (),
        on_message: Callable[[Message], None] | None = None,
        on_connected: Callable[[], None] | None = None,
        on_published: Callable[[int, bool], None] | None = None,
        will: tuple[str, bytes] | None = None,
        persistent_session: bool = False,
        manual_ack: bool = False,
        receive_maximum: int | None = None,
        protocol: ProtocolName = "5",
    ) -> None:
        self._address = address
        self._client_id = client_id
        self._subscriptions = tuple(subscriptions)
        self._message_to = on_message
        self._connected_to = on_connected
        self._published_to = on_published
        self._will = will
        self._persistent = persistent_session
        self._manual_ack = manual_ack
        self._receive_maximum = receive_maximum
        self._protocol: ProtocolName = protocol
        self._link = LinkLog(address, client_id)
        self._tls: ssl.SSLContext | None = None
        self._lock = threading.RLock()
        self._client: _Network | None = None
        self._connected = False
        self._answered = False
        self._generation = 0
        self._failed = False
        self._turn = threading.Event()
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name=f"broker-{client_id}", daemon=True)

    @property
    def connected(self) -> bool:
        """See BrokerClient."""
        return self._connected

    @property
    def protocol(self) -> str:
        """See BrokerClient."""
        return self._protocol

    def start(self) -> None:
        """See BrokerClient. Raises ConfigError if the host or a TLS file cannot be used."""
        self._tls = reach.tls_context(self._address)
        self._keeper.start()

    def stop(self) -> None:
        """See BrokerClient. Idempotent."""
        self._stopping.set()
        self._turn.set()
        if self._keeper.is_alive():
            self._keeper.join(_STOP_S + 0.5)

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int | None:
        """See BrokerClient. Any thread."""
        client = self._client
        if client is None or not self._connected:
            return None
        try:
            info = client.publish(topic, payload, qos=1, retain=retain)
        except OSError:  # the session was closed in this moment
            return None
        return info.mid if info.rc == MQTTErrorCode.MQTT_ERR_SUCCESS else None

    def ack(self, message: Message) -> None:
        """See BrokerClient. Any thread; in the order in which the messages came."""
        packet_id, generation = message.token
        with self._lock:  # held until it is queued: a session that ends now takes its queue with it
            if generation == self._generation and self._connected and self._client is not None:
                self._client.ack(packet_id, 1)

    # --- the keeper's thread: one paho client after the other

    def _keep(self) -> None:
        while not self._stopping.is_set():
            self._failed = False
            self._turn.clear()
            client = self._build()
            with self._lock:
                self._client = client
            if not self._stopping.is_set():
                self._connect(client)
                self._turn.wait()
            self._retire(client)
            if self._failed:
                self._stopping.wait(_PAUSE_AFTER_FAILURE_S)

    def _build(self) -> _Network:
        five = self._protocol == "5"
        client = _Network(
            CallbackAPIVersion.VERSION2,
            client_id=self._client_id,
            clean_session=None if five else not self._persistent,
            protocol=MQTTProtocolVersion.MQTTv5 if five else MQTTProtocolVersion.MQTTv311,
            manual_ack=self._manual_ack,
        )
        if self._address.username is not None:
            client.username_pw_set(self._address.username, self._address.password)
        if self._tls is not None:
            client.tls_set_context(self._tls)
        if self._will is not None:
            client.will_set(self._will[0], self._will[1], qos=1, retain=True)
        client.max_queued_messages = MAX_WAITING
        client.reconnect_delay_set(random.randint(1, 3), _MAX_DELAY_S)  # drawn, so that edges spread
        client.on_end = self._on_end
        client.on_connect = self._guarded(self._on_connect)
        client.on_connect_fail = self._guarded(self._on_connect_fail)
        client.on_disconnect = self._guarded(self._on_disconnect)
        client.on_subscribe = self._guarded(self._on_subscribe)
        client.on_message = self._guarded(self._on_message)
        client.on_publish = self._guarded(self._on_publish)
        return client

    def _connect(self, client: _Network) -> None:
        properties = None
        if self._protocol == "5":
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            if self._persistent:
                properties.SessionExpiryInterval = SESSION_EXPIRY_S
            if self._receive_maximum is not None:
                properties.ReceiveMaximum = self._receive_maximum
        client.connect_async(
            self._address.host,
            self._address.port,
            keepalive=KEEPALIVE_S,
            clean_start=not self._persistent,
            properties=properties,
        )
        client.loop_start()

    def _retire(self, client: _Network) -> None:
        """Disconnect, and wait a little for paho's thread: in a connect that hangs it ends only with it."""
        with self._lock:
            self._gone()
            self._client = None
        client.disconnect()
        waiter = threading.Thread(target=client.loop_stop, name=f"broker-{self._client_id}-end", daemon=True)
        waiter.start()
        waiter.join(_STOP_S)

    # --- paho's thread

    def _guarded(self, handler: Callable[_P, None]) -> Callable[_P, None]:
        def run(*args: _P.args, **kwargs: _P.kwargs) -> None:
            try:
                handler(*args, **kwargs)
            except Exception:  # an exception would end paho's thread without a word
                logger.exception(
                    "handling what the MQTT broker sent failed; opening a new session",
                    extra={"action": "broker_failed"},
                )
                self._fail()

        return run

    def _fail(self) -> None:
        self._failed = True
        self._turn.set()

    def _gone(self) -> None:
        """From here on, acknowledgements for messages of this session are worthless."""
        self._connected = False
        self._generation += 1

    def _on_connect(
        self,
        client: mqtt.Client,
        _userdata: object,
        _flags: mqtt.ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if client is not self._client:  # retired while it was connecting
            client.disconnect()
            return
        self._answered = True
        if client.protocol == MQTTProtocolVersion.MQTTv31:  # paho steps down to it by itself
            self._link.lost(reach.refusal(reach.UNSUPPORTED_VERSION, ""))
            self._fail()
        elif reason.value == reach.UNSUPPORTED_VERSION and self._protocol == "5":
            self._step_down()
        elif reason.is_failure:
            self._link.lost(reach.refusal(reason.value, str(reason)))
        else:
            self._welcome(client)

    def _step_down(self) -> None:
        self._protocol = "3.1.1"
        logger.info(
            "the MQTT broker at %s does not speak MQTT 5; going on with 3.1.1",
            self._address,
            extra={"action": "broker_fallback"},
        )
        self._turn.set()

    def _welcome(self, client: mqtt.Client) -> None:
        client.drop_out_messages()
        for topic in self._subscriptions:
            client.subscribe(topic, qos=1)
        with self._lock:
            self._generation += 1
            self._connected = True
        self._link.back(self._protocol)
        if self._connected_to is not None:
            self._connected_to()

    def _on_connect_fail(self, client: mqtt.Client, _userdata: object) -> None:
        if isinstance(client, _Network) and client is self._client and client.connect_fault is not None:
            self._link.lost(client.connect_fault)

    def _on_disconnect(
        self,
        client: mqtt.Client,
        _userdata: object,
        flags: mqtt.DisconnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if client is not self._client or self._turn.is_set():
            return
        with self._lock:
            connected, answered = self._connected, self._answered
            self._answered = False
            self._gone()
        if flags.is_disconnect_packet_from_server:
            self._link.lost(reach.refusal(reason.value, str(reason)))
        elif connected:
            self._link.dropped()
        elif not answered:
            self._link.lost(reach.NO_ANSWER)

    def _on_subscribe(
        self,
        _client: mqtt.Client,
        _userdata: object,
        _packet_id: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        if any(reason.is_failure for reason in reasons):
            logger.error(
                "the MQTT broker at %s refuses %s a subscription (%s); its access list must allow it",
                self._address,
                self._client_id,
                ", ".join(self._subscriptions),
                extra={"action": "subscription_refused"},
            )

    def _on_message(self, client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        if client is self._client and self._message_to is not None:
            token = (message.mid, self._generation)
            self._message_to(Message(message.topic, bytes(message.payload), token))

    def _on_publish(
        self,
        client: mqtt.Client,
        _userdata: object,
        packet_id: int,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if client is self._client and self._published_to is not None:
            self._published_to(packet_id, reason.is_failure)

    def _on_end(self, client: mqtt.Client, error: Exception | None) -> None:
        if client is not self._client or self._turn.is_set():
            return
        with self._lock:
            self._gone()
        self._link.lost(f"the network thread ended: {error or 'without a reason'}")
        self._fail()
