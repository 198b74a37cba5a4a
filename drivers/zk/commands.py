"""Numbers of the ZK protocol: each in a capture or two independent clients, unless it says otherwise."""

from enum import IntEnum, IntFlag


class Command(IntEnum):
    """What a client may ask."""

    CONNECT = 1000
    EXIT = 1001
    ENABLE_DEVICE = 1002
    DISABLE_DEVICE = 1003
    RESTART = 1004
    REFRESH_DATA = 1013
    GET_VERSION = 1100
    AUTH = 1102
    OPTION_READ = 11
    OPTION_WRITE = 12
    GET_SIZES = 50
    GET_TIME = 201
    SET_TIME = 202
    PIN_WIDTH = 69
    STATE = 64
    USERS_READ = 9
    ATTLOG_READ = 13
    OPERATIONS_READ = 34
    DATABASE_READ = 7
    CLEAR_ATTLOG = 15
    USER_WRITE = 8
    USER_DELETE = 18
    PREPARE_BUFFER = 1503
    READ_BUFFER = 1504
    FREE_DATA = 1502
    REG_EVENT = 500


class Reply(IntEnum):
    """What a terminal may answer."""

    ACK_OK = 2000
    ACK_ERROR = 2001
    ACK_UNAUTH = 2005
    PREPARE_DATA = 1500
    DATA = 1501
    EVENT = 500
    UNKNOWN_COMMAND = 65535


REFUSALS: dict[int, str] = {
    2001: "refused",
    2005: "not authenticated: the comm key is wrong or missing",
    4989: "no data or not available (seen on SpeedFace and K80 Pro; one source)",
    4999: "unknown option (newer firmware)",
    6001: "secure firmware refuses the plain protocol: let the terminal push instead (driver zk-push)",
    65531: "bad data",
    65532: "not initialised",
    65533: "unknown command",
    65535: "unknown command",
}
"""Refusal codes with what is known of their meaning; others are shown as a number."""

REPEATABLE: frozenset[int] = frozenset(
    {
        Command.CONNECT,
        Command.AUTH,
        Command.EXIT,
        Command.ENABLE_DEVICE,
        Command.DISABLE_DEVICE,
        Command.REFRESH_DATA,
        Command.GET_VERSION,
        Command.OPTION_READ,
        Command.GET_SIZES,
        Command.GET_TIME,
        Command.PIN_WIDTH,
        Command.STATE,
        Command.PREPARE_BUFFER,
        Command.FREE_DATA,
        Command.REG_EVENT,
    }
)
"""What may be sent again when no answer comes over UDP: carried out twice it does no harm."""

EMPTY_TABLE_REFUSALS: frozenset[int] = frozenset({2001, 4989})
"""What firmware answers to the read of a table without records, beside an empty body."""


def refusal_text(code: int) -> str:
    """A refusal's number and, where it is known, its meaning."""
    return f"reply {code}, {REFUSALS.get(code, 'meaning unknown')}"


def command_name(command: int) -> str:
    """A command's name for a message; the number where it has none."""
    try:
        return Command(command).name
    except ValueError:
        return str(command)


class EventMask(IntFlag):
    """Bits of REG_EVENT and, on the wire, the code in an event's session field."""

    ATTLOG = 1
    FINGER = 2
    ENROLL_USER = 4
    ENROLL_FINGER = 8
    BUTTON = 16
    UNLOCK = 32
    STARTUP = 64
    VERIFY = 128
    SCORE = 256
    ALARM = 512
    CARD_NUMBER = 1024
    CARD_WRITTEN = 2048
    CARD_EMPTIED = 4096
