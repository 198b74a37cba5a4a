"""pyzk 0.9, a client that we did not write, with the few calls of it that tests make."""

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Protocol, cast

IGNORE_ITS_SOCKETS = "ignore:unclosed <socket:ResourceWarning"
"""For `pytest.mark.filterwarnings`: its constructor opens a UDP socket that it never closes."""


class PyzkUser(Protocol):
    uid: int
    user_id: str
    name: str
    privilege: int
    password: str
    card: int


class PyzkAttendance(Protocol):
    """`status` is the verify code and `punch` the state code of a 40-byte record."""

    uid: int
    user_id: str
    timestamp: datetime
    status: int
    punch: int


class Pyzk(Protocol):
    """Results of an open connection."""

    users: int
    records: int
    users_cap: int
    rec_cap: int
    rec_av: int
    users_av: int
    end_live_capture: bool

    def connect(self) -> object: ...
    def disconnect(self) -> object: ...
    def get_serialnumber(self) -> str: ...
    def get_firmware_version(self) -> str: ...
    def get_platform(self) -> str: ...
    def get_device_name(self) -> str: ...
    def get_mac(self) -> str: ...
    def get_fp_version(self) -> int: ...
    def get_pin_width(self) -> int: ...
    def get_extend_fmt(self) -> int | None: ...
    def get_face_version(self) -> int | None: ...
    def get_network_params(self) -> dict[str, str]: ...
    def get_time(self) -> datetime: ...
    def set_time(self, timestamp: datetime) -> bool: ...
    def read_sizes(self) -> bool: ...
    def get_users(self) -> Sequence[PyzkUser]: ...
    def get_attendance(self) -> Sequence[PyzkAttendance]: ...
    def read_with_buffer(self, command: int, fct: int = 0, ext: int = 0) -> tuple[bytes, int]: ...
    def clear_attendance(self) -> bool: ...
    def set_user(self, uid: int, name: str, privilege: int, *, user_id: str) -> None: ...
    def delete_user(self, uid: int) -> object: ...
    def enable_device(self) -> bool: ...
    def disable_device(self) -> bool: ...
    def live_capture(self, new_timeout: float = 10) -> Iterator[PyzkAttendance | None]: ...


def make_pyzk(port: int, *, password: int = 0, timeout: float = 10.0, udp: bool = False) -> Pyzk:
    """A client of 127.0.0.1 that is not yet connected and pings nobody."""
    zk = importlib.import_module("zk")
    client = zk.ZK("127.0.0.1", port=port, timeout=timeout, password=password, force_udp=udp, ommit_ping=True)
    return cast("Pyzk", client)


@contextmanager
def connected_pyzk(
    port: int, *, password: int = 0, timeout: float = 10.0, udp: bool = False
) -> Iterator[Pyzk]:
    """A client that is connected while the block lasts."""
    client = make_pyzk(port, password=password, timeout=timeout, udp=udp)
    client.connect()
    try:
        yield client
    finally:
        client.disconnect()
