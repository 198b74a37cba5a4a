"""The settings of `[mqtt]` in the words of the sync package."""

from config.model import Mqtt
from sync.broker import BrokerAddress


def broker_address(mqtt: Mqtt) -> BrokerAddress:
    """Where the broker is and how to be let in."""
    return BrokerAddress(
        host=mqtt.host,
        port=mqtt.port,
        username=mqtt.username,
        password=mqtt.password,
        ca_file=mqtt.ca_file,
        cert_file=mqtt.cert_file,
        key_file=mqtt.key_file,
    )
