"""`hadir terminal users`: who is enrolled in a terminal, compared with the centre, and changed."""

import argparse
import csv
import json
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from attendance.errors import ConfigError, DataError
from daemon.bench.target import Target, add_target, target_of
from daemon.wording import counted

if TYPE_CHECKING:
    from attendance.terminal import User
    from daemon.bench.enrolment import Comparison
    from drivers.base import Session
    from sync.central.people_file import PinOwner

_EXAMPLES = """\
Passwords, fingers and faces are neither read nor shown. A person who is added has none of them:
they are enrolled at the terminal.

examples:
  hadir terminal users lobi --config edge.toml
  hadir terminal users lobi --config edge.toml --people pegawai.csv
  hadir terminal users lobi --config edge.toml --write-name 1001 "Siti Aminah" --yes
"""


def register(actions: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command."""
    parser = actions.add_parser(
        "users",
        help="the people enrolled in a terminal: list, compare with the centre, rename, add, delete",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_target(parser)
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--csv", metavar="FILE", help="write the list as CSV; - is the screen")
    what.add_argument("--people", type=Path, metavar="CSV", help="compare with a people file")
    what.add_argument("--central", type=Path, metavar="FILE", help="compare with the centre: central.toml")
    what.add_argument("--write-name", nargs=2, metavar=("PIN", "NAME"), help="give a person another name")
    what.add_argument("--add", nargs=2, metavar=("PIN", "NAME"), help="add a person")
    what.add_argument("--delete", metavar="PIN", help="remove a person, with fingers and faces")
    parser.add_argument("--yes", action="store_true", help="change without asking")
    parser.add_argument(
        "--administrator", action="store_true", help="also where the person is an administrator"
    )
    parser.add_argument("--json", action="store_true", help="print facts for machines")
    parser.set_defaults(func=_users)


def _users(arguments: argparse.Namespace) -> int:
    from daemon.bench.people import read_people
    from drivers.zk.driver import ZkDriver

    target = target_of(arguments)
    changes = bool(arguments.write_name or arguments.add or arguments.delete)
    if changes:
        _may_ask(arguments)
    owners = _owners(arguments, target)
    ZkDriver().check(target.terminal, {})
    with target.turn(), ZkDriver().open(target.terminal) as session:
        people = read_people(session)
        if changes:
            return _change(arguments, target, session, people)
    if owners is not None:
        _tell_comparison(arguments, target, people, owners)
    elif arguments.csv:
        _write_csv(arguments.csv, people)
    elif arguments.json:
        print(json.dumps([_facts(person) for person in people], ensure_ascii=False))
    else:
        _tell(people)
    return 0


# --- showing


def _facts(person: "User") -> dict[str, object]:
    from daemon.bench.enrolment import rank_of

    return {
        "uid": person.uid,
        "pin": person.pin,
        "name": person.name,
        "privilege": rank_of(person),
        "card": person.card != 0,
    }


def _tell(people: "Sequence[User]") -> None:
    rows = [("pin", "name", "privilege", "card", "uid")]
    for person in people:
        facts = _facts(person)
        card = "yes" if facts["card"] else "no"
        rows.append((person.pin, person.name, str(facts["privilege"]), card, str(person.uid)))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    print(counted(len(people), "person", "people"))


def _write_csv(path: str, people: "Sequence[User]") -> None:
    fields = ["pin", "name", "uid", "privilege", "card"]
    rows = [{**_facts(person), "card": "yes" if person.card else "no"} for person in people]
    if path == "-":
        writer = csv.DictWriter(sys.stdout, fields, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return
    try:
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fields)
            writer.writeheader()
            writer.writerows(rows)
    except OSError as error:
        raise ConfigError(f"--csv {path}: cannot be written: {error.strerror}") from None
    print(f"{path}: {counted(len(people), 'person', 'people')}")


# --- comparing


def _owners(arguments: argparse.Namespace, target: Target) -> "list[PinOwner] | None":
    """Whose pin is whose at the centre; None where nobody asked. Raises ConfigError."""
    if arguments.people is None and arguments.central is None:
        return None
    from sync.central.people_file import DEFAULT_GROUP, owners_in_file

    group = target.settings.group if target.settings else DEFAULT_GROUP
    today = datetime.now(target.terminal.zone).date()
    if arguments.people is not None:
        try:
            owners, faults = owners_in_file(arguments.people, group, today)
        except DataError as error:
            raise ConfigError(str(error)) from None
        for line, fault in faults:
            print(f"{arguments.people}: line {line}: not used: {fault}", file=sys.stderr)
        return owners
    from config.load import load_central
    from sync.central.pin_owners import owners_in_database
    from sync.central.store import open_engine

    engine = open_engine(load_central(arguments.central).database.url)
    try:
        return owners_in_database(engine, group, today)
    finally:
        engine.dispose()


def _tell_comparison(
    arguments: argparse.Namespace, target: Target, people: "Sequence[User]", owners: "list[PinOwner]"
) -> None:
    from daemon.bench.enrolment import compare

    unit = target.settings.unit if target.settings else None
    found = compare(people, owners, unit)
    if arguments.json:
        print(json.dumps(_comparison_facts(found), ensure_ascii=False))
        return
    for person in found.unknown:
        print(f"pin {person.pin} ({person.name or 'no name'}): enrolled here, and nobody's at the centre")
    for owner in found.missing:
        print(f"pin {owner.pin} ({owner.name}, NIP {owner.nip}): at the centre, and not enrolled here")
    for person, owner in found.renamed:
        print(f"pin {person.pin}: {person.name or 'no name'} here, {owner.name} at the centre")
    print(
        f"{counted(found.same, 'person', 'people')} the same, {len(found.unknown)} unknown to the centre, "
        f"{len(found.missing)} not enrolled, {len(found.renamed)} with another name"
    )


def _comparison_facts(found: "Comparison") -> dict[str, object]:
    return {
        "same": found.same,
        "unknown_to_centre": [_facts(person) for person in found.unknown],
        "not_enrolled": [
            {"pin": one.pin, "nip": one.nip, "name": one.name, "unit": one.unit} for one in found.missing
        ],
        "names_differ": [
            {"pin": person.pin, "nip": owner.nip, "terminal": person.name, "centre": owner.name}
            for person, owner in found.renamed
        ],
    }


# --- changing


def _may_ask(arguments: argparse.Namespace) -> None:
    if not arguments.yes and not sys.stdin.isatty():
        raise ConfigError("this changes the terminal; add --yes")


def _change(
    arguments: argparse.Namespace, target: Target, session: "Session", people: "Sequence[User]"
) -> int:
    from daemon.bench.known import KnownTerminals
    from daemon.bench.people import enrol, person_with, remove, rename

    if arguments.add:
        pin, name = arguments.add
        _confirm(arguments, pin, f"add {name} with pin {pin} to {target.name}")
        person, done = enrol(session, people, pin, name), "added"
    else:
        pin = arguments.delete or arguments.write_name[0]
        person = person_with(pin, people, administrators_too=arguments.administrator)
        if arguments.delete:
            _confirm(arguments, pin, f"delete {person.name or 'the person'} (pin {pin}) at {target.name}")
            known = KnownTerminals(target.config).all
            settings = target.settings
            remove(session, person, next((one for one in known if one.settings is settings), None))
            done = "deleted"
        else:
            name = arguments.write_name[1]
            _confirm(arguments, pin, f"rename {person.name or 'pin ' + pin} to {name} at {target.name}")
            person, done = rename(session, person, name), "renamed"
    if arguments.json:
        print(json.dumps({"done": done, "uid": person.uid, "pin": person.pin, "name": person.name}))
    else:
        print(f"{target.name}: pin {person.pin} ({person.name}) {done}")
    return 0


def _confirm(arguments: argparse.Namespace, pin: str, what: str) -> None:
    if arguments.yes:
        return
    print(f"{what}? Type the pin to confirm: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != pin:
        raise DataError("nothing was changed")
