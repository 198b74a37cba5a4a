"""A trait of terminals without a switch is one that no trainer can show and no acceptance run can ask for."""

import json
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest

from attendance.errors import ConfigError
from daemon.main import main
from drivers.switches import Switch
from drivers.zk.simulator import faults
from drivers.zk.simulator.faults import Fault
from drivers.zk.simulator.firmware import KINDS, TFT, Firmware
from drivers.zk.simulator.model import SimulatedTerminal
from drivers.zk.simulator.oddities import Oddities
from drivers.zk.simulator.switch_table import SWITCHES
from drivers.zk.simulator.switches import settings
from drivers.zk.users import USER28
from drivers.zk_push.simulator import Fault as PushFault
from drivers.zk_push.simulator import PushFirmware
from drivers.zk_push.switch_table import PERSONALITIES, PUSH_SWITCHES, push_settings

PAGE = (Path(__file__).parents[2] / "docs/simulator.md").read_text(encoding="utf-8")

BY_PLAIN_OPTIONS = {
    "firmware.log",
    "terminal.firmware",
    "terminal.serial",
    "terminal.comm_key",
    "terminal.zone",
}
"""Set by --layout, --serial, --comm-key and --timezone."""

NOBODY_S = {"terminal.clock", "terminal.options"}
"""For tests alone."""

EXAMPLES = {
    "BYTES": "72",
    "CODE": "6001",
    "CODE[:COMMAND]": "4989:13",
    "COMMAND[:HOW]": "15:silent",
    "COMMAND:PIN": "1503:1001",
    "N": "80",
    "NAME": "none",
    "NTH": "3",
    "PIN": "1001",
    "RATE[:SEED]": "0.05:7",
    "SECONDS": "1.5",
    "TEXT": "K40",
}
NAMED = {"transport": "udp", "empty-reply": "refused", "names": "gbk", "pin-width": "5"}

PUSH_NAMED = {
    "push-version": "1.0",
    "push-stamps": "atoi",
    "push-flags": "bits",
    "push-encoding": "gbk",
    "push-suffix": ".aspx",
    "push-device-type": "acc",
    "push-lines": "keyed",
}


def text_for(switch: Switch) -> str:
    return NAMED.get(switch.name) or (EXAMPLES[switch.takes.metavar] if switch.takes else "")


def test_every_trait_and_every_fault_has_a_switch() -> None:
    """A new field or fault needs a line in drivers/zk/simulator/switch_table.py."""
    there = {f"fault.{kind.__name__}" for kind in get_args(Fault)} | {"server.transports"}
    for part, kind in (("firmware", Firmware), ("terminal", SimulatedTerminal), ("oddities", Oddities)):
        there |= {f"{part}.{each.name}" for each in fields(kind) if each.init}
    set_by_switches = set()
    for switch in SWITCHES:
        part, _dot, names = switch.sets.partition(".")
        set_by_switches |= {f"{part}.{name}" for name in names.split("+")}
    assert there - set_by_switches == BY_PLAIN_OPTIONS | NOBODY_S
    assert set_by_switches <= there


@pytest.mark.parametrize("switch", SWITCHES, ids=lambda switch: switch.name)
def test_a_switch_sets_what_it_says(switch: Switch) -> None:
    chosen = settings([(switch, text_for(switch))])
    part, _dot, names = switch.sets.partition(".")
    value = switch.read(text_for(switch))
    if part == "fault":
        assert chosen.faults == (value,)
        assert type(value).__name__ == names
        return
    for name in names.split("+"):
        if part == "firmware":
            assert getattr(chosen.changed(KINDS["ngteco"]), name) == value
        elif part == "oddities":
            assert getattr(chosen.oddities, name) == value
        else:
            assert getattr(chosen, part)[name] == value
    assert chosen.faults == ()


def test_every_trait_of_a_terminal_that_dials_in_has_a_switch() -> None:
    """A new trait or fault needs a line in drivers/zk_push/switch_table.py; the path is the address's."""
    there = {f"firmware.{each.name}" for each in fields(PushFirmware)} - {
        "firmware.base",
        "firmware.push_version",
    }
    assert there == {switch.sets for switch in PUSH_SWITCHES if switch.sets.startswith("firmware.")}
    assert {switch.value for switch in PUSH_SWITCHES if switch.sets == "fault"} == set(PushFault)
    for name, kind in PERSONALITIES.items():
        assert push_settings([(PUSH_SWITCHES[0], name)]).firmware == kind


