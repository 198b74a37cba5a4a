from collections.abc import Callable, Mapping
from datetime import datetime, tzinfo
from typing import Literal

from apscheduler.events import JobExecutionEvent
from apscheduler.job import Job

class BackgroundScheduler:
    running: bool
    def __init__(
        self,
        *,
        timezone: tzinfo | None = None,
        job_defaults: Mapping[str, object] | None = None,
        executors: Mapping[str, object] | None = None,
        daemon: bool = True,
    ) -> None: ...
    def add_job(
        self,
        func: Callable[..., object],
        trigger: Literal["interval"],
        *,
        args: tuple[object, ...] | None = None,
        id: str | None = None,
        seconds: float = 0,
        next_run_time: datetime = ...,
        replace_existing: bool = False,
    ) -> Job: ...
    def add_listener(self, callback: Callable[[JobExecutionEvent], object], mask: int = ...) -> None: ...
    def get_jobs(self) -> list[Job]: ...
    def remove_job(self, job_id: str) -> None: ...
    def start(self, paused: bool = False) -> None: ...
    def shutdown(self, wait: bool = True) -> None: ...
