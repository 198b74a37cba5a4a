"""Changes to the people of a terminal: checked, confirmed by whoever asked, and read back by the session."""

from collections.abc import Sequence

from attendance.errors import DataError, DeviceError, Unsupported
from attendance.terminal import User
from daemon.bench.enrolment import is_administrator, rank_of
from daemon.bench.known import Known
from drivers.base import CanReadUsers, CanWriteUsers, Session, TellsLayouts

NAMED_BY_NUMBER = "28"
"""Terminals with this layout of users write a person's number into the log, not the pin."""


class NotChanged(DeviceError):
    """The people of the terminal are as they were; the text says why."""


def read_people(session: Session) -> list[User]:
    """Everyone enrolled, without passwords or templates. Raises DeviceError."""
    if not isinstance(session, CanReadUsers):
        raise Unsupported("this driver reads no users")
    return list(session.read_users())


def person_with(pin: str, people: Sequence[User], *, administrators_too: bool) -> User:
    """Who has a pin. Raises DataError for nobody, and for an administrator unless these too are meant."""
    found = [person for person in people if person.pin == pin]
    if not found:
        raise DataError(f"nobody has pin {pin} at this terminal")
    if len(found) > 1:
        raise DataError(f"{len(found)} people have pin {pin} at this terminal: mend that in its menu")
    if is_administrator(found[0]) and not administrators_too:
        raise DataError(
            f"pin {pin} is {rank_of(found[0])} at this terminal; add --administrator if that is meant"
        )
    return found[0]


def rename(session: Session, person: User, name: str) -> User:
    """Write another name. Raises DeviceError, DataError."""
    changed = User(
        uid=person.uid,
        pin=person.pin,
        name=name,
        name_raw=b"",
        privilege=person.privilege,
        card=person.card,
    )
    _writer(session).write_user(changed)
    return changed


def enrol(session: Session, people: Sequence[User], pin: str, name: str) -> User:
    """Add a person without a finger, a card or rights. Raises DeviceError, DataError."""
    if any(person.pin == pin for person in people):
        raise DataError(f"pin {pin} is enrolled already; --write-name changes its name")
    # Above all others: the number of somebody who was deleted may still stand in the log.
    uid = max((person.uid for person in people), default=0) + 1
    person = User(uid=uid, pin=pin, name=name, name_raw=b"")
    _writer(session).write_user(person)
    return person


def remove(session: Session, person: User, known: Known | None) -> None:
    """Delete a person; fingers and faces go along. Raises DeviceError.

    Where the log names people by number, it has to be read first: afterwards nobody can tell whose
    the punches are.
    """
    layout = session.layouts.get("users") if isinstance(session, TellsLayouts) else None
    if layout == NAMED_BY_NUMBER:
        read = known.memory.records if known and known.memory else None
        if session.read_sizes().records != read:
            raise NotChanged(
                "this terminal's log names people by number, and not all of it has been read: "
                "hadir edge run --once first, then delete (with --config)"
            )
    _writer(session).delete_user(person.uid)


def _writer(session: Session) -> CanWriteUsers:
    if not isinstance(session, CanWriteUsers):
        raise Unsupported("this driver changes no users")
    return session
