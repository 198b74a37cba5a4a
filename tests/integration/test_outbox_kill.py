"""What put() returned for is on disk, however the process ends."""

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from made import made_punch, sealed_batches
from sync.outbox import Outbox

_ROOT = Path(__file__).parents[2]

_PUTS = """
import sys
from pathlib import Path
from made import facts, made_punch
from sync.outbox import Outbox

with Outbox(Path(sys.argv[1]), edge="e") as outbox:
    for second in range(int(sys.argv[2]), 10**6):
        outbox.put("lobi", facts(), [made_punch(second)])
        print(second, flush=True)
        if second % 7 == 0:
            outbox.seal(1)
"""


@pytest.mark.parametrize("seed", range(3))
def test_a_kill_in_the_middle_takes_back_nothing(tmp_path: Path, seed: int) -> None:
    path = tmp_path / "outbox.db"
    chance = random.Random(seed)
    told: list[int] = []
    for _ in range(4):
        told += _put_until_killed(path, told[-1] + 1 if told else 0, chance.randint(1, 150))
    with Outbox(path, edge="e") as outbox:
        batches = sealed_batches(outbox)
    assert [batch.number for batch in batches] == list(range(1, len(batches) + 1))
    walls = [punch.wall for batch in batches for punch in batch.punches]
    assert len(walls) == len(set(walls))
    assert {made_punch(second).wall_time.isoformat() for second in told} <= set(walls)


def _put_until_killed(path: Path, start: int, lines: int) -> list[int]:
    """Kill the process after it has told of `lines` punches; those it told of."""
    with subprocess.Popen(
        [sys.executable, "-c", _PUTS, str(path), str(start)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=_ROOT,
        env={"PYTHONPATH": f"{_ROOT}:{_ROOT / 'tests' / 'support'}"},
    ) as process:
        assert process.stdout is not None
        told = [int(process.stdout.readline()) for _ in range(lines)]
        process.send_signal(signal.SIGKILL)
        told += [int(line) for line in process.stdout.read().splitlines() if line.isdigit()]
    return told
