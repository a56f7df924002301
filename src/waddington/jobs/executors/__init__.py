"""Where jobs run: in this process, in processes of this machine, or on a Ray cluster; the same records everywhere."""

from __future__ import annotations

from waddington.jobs.executors.base import Executor, Outcome, Task
from waddington.jobs.executors.distributed import Ray
from waddington.jobs.executors.local import InProcess
from waddington.jobs.executors.pool import Processes, WorkerDied

__all__ = ["Executor", "InProcess", "Outcome", "Processes", "Ray", "Task", "WorkerDied"]
