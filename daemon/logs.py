"""Where log lines go: stderr, in journald's form when journald listens."""

import logging
import os
import sys
from typing import Final

_SYSLOG_PRIORITIES: Final = (
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (logging.DEBUG, 7),
)


class JournalFormatter(logging.Formatter):
    """`<6>message`: journald takes the priority from the prefix and adds the time itself."""

    def format(self, record: logging.LogRecord) -> str:
        """One line an event; a traceback keeps its lines, each with the priority."""
        priority = next((number for level, number in _SYSLOG_PRIORITIES if record.levelno >= level), 7)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).splitlines())


def set_up(*, verbose: bool = False) -> None:
    """Send the program's log to stderr. Libraries speak from warnings up."""
    handler = logging.StreamHandler(sys.stderr)
    if "JOURNAL_STREAM" in os.environ:
        handler.setFormatter(JournalFormatter("%(message)s"))
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    for package in ("attendance", "drivers", "sync", "config", "scoring", "daemon"):
        logging.getLogger(package).setLevel(logging.DEBUG if verbose else logging.INFO)
