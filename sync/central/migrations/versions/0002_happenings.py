"""What happened to terminals, how their clocks stood, and more of how they are doing."""

import sqlalchemy as sa
from alembic import op

from sync.central.types import Instant

revision = "0002"
down_revision = "0001"

_HEALTH = ("reading", "clock_state", "records_per_day", "days_left")


def upgrade() -> None:
    op.create_table(
        "terminal_event",
        sa.Column(
            "identity",
            sa.String(length=32),
            nullable=False,
            comment="hex digest of what makes it that event",
        ),
        sa.Column("edge", sa.String(length=40), nullable=False),
        sa.Column("terminal", sa.String(length=40), nullable=False),
        sa.Column("terminal_serial", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("happened_at", Instant(), nullable=False),
        sa.Column("wall_time", sa.String(length=19), comment="the terminal's own clock, YYYY-MM-DDTHH:MM:SS"),
        sa.Column("operator", sa.String(length=200), nullable=False),
        sa.Column("code", sa.BigInteger(), comment="the terminal's own number; NULL for what hadir saw"),
        sa.Column(
            "code_values", sa.String(length=2000), nullable=False, comment="the operation's own numbers"
        ),
        sa.Column("detail", sa.String(length=200), nullable=False),
        sa.Column("ingested_at", Instant(), nullable=False),
        sa.PrimaryKeyConstraint("identity", name=op.f("pk_terminal_event")),
        comment="tamper signals and observations",
    )
    op.create_index(
        op.f("ix_terminal_event_terminal_serial_happened_at"),
        "terminal_event",
        ["terminal_serial", "happened_at"],
    )
    op.create_table(
        "clock_reading",
        sa.Column("edge", sa.String(length=40), nullable=False),
        sa.Column("terminal", sa.String(length=40), nullable=False),
        sa.Column("terminal_serial", sa.String(length=64), nullable=False),
        sa.Column("measured_at", Instant(), nullable=False),
        sa.Column("offset_s", sa.Float(), comment="NULL where the terminal showed no date"),
        sa.Column("error_s", sa.Float(), nullable=False),
        sa.Column(
            "trusted",
            sa.Boolean(),
            nullable=False,
            comment="the edge's own clock followed a time server",
        ),
        sa.Column("verdict", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint(
            "edge", "terminal", "terminal_serial", "measured_at", name=op.f("pk_clock_reading")
        ),
    )
    op.add_column(
        "terminal",
        sa.Column("reading", sa.String(length=32), comment="how its log comes: tail, whole, push, file"),
    )
    op.add_column("terminal", sa.Column("clock_state", sa.String(length=32)))
    op.add_column("terminal", sa.Column("records_per_day", sa.Float()))
    op.add_column("terminal", sa.Column("days_left", sa.Float(), comment="until its log is full"))


def downgrade() -> None:
    for name in _HEALTH:
        op.drop_column("terminal", name)
    op.drop_table("clock_reading")
    op.drop_table("terminal_event")
