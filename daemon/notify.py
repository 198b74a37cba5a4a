"""Telling systemd how the service is (sd_notify). Without systemd every call does nothing.

Source: sd_notify(3); both kinds of socket address, path and abstract, are in use.
"""

import os
import socket
from datetime import timedelta


def notify(**fields: str) -> None:
    """Send fields such as `READY="1"`, `STATUS="..."`, `WATCHDOG="1"`, `STOPPING="1"`."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    text = "\n".join(f"{name}={value}" for name, value in fields.items())
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        try:
            sock.sendto(text.encode(), address)
        except OSError:
            return  # systemd is not listening; the service must not die of that


def watchdog_interval() -> timedelta | None:
    """How often to send WATCHDOG: half of what systemd waits for; None without a watchdog."""
    microseconds = os.environ.get("WATCHDOG_USEC", "")
    pid = os.environ.get("WATCHDOG_PID", str(os.getpid()))
    if not microseconds.isdigit() or pid != str(os.getpid()):
        return None
    return timedelta(microseconds=int(microseconds) / 2)
