"""Orders on their way to the one process that may write the outbox, and its answers.

A command hands its order, and a file where there is one, into a folder of `state_dir` and waits; whoever
has the outbox works it off: the edge that runs, or the command itself where none does. Three files a job,
each complete once it has its name: `ID.data`, then `ID.order`, then, in place of both, `ID.answer`. A job
outlives a crash and is done again.
"""

import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Final, TypeVar

from attendance.errors import AttendanceError, DataError, OutboxUnusable
from sync.outbox_file import give_to_owner

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FOLDER: Final = "import"
_UNCLAIMED_S: Final = 24 * 3600.0
"""An answer that nobody fetched is removed after this."""


Order = TypeVar("Order", bound="DataclassInstance")


@dataclass(frozen=True, slots=True)
class Job:
    """A file that waits, or is being worked off."""

    path: Path

    def order(self, kind: type[Order]) -> Order:
        """What was asked. Raises DataError for a file that no hadir of this version wrote."""
        try:
            told = json.loads(self.path.read_text(encoding="utf-8"))
            given = {one.name: told[one.name] for one in fields(kind)}
            plain = {name: tuple(one) if isinstance(one, list) else one for name, one in given.items()}
            return kind(**plain)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(f"{self.path}: no order of this version: {error}") from None

    @contextmanager
    def data(self) -> Iterator[BinaryIO]:
        """The file itself. Raises DataError."""
        try:
            with self.path.with_suffix(".data").open("rb") as stream:
                yield stream
        except OSError as error:
            raise DataError(f"{error.filename}: {error.strerror}") from None


class Spool:
    """The folder. Every method raises OutboxUnusable where it cannot be read or written."""

    def __init__(self, state_dir: Path, folder: str = FOLDER) -> None:
        self._state_dir = state_dir
        self._folder = state_dir / folder

    # --- the command's side

    def hand_in(self, stream: BinaryIO, order: "DataclassInstance") -> Job:
        """Copy a file and its order; both are on disk when this returns."""
        job = Job(self._folder / f"{uuid.uuid4().hex}.order")
        with self._in_plain_words():
            self._state_dir.mkdir(parents=True, exist_ok=True)
            if not self._folder.is_dir():
                self._folder.mkdir(mode=0o700, exist_ok=True)
                give_to_owner(self._folder, self._state_dir)
            with self._new(job.path.with_suffix(".data")) as copy:
                shutil.copyfileobj(stream, copy)
            with self._new(job.path) as file:
                file.write(json.dumps(asdict(order)).encode())
        return job

    def fetch(self, job: Job) -> dict[str, Any] | None:
        """The answer to a job, taken away; None as long as there is none."""
        path = job.path.with_suffix(".answer")
        with self._in_plain_words():
            try:
                answer: dict[str, Any] = json.loads(path.read_bytes())
            except FileNotFoundError:
                return None
            path.unlink(missing_ok=True)
        return answer

    def withdraw(self, job: Job) -> None:
        """Take back a job that is not being worked off."""
        with self._in_plain_words():
            job.path.unlink(missing_ok=True)
            job.path.with_suffix(".data").unlink(missing_ok=True)

    # --- the side of whoever has the outbox

    def jobs(self) -> list[Job]:
        """What waits, the oldest first."""
        with self._in_plain_words():
            waiting = []
            for path in self._folder.glob("*.order"):
                with suppress(FileNotFoundError):
                    waiting.append((path.stat().st_mtime_ns, path))
        return [Job(path) for _, path in sorted(waiting)]

    def answer(self, job: Job, answer: dict[str, Any]) -> None:
        """Say how a job went, in place of the job."""
        with self._in_plain_words():
            with self._new(job.path.with_suffix(".answer")) as file:
                file.write(json.dumps(answer).encode())
            job.path.unlink(missing_ok=True)
            job.path.with_suffix(".data").unlink(missing_ok=True)

    def tidy(self) -> None:
        """Remove what nobody fetched, and halves of what was never handed in."""
        oldest = time.time() - _UNCLAIMED_S
        with self._in_plain_words():
            for path in self._folder.glob("*.*"):
                with suppress(FileNotFoundError):
                    if path.suffix != ".order" and path.stat().st_mtime < oldest:
                        path.unlink()

    # --- inside

    @contextmanager
    def _new(self, path: Path) -> Iterator[BinaryIO]:
        """A file that has its name only when it is whole and on disk."""
        part = path.with_suffix(path.suffix + ".part")
        part.touch(mode=0o600)
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        give_to_owner(part, self._state_dir)
        part.replace(path)
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    @contextmanager
    def _in_plain_words(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            who = (
                "; only the edge's own user or root may do this" if isinstance(error, PermissionError) else ""
            )
            raise OutboxUnusable(
                f"{error.filename or self._folder}: {error.strerror or error}{who}"
            ) from error
        except ValueError as error:
            raise OutboxUnusable(f"{self._folder}: an answer that cannot be read: {error}") from error


def refusal(error: AttendanceError | None, *, usage: bool = False) -> dict[str, Any]:
    """The answer for a job that failed; without an error, for one that met a fault of ours."""
    return {"error": str(error) if error else "failed; see the log of the edge", "usage": usage}
