"""Settings: a technician on a ladder must see at once which key is wrong, and what would be right."""

import re
from datetime import time, timedelta
from importlib.resources import files
from pathlib import Path

import pytest

from attendance.errors import ConfigError
from config.fields import parse_duration
from config.load import load_any, load_central, load_edge
from config.model import CentralConfig, EdgeConfig, Section, TerminalSettings

CONTRACT_EDGE = """
[edge]
id = "setda-01"
timezone = "Asia/Makassar"
state_dir = "/var/lib/hadir"
[mqtt]
host = "127.0.0.1"
port = 1883
[[terminal]]
id = "lobi"
driver = "zk"
host = "192.0.2.10"
port = 4370
transport = "tcp"
comm_key = 12345
every = "60s"
live = true
group = "opd"
since = "2026-01-01"
"""


CORRECTING = CONTRACT_EDGE + 'clock = "correct"\nclock_beyond = "2m"\nslots = ["07:30", "16:00"]\n'


def write(folder: Path, text: str, name: str = "edge.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def complaint(path: Path) -> str:
    with pytest.raises(ConfigError) as caught:
        load_any(path, environ={})
    return str(caught.value)


def test_the_contracts_example_is_read(tmp_path: Path) -> None:
    """The keys that the outside holds on to."""
    settings = load_edge(write(tmp_path, CONTRACT_EDGE), environ={})
    (terminal,) = settings.terminal
    assert settings.edge.timezone.key == "Asia/Makassar"
    assert (terminal.comm_key, terminal.every, terminal.live, terminal.group) == (
        12345,
        timedelta(minutes=1),
        True,
        "opd",
    )
    assert str(terminal.since) == "2026-01-01"
    assert settings.device(terminal).zone.key == "Asia/Makassar"


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('evry = "60s"', "terminal[0].evry: unknown key; the nearest known one is 'every'"),
        (
            'every = "60 s"',
            "terminal[0].every: '60 s' is no duration; write for example 500ms, 60s, 5m or 24h",
        ),
        ('every = "0s"', "terminal[0].every: a duration here must be longer than zero"),
        ("port = 70000", "terminal[0].port: must be 1 to 65535, not 70000"),
        ('port = "4370/tcp"', "terminal[0].port: must be 1 to 65535, not '4370/tcp'"),
        (
            'timezone = "Asia/Kutai"',
            "terminal[0].timezone: 'Asia/Kutai' is no time zone; write for example Asia/Jakarta",
        ),
        ('encoding = "utf8000"', "terminal[0].encoding: 'utf8000' is no encoding"),
        ('driver = "zkteco"', "terminal[0].driver: input should be 'zk', 'pyzk', 'zk-push' or 'file'"),
    ],
)
def test_one_wrong_line_gives_one_clear_line(tmp_path: Path, line: str, says: str) -> None:
    path = write(tmp_path, f'[edge]\nid = "a"\n[[terminal]]\nid = "lobi"\nhost = "x"\n{line}\n')
    text = complaint(path)
    assert text.startswith(f"{path}: {says}")
    assert "\n" not in text


@pytest.mark.parametrize("key", ["1234567", "-12", '"1234567"', '"secret"', "12.5"])
def test_a_wrong_comm_key_is_not_shown_in_the_complaint(tmp_path: Path, key: str) -> None:
    """The complaint ends in a journal that more people read than the settings file."""
    path = write(tmp_path, f'[edge]\nid = "a"\n[[terminal]]\nid = "x"\nhost = "h"\ncomm_key = {key}')
    assert complaint(path) == f"{path}: terminal[0].comm_key: must be 0 to 999999"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[edge", "not valid TOML"),
        ("[edge]\n", "edge.id: is missing and has no default"),
        ('[edge]\nid = "SETDA 01"', "'SETDA 01' must be 1 to 40 of a-z, 0-9 and -"),
        ('[edge]\nid = "a"\n[[terminal]]\nid = "x"', "host is missing"),
        (
            '[edge]\nid = "a"\n[[terminal]]\nid = "x"\nhost = "h"\n[[terminal]]\nid = "x"\nhost = "h"',
            "two terminals have the id 'x'",
        ),
        ('[edge]\nid = "a"\n[mqtt]\npassword_file = "gone"', "mqtt.password_file"),
        (
            '[edge]\nid = "a"\n[push]\nlisten = "0.0.0.0:8081"\nmax_body = 10',
            "push.max_body: must be 65536 or more, not 10",
        ),
        ('[edge]\nid = "a"\n[mqtt]\ncert_file = "c"', "cert_file and key_file go together"),
        ('[database]\nurl = "postgresql://x/y"', "'postgresql' is no database that hadir knows"),
        ('[console]\nlisten = "8080"', "write host:port"),
        ('[databse]\nurl = "sqlite://"', "databse: unknown key; the nearest known one is 'database'"),
    ],
)
def test_faults_of_whole_files(tmp_path: Path, text: str, says: str) -> None:
    assert says in complaint(write(tmp_path, text))


