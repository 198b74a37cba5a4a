"""The switches of a simulated terminal, group by group; the one list of them.

A test compares it with the fields of `Firmware`, `SimulatedTerminal` and `Oddities` and with the faults.
"""

from datetime import timedelta
from typing import Final

from drivers.switches import Switch, decimal, made_of, matching, one_of, whole
from drivers.zk.operations import CODE_FIRST, OPERATOR_FIRST
from drivers.zk.simulator import faults
from drivers.zk.simulator.firmware import SIZES_BYTES, EmptyReply
from drivers.zk.users import USER_LAYOUTS

NETWORK: Final = "between terminal and client"
SESSIONS: Final = "sessions and refusals"
STORAGE: Final = "what it stores, and how"
READING: Final = "how tables are read from it"
EVENTS: Final = "live events"
CLOCK: Final = "clock"
CONTENT: Final = "odd things in its log and among its people"

_CODE: Final = whole(0, 0xFFFF, "CODE")
_COMMAND: Final = whole(0, 0xFFFF, "COMMAND")
_NTH: Final = whole(1, 1_000_000, "NTH")
_RATE: Final = decimal(0, 0.9, "RATE")
_SEED: Final = whole(0, 1_000_000, "SEED")
_SECONDS: Final = decimal(0, 600, "SECONDS")
_BYTES: Final = whole(1, 100_000_000, "BYTES")
_MANY: Final = whole(0, 1_000_000)
_PIN: Final = matching(r"[!-~]{1,24}", "a pin", "PIN")


def _seconds(text: str) -> timedelta:
    seconds = float(text)
    if abs(seconds) > 4_000_000_000:
        raise ValueError(text)
    return timedelta(seconds=seconds)


