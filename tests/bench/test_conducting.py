from __future__ import annotations

import dataclasses
import math
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from waddington import bench, jobs
from waddington.bench import statistics as stats
from waddington.bench.comparison import Comparison
from waddington.bench.cost import costs_of
from waddington.bench.reporting import report_data
from waddington.errors import ArgumentError, DataError, OutputError, UnsupportedError

TASKS = """
import torch
from tests.bench.toys import bowl, line
from waddington import bench

@bench.task(steps=6, evaluations=3)
def small_line(seed):
    return line(seed)

def negative(seed, *, shift=-100.0):
    problem = line(seed)
    inner = problem.evaluate
    problem.evaluate = lambda model, split: {"loss": inner(model, split)["loss"] + shift}
    return problem

below, lower, lowest = (bench.task(steps=6, name=name)(negative) for name in ("below", "lower", "lowest"))

OWN = torch.Generator().manual_seed(0)

@bench.task(steps=6, evaluations=3)
def unpaired(seed):
    problem = line(seed)
    inner = problem.batch
    problem.batch = lambda generator, step: inner(OWN, step)
    return problem

@bench.task(steps=6, evaluations=3)
def exploding(seed):
    return bowl(seed, start=1.0, explode_above=20.0)

@bench.task(steps=6, evaluations=3)
def raising(seed):
    return bowl(seed, fail_above=0.0)

@bench.task(steps=6, evaluations=3)
def raising_sometimes(seed):
    return bowl(seed, start=0.5, fail_above=50.0)
"""


TASKS += """
def negated(seed):
    problem = line(seed)
    inner = problem.evaluate
    problem.evaluate = lambda model, split: {"score": -inner(model, split)["loss"]}
    return problem

upward = {"steps": 6, "evaluations": 3, "metric": "score", "larger_is_better": True}
minus, minus_again = (bench.task(name=name, **upward)(negated) for name in ("minus", "minus-again"))

from waddington.errors import DataError

@bench.task(steps=2, evaluations=1, needs=("letters",))
def reading(seed):
    raise DataError("cannot read letters: no such file")
"""


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    path = tmp_path / "tasks.py"
    path.write_text(TASKS)
    return path


def small(tasks: Path, *names: str, **settings: Any) -> bench.Study:
    return bench.Study.of(
        [f"{tasks}:{name}" for name in names],
        settings.pop("arms", ["SGD", "AMVT"]),
        **{"seeds": 3, "trials": 2, "tuning_seeds": 1, "horizons": ["known"], "widenings": 0, **settings},
    )


class Heard(jobs.Listener):
    def __init__(self) -> None:
        self.stages: list[tuple[str, int]] = []
        self.events: list[jobs.Event] = []

    def stage(self, title: str, total: int) -> None:
        self.stages.append((title, total))

    def advance(self, event: jobs.Event | None = None) -> None:
        if event is not None:
            self.events.append(event)


def test_a_study_is_run_and_looked_up_and_runs_nothing_twice(tasks: Path, tmp_path: Path) -> None:
    study, heard, again = small(tasks, "small-line", finalists=2), Heard(), Heard()
    with bench.Store(tmp_path / "out") as store:
        cells = bench.conduct(study, store, listener=heard)
        assert bench.looked_up(study, store) == cells
        bench.conduct(study, store, listener=again)
    assert heard.stages == [("search", 4), ("selection", 12), ("evaluation", 6)]
    assert (tmp_path / "out" / "store.sqlite").exists()
    assert all(event.is_recorded for event in again.events if event.what == "finished")
    record = cells[0].evaluations[0]
    assert record.result is not None
    assert record.result["test"] is not None
    assert list(record.result["curve"]["step"]) == [0, 2, 4, 6]
    assert record.seeds == {"seed": 100}


def test_two_studies_share_runs(tasks: Path, tmp_path: Path) -> None:
    one, more = small(tasks, "small-line", arms=["SGD"]), small(tasks, "small-line", arms=["SGD", "AMVT"], seeds=4)
    with bench.Store(tmp_path) as store:
        bench.conduct(one, store)
        before = len(store.records())
        bench.conduct(more, store)
        assert before == 2 + 3
        assert len(store.records()) == 2 * (2 + 4)