def test_every_fault_is_reported_at_once(tmp_path: Path) -> None:
    """One round trip to the site, not three."""
    text = complaint(
        write(tmp_path, '[edge]\nid = "a"\n[mqtt]\nport = 0\n[[terminal]]\nid = "x"\nhost = "h"\nevry = 1')
    )
    assert len(text.splitlines()) == 2


def test_secrets_come_from_files_and_are_never_shown(tmp_path: Path) -> None:
    write(tmp_path, "4321\n", "lobi.key")
    path = write(tmp_path, '[edge]\nid = "a"\n[[terminal]]\nid = "x"\nhost = "h"\ncomm_key_file = "lobi.key"')
    settings = load_edge(path, environ={})
    assert settings.terminal[0].comm_key == 4321
    assert "4321" not in repr(settings)


@pytest.mark.parametrize("secret", ["hunter2", "1234567", "-1", ""])
def test_a_wrong_key_file_is_named_and_what_it_holds_is_not_shown(tmp_path: Path, secret: str) -> None:
    """The technician must learn which file to open: the settings themselves are right."""
    file = write(tmp_path, secret, "lobi.key")
    path = write(tmp_path, '[edge]\nid = "a"\n[[terminal]]\nid = "x"\nhost = "h"\ncomm_key_file = "lobi.key"')
    assert complaint(path) == (
        f"{path}: terminal[0].comm_key_file: {file} should hold one number from 0 to 999999, in digits"
    )


def test_a_wrong_address_in_a_file_is_not_shown_either(tmp_path: Path) -> None:
    """It may be the password itself, put into the wrong file."""
    file = write(tmp_path, "hunter2", "database.url")
    path = write(tmp_path, '[database]\nurl_file = "database.url"')
    text = complaint(path)
    assert text.startswith(f"{path}: database.url_file: {file} should hold sqlite:////")
    assert "hunter2" not in text


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (
            '[edge]\nid="a"\n[[terminal]]\nid="x"\nhost="h"\ncomm_key=0\ncomm_key_file="s"',
            "terminal[0].comm_key",
        ),
        ('[edge]\nid="a"\n[mqtt]\npassword="hunter2"\npassword_file="s"', "mqtt.password"),
        ('[database]\nurl="sqlite:///hunter2"\nurl_file="s"', "database.url"),
    ],
)
def test_a_secret_given_twice_is_refused(tmp_path: Path, text: str, place: str) -> None:
    """Whichever of the two we took, somebody would change the other and wonder."""
    write(tmp_path, "4321", "s")
    path = write(tmp_path, text)
    key = place.rpartition(".")[2]
    assert complaint(path) == f"{path}: {place}: is given, and {key}_file too; give one of them"


@pytest.mark.parametrize("text", ["", "# nothing yet\n"])
def test_an_empty_file_is_right_for_nobody(tmp_path: Path, text: str) -> None:
    path = write(tmp_path, text)
    assert complaint(path) == (
        f"{path}: has neither [edge], as edge.toml has, nor any table of central.toml: "
        "[database], [mqtt], [console], [scoring]"
    )


def test_the_other_kind_of_file_is_told_in_one_line(tmp_path: Path) -> None:
    """The two lie side by side in /etc/hadir; a list of unknown keys would not say what happened."""
    edge, central = write(tmp_path, CONTRACT_EDGE), write(tmp_path, sample("central"), "central.toml")
    with pytest.raises(ConfigError) as caught:
        load_central(edge, environ={})
    assert (
        str(caught.value) == f"{edge}: is an edge.toml: it has [edge]; what is wanted here is a central.toml"
    )
    with pytest.raises(ConfigError) as caught:
        load_edge(central, environ={})
    assert (
        str(caught.value)
        == f"{central}: is a central.toml: it has [console]; what is wanted here is an edge.toml"
    )


