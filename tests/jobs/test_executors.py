"""Every executor gives the same records; a worker that dies takes its own job with it."""

from __future__ import annotations

import builtins
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tests.jobs.toys import Broken, Report, Square, Sum, Unpicklable
from threadpoolctl import threadpool_info, threadpool_limits

from waddington.errors import UnsupportedError
from waddington.jobs import Event, Executor, InProcess, Job, Processes, Ray, Store, WorkerDied, run

JOBS: list[Job] = [Square(x=0.1), Report(x=0.3), Sum(parts=(Square(x=0.1), Square(x=2.0))), Broken(x=5.0)]


def contents(folder: Path, executor: Executor) -> list[dict[str, object]]:
    """Run the jobs, one of which fails; give what must not depend on the executor."""
    folder.mkdir()
    (folder / "broken").touch()
    events: list[Event] = []
    with Store(folder) as store:
        records = run(JOBS, store, executor=executor, on_failure="record", listen=events.append)
    assert {event.job.key for event in events if event.ended} == {record.key for record in records} | {
        Square(x=2.0).key
    }
    assert {"queued", "started", "progress", "finished", "failed"} == {event.what for event in events}
    assert len(list(folder.glob("ran-*"))) == 2
    return [record.content for record in records]


def test_what_a_killed_process_wrote_in_part_is_gone_when_its_job_runs_again(tmp_path: Path) -> None:
    job = Square(x=0.5)
    with Store(tmp_path) as store:
        folder = store.files_of(job)
        folder.mkdir(parents=True)
        (folder / ".4711.part.checkpoint.pt").touch()
        (folder / "checkpoint.pt").touch()
        (folder / "my.part.txt").touch()
        run([job], store)
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoint.pt", "my.part.txt"]


def test_two_processes_give_what_one_gives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    torch.get_num_threads()  # the first call sets threads, too
    with threadpool_limits(2):
        before = threadpool_info()
        here = contents(tmp_path / "here", InProcess())
        assert threadpool_info() == before
    with Processes(2) as executor:
        there = contents(tmp_path / "there", executor)
    assert there == here
    assert here[1]["result"] == {"threads": 1, "wait": "passive", "x": 0.3}
    assert here[1]["files"] == ("note.txt",)
    assert "OMP_WAIT_POLICY" not in os.environ
    assert os.environ["OMP_NUM_THREADS"] == "2"


def test_a_worker_that_dies_takes_only_its_own_job(tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    deadly = Broken(by_kill=True)
    with Store(tmp_path) as store, Processes(1) as executor:
        records = run([deadly, Square(x=3.0)], store, executor=executor, on_failure="record")
        assert [record.status for record in records] == ["failed", "done"]
        assert "WorkerDied: cannot go on: a worker process ended before its work was done (by signal SIGKILL)" in str(
            records[0].error
        )
        with pytest.raises(WorkerDied, match=r"a worker process ended .* accepted: resume=True with workers=1"):
            run([deadly], store, executor=executor)
        (tmp_path / "broken").unlink()
        assert run([deadly], store, executor=executor)[0].result == {"y": 0.0}, "the executor goes on"


def test_errors_come_back_as_they_are_or_as_their_text(tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    with Store(tmp_path) as store, Processes(1) as executor:
        with pytest.raises(RuntimeError, match="job 4 is broken") as caught:
            run([Broken(x=4.0)], store, executor=executor)
        assert "toys.py" in caught.value.__notes__[0], "and where in the worker it was"
        with pytest.raises(UnsupportedError, match="TwoPartError: this and that"):
            run([Unpicklable()], store, executor=executor)


def test_a_job_that_cannot_be_sent_is_refused_and_not_held(tmp_path: Path) -> None:
    from dataclasses import dataclass

    @dataclass(frozen=True, kw_only=True)
    class Local(Square):
        pass

    with Store(tmp_path) as store, Processes(1) as executor:
        with pytest.raises(UnsupportedError, match="accepted: a job whose class is importable by name, or workers=1"):
            run([Local(x=1.0)], store, executor=executor)
        assert store.counts() == {"free": 1}
        assert run([Square(x=1.0)], store, executor=executor)[0].status == "done"


UNGUARDED = """
import sys
from tests.jobs.toys import Square
from waddington.jobs import Processes, Store, run
with Store(sys.argv[1]) as store, Processes(1) as executor:
    run([Square(x=1.0)], store, executor=executor)
"""


def test_a_script_without_the_line_that_workers_need_is_told_so(tmp_path: Path) -> None:
    (tmp_path / "script.py").write_text(UNGUARDED)
    ended = subprocess.run(
        [sys.executable, str(tmp_path / "script.py"), str(tmp_path / "store")],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert ended.returncode == 1
    assert "WorkerDied: cannot go on: a worker process ended before its work was done (exit code 1)" in ended.stderr
    assert "the call below `if __name__ == '__main__':`" in ended.stderr


PARENT = """
import sys, time
from dataclasses import dataclass
from pathlib import Path
from waddington.jobs import Job, Processes, Store, run

@dataclass(frozen=True, kw_only=True)
class Sleep(Job):
    def run(self, context):
        import os
        (context.root / "pid").write_text(str(os.getpid()))
        while True:
            time.sleep(0.05)

if __name__ == "__main__":
    with Store(sys.argv[1]) as store, Processes(1) as executor:
        run([Sleep()], store, executor=executor)
"""


def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    script, mark = tmp_path / "script.py", tmp_path / "store" / "pid"
    script.write_text(PARENT)
    process = subprocess.Popen([sys.executable, str(script), str(tmp_path / "store")])
    while not (mark.exists() and mark.read_text()):
        assert process.poll() is None
    process.kill()
    process.wait()
    pid = int(mark.read_text())
    while is_running(pid):
        pass
    with Store(tmp_path / "store") as store:
        assert store.counts() == {"claimed": 1}


def is_running(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody waits for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow  # a cluster takes a quarter of a minute to start
@pytest.mark.ray
def test_a_ray_cluster_gives_what_this_process_gives(tmp_path: Path) -> None:
    ray, python_print = pytest.importorskip("ray"), builtins.print
    with Ray(2) as executor:
        assert executor.slots == 2
        there = contents(tmp_path / "there", executor)
        (tmp_path / "there" / "broken").touch()
        with Store(tmp_path / "there") as store, pytest.raises(WorkerDied, match="worker process of the Ray cluster"):
            run([Broken(by_kill=True)], store, executor=executor)
    assert not ray.is_initialized(), "what was started here is ended"
    assert builtins.print is python_print
    assert there == contents(tmp_path / "here", InProcess())
