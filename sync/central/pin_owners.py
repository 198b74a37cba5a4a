"""Whose pin is whose on a day, as the centre's database knows it."""

from datetime import date

from sqlalchemy import Engine, and_, select

from sync.central import tables as t
from sync.central.people_file import PinOwner
from sync.central.store import reading


def owners_in_database(engine: Engine, group: str, day: date) -> list[PinOwner]:
    """The owners of a terminal group's pins on a day. Raises DatabaseUnavailable."""
    on = day.isoformat()
    belongs = and_(
        t.membership.c.nip == t.pin_map.c.nip,
        t.membership.c.from_date <= on,
        t.membership.c.to_date >= on,
    )
    query = (
        select(t.pin_map.c.pin, t.person.c.nip, t.person.c.name, t.membership.c.unit)
        .join(t.person, t.person.c.nip == t.pin_map.c.nip)
        .outerjoin(t.membership, belongs)
        .where(t.pin_map.c.terminal_group == group, t.pin_map.c.from_date <= on, t.pin_map.c.to_date >= on)
        .order_by(t.pin_map.c.pin, t.membership.c.unit)
    )
    with reading(engine) as connection:
        rows = connection.execute(query).all()
    return [PinOwner(pin=row.pin, nip=row.nip, name=row.name, unit=row.unit) for row in rows]
