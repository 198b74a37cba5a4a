"""The rules against a slow, plain second account of policy P1."""

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from scoring.policy import load_policy
from scoring.rules import Scan, score_day

P1 = load_policy("tulang-bawang")

seconds = st.one_of(
    st.integers(0, 86399),
    st.integers(7 * 3600 + 29 * 60, 9 * 3600 + 2 * 60),
    st.sampled_from([3600 * 4 - 1, 3600 * 4, 3600 * 12 - 1, 3600 * 12, 3600 * 16, 59400]),
)


def clock(second: int) -> str:
    return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"


def minute_by_minute(day: date, seconds_of_day: Sequence[int]) -> tuple[object, ...]:
    """(status, late, early, worked, cut): every second of the day looked at on its own."""
    if day.weekday() >= 5:
        return ("off", None, None, None, Decimal(0))
    ins = [second for second in seconds_of_day if "04:00:00" <= clock(second) <= "11:59:59"]
    outs = [second for second in seconds_of_day if "12:00:00" <= clock(second) <= "23:59:59"]
    if not ins and not outs:
        return ("absent", None, None, None, Decimal("1.5"))
    friday = day.weekday() == 4
    start, end = 7 * 3600 + 1800, 16 * 3600 + (1800 if friday else 0)
    rest = range(11 * 3600 + 1800 if friday else 12 * 3600, 13 * 3600)
    late = early = worked = None
    cut = Decimal("1.5")
    if ins:
        late = len([m for m in range(1, 1000) if start + m * 60 <= min(ins)])
        steps = [Decimal(0)] + [Decimal("0.5")] * 30 + [Decimal(1)] * 30 + [Decimal("1.25")] * 30
        cut = steps[late] if late <= 90 else Decimal("1.5")
    if outs:
        early = len([m for m in range(1, 1000) if max(outs) + m * 60 <= end])
    if ins and outs:
        there = range(max(start, min(ins)), max(start, min(end, max(outs))))
        worked = len([second for second in there if second not in rest]) // 60
    return ("present", late, early, worked, cut)


@given(
    day=st.integers(0, 30).map(lambda n: date(2026, 8, 1) + timedelta(days=n)),
    punched=st.lists(seconds, max_size=6),
)
def test_every_day_is_what_the_plain_account_says(day: date, punched: list[int]) -> None:
    scans = [Scan(clock(second), "S1", "7") for second in punched]
    scored = score_day(day, scans, P1, free=False, missing=())
    assert (
        str(scored.status),
        scored.late_minutes,
        scored.early_minutes,
        scored.worked_minutes,
        scored.deduction,
    ) == minute_by_minute(day, punched)
    assert scored.deduction == sum((reason.percent or 0 for reason in scored.reasons), Decimal(0))


@given(punched=st.lists(seconds, max_size=6))
def test_the_order_in_which_punches_arrived_decides_nothing(punched: list[int]) -> None:
    scans = [Scan(clock(second), f"S{second % 2}", "7") for second in punched]
    turned = sorted(scans, key=lambda scan: (scan.terminal_serial, scan.local_time), reverse=True)
    day = date(2026, 8, 3)
    assert score_day(day, scans, P1, free=False, missing=()) == score_day(
        day, turned, P1, free=False, missing=()
    )
