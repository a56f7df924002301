from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits

from waddington._errors import UnsupportedError
from waddington.twin.run.executor import Event, Executor, Record, Unit, read_record

UNITS = [Unit(kind="encoder", protocol="test", optimizer="Adam", lr=10.0**-k, seed=k) for k in range(4)]


def thread_counts() -> set[int]:
    """Count the threads of PyTorch and of every BLAS and OpenMP that is loaded."""
    return {torch.get_num_threads(), *(library["num_threads"] for library in threadpool_info())}


def square(unit: Unit, folder: Path, tell: object) -> Record:
    """Compute something, and leave a mark that it was computed."""
    with (folder / "calls.txt").open("a") as log:
        log.write(f"{unit.seed} {max(thread_counts())} {os.environ.get('OMP_WAIT_POLICY')}\n")
    tell(0.5)  # type: ignore[operator]
    return {"objective": unit.seed**2, "scores": [], "history": {}}


def fail_on_two(unit: Unit, folder: Path, tell: object) -> Record:
    if unit.seed == 2:
        raise RuntimeError("unit 2 is broken")
    return square(unit, folder, tell)


def die(unit: Unit, folder: Path, tell: object) -> Record:
    """End as the system ends a process for want of memory."""
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def calls(folder: Path) -> list[list[str]]:
    return [line.split() for line in (folder / "calls.txt").read_text().splitlines()]


def check_that_every_unit_runs_once_on_one_thread(folder: Path, executor: Executor) -> None:
    events: list[Event] = []
    records = executor.run(UNITS[:2], square, folder=folder, tell=events.append)
    records |= executor.run(UNITS, square, folder=folder, tell=events.append)
    assert {unit.seed: record["objective"] for unit, record in records.items()} == {0: 0, 1: 1, 2: 4, 3: 9}
    assert sorted(call[0] for call in calls(folder)) == ["0", "1", "2", "3"]
    assert {call[1] for call in calls(folder)} == {"1"}
    assert {event.unit for event in events if event.done} == set(UNITS)
    executor.run(UNITS, square, folder=folder)
    assert len(calls(folder)) == 4, "a recorded unit was computed again"


def check_that_an_error_ends_the_run_and_loses_nothing(folder: Path, executor: Executor) -> None:
    with pytest.raises(RuntimeError, match="unit 2 is broken"), executor:
        executor.run(UNITS, fail_on_two, folder=folder)
    assert read_record(folder, UNITS[2]) is None
    records = Executor(1).run(UNITS, square, folder=folder)
    assert [records[unit]["objective"] for unit in UNITS] == [0, 1, 4, 9]


def test_here(tmp_path: Path) -> None:
    with threadpool_limits(2):
        before = thread_counts()
        assert max(before) == 2
        check_that_every_unit_runs_once_on_one_thread(tmp_path, Executor())
        assert thread_counts() == before
    (tmp_path / "broken").mkdir()
    check_that_an_error_ends_the_run_and_loses_nothing(tmp_path / "broken", Executor())


def test_in_two_processes_where_no_thread_spins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Two processes that load the single-cell stack take long to start, so both questions are asked of one pair.
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    executor = Executor(2)
    check_that_every_unit_runs_once_on_one_thread(tmp_path, executor)
    assert {call[2] for call in calls(tmp_path)} == {"passive"}
    assert "OMP_WAIT_POLICY" not in os.environ
    assert os.environ["OMP_NUM_THREADS"] == "2"
    (tmp_path / "broken").mkdir()
    check_that_an_error_ends_the_run_and_loses_nothing(tmp_path / "broken", executor)


def test_a_worker_that_dies_is_said_to_have_died(tmp_path: Path) -> None:
    with (
        pytest.raises(UnsupportedError, match=r"a worker process ended .* resume=True with workers=1"),
        Executor(2) as two,
    ):
        two.run(UNITS[:1], die, folder=tmp_path)
    assert Executor().run(UNITS[:1], square, folder=tmp_path)[UNITS[0]]["objective"] == 0


def test_records_are_whole_and_say_what_they_are_of(tmp_path: Path) -> None:
    Executor().run(UNITS[:1], square, folder=tmp_path)
    record = json.loads((tmp_path / f"{UNITS[0].key}.json").read_text())
    assert Unit(**record["unit"]) == UNITS[0]
    assert not list(tmp_path.glob("*.part*"))


def test_keys_tell_units_apart() -> None:
    others = [
        Unit(kind="agent", protocol="paper", optimizer="Adam", lr=1e-3, seed=1, variant=v) for v in ("max1", "max2")
    ]
    assert len({unit.key for unit in [*UNITS, *others]}) == 6