@pytest.mark.slow  # workers import torch; tests/jobs/test_executors.py is the fast one
def test_records_of_two_processes_are_those_of_one(tasks: Path, tmp_path: Path) -> None:
    study = small(tasks, "small-line", "exploding")
    contents = []
    for name, executor in (("one", jobs.InProcess()), ("two", jobs.Processes(2))):
        with bench.Store(tmp_path / name) as store, executor:
            bench.conduct(study, store, executor=executor)
            contents.append({record.key: _timeless(record) for record in store.records()})
    assert contents[0] == contents[1]


@pytest.mark.slow  # Ray takes ten seconds to start
def test_records_of_ray_are_those_of_one_process(tasks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray", reason="the extra 'distributed' is not installed")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    study = small(tasks, "small-line")
    contents = []
    for name, workers in (("one", 0), ("ray", 2)):
        with bench.Store(tmp_path / name) as store:
            with bench.make_executor(workers, "ray") if workers else jobs.InProcess() as executor:
                bench.conduct(study, store, executor=executor)
            contents.append({record.key: _timeless(record) for record in store.records()})
    assert contents[0] == contents[1]


def _timeless(record: jobs.Record) -> dict[str, Any]:
    content = record.content
    assert content["result"] is not None
    return {**content, "result": {name: value for name, value in content["result"].items() if name != "clock"}}


def test_losses_below_zero_are_not_all_one_where_tasks_are_pooled(tasks: Path, tmp_path: Path) -> None:
    study = small(tasks, "below", "lower", "lowest")
    pooled = bench.run_study(study, tmp_path / "out", costs=False).over_tasks(study.horizons[0])[0].pooled
    assert pooled is not None
    assert pooled.scale == "standardized"
    assert pooled.mean != 0.0


def test_regrets_are_over_losses_above_zero_alone(tasks: Path, tmp_path: Path) -> None:
    found = bench.run_study(small(tasks, "small-line", "below"), tmp_path / "out", costs=False)
    entries, regrets = found.regrets(found.study.horizons[0])
    assert [entry.label for entry in entries] == ["small-line"]
    assert min(one.worst for one in regrets) == 0.0
    ratio = found.ratio("SGD", "AMVT", found.study.horizons[0])
    assert ratio is not None
    assert ratio.n_tasks == 1
    assert "1 task without a loss above zero left out" in (tmp_path / "out" / "report.md").read_text()


def test_runs_that_do_not_begin_alike_are_said(tasks: Path, tmp_path: Path) -> None:
    found = bench.run_study(small(tasks, "unpaired", "small-line"), tmp_path / "out", costs=False)
    said = [note for note in found.notes if "begin alike" in note]
    assert len(said) == 1
    assert "on unpaired do not begin alike (seeds 100" in said[0]
    assert said[0] in (tmp_path / "out" / "report.md").read_text()


def test_a_run_that_diverges_is_kept_as_the_worst(tasks: Path, tmp_path: Path) -> None:
    study = small(tasks, "exploding", arms=[bench.Arm.of("SGD", lr=1e-3), bench.Arm.of("SGD", name="far", lr=50.0)])
    with bench.Store(tmp_path) as store:
        comparison = bench.Comparison(study=study, cells=bench.conduct(study, store))
    values = comparison.values(study.horizons[0])
    assert values.shape == (3, 1, 2)
    assert values[:, 0, 1].tolist() == [math.inf] * 3
    row = comparison.contrasts()[0]
    assert (row["diverged_first"], row["diverged_second"]) == (3, 0)
    assert row["difference"] is None, "a mean with infinities is not measurable"


def test_a_search_that_finds_nothing_is_said(tasks: Path, tmp_path: Path) -> None:
    arms = [bench.Arm.of("SGD", lr=1e-3), bench.Arm.of("SGD", name="far", space={"lr": bench.Choice(50.0, 60.0)})]
    with bench.Store(tmp_path) as store:
        study = small(tasks, "exploding", arms=arms)
        notes = bench.Comparison(study=study, cells=bench.conduct(study, store)).notes
    said = [note for note in notes if "nothing was tuned" in note]
    assert len(said) == 1
    assert said[0].startswith("Every point of the search on exploding diverged or raised an error (far)")


def test_points_that_cannot_be_built_are_counted(tasks: Path, tmp_path: Path) -> None:
    arms = ["SGD", bench.Arm.of("ASGDAdam", space={"switch_interval": bench.Choice(5, 10)})]
    with bench.Store(tmp_path) as store:
        study = small(tasks, "small-line", arms=arms, trials=4)
        cells = bench.conduct(study, store)
    lost = sum(trial.raised > 0 for trial in cells[1].trials)
    assert lost > 0
    said = f"{lost} of {len(cells[1].trials)} points of ASGDAdam's search on small-line"
    assert [note for note in bench.Comparison(study=study, cells=cells).notes if note.startswith(said)]


def test_what_raises_is_retried_recorded_and_the_rest_goes_on(tasks: Path, tmp_path: Path) -> None:
    arms = [bench.Arm.of("SGD", lr=1e-2), bench.Arm.of("SGD", name="far", lr=50.0)]
    study = small(tasks, "raising-sometimes", arms=arms)
    with bench.Store(tmp_path) as store:
        cells = bench.conduct(study, store, retries=1)
    near, far = cells
    assert Comparison(study=study, cells=cells).notes[1:] == [
        "3 of 6 runs on raising-sometimes raised an error and count as the worst (far); the first by RuntimeError: the"
        " task raises."
    ]
    assert [record.status for record in near.evaluations] == ["done"] * 3
    assert [record.status for record in far.evaluations] == ["failed"] * 3
    assert far.evaluations[0].error == "RuntimeError: the task raises"
    assert far.evaluations[0].attempts == 2
    assert far.trials[0].value == math.inf
    comparison = Comparison(study=study, cells=cells)
    row = comparison.contrasts()[0]
    assert [row[name] for name in ("diverged_first", "diverged_second", "raised_first", "raised_second")] == [
        0,
        0,
        3,
        0,
    ]
    assert "3 runs of far raised an error" in str(row["sentence"])
    assert "diverged" not in str(row["sentence"])
    summary = comparison.summary()[1]
    assert [summary[name] for name in ("diverged", "raised", "trials_diverged", "trials_raised")] == [0, 3, 0, 2]
    counted = [(row.purpose, row.diverged, row.failed) for row in report_data(comparison, commit="").divergences]
    assert counted == [("tuning", 0, 0), ("evaluation", 0, 0), ("tuning", 0, 2), ("evaluation", 0, 3)]


def test_over_tasks_of_both_directions_the_better_arm_is_called_better(tasks: Path, tmp_path: Path) -> None:
    arms = [bench.Arm.of("SGD", name="near", lr=1e-3), bench.Arm.of("SGD", name="far", lr=0.3)]
    study = small(tasks, "minus", "minus-again", "small-line", arms=arms, trials=1, seeds=5)
    found = bench.run_study(study, tmp_path / "out", costs=False)
    horizon = study.horizons[0]
    assert all(one.verdict.answer == "first" for one in found.on_tasks(horizon)), "far is nearer the minimum"
    assert [one.verdict.sentence.split()[3] for one in found.on_tasks(horizon)] == ["higher", "higher", "lower"]
    pooled = found.over_tasks(horizon)[0]
    assert pooled.pooled is not None
    assert pooled.pooled.mean < 0
    said = stats.pooled_verdict(pooled.pooled, first="far", second="near", p=0.01, metric=pooled.metric)
    assert said.answer == "first"
    assert said.sentence.startswith("Over 3 tasks far has a better metric than near")


def test_a_task_that_never_works_ends_the_study_with_its_own_words(tasks: Path, tmp_path: Path) -> None:
    with bench.Store(tmp_path) as store, pytest.raises(UnsupportedError, match=r"all 4 runs.*RuntimeError: the task"):
        bench.conduct(small(tasks, "raising"), store)


def test_missing_data_are_said_before_anything_runs(tasks: Path, tmp_path: Path) -> None:
    with bench.Store(tmp_path) as store:
        with pytest.raises(DataError, match="cannot read letters"):
            bench.conduct(small(tasks, "small-line", "reading"), store)
        assert not store.records()


def test_an_arm_that_cannot_be_built_is_said_before_anything_runs(tasks: Path, tmp_path: Path) -> None:
    arms = ["SGD", bench.Arm.of("AdamW", name="backwards", lr=-1)]
    with bench.Store(tmp_path) as store:
        with pytest.raises(ArgumentError, match="cannot use the arm 'backwards': Invalid learning rate: -1"):
            bench.conduct(small(tasks, "small-line", arms=arms), store)
        assert not store.records()


def test_an_arm_that_can_be_built_at_some_points_is_run(tasks: Path, tmp_path: Path) -> None:
    arm = bench.Arm.of("SGD", name="torn", space={"lr": bench.Choice(0.1, -1.0)})
    with bench.Store(tmp_path) as store:
        bench.conduct(small(tasks, "small-line", arms=["SGD", arm], trials=4), store)
        assert {record.spec["arguments"]["lr"] for record in store.records() if record.status == "failed"} == {-1.0}
        assert any(record.spec["arguments"]["lr"] == 0.1 for record in store.records() if record.status == "done")


def test_a_study_goes_on_where_only_bad_points_are_left(tasks: Path, tmp_path: Path) -> None:
    arm = bench.Arm.of("SGD", name="torn", space={"lr": bench.Choice(0.1, -1.0)})
    study = small(tasks, "small-line", arms=["SGD", arm], trials=4)
    with bench.Store(tmp_path / "whole") as whole, bench.Store(tmp_path / "killed") as killed:
        bench.conduct(study, whole)
        killed.adopt(record for record in whole.records() if record.status == "done")
        bench.conduct(study, killed)
        assert {record.key for record in killed.records()} == {record.key for record in whole.records()}


def test_a_task_whose_file_was_edited_is_not_run_as_the_old_one(tasks: Path, tmp_path: Path) -> None:
    study = small(tasks, "small-line")
    tasks.write_text(TASKS + "\n# edited\n")
    with (
        bench.Store(tmp_path / "out") as store,
        pytest.raises(ArgumentError, match="it has changed since the study"),
    ):
        bench.conduct(study, store)
    with bench.Store(tmp_path / "out") as store:
        assert store.counts() == {}, "nothing was begun"


def test_an_unfinished_study_is_not_compared(tasks: Path, tmp_path: Path) -> None:
    study = small(tasks, "small-line")
    with bench.Store(tmp_path) as store:
        with pytest.raises(UnsupportedError, match=r"4 of 4 runs of the search have no record.*goes on where"):
            bench.looked_up(study, store)
        bench.conduct(study, store, evaluate=False)
        with pytest.raises(UnsupportedError, match="6 of 6 runs of the evaluation"):
            bench.looked_up(study, store)


def test_a_store_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(OutputError, match=r"store.sqlite.*file is not a database"):
        bench.Store(tmp_path)
    (tmp_path / "other").mkdir()
    with sqlite3.connect(tmp_path / "other" / "store.sqlite") as database:
        database.execute("PRAGMA user_version=99")
    with pytest.raises(OutputError, match="its format is 99"):
        bench.Store(tmp_path / "other")


def test_step_costs_are_ratios_to_fused_adamw(tasks: Path, tmp_path: Path) -> None:
    study = small(tasks, "small-line", arms=["AdamW", "AMVT"])
    wanted = costs_of(study.entries, study.arms, study.arguments)
    with bench.Store(tmp_path) as store:
        records = jobs.run([dataclasses.replace(cost, rounds=3) for cost in wanted], store)
    for record in records:
        assert record.result is not None
        clock = record.result["clock"]
        assert 0 < clock["low"] <= clock["ratio"] <= clock["high"]
    adam, amvt = (record.result["state_ratio"] for record in records if record.result)
    assert adam == 1.0
    assert 1.4 < amvt < 1.7, "a third moment"


def test_executors_are_made_by_name() -> None:
    with bench.make_executor(1) as one, bench.make_executor(2) as two:
        assert (type(one), type(two), two.slots) == (jobs.InProcess, jobs.Processes, 2)
    with pytest.raises(ArgumentError, match="executor='dask'"):
        bench.make_executor(1, "dask")  # type: ignore[arg-type]
