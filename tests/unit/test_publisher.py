"""What the publisher does with receipts, good and bad, without a broker in between."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from attendance.clock import SystemClock
from attendance.errors import ConfigError
from centre import until
from made import facts, made_punch, made_punches
from sync.broker import BrokerAddress, Message
from sync.envelope import Batch, EdgeState, Receipt
from sync.outbox import Outbox
from sync.publisher import Publisher
from sync.window import SIZE

EDGE = "setda-01"
PUNCHES = f"hadir/v1/{EDGE}/up/punches"
STATE = f"hadir/v1/{EDGE}/up/state"


class SkippingClock(SystemClock):
    """The host's clock, which a test can move on."""

    def __init__(self) -> None:
        self.skipped = 0.0

    def monotonic(self) -> float:
        return super().monotonic() + self.skipped


class RecordingBroker:
    """Takes everything, delivers nothing."""

    protocol = "5"

    def __init__(self) -> None:
        self.connected = True
        self.full = False
        self.published: list[tuple[str, bytes, bool]] = []
        self.stopped = False
        self.on_connected: Callable[[], None] | None = None

    def start(self) -> None:
        if self.on_connected is not None:
            self.on_connected()

    def stop(self) -> None:
        self.stopped = True

    def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int | None:
        if self.full:
            return None
        self.published.append((topic, payload, retain))
        return len(self.published)

    def ack(self, message: Message) -> None: ...

    def numbers(self) -> list[int]:
        return [
            Batch.model_validate_json(payload).number
            for path, payload, _ in list(self.published)
            if path == PUNCHES
        ]


class Running:
    """A publisher at work."""

    def __init__(self, outbox: Outbox) -> None:
        self.outbox = outbox
        self.broker = RecordingBroker()
        self.clock = SkippingClock()
        self.publisher = Publisher(
            EDGE,
            outbox,
            BrokerAddress(host="127.0.0.1", port=1),
            clock=self.clock,
            connect=lambda _: self.broker,
        )
        self.broker.on_connected = self.publisher.on_connected

    def receive(self, payload: bytes, to: str = f"hadir/v1/{EDGE}/down/ack") -> None:
        self.publisher.on_message(Message(to, payload, (0, 0)))

    def receipt(
        self,
        *committed: tuple[int, int],
        missing: tuple[tuple[int, int], ...] = (),
        edge: str = EDGE,
        quarantined: int = 0,
    ) -> None:
        self.receive(
            Receipt(
                edge=edge,
                stream=self.outbox.stream,
                committed=committed,
                missing=missing,
                quarantined=quarantined,
            ).to_bytes()
        )


@pytest.fixture
def outbox(tmp_path: Path) -> Iterator[Outbox]:
    with Outbox(tmp_path / "outbox.db", edge=EDGE) as opened:
        yield opened


@contextmanager
def at_work(outbox: Outbox) -> Iterator[Running]:
    running = Running(outbox)
    stop = threading.Event()
    thread = threading.Thread(target=running.publisher.run, args=(stop,))
    thread.start()
    try:
        yield running
    finally:
        stop.set()
        thread.join(10)
    assert running.broker.stopped


def test_no_more_than_the_window_leaves_before_a_receipt(outbox: Outbox) -> None:
    for place in range(SIZE + 5):
        outbox.put("lobi", facts(group=f"g{place}"), [made_punch(place)])
    with at_work(outbox) as running:
        until(lambda: len(running.broker.numbers()) >= SIZE, "the window fills")
        assert running.broker.numbers() == list(range(1, SIZE + 1))
        assert outbox.last_number == SIZE
        running.receipt((1, 3))
        until(lambda: len(running.broker.numbers()) >= SIZE + 3, "three more leave")
        assert running.broker.numbers()[SIZE:] == [SIZE + 1, SIZE + 2, SIZE + 3]