@pytest.mark.parametrize("switch", PUSH_SWITCHES, ids=lambda switch: switch.name)
def test_a_switch_of_a_terminal_that_dials_in_sets_what_it_says(switch: Switch) -> None:
    text = PUSH_NAMED.get(switch.name, "7")
    chosen, value = push_settings([(switch, text)], "/kunci/iclock/"), switch.read(text)
    assert chosen.firmware.base == "/kunci/iclock/"
    if switch.sets == "fault":
        assert chosen.faults == (value,)
    elif switch.sets.startswith("firmware."):
        assert getattr(chosen.firmware, switch.sets.removeprefix("firmware.")) == value
        assert chosen.firmware != PushFirmware(base="/kunci/iclock/")
    elif switch.sets != "personality":
        assert getattr(chosen, switch.sets) == value


def test_switches_add_up_and_the_last_of_two_counts() -> None:
    by_name = {switch.name: switch for switch in SWITCHES}
    chosen = settings(
        [
            (by_name["refuse"], "6001"),
            (by_name["refuse"], "4989:13"),
            (by_name["packet-bytes"], "8"),
            (by_name["packet-bytes"], "1008"),
            (by_name["user-layout"], "28"),
        ]
    )
    assert chosen.faults == (faults.Refuse(), faults.Refuse(4989, 13))
    made = chosen.changed(TFT)
    assert (made.packet_bytes, made.direct_packet_bytes, made.users) == (1008, 1008, USER28)
    assert settings([]).changed(TFT) == TFT


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("transport", "http", "should be one of both, tcp, udp"),
        ("frame-pieces", "0", "should be BYTES, BYTES 1 to 100000000"),
        ("lose", "2", "should be RATE[:SEED], RATE 0 to 0.9"),
        ("lose", "0.1:1:1", "should be RATE[:SEED]"),
        ("punch-after", "1503", "should be COMMAND:PIN"),
        ("refuse", "none", "should be CODE[:COMMAND]"),
        ("clock-offset", "1e99", "should be seconds"),
        ("clock-offset", "99999999999", "should be seconds"),
        ("firmware-version", "Ver\n6", "should be a text"),
        ("pace", "nan", "should be SECONDS"),
    ],
)
def test_a_value_that_is_none_is_refused_with_what_is_right(name: str, text: str, words: str) -> None:
    switch = next(switch for switch in SWITCHES if switch.name == name)
    with pytest.raises(ConfigError) as refused:
        settings([(switch, text)])
    assert str(refused.value).startswith(f"--{name} {text}: {words}")


def test_the_page_has_every_switch_in_the_words_of_its_help() -> None:
    rows = [
        f"| `--{switch.name}{f' {switch.takes.metavar}' if switch.takes else ''}` | {switch.words} |"
        for switch in (*SWITCHES, *PUSH_SWITCHES)
    ]
    assert [line for line in PAGE.splitlines() if line.startswith("| `--")] == rows
    for group in {switch.group for switch in (*SWITCHES, *PUSH_SWITCHES)}:
        assert f"\n### {group[0].upper()}{group[1:]}\n" in PAGE


def test_the_program_lists_every_switch(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--list-switches", "--json"]) == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(each["switch"], each["group"]) for each in told] == [
        (f"--{switch.name}", switch.group) for switch in (*SWITCHES, *PUSH_SWITCHES)
    ]
    assert main(["simulate", "--list-switches"]) == 0
    assert "--lose RATE[:SEED]" in capsys.readouterr().out


def test_the_program_takes_every_switch(capsys: pytest.CaptureFixture[str]) -> None:
    """All at once, up to the address that nobody has."""
    words: list[str] = []
    for switch in SWITCHES:
        words += [f"--{switch.name}", *([text_for(switch)] if switch.takes else [])]
    assert main(["simulate", *words, "--users", "5", "--records", "10", "--host", "192.0.2.1"]) == 2
    assert "cannot listen on 192.0.2.1:4370" in capsys.readouterr().err