SWITCHES: Final = (
    Switch(
        "transport",
        NETWORK,
        "tcp, udp or both; without tcp its port refuses, without udp its port is closed (default: both)",
        "server.transports",
        one_of({"both": ("tcp", "udp"), "tcp": ("tcp",), "udp": ("udp",)}),
    ),
    Switch(
        "silent-tcp",
        NETWORK,
        "take TCP connections and never answer, as an MA300; UDP is answered",
        "fault.SilentTcp",
        value=faults.SilentTcp(),
    ),
    Switch(
        "silent-after",
        NETWORK,
        "answer no more after so many frames",
        "fault.Silent",
        made_of(faults.Silent, _MANY),
    ),
    Switch(
        "close-after",
        NETWORK,
        "end the connection after so many bytes",
        "fault.CloseAfter",
        made_of(faults.CloseAfter, _BYTES),
    ),
    Switch(
        "frame-pieces",
        NETWORK,
        "send frames in pieces of so many bytes",
        "fault.Segment",
        made_of(faults.Segment, _BYTES),
    ),
    Switch("merge-frames", NETWORK, "send all that waits in one write", "fault.Merge", value=faults.Merge()),
    Switch("delay", NETWORK, "answer so much later", "fault.Delay", made_of(faults.Delay, _SECONDS)),
    Switch(
        "pace",
        NETWORK,
        "rest after every packet; older terminals 0.02",
        "fault.Pace",
        made_of(faults.Pace, _SECONDS),
    ),
    Switch(
        "speed",
        NETWORK,
        "send so many bytes a second; older terminals 50000",
        "fault.Speed",
        made_of(faults.Speed, decimal(1, 1e9, "BYTES")),
    ),
    Switch(
        "wrong-checksum", NETWORK, "in the nth frame", "fault.BadChecksum", made_of(faults.BadChecksum, _NTH)
    ),
    Switch(
        "wrong-session", NETWORK, "in the nth frame", "fault.WrongSession", made_of(faults.WrongSession, _NTH)
    ),
    Switch(
        "wrong-reply-id",
        NETWORK,
        "in the nth frame",
        "fault.WrongReplyId",
        made_of(faults.WrongReplyId, _NTH),
    ),
    Switch(
        "late-reply",
        NETWORK,
        "send the nth frame after the next answer",
        "fault.Late",
        made_of(faults.Late, _NTH),
    ),
    Switch(
        "lose",
        NETWORK,
        "UDP: lose this part of the datagrams",
        "fault.Lose",
        made_of(faults.Lose, _RATE, _SEED),
    ),
    Switch(
        "duplicate",
        NETWORK,
        "UDP: double this part",
        "fault.Duplicate",
        made_of(faults.Duplicate, _RATE, _SEED),
    ),
    Switch(
        "reorder",
        NETWORK,
        "UDP: let this part be overtaken",
        "fault.Reorder",
        made_of(faults.Reorder, _RATE, _SEED),
    ),
    Switch(
        "early-ack",
        NETWORK,
        "UDP: send the ACK that closes a transfer before its last DATA, as SC800",
        "fault.EarlyAck",
        value=faults.EarlyAck(),
    ),
    Switch(
        "one-client",
        SESSIONS,
        "serve one client at a time, the next one waits",
        "fault.OneClient",
        value=faults.OneClient(),
    ),
    Switch(
        "refuse",
        SESSIONS,
        "answer a command (default: 1000, CONNECT) with a code: 6001 as secure firmware",
        "fault.Refuse",
        made_of(faults.Refuse, _CODE, _COMMAND),
    ),
    Switch(
        "lose-reply",
        SESSIONS,
        "carry a command out and not answer: the connection ends, or stays silent",
        "fault.LoseReply",
        made_of(faults.LoseReply, _COMMAND, one_of({"ends": True, "silent": False}, "HOW")),
    ),
    Switch(
        "repeats-reply",
        SESSIONS,
        "send the last reply again to a request with the same reply id",
        "fault.RepeatsReply",
        value=faults.RepeatsReply(),
    ),
    Switch(
        "ignores-lower-ids",
        SESSIONS,
        "ignore requests with a lower reply id than the last",
        "fault.IgnoresLowerIds",
        value=faults.IgnoresLowerIds(),
    ),
    Switch(
        "always-asks-key",
        SESSIONS,
        "ask for a comm key even where it is 0",
        "firmware.always_asks_key",
    ),
    Switch(
        "never-locks",
        SESSIONS,
        "let people punch while a client holds it disabled",
        "firmware.locks",
        value=False,
    ),
    Switch(
        "no-restart-reply", SESSIONS, "restart without an answer", "firmware.answers_restart", value=False
    ),
    Switch(
        "unknown-option",
        SESSIONS,
        "the code for an option it lacks: 2001, 4999",
        "firmware.unknown_option",
        _CODE,
    ),
    Switch(
        "user-layout",
        STORAGE,
        "bytes of a user: 28, 72 or 120",
        "firmware.users",
        one_of({layout.name: layout for layout in USER_LAYOUTS}, "BYTES"),
    ),
    Switch(
        "numbers-records",
        STORAGE,
        "begin records of 40 and 49 bytes with a running number, not the uid",
        "firmware.numbers_records",
    ),
    Switch("user-capacity", STORAGE, "most people", "terminal.user_capacity", whole(1, 60_000)),
    Switch(
        "record-capacity",
        STORAGE,
        "most punches; then the oldest goes",
        "terminal.record_capacity",
        whole(1, 1_000_000),
    ),
    Switch("pin-width", STORAGE, "digits of a pin, as it tells them", "firmware.pin_width", whole(1, 24)),
    Switch(
        "operations",
        STORAGE,
        "layout of the operation log: operator-first, code-first, or none",
        "firmware.operations",
        one_of({"operator-first": OPERATOR_FIRST, "code-first": CODE_FIRST, "none": None}),
    ),
    Switch(
        "firmware-version", STORAGE, "as it tells it", "firmware.version", matching(r"[ -~]{1,60}", "a text")
    ),
    Switch("model", STORAGE, "name that it tells", "terminal.model", matching(r"[ -~]{1,40}", "a text")),
    Switch(
        "platform", STORAGE, "platform that it tells", "terminal.platform", matching(r"[ -~]{1,40}", "a text")
    ),
    Switch(
        "packet-bytes",
        READING,
        "most in one DATA packet: 1008, 1024, 40880, 65528",
        "firmware.packet_bytes+direct_packet_bytes",
        whole(8, 65528),
    ),
    Switch(
        "inline-bytes",
        READING,
        "most that is given without a buffer",
        "firmware.inline_bytes",
        whole(0, 60_000),
    ),
    Switch(
        "unbuffered", READING, "know no buffered reads (1503), as AK3750", "firmware.buffered", value=False
    ),
    Switch(
        "stale-reads",
        READING,
        "answer reads without a buffer with stale memory, as JZ4725",
        "firmware.stale_direct_reads",
        value=True,
    ),
    Switch(
        "empty-reply",
        READING,
        "to a read of an empty table: zeros, refused (2001), unavailable (4989)",
        "firmware.empty_reply",
        one_of(
            {
                "zeros": EmptyReply.FOUR_ZERO_BYTES,
                "refused": EmptyReply.REFUSED,
                "unavailable": EmptyReply.NOT_AVAILABLE,
            }
        ),
    ),
    Switch(
        "sizes-bytes",
        READING,
        "length of the size table: 4, 80, 92 or 112",
        "firmware.sizes_bytes",
        one_of({str(size): size for size in SIZES_BYTES}, "N"),
    ),
    Switch("tells-words", READING, "tell single words of the size table", "firmware.tells_words", value=True),
    Switch(
        "shown-records",
        READING,
        "count told instead of the true one, as 0 in push mode",
        "terminal.shown_records",
        _MANY,
    ),
    Switch("rubbish", READING, "stale memory behind the end of every text", "firmware.rubbish", value=True),
    Switch(
        "punch-after",
        READING,
        "somebody punches right after a command, unseen: 1503:1001 during a read",
        "fault.PunchAfter",
        made_of(faults.PunchAfter, _COMMAND, _PIN, needed=2),
    ),
    Switch(
        "event-bytes",
        EVENTS,
        "length: 10, 12, 14, 32, 36, 37, 52, or one that nobody knows",
        "firmware.event_bytes",
        whole(8, 500),
    ),
    Switch(
        "punch-in-transfer",
        EVENTS,
        "somebody punches while the first transfer runs, and the event comes inside it",
        "fault.PunchInTransfer",
        made_of(faults.PunchInTransfer, _PIN),
    ),
    Switch(
        "resends-events",
        EVENTS,
        "number events, and send again those that no ACK has named",
        "fault.ResendsEvents",
        value=faults.ResendsEvents(),
    ),
    Switch(
        "clock-offset",
        CLOCK,
        "its time minus true time; -820000000 is about the year 2000",
        "terminal.offset",
        matching(r"-?[0-9]+(\.[0-9]+)?", "seconds, such as -90 or 3600", "SECONDS", _seconds),
    ),
    Switch(
        "clock-drift",
        CLOCK,
        "seconds that it gains in a day",
        "terminal.drift_s_a_day",
        decimal(-86_400, 86_400_000, "SECONDS"),
    ),
    Switch("impossible-dates", CONTENT, "records of 30 February", "oddities.impossible_dates", _MANY),
    Switch(
        "year-2000", CONTENT, "punches after a dead battery, from 2000-01-01 on", "oddities.year_2000", _MANY
    ),
    Switch(
        "out-of-order",
        CONTENT,
        "punches with an earlier time than those before them",
        "oddities.out_of_order",
        _MANY,
    ),
    Switch("duplicates", CONTENT, "records that are there twice", "oddities.duplicates", _MANY),
    Switch(
        "of-deleted-users",
        CONTENT,
        "punches of people who are no longer there, with uid 0",
        "oddities.of_deleted_users",
        _MANY,
    ),
    Switch("empty-slots", CONTENT, "freed places, all zero, among the people", "oddities.empty_slots", _MANY),
    Switch(
        "names",
        CONTENT,
        "code page of the names, cut inside a character: utf-8, gbk, cp1256, cp1252",
        "oddities.names",
        one_of({name: name for name in ("utf-8", "gbk", "cp1256", "cp1252")}),
    ),
)
