"""A study that is killed at random moments, with two workers, comes to what one comes to that was left alone."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from waddington import bench, jobs
from waddington.bench.comparison import compare

ROOT = Path(__file__).parents[2]
KILLS = int(os.environ.get("WADDINGTON_KILLS", "3"))
TASKS = """
from tests.bench.toys import line, slow_bowl
from waddington import bench

@bench.task(steps=6, evaluations=3)
def small_line(seed):
    return line(seed)

@bench.task(steps=8, evaluations=2)
def slow(seed):
    return slow_bowl(seed, seconds=0.003)
"""
SCRIPT = """
import sys
from waddington import bench, jobs

class Quiet(jobs.Listener):
    def note(self, text):
        pass

if __name__ == "__main__":
    study = bench.read_study(sys.argv[1])
    with bench.make_executor(2) as executor, bench.Store(sys.argv[1]) as store:
        bench.conduct(study, store, executor=executor, listener=Quiet())
"""


def timeless(store: bench.Store) -> dict[str, Any]:
    found = {}
    for record in store.records():
        content = record.content
        assert content["result"] is not None, content["error"]
        found[record.key] = {**content, "result": {k: v for k, v in content["result"].items() if k != "clock"}}
    return found


@pytest.mark.slow  # tests/jobs/test_kill.py is the fast one; WADDINGTON_KILLS=50 takes a quarter of an hour
def test_killed_studies_lose_nothing_and_double_nothing(tmp_path: Path) -> None:
    (tmp_path / "tasks.py").write_text(TASKS)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    study = bench.Study.of(
        [f"{tmp_path / 'tasks.py'}:small-line", f"{tmp_path / 'tasks.py'}:slow"],
        ["SGD", "AMVT"],
        seeds=20,
        trials=8,
        horizons=["known"],
    )
    killed, alone = tmp_path / "killed", tmp_path / "alone"
    killed.mkdir()
    bench.write_study(study, killed)
    with bench.Store(alone) as store:
        bench.conduct(study, store, listener=_Quiet())
        expected, verdict = timeless(store), [row["sentence"] for row in compare(study, store).contrasts()]
    rng, kills = random.Random(0), 0
    while True:
        process = subprocess.Popen([sys.executable, str(script), str(killed)], cwd=ROOT, env={**os.environ, **_PATH})
        if kills < KILLS:
            with bench.Store(killed) as store:
                wanted = (kills + 1) * len(expected) // (KILLS + 2) + rng.randrange(3)
                while process.poll() is None and store.counts().get("done", 0) < wanted:
                    time.sleep(rng.uniform(0.0, 0.01))
            if process.poll() is None:
                process.kill()
                kills += 1
        code = process.wait()
        if code == 0:
            break
        assert code == -9
    assert kills == KILLS
    with bench.Store(killed) as store:
        assert store.counts() == {"done": len(expected)}
        assert timeless(store) == expected
        assert [row["sentence"] for row in compare(study, store).contrasts()] == verdict
        assert sum(record.attempts - 1 for record in store.records()) <= 2 * KILLS


_PATH = {"PYTHONPATH": str(ROOT)}


class _Quiet(jobs.Listener):
    def note(self, text: str) -> None:
        """Hear nothing."""
