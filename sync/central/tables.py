"""The tables of the discipline database. What other systems read are the v1_* views, never these.

`local_date` is `YYYY-MM-DD`, `local_time` `HH:MM:SS`, `month` `YYYY-MM`, all text; a dated row
holds from `from_date` to `to_date`, both inclusive, `0001-01-01` and `9999-12-31` where open.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    UniqueConstraint,
)

from sync.central.days import FIRST_DAY, LAST_DAY
from sync.central.types import Instant, Json

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
    }
)

_Id = BigInteger().with_variant(Integer(), "sqlite")
_Date = String(10)
_Time = String(8)
_Month = String(7)


def _from_date() -> Column[str]:
    return Column("from_date", _Date, primary_key=True, default=FIRST_DAY)


def _to_date() -> Column[str]:
    return Column("to_date", _Date, nullable=False, default=LAST_DAY)


# --- the stream of each edge -----------------------------------------------------------

stream = Table(
    "stream",
    metadata,
    Column("edge", String(40), primary_key=True),
    Column("stream", String(32), primary_key=True),
    Column("watermark", _Id, nullable=False, comment="every batch up to this number is committed"),
    Column("updated_at", Instant, nullable=False),
)

stream_ahead = Table(
    "stream_ahead",
    metadata,
    Column("edge", String(40), primary_key=True),
    Column("stream", String(32), primary_key=True),
    Column("number", _Id, primary_key=True, autoincrement=False, comment="committed, but beyond a gap"),
)

coverage = Table(
    "coverage",
    metadata,
    Column("edge", String(40), primary_key=True),
    Column("stream", String(32), primary_key=True),
    Column(
        "number", _Id, primary_key=True, autoincrement=False, comment="holds once the watermark reaches it"
    ),
    Column("terminal", String(40), primary_key=True),
    Column("terminal_serial", String(64), primary_key=True),
    Column("since", Instant, comment="nothing is known of what was before; NULL: no beginning"),
    Column(
        "until",
        Instant,
        nullable=False,
        comment="start of a full read whose punches stand in this batch or before",
    ),
    Column("records", Integer, nullable=False),
)

# --- what the terminals wrote ----------------------------------------------------------

punch = Table(
    "punch",
    metadata,
    Column("local_date", _Date, nullable=False),
    Column("terminal_serial", String(64), nullable=False),
    Column("pin", String(64), nullable=False),
    Column("local_time", _Time, nullable=False),
    Column("edge", String(40), nullable=False),
    Column("terminal", String(40), nullable=False),
    Column("punched_at", Instant, nullable=False),
    Column("verify", String(16), nullable=False),
    Column("direction", String(16), nullable=False),
    Column("source", String(8), nullable=False),
    Column("verify_code", Integer, nullable=False),
    Column("state_code", Integer, nullable=False),
    Column("work_code", BigInteger, nullable=False),
    Column("clock_offset_s", Float),
    Column("flags", Json, nullable=False),
    Column("ingested_at", Instant, nullable=False),
    PrimaryKeyConstraint("pin", "local_date", "terminal_serial", "local_time"),
    Index(None, "local_date"),
)

punch_copy = Table(
    "punch_copy",
    metadata,
    Column("local_date", _Date, primary_key=True),
    Column("terminal_serial", String(64), primary_key=True),
    Column("pin", String(64), primary_key=True),
    Column("local_time", _Time, primary_key=True),
    Column("verify_code", Integer, primary_key=True, autoincrement=False),
    Column("state_code", Integer, primary_key=True, autoincrement=False),
    Column("work_code", BigInteger, primary_key=True, autoincrement=False),
    Column("source", String(8), primary_key=True),
    Column("edge", String(40), nullable=False),
    Column("terminal", String(40), nullable=False),
    Column("punched_at", Instant, nullable=False),
    Column("verify", String(16), nullable=False),
    Column("direction", String(16), nullable=False),
    Column("clock_offset_s", Float),
    Column("flags", Json, nullable=False),
    Column("ingested_at", Instant, nullable=False),
    comment="every form (codes and way) of a punch that arrived in more than one",
)

bad_record = Table(
    "bad_record",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("edge", String(40), nullable=False),
    Column("terminal", String(40), nullable=False),
    Column("terminal_serial", String(64), nullable=False),
    Column("raw", String(1024), nullable=False, comment="hex"),
    Column("reason", String(200), nullable=False),
    Column("source", String(8), nullable=False),
    Column("ingested_at", Instant, nullable=False),
    UniqueConstraint("terminal_serial", "raw"),
)

terminal_event = Table(
    "terminal_event",
    metadata,
    Column("identity", String(32), primary_key=True, comment="hex digest of what makes it that event"),
    Column("edge", String(40), nullable=False),
    Column("terminal", String(40), nullable=False),
    Column("terminal_serial", String(64), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("source", String(16), nullable=False),
    Column("happened_at", Instant, nullable=False),
    Column("wall_time", String(19), comment="the terminal's own clock, YYYY-MM-DDTHH:MM:SS"),
    Column("operator", String(200), nullable=False),
    Column("code", BigInteger, comment="the terminal's own number; NULL for what hadir saw"),
    Column("code_values", String(2000), nullable=False, comment="the operation's own numbers"),
    Column("detail", String(200), nullable=False),
    Column("ingested_at", Instant, nullable=False),
    Index(None, "terminal_serial", "happened_at"),
    comment="tamper signals and observations",
)

clock_reading = Table(
    "clock_reading",
    metadata,
    Column("edge", String(40), primary_key=True),
    Column("terminal", String(40), primary_key=True),
    Column("terminal_serial", String(64), primary_key=True),
    Column("measured_at", Instant, primary_key=True),
    Column("offset_s", Float, comment="NULL where the terminal showed no date"),
    Column("error_s", Float, nullable=False),
    Column("trusted", Boolean, nullable=False, comment="the edge's own clock followed a time server"),
    Column("verdict", String(32), nullable=False),
)

quarantine = Table(
    "quarantine",
    metadata,
    Column("id", _Id, primary_key=True),
    Column("digest", String(64), nullable=False, unique=True, comment="sha256 of topic and payload"),
    Column("topic", String(200), nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("reason", String(200), nullable=False),
    Column("received_at", Instant, nullable=False),
)

terminal = Table(
    "terminal",
    metadata,
    Column("edge", String(40), primary_key=True),
    Column("terminal", String(40), primary_key=True),
    Column("serial", String(64)),
    Column("terminal_group", String(200)),
    Column("unit", String(200)),
    Column("timezone", String(200)),
    Column("since", _Date, comment="older punches are stored, never scored"),
    Column("model", String(200)),
    Column("firmware", String(200)),
    Column("last_seen_at", Instant),
    Column("clock_offset_s", Float),
    Column("records", Integer),
    Column("capacity", Integer),
    Column("reading", String(32), comment="how its log comes: tail, whole, push, file"),
    Column("clock_state", String(32)),
    Column("records_per_day", Float),
    Column("days_left", Float, comment="until its log is full"),
    Column("state", String(16), nullable=False, default="unknown"),
    Column("state_at", Instant, comment="when the edge said so"),
    Column("error", String(200)),
    comment="as the edges report it",
)

edge = Table(
    "edge",
    metadata,
    Column("edge", String(40), primary_key=True),
    Column("state", String(16), nullable=False),
    Column("at", Instant, nullable=False),
    Column("version", String(200)),
    Column("protocol", String(200)),
    Column("queued", Integer),
)

# --- reference data that offices load --------------------------------------------------

unit = Table(
    "unit",
    metadata,
    Column("unit", String(200), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("parent", String(200)),
    Column("ranking_group", String(200)),
    Column("timezone", String(200)),
)

person = Table(
    "person",
    metadata,
    Column("nip", String(64), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("kind", String(8), nullable=False),
    CheckConstraint("kind IN ('pns', 'cpns', 'pppk', 'other')", name="kind"),
)

membership = Table(
    "membership",
    metadata,
    Column("nip", String(64), primary_key=True),
    _from_date(),
    _to_date(),
    Column("unit", String(200), nullable=False, index=True),
)

pin_map = Table(
    "pin_map",
    metadata,
    Column("terminal_group", String(200), primary_key=True),
    Column("pin", String(64), primary_key=True),
    _from_date(),
    _to_date(),
    Column("nip", String(64), nullable=False, index=True),
)

terminal_listing = Table(
    "terminal_listing",
    metadata,
    Column("edge", String(40), primary_key=True),
    Column("terminal", String(40), primary_key=True),
    _from_date(),
    _to_date(),
    Column("serial", String(64), nullable=False),
    Column("unit", String(200), nullable=False, index=True),
    Column("terminal_group", String(200)),
    comment="terminals as the office lists them; it overrules what the edge reports",
)

# --- what scoring writes ---------------------------------------------------------------

day = Table(
    "day",
    metadata,
    Column("nip", String(64), primary_key=True),
    Column("local_date", _Date, primary_key=True),
    Column("unit", String(200), nullable=False),
    Column("status", String(16), nullable=False),
    Column("in_time", _Time),
    Column("out_time", _Time),
    Column("late_minutes", Integer),
    Column("early_minutes", Integer),
    Column("worked_minutes", Integer),
    Column("deduction_pct", Float, comment="NULL while incomplete"),
    Column("reasons", Json, nullable=False),
    Column("policy", String(200), nullable=False),
    CheckConstraint(
        "status IN ('off', 'holiday', 'excused', 'incomplete', 'absent', 'present')", name="status"
    ),
    Index(None, "local_date", "unit"),
)

month = Table(
    "month",
    metadata,
    Column("nip", String(64), primary_key=True),
    Column("month", _Month, primary_key=True),
    Column("unit", String(200), nullable=False),
    Column("working_days", Integer, nullable=False),
    Column("present_days", Integer, nullable=False),
    Column("absent_days", Integer, nullable=False),
    Column("excused_days", Integer, nullable=False),
    Column("incomplete_days", Integer, nullable=False),
    Column("late_minutes", Integer, nullable=False),
    Column("early_minutes", Integer, nullable=False),
    Column("deduction_pct", Float),
    Column("discipline_score", Float, comment="NULL where no day is complete"),
    Column("policy", String(200), nullable=False),
    Index(None, "month", "unit"),
)

unit_month = Table(
    "unit_month",
    metadata,
    Column("unit", String(200), primary_key=True),
    Column("month", _Month, primary_key=True),
    Column("people", Integer, nullable=False),
    Column("discipline_score", Float),
    Column("rank", Integer),
    Column("ranked_of", Integer, nullable=False),
)

sanction = Table(
    "sanction",
    metadata,
    Column("nip", String(64), primary_key=True),
    Column("year", Integer, primary_key=True, autoincrement=False),
    Column("level", String(64), primary_key=True),
    Column("absent_days", Integer, nullable=False),
    Column("article", String(200), nullable=False),
    Column("reached_on", _Date, nullable=False),
)