def test_the_environment_overrides_every_table(tmp_path: Path) -> None:
    environ = {
        "HADIR_EDGE__ID": "kec-tabang",
        "HADIR_MQTT__PORT": "8883",
        "HADIR_TERMINAL__LOBI__HOST": "198.51.100.7",
        "HADIR_TERMINAL__0__LIVE": "false",
        "HADIR_HOME": "not a key",
    }
    settings = load_edge(write(tmp_path, CONTRACT_EDGE), environ=environ)
    assert (settings.edge.id, settings.mqtt.port) == ("kec-tabang", 8883)
    assert (settings.terminal[0].host, settings.terminal[0].live) == ("198.51.100.7", False)


def test_an_unknown_key_in_the_environment_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"edge\.identity: unknown key"):
        load_edge(write(tmp_path, CONTRACT_EDGE), environ={"HADIR_EDGE__IDENTITY": "x"})


def test_missing_file_says_how_to_begin(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file; `hadir config init edge`"):
        load_central(tmp_path / "nowhere.toml", environ={})


@pytest.mark.parametrize(("text", "seconds"), [("500ms", 0.5), ("60s", 60), ("5m", 300), ("24h", 86400)])
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


# --- clocks --------------------------------------------------------------------------------


def test_how_a_clock_is_kept_right(tmp_path: Path) -> None:
    settings = load_edge(write(tmp_path, CORRECTING), environ={})
    (terminal,) = settings.terminal
    assert (terminal.clock, terminal.clock_beyond) == ("correct", timedelta(minutes=2))
    assert settings.slots_of(terminal) == (time(7, 30), time(16))
    edge_only = CONTRACT_EDGE.replace("[mqtt]", 'slots = ["07:00"]\n[mqtt]')
    settings = load_edge(write(tmp_path, edge_only), environ={})
    assert settings.slots_of(settings.terminal[0]) == (time(7),)


def test_a_clock_is_set_only_by_a_zone_that_was_written(tmp_path: Path) -> None:
    """A default zone would set every clock of Makassar an hour back."""
    silent = write(tmp_path, CORRECTING.replace('timezone = "Asia/Makassar"', ""))
    assert "'lobi' has clock = \"correct\", and no timezone" in complaint(silent)
    named = CORRECTING.replace('timezone = "Asia/Makassar"', "") + 'timezone = "Asia/Jayapura"\n'
    assert load_edge(write(tmp_path, named), environ={}).terminal[0].clock == "correct"


@pytest.mark.parametrize("slot", ["7:30", "24:00", "0730", "pagi"])
def test_a_slot_is_a_time_of_day(tmp_path: Path, slot: str) -> None:
    assert "is no time of day; write for example" in complaint(
        write(tmp_path, CORRECTING.replace("07:30", slot))
    )


# --- the sample files --------------------------------------------------------------------


def sample(kind: str) -> str:
    return files("config").joinpath(f"{kind}.sample.toml").read_text(encoding="utf-8")


@pytest.mark.parametrize(("kind", "model"), [("edge", EdgeConfig), ("central", CentralConfig)])
def test_samples_load_as_they_are(tmp_path: Path, kind: str, model: type[Section]) -> None:
    assert isinstance(load_any(write(tmp_path, sample(kind)), environ={}), model)


def default_of(section: type[Section], key: str) -> str | None:
    """A default as it would be written in TOML; None where there is none to quote."""
    value = section.model_fields[key].default
    if isinstance(value, timedelta):
        return f'"{value.total_seconds():.0f}s"'
    if isinstance(value, bool):
        return str(value).lower()
    if value == ():
        return "[]"
    if value is None or not isinstance(value, str | int | Path) or value == "":
        return None
    return str(value) if isinstance(value, int) else f'"{value}"'


@pytest.mark.parametrize(("kind", "model"), [("edge", EdgeConfig), ("central", CentralConfig)])
def test_samples_name_every_key_and_quote_its_default(kind: str, model: type[Section]) -> None:
    """A sample that lies about a default sends a technician the wrong way."""
    text = sample(kind)
    for name, table in model.model_fields.items():
        section = TerminalSettings if name == "terminal" else table.annotation
        assert isinstance(section, type)
        assert issubclass(section, Section)
        part = re.split(r"^\[", text.split(f"[{name}]", 1)[1], maxsplit=1, flags=re.MULTILINE)[0]
        for key in section.model_fields:
            if key == "password":
                continue  # a secret belongs into password_file
            found = re.search(rf"^(# )?{key} = (\S+)", part, re.MULTILINE) or re.search(
                rf"or {key} = (\S+)", part
            )
            assert found, f"[{name}] {key} is not in the sample"
            default = default_of(section, key)
            if default is not None and found.re.groups == 2 and found[1]:
                assert found[2] == default, f"[{name}] {key}"
