"""Coverage-guided fuzzing of decoders: python tests/fuzz/fuzz.py [GROUP CORPUS [libFuzzer's options]].

Without a group it lists them. What is no AttendanceError ends the run, with the bytes in a file `crash-...`.
Run by `make fuzz`, in an environment of its own.
"""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Final

import atheris

ROOT: Final = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests/support")]

with atheris.instrument_imports(include=["attendance", "config", "drivers", "scoring", "sync"]):
    from attendance.errors import AttendanceError
    from decoders import GROUPS, seeds


def main() -> None:
    """Fuzz until libFuzzer's own limits end it."""
    if len(sys.argv) == 1:
        print(*GROUPS, sep="\n")
        return
    group = sys.argv[1]
    decoders = tuple(GROUPS[group].values())
    corpus = Path(sys.argv[2])
    corpus.mkdir(parents=True, exist_ok=True)
    for number, seed in enumerate(seeds(group)):
        for choice in range(len(decoders)):
            (corpus / f"seed-{number}-{choice}").write_bytes(bytes([choice]) + seed)

    def one_input(raw: bytes) -> None:
        """The first byte chooses the decoder."""
        if raw:
            with suppress(AttendanceError):
                decoders[raw[0] % len(decoders)](raw[1:])

    atheris.Setup([sys.argv[0], *sys.argv[2:]], one_input)
    atheris.Fuzz()


main()
