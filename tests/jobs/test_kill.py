"""SIGKILL at any moment: nothing is lost, nothing doubled, and each kill costs at most the job that it hit."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import pytest
from tests.jobs.toys import Square

from waddington.jobs import Store

ROOT = Path(__file__).parents[2]
WORKER = """
import sys
from tests.jobs.toys import Square
from waddington.jobs import Store, run
with Store(sys.argv[1]) as store:
    run([Square(x=float(x)) for x in range(int(sys.argv[2]))], store)
"""


def start(folder: Path, n_jobs: int) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", WORKER, str(folder), str(n_jobs)], cwd=ROOT)


def work_and_kill(folder: Path, *, n_jobs: int, n_kills: int, n_workers: int = 2) -> None:
    """Let workers share the jobs, kill one of them whenever some more have ended, and check what is left."""
    rng = random.Random(0)
    with Store(folder) as store:
        workers = [start(folder, n_jobs) for _ in range(n_workers)]
        for kill in range(n_kills):
            wanted = (kill + 1) * n_jobs // (n_kills + 2) + rng.randrange(3)
            while store.counts().get("done", 0) < wanted:
                assert any(worker.poll() is None for worker in workers), "all have ended before they were killed"
            victim = rng.randrange(n_workers)
            workers[victim].kill()
            workers[victim].wait()
            workers[victim] = start(folder, n_jobs)
        assert [worker.wait() for worker in workers] == [0] * n_workers
        records = store.records()
        jobs = {job.key: job for job in (Square(x=float(x)) for x in range(n_jobs))}
        assert store.counts() == {"done": n_jobs}
        assert len(records) == n_jobs, "one record each"
        assert {record.key: record.result["y"] for record in records if record.result} == {
            key: job.x**2 for key, job in jobs.items()
        }
        # A job ran again only where a kill fell between its claim and its record.
        assert sum(record.attempts - 1 for record in records) <= n_kills
        assert len(list(folder.glob("ran-*"))) <= sum(record.attempts for record in records)


def test_killed_workers_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    work_and_kill(tmp_path, n_jobs=400, n_kills=4)


@pytest.mark.slow  # the same with fewer kills is the test above
def test_twenty_kills_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    work_and_kill(tmp_path, n_jobs=600, n_kills=20)
