"""The switches of a simulated terminal that dials in; the one list of them, compared with `PushFirmware`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final

from drivers.switches import Switch, decimal, matching, one_of, whole
from drivers.zk_push.simulated_lines import FlagForm, LineForm
from drivers.zk_push.simulator import Fault, PushFirmware, Stamps

PUSH: Final = "a terminal that dials in: firmware and faults"

PERSONALITIES: Final[Mapping[str, PushFirmware]] = {
    "1.0": PushFirmware(push_version=None, counts_lines=False, stamps=Stamps.HONOUR),
    "2.2": PushFirmware(push_version="2.2.14", counts_lines=False, stamps=Stamps.HONOUR),
    "2.4": PushFirmware(),
    "3.1": PushFirmware(push_version="3.1.2", device_type="acc"),
}
"""By protocol version, each with the traits that go with it."""

PUSH_SWITCHES: Final = (
    Switch(
        "push-version",
        PUSH,
        "1.0, 2.2, 2.4, each with the traits that go with it, or 3.1, which is access control (default: 2.4)",
        "personality",
        one_of(PERSONALITIES, "NAME"),
    ),
    Switch(
        "push-bare-ok",
        PUSH,
        "be content with OK; else it must be OK: n",
        "firmware.counts_lines",
        value=False,
    ),
    Switch("push-discards-on-500", PUSH, "throw a batch away after an error 500", "firmware.discards_on_500"),
    Switch(
        "push-stamps",
        PUSH,
        "what it makes of the server's resume point: honour, ignore, atoi",
        "firmware.stamps",
        one_of({each.value: each for each in Stamps}),
    ),
    Switch(
        "push-keeps-clock",
        PUSH,
        "do not set the clock by the server's Date",
        "firmware.sets_clock",
        value=False,
    ),
    Switch(
        "push-clock-offset",
        PUSH,
        "its time minus true time, at the start",
        "offset",
        matching(
            r"-?[0-9]{1,9}",
            "seconds, such as -90 or 3600",
            "SECONDS",
            lambda text: timedelta(seconds=int(text)),
        ),
    ),
    Switch(
        "push-flags",
        PUSH,
        "how it reads TransFlag: names or bits",
        "firmware.flags",
        one_of({each.value: each for each in FlagForm}),
    ),
    Switch("push-crlf", PUSH, "end lines with CR and LF", "firmware.newline", value=b"\r\n"),
    Switch(
        "push-encoding",
        PUSH,
        "of names: utf-8 or gbk",
        "firmware.encoding",
        one_of({"utf-8": "utf-8", "gbk": "gbk"}),
    ),
    Switch(
        "push-suffix",
        PUSH,
        "after each endpoint, such as .aspx",
        "firmware.suffix",
        matching(r"\.[a-z]{1,8}", "such as .aspx or .php"),
    ),
    Switch(
        "push-device-type",
        PUSH,
        "as it tells it: att, acc, pid, or any text",
        "firmware.device_type",
        matching(r"[A-Za-z0-9%]{1,40}", "letters, digits and %"),
    ),
    Switch(
        "push-no-serial", PUSH, "leave the serial out of results", "firmware.serial_in_results", value=False
    ),
    Switch(
        "push-lines",
        PUSH,
        "how a punch is written: plain, wide (ten columns), keyed, epoch, numbered",
        "firmware.lines",
        one_of({each.value: each for each in LineForm}),
    ),
    Switch("push-batch", PUSH, "most records in one upload (default: 100)", "firmware.batch", whole(1, 1000)),
    Switch(
        "push-capacity",
        PUSH,
        "records that it holds; then the oldest goes",
        "firmware.capacity",
        whole(1, 1_000_000),
    ),
    Switch(
        "push-speed",
        PUSH,
        "bytes that it sends in a second; 1000 is slow",
        "firmware.bytes_per_s",
        decimal(1, 1e9, "BYTES"),
    ),
    Switch("push-duplicates", PUSH, "punches that are in its log twice", "duplicates", whole(0, 1_000_000)),
    Switch(
        "push-reset",
        PUSH,
        "the connection breaks once before the reply is read",
        "fault",
        value=Fault.RESET_BEFORE_REPLY,
    ),
    Switch(
        "push-cut",
        PUSH,
        "the connection breaks once in the middle of an upload",
        "fault",
        value=Fault.CUT_BODY,
    ),
    Switch("push-reboot", PUSH, "it restarts once in the middle of an upload", "fault", value=Fault.REBOOT),
)


@dataclass(frozen=True, slots=True)
class PushSettings:
    """What chosen switches make of a terminal that dials in."""

    firmware: PushFirmware = field(default_factory=PushFirmware)
    offset: timedelta = timedelta(0)
    duplicates: int = 0
    faults: tuple[Fault, ...] = ()


def push_settings(chosen: Iterable[tuple[Switch, str]], base: str = "/iclock/") -> PushSettings:
    """What switches set together; `base` is the path of the address.

    Raises ConfigError for a value that is none.
    """
    firmware, faults = PushFirmware(), []
    traits: dict[str, Any] = {}
    rest: dict[str, Any] = {}
    for switch, text in chosen:
        value = switch.read(text)
        if switch.sets == "personality" and isinstance(value, PushFirmware):
            firmware = value
        elif isinstance(value, Fault):
            faults.append(value)
        elif switch.sets.startswith("firmware."):
            traits[switch.sets.removeprefix("firmware.")] = value
        else:
            rest[switch.sets] = value
    return PushSettings(replace(firmware, base=base, **traits), faults=tuple(faults), **rest)
