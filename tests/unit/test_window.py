"""When a batch is sent again: soon enough to be on time, seldom enough not to drown a slow centre."""

from sync.window import FIRST_SILENCE_S, LONGEST_SILENCE_S, SIZE, Window


def test_silence_doubles_up_to_a_minute() -> None:
    window = Window()
    now = 100.0
    waited = []
    for _ in range(7):
        window.sent(1, now)
        pause = window.next_due_in(now, 99)
        assert window.due(now + pause - 0.001) == []
        now += pause
        assert window.due(now) == [1]
        waited.append(pause)
    assert waited == [5, 10, 20, 40, 60, 60, 60]
    assert (waited[0], waited[-1]) == (FIRST_SILENCE_S, LONGEST_SILENCE_S)


def test_no_more_than_the_window_is_on_its_way() -> None:
    window = Window()
    for number in range(1, SIZE + 1):
        assert window.free
        window.sent(number, 0)
    assert window.free == 0
    assert not window.acknowledged([(SIZE + 1, 10**12)])
    assert window.acknowledged([(-3, 2), (5, 5), (9, 7)])
    assert window.free == 3
    assert len(window) == SIZE - 3


def test_one_loss_named_by_many_receipts_is_answered_once() -> None:
    window = Window()
    assert window.may_answer(4, 0)
    window.sent(4, 0)
    assert not window.may_answer(4, 0.9)
    assert window.may_answer(4, 1)


def test_after_a_lost_connection_nothing_is_thought_to_be_on_its_way() -> None:
    window = Window()
    window.sent(1, 0)
    window.clear()
    assert window.free == SIZE
    assert window.due(1000) == []
    assert window.next_due_in(0, 0.5) == 0.5
