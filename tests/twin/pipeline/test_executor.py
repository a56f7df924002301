from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import torch

from waddington.twin.pipeline.executor import Event, Executor, Record, Unit, read_record

UNITS = [Unit(kind="encoder", protocol="test", optimizer="Adam", lr=10.0**-k, seed=k) for k in range(4)]


def square(unit: Unit, folder: Path, tell: object) -> Record:
    """Compute something, and leave a mark that it was computed."""
    with (folder / "calls.txt").open("a") as log:
        log.write(f"{unit.seed} {os.getpid()} {torch.get_num_threads()}\n")
    tell(0.5)  # type: ignore[operator]
    return {"objective": unit.seed**2, "scores": [], "history": {}}


def fail_on_two(unit: Unit, folder: Path, tell: object) -> Record:
    if unit.seed == 2:
        raise RuntimeError("unit 2 is broken")
    return square(unit, folder, tell)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_unit_runs_once_on_one_thread(tmp_path: Path, workers: int) -> None:
    events: list[Event] = []
    with Executor(workers) as executor:
        records = executor.run(UNITS[:2], square, folder=tmp_path, tell=events.append)
        records |= executor.run(UNITS, square, folder=tmp_path, tell=events.append)
    assert {unit.seed: record["objective"] for unit, record in records.items()} == {0: 0, 1: 1, 2: 4, 3: 9}
    calls = [line.split() for line in (tmp_path / "calls.txt").read_text().splitlines()]
    assert sorted(call[0] for call in calls) == ["0", "1", "2", "3"]
    assert {call[2] for call in calls} == {"1"}
    assert {event.unit for event in events if event.done} == set(UNITS)
    with Executor(workers) as executor:
        executor.run(UNITS, square, folder=tmp_path)
    assert len((tmp_path / "calls.txt").read_text().splitlines()) == 4, "a recorded unit was computed again"


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_ends_the_run_and_loses_nothing(tmp_path: Path, workers: int) -> None:
    with pytest.raises(RuntimeError, match="unit 2 is broken"), Executor(workers) as executor:
        executor.run(UNITS, fail_on_two, folder=tmp_path)
    assert read_record(tmp_path, UNITS[2]) is None
    records = Executor(1).run(UNITS, square, folder=tmp_path)
    assert [records[unit]["objective"] for unit in UNITS] == [0, 1, 4, 9]


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
