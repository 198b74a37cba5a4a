"""The first tables."""

import sqlalchemy as sa
from alembic import op

from sync.central.types import Instant, Json

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "bad_record",
        sa.Column("id", _ID, nullable=False),
        sa.Column("edge", sa.String(length=40), nullable=False),
        sa.Column("terminal", sa.String(length=40), nullable=False),
        sa.Column("terminal_serial", sa.String(length=64), nullable=False),
        sa.Column("raw", sa.String(length=1024), nullable=False, comment="hex"),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("ingested_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bad_record")),
        sa.UniqueConstraint("terminal_serial", "raw", name=op.f("uq_bad_record_terminal_serial_raw")),
    )
    op.create_table(
        "coverage",
        sa.Column("edge", sa.String(length=40), nullable=False),
        sa.Column("stream", sa.String(length=32), nullable=False),
        sa.Column(
            "number", _ID, autoincrement=False, nullable=False, comment="holds once the watermark reaches it"
        ),
        sa.Column("terminal", sa.String(length=40), nullable=False),
        sa.Column("terminal_serial", sa.String(length=64), nullable=False),
        sa.Column(
            "until",
            Instant(),
            nullable=False,
            comment="start of a full read whose punches stand in this batch or before",
        ),
        sa.Column("records", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "edge", "stream", "number", "terminal", "terminal_serial", name=op.f("pk_coverage")
        ),
    )
    op.create_table(
        "day",
        sa.Column("nip", sa.String(length=64), nullable=False),
        sa.Column("local_date", sa.String(length=10), nullable=False),
        sa.Column("unit", sa.String(length=200), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("in_time", sa.String(length=8)),
        sa.Column("out_time", sa.String(length=8)),
        sa.Column("late_minutes", sa.Integer()),
        sa.Column("early_minutes", sa.Integer()),
        sa.Column("worked_minutes", sa.Integer()),
        sa.Column("deduction_pct", sa.Float(), comment="NULL while incomplete"),
        sa.Column("reasons", Json, nullable=False),
        sa.Column("policy", sa.String(length=200), nullable=False),
        sa.CheckConstraint(
            "status IN ('off', 'holiday', 'excused', 'incomplete', 'absent', 'present')",
            name=op.f("ck_day_status"),
        ),
        sa.PrimaryKeyConstraint("nip", "local_date", name=op.f("pk_day")),
    )
    op.create_index(op.f("ix_day_local_date_unit"), "day", ["local_date", "unit"])

    op.create_table(
        "edge",
        sa.Column("edge", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("at", Instant(), nullable=False),
        sa.Column("version", sa.String(length=200)),
        sa.Column("protocol", sa.String(length=200)),
        sa.Column("queued", sa.Integer()),
        sa.PrimaryKeyConstraint("edge", name=op.f("pk_edge")),
    )
    op.create_table(
        "membership",
        sa.Column("nip", sa.String(length=64), nullable=False),
        sa.Column("from_date", sa.String(length=10), nullable=False),
        sa.Column("to_date", sa.String(length=10), nullable=False),
        sa.Column("unit", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("nip", "from_date", name=op.f("pk_membership")),
    )
    op.create_index(op.f("ix_membership_unit"), "membership", ["unit"])

    op.create_table(
        "month",
        sa.Column("nip", sa.String(length=64), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("unit", sa.String(length=200), nullable=False),
        sa.Column("working_days", sa.Integer(), nullable=False),
        sa.Column("present_days", sa.Integer(), nullable=False),
        sa.Column("absent_days", sa.Integer(), nullable=False),
        sa.Column("excused_days", sa.Integer(), nullable=False),
        sa.Column("incomplete_days", sa.Integer(), nullable=False),
        sa.Column("late_minutes", sa.Integer(), nullable=False),
        sa.Column("early_minutes", sa.Integer(), nullable=False),
        sa.Column("deduction_pct", sa.Float()),
        sa.Column("discipline_score", sa.Float(), comment="NULL where no day is complete"),
        sa.Column("policy", sa.String(length=200), nullable=False),
        sa.PrimaryKeyConstraint("nip", "month", name=op.f("pk_month")),
    )
    op.create_index(op.f("ix_month_month_unit"), "month", ["month", "unit"])

    op.create_table(
        "person",
        sa.Column("nip", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.CheckConstraint("kind IN ('pns', 'cpns', 'pppk', 'other')", name=op.f("ck_person_kind")),
        sa.PrimaryKeyConstraint("nip", name=op.f("pk_person")),
    )
    op.create_table(
        "pin_map",
        sa.Column("terminal_group", sa.String(length=200), nullable=False),
        sa.Column("pin", sa.String(length=64), nullable=False),
        sa.Column("from_date", sa.String(length=10), nullable=False),
        sa.Column("to_date", sa.String(length=10), nullable=False),
        sa.Column("nip", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("terminal_group", "pin", "from_date", name=op.f("pk_pin_map")),
    )
    op.create_index(op.f("ix_pin_map_nip"), "pin_map", ["nip"])

    op.create_table(
        "punch",
        sa.Column("local_date", sa.String(length=10), nullable=False),
        sa.Column("terminal_serial", sa.String(length=64), nullable=False),
        sa.Column("pin", sa.String(length=64), nullable=False),
        sa.Column("local_time", sa.String(length=8), nullable=False),
        sa.Column("edge", sa.String(length=40), nullable=False),
        sa.Column("terminal", sa.String(length=40), nullable=False),
        sa.Column("punched_at", Instant(), nullable=False),
        sa.Column("verify", sa.String(length=16), nullable=False),
        sa.Column("direction", sa.String(length=16), nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("verify_code", sa.Integer(), nullable=False),
        sa.Column("state_code", sa.Integer(), nullable=False),
        sa.Column("work_code", sa.BigInteger(), nullable=False),
        sa.Column("clock_offset_s", sa.Float()),
        sa.Column("flags", Json, nullable=False),
        sa.Column("ingested_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("pin", "local_date", "terminal_serial", "local_time", name=op.f("pk_punch")),
    )
    op.create_index(op.f("ix_punch_local_date"), "punch", ["local_date"])

    op.create_table(
        "punch_copy",
        sa.Column("local_date", sa.String(length=10), nullable=False),
        sa.Column("terminal_serial", sa.String(length=64), nullable=False),
        sa.Column("pin", sa.String(length=64), nullable=False),
        sa.Column("local_time", sa.String(length=8), nullable=False),
        sa.Column("verify_code", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("state_code", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("work_code", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("edge", sa.String(length=40), nullable=False),
        sa.Column("terminal", sa.String(length=40), nullable=False),
        sa.Column("punched_at", Instant(), nullable=False),
        sa.Column("verify", sa.String(length=16), nullable=False),
        sa.Column("direction", sa.String(length=16), nullable=False),
        sa.Column("clock_offset_s", sa.Float()),
        sa.Column("flags", Json, nullable=False),
        sa.Column("ingested_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint(
            "local_date",
            "terminal_serial",
            "pin",
            "local_time",
            "verify_code",
            "state_code",
            "work_code",
            "source",
            name=op.f("pk_punch_copy"),
        ),
        comment="every form (codes and way) of a punch that arrived in more than one",
    )
    op.create_table(
        "quarantine",
        sa.Column("id", _ID, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False, comment="sha256 of topic and payload"),
        sa.Column("topic", sa.String(length=200), nullable=False),
        sa.Column("payload", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.String(length=200), nullable=False),
        sa.Column("received_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_quarantine")),
        sa.UniqueConstraint("digest", name=op.f("uq_quarantine_digest")),
    )
    op.create_table(
        "sanction",
        sa.Column("nip", sa.String(length=64), nullable=False),
        sa.Column("year", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("level", sa.String(length=64), nullable=False),
        sa.Column("absent_days", sa.Integer(), nullable=False),
        sa.Column("article", sa.String(length=200), nullable=False),
        sa.Column("reached_on", sa.String(length=10), nullable=False),
        sa.PrimaryKeyConstraint("nip", "year", "level", name=op.f("pk_sanction")),
    )
    op.create_table(
        "stream",
        sa.Column("edge", sa.String(length=40), nullable=False),
        sa.Column("stream", sa.String(length=32), nullable=False),
        sa.Column("watermark", _ID, nullable=False, comment="every batch up to this number is committed"),
        sa.Column("updated_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("edge", "stream", name=op.f("pk_stream")),
    )
    op.create_table(
        "stream_ahead",
        sa.Column("edge", sa.String(length=40), nullable=False),
        sa.Column("stream", sa.String(length=32), nullable=False),
        sa.Column("number", _ID, autoincrement=False, nullable=False, comment="committed, but beyond a gap"),
        sa.PrimaryKeyConstraint("edge", "stream", "number", name=op.f("pk_stream_ahead")),
    )
    op.create_table(
        "terminal",
        sa.Column("edge", sa.String(length=40), nullable=False),
        sa.Column("terminal", sa.String(length=40), nullable=False),
        sa.Column("serial", sa.String(length=64)),
        sa.Column("terminal_group", sa.String(length=200)),
        sa.Column("unit", sa.String(length=200)),
        sa.Column("timezone", sa.String(length=200)),
        sa.Column("since", sa.String(length=10), comment="older punches are stored, never scored"),
        sa.Column("model", sa.String(length=200)),
        sa.Column("firmware", sa.String(length=200)),
        sa.Column("last_seen_at", Instant()),
        sa.Column("clock_offset_s", sa.Float()),
        sa.Column("records", sa.Integer()),
        sa.Column("capacity", sa.Integer()),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("state_at", Instant(), comment="when the edge said so"),
        sa.Column("error", sa.String(length=200)),
        sa.PrimaryKeyConstraint("edge", "terminal", name=op.f("pk_terminal")),
        comment="as the edges report it",
    )
    op.create_table(
        "terminal_listing",
        sa.Column("edge", sa.String(length=40), nullable=False),
        sa.Column("terminal", sa.String(length=40), nullable=False),
        sa.Column("from_date", sa.String(length=10), nullable=False),
        sa.Column("to_date", sa.String(length=10), nullable=False),
        sa.Column("serial", sa.String(length=64), nullable=False),
        sa.Column("unit", sa.String(length=200), nullable=False),
        sa.Column("terminal_group", sa.String(length=200)),
        sa.PrimaryKeyConstraint("edge", "terminal", "from_date", name=op.f("pk_terminal_listing")),
        comment="terminals as the office lists them; it overrules what the edge reports",
    )
    op.create_index(op.f("ix_terminal_listing_unit"), "terminal_listing", ["unit"])

    op.create_table(
        "unit",
        sa.Column("unit", sa.String(length=200), nullable=False),
        sa.Column("name", sa.String(length=200), nullable=False),
        sa.Column("parent", sa.String(length=200)),
        sa.Column("ranking_group", sa.String(length=200)),
        sa.Column("timezone", sa.String(length=200)),
        sa.PrimaryKeyConstraint("unit", name=op.f("pk_unit")),
    )
    op.create_table(
        "unit_month",
        sa.Column("unit", sa.String(length=200), nullable=False),
        sa.Column("month", sa.String(length=7), nullable=False),
        sa.Column("people", sa.Integer(), nullable=False),
        sa.Column("discipline_score", sa.Float()),
        sa.Column("rank", sa.Integer()),
        sa.Column("ranked_of", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("unit", "month", name=op.f("pk_unit_month")),
    )


def downgrade() -> None:
    op.drop_table("unit_month")
    op.drop_table("unit")
    op.drop_table("terminal_listing")
    op.drop_table("terminal")
    op.drop_table("stream_ahead")
    op.drop_table("stream")
    op.drop_table("sanction")
    op.drop_table("quarantine")
    op.drop_table("punch_copy")
    op.drop_table("punch")
    op.drop_table("pin_map")
    op.drop_table("person")
    op.drop_table("month")
    op.drop_table("membership")
    op.drop_table("edge")
    op.drop_table("day")
    op.drop_table("coverage")
    op.drop_table("bad_record")
