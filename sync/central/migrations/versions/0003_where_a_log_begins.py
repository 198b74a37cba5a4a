"""From when on a terminal's log is known: a cleared or full one does not reach back for ever."""

import sqlalchemy as sa
from alembic import op

from sync.central.types import Instant

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column(
        "coverage",
        sa.Column(
            "since",
            Instant(),
            comment="nothing is known of what was before; NULL: no beginning",
        ),
    )


def downgrade() -> None:
    op.drop_column("coverage", "since")
