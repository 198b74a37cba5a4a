"""Column types that mean the same on SQLite and PostgreSQL."""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, String
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator, TypeEngine


def instant_text(at: datetime) -> str:
    """An aware instant as `YYYY-MM-DDTHH:MM:SSZ`."""
    return at.astimezone(UTC).isoformat()[:19] + "Z"


class Instant(TypeDecorator[datetime]):
    """An aware UTC instant: timestamptz, or text `YYYY-MM-DDTHH:MM:SSZ` on SQLite (whole seconds)."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Text on SQLite, which has no times of its own."""
        if dialect.name == "sqlite":
            return dialect.type_descriptor(String(20))
        return dialect.type_descriptor(DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> object:
        """To the database; refuses a naive time."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("an instant must be aware")
        return (
            instant_text(value) if dialect.name == "sqlite" else value.astimezone(UTC).replace(microsecond=0)
        )

    def process_result_value(self, value: object, dialect: Dialect) -> datetime | None:  # noqa: ARG002 - theirs
        """From the database: aware, UTC."""
        if isinstance(value, str):
            return datetime.fromisoformat(value)
        return value.astimezone(UTC) if isinstance(value, datetime) else None


Json = JSON().with_variant(JSONB(), "postgresql")
"""JSON text on SQLite, jsonb on PostgreSQL."""
