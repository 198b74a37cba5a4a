"""`hadir terminal ...`: the technician's bench."""

import argparse

from daemon.commands import (
    terminal_add,
    terminal_clear,
    terminal_clock,
    terminal_list,
    terminal_probe,
    terminal_scan,
    terminal_users,
)

_ACTIONS = (
    terminal_scan,
    terminal_probe,
    terminal_list,
    terminal_add,
    terminal_clock,
    terminal_users,
    terminal_clear,
)


def register(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands."""
    parser = subparsers.add_parser("terminal", help="the technician's bench: find, examine and set terminals")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    for action in _ACTIONS:
        action.register(actions)
