"""Every driver by its name in the configuration. Written out: nothing registers itself."""

from typing import Final

from attendance.errors import ConfigError
from drivers.base import Driver
from drivers.pyzk import PyzkDriver
from drivers.zk.driver import ZkDriver

DRIVERS: Final[dict[str, Driver]] = {driver.name: driver for driver in (ZkDriver(), PyzkDriver())}


def driver_named(name: str) -> Driver:
    """The driver of that name. Raises ConfigError for a name that no driver of this version has."""
    try:
        return DRIVERS[name]
    except KeyError:
        known = ", ".join(f'"{known}"' for known in DRIVERS)
        raise ConfigError(f'this version has no driver "{name}"; it has {known}') from None
