"""The contract's views, one definition for SQLite and PostgreSQL. They may grow at the end, never change."""

from typing import Final

from sqlalchemy import Connection, text

# The innermost select gives each punch its terminal group, the next its nip, the outermost the unit.
# Scalar subselects with LIMIT 1: reference data that overlaps can never make two rows of one punch.
_PUNCH: Final = """
SELECT p.terminal_serial || '/' || p.pin || '/' || p.local_date || 'T' || p.local_time AS punch_id,
       p.terminal_serial, p.edge, p.terminal, p.pin, p.nip,
       (SELECT m.unit FROM membership m
         WHERE m.nip = p.nip AND p.local_date BETWEEN m.from_date AND m.to_date
         ORDER BY m.from_date DESC LIMIT 1) AS unit,
       p.punched_at, p.local_date, p.local_time, p.verify, p.direction, p.source, p.clock_offset_s,
       p.flags, p.ingested_at, p.verify_code, p.state_code, p.work_code
  FROM (SELECT g.*,
               (SELECT i.nip FROM pin_map i
                 WHERE i.terminal_group = g.terminal_group AND i.pin = g.pin
                   AND g.local_date BETWEEN i.from_date AND i.to_date
                 ORDER BY i.from_date DESC LIMIT 1) AS nip
          FROM (SELECT r.*,
                       coalesce(
                         (SELECT l.terminal_group FROM terminal_listing l
                           WHERE l.edge = r.edge AND l.terminal = r.terminal
                             AND r.local_date BETWEEN l.from_date AND l.to_date
                           ORDER BY l.from_date DESC LIMIT 1),
                         (SELECT t.terminal_group FROM terminal t
                           WHERE t.edge = r.edge AND t.terminal = r.terminal),
                         'default') AS terminal_group
                  FROM punch r) g) p
"""

# What an edge said of its terminals is no news once the edge itself is gone.
_TERMINAL: Final = """
SELECT t.edge, t.terminal, t.serial, t.model, t.firmware, t.last_seen_at, t.clock_offset_s, t.records,
       t.capacity,
       CASE WHEN EXISTS (SELECT 1 FROM edge e WHERE e.edge = t.edge AND e.state = 'offline')
            THEN 'unknown' ELSE t.state END AS state,
       t.reading, t.clock_state, t.records_per_day, t.days_left, t.error
  FROM terminal t
UNION ALL
SELECT l.edge, l.terminal, l.serial, NULL, NULL, NULL, NULL, NULL, NULL, 'never reported',
       NULL, NULL, NULL, NULL, NULL
  FROM terminal_listing l
 WHERE NOT EXISTS (SELECT 1 FROM terminal t WHERE t.edge = l.edge AND t.terminal = l.terminal)
   AND NOT EXISTS (SELECT 1 FROM terminal_listing n
                    WHERE n.edge = l.edge AND n.terminal = l.terminal
                      AND n.from_date > l.from_date)
"""

VIEWS: Final = {
    "v1_punch": _PUNCH,
    "v1_day": """
SELECT nip, unit, local_date, status, in_time, out_time, late_minutes, early_minutes, worked_minutes,
       deduction_pct, reasons
  FROM day
""",
    "v1_month": """
SELECT nip, unit, month, working_days, present_days, absent_days, excused_days, incomplete_days,
       late_minutes, early_minutes, deduction_pct, discipline_score, policy
  FROM month
""",
    "v1_unit_month": "SELECT unit, month, people, discipline_score, rank, ranked_of FROM unit_month",
    "v1_sanction": "SELECT nip, year, absent_days, level, article, reached_on FROM sanction",
    "v1_terminal": _TERMINAL,
    "v1_terminal_event": """
SELECT edge, terminal, terminal_serial, kind, source, happened_at, wall_time, operator, code, detail,
       ingested_at, code_values
  FROM terminal_event
""",
    "v1_clock": """
SELECT edge, terminal, terminal_serial, measured_at, offset_s, error_s, trusted, verdict
  FROM clock_reading
""",
}
"""Name -> SELECT."""


def create(connection: Connection) -> None:
    """Make every view as it is defined here. On PostgreSQL the rights that were granted on it stay."""
    replace = connection.dialect.name == "postgresql"
    for name, select in VIEWS.items():
        if not replace:
            connection.execute(text(f"DROP VIEW IF EXISTS {name}"))
        connection.execute(text(f"CREATE {'OR REPLACE ' if replace else ''}VIEW {name} AS {select}"))


def drop(connection: Connection) -> None:
    """Take every view away: for a migration that changes a column which a view reads."""
    for name in VIEWS:
        connection.execute(text(f"DROP VIEW IF EXISTS {name}"))