def test_a_bad_receipt_is_told_once_and_a_good_one_after_it_counts(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    outbox.put("lobi", facts(), [made_punch(0)])
    with at_work(outbox) as running:
        until(lambda: running.broker.numbers() == [1], "the batch leaves")
        for bad in (b"", b"\xff", b"[]", b'{"v":2}', b'{"edge":"setda-01","stream":"x"}'):
            running.receive(bad)
        running.receipt((1, 1), edge="dinkes-02")
        running.receipt((1, 1))
        assert running.publisher.wait_drained(10)
    assert caplog.text.count("cannot be read and is passed over") == 1


def test_other_edges_states_that_a_broker_delivers_unasked_do_not_alarm_the_office(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    outbox.put("lobi", facts(), [made_punch(0)])
    with at_work(outbox) as running:
        until(lambda: running.broker.numbers() == [1], "the batch leaves")
        running.receive(b'{"v":1,"edge":"setda-01","state":"offline"}', to=f"hadir/v1/{EDGE}/up/state")
        running.receipt((1, 1))
        assert running.publisher.wait_drained(10)
    assert "cannot be read" not in caplog.text


def test_what_the_centre_misses_is_sent_again_even_if_it_was_settled(outbox: Outbox) -> None:
    outbox.put("lobi", facts(), made_punches(1200))
    with at_work(outbox) as running:
        until(lambda: running.broker.numbers() == [1, 2, 3], "three batches leave")
        running.receipt((1, 3))
        assert running.publisher.wait_drained(10)
        running.receipt(missing=((2, 2),))
        until(lambda: running.broker.numbers() == [1, 2, 3, 2], "the second leaves again")


def test_a_gap_named_twenty_times_is_answered_once(outbox: Outbox) -> None:
    outbox.put("lobi", facts(), made_punches(1200))
    with at_work(outbox) as running:
        until(lambda: running.broker.numbers() == [1, 2, 3], "three batches leave")
        for _ in range(20):
            running.receipt((1, 1), (3, 3), missing=((2, 2),))
        running.clock.skipped = 2
        running.receipt(missing=((2, 2),))
        until(lambda: running.broker.numbers() == [1, 2, 3, 2], "the second leaves again")
        running.receipt((1, 3))
        assert running.publisher.wait_drained(10)
        assert running.broker.numbers() == [1, 2, 3, 2]


def test_a_request_for_what_never_was_is_told_once(outbox: Outbox, caplog: pytest.LogCaptureFixture) -> None:
    outbox.put("lobi", facts(), [made_punch(0)])
    with at_work(outbox) as running:
        until(lambda: running.broker.numbers() == [1], "the batch leaves")
        running.receipt(missing=((7, 9),))
        until(lambda: "never had" in caplog.text, "it is told")
        running.receipt(missing=((7, 10**30),))
        running.receipt((1, 1))
        assert running.publisher.wait_drained(10)
    assert caplog.text.count("never had") == 1


def test_a_restored_old_copy_sends_everything_in_a_new_stream(outbox: Outbox) -> None:
    outbox.put("lobi", facts(), made_punches(600))
    with at_work(outbox) as running:
        until(lambda: running.broker.numbers() == [1, 2], "two batches leave")
        old = outbox.stream
        running.receipt((1, 90))
        until(lambda: running.broker.numbers() == [1, 2, 1, 2], "all leaves again")
        assert Batch.model_validate_json(running.broker.published[-1][1]).stream != old
        running.receipt((1, 2))
        assert running.publisher.wait_drained(10)


def test_a_centre_that_does_not_answer_is_told_once_and_so_is_its_return(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    outbox.put("lobi", facts(), [made_punch(0)])
    with at_work(outbox) as running:
        until(lambda: running.broker.numbers() == [1], "the batch leaves")
        running.clock.skipped = 61
        until(lambda: "acknowledges nothing" in caplog.text, "the silence is told")
        until(lambda: len(running.broker.numbers()) == 2, "it is sent again")
        running.receipt((1, 1), quarantined=1)
        assert running.publisher.wait_drained(10)
        until(lambda: "acknowledges again" in caplog.text, "the return is told")
    assert caplog.text.count("acknowledges nothing") == 1
    assert "could not use 1 entries of batches ((1, 1),)" in caplog.text


def test_a_broker_client_that_takes_no_more_gets_it_later(outbox: Outbox) -> None:
    with at_work(outbox) as running:
        until(lambda: bool(running.broker.published), "the state is told")
        running.broker.full = True
        outbox.put("lobi", facts(), [made_punch(0)])
        until(lambda: outbox.last_number == 1, "the batch is made")
        running.broker.full = False
        until(lambda: running.broker.numbers() == [1], "the batch leaves")


def test_nothing_leaves_while_there_is_no_session_and_all_of_it_after(outbox: Outbox) -> None:
    with at_work(outbox) as running:
        until(lambda: bool(running.broker.published), "the state is told")
        running.broker.connected = False
        outbox.put("lobi", facts(), [made_punch(0)])
        assert not running.publisher.wait_drained(0.2)
        assert running.broker.numbers() == []
        running.broker.connected = True
        running.publisher.on_connected()
        until(lambda: running.broker.numbers() == [1], "the batch leaves")
        running.publisher.on_connected()
        until(lambda: running.broker.numbers() == [1, 1], "it leaves again in the new session")


def test_the_edges_state_is_retained_online_and_offline(outbox: Outbox) -> None:
    outbox.put("lobi", facts(), [made_punch(0)])
    with at_work(outbox) as running:
        until(lambda: running.broker.numbers() == [1], "the batch leaves")
    states = [
        (EdgeState.model_validate_json(payload), retain)
        for path, payload, retain in running.broker.published
        if path == STATE
    ]
    assert [(state.state, state.queued, retain) for state, retain in states] == [
        ("online", 1, True),
        ("offline", 1, True),
    ]


def test_a_missing_ca_file_is_wrong_configuration(outbox: Outbox, tmp_path: Path) -> None:
    address = BrokerAddress(host="127.0.0.1", port=1, ca_file=tmp_path / "ca.pem")
    with pytest.raises(ConfigError, match=r"\[mqtt\] ca_file .*ca.pem: No such file or directory"):
        Publisher(EDGE, outbox, address, clock=SystemClock())
