"""The bench as its users meet it: a study, its folder, and one clear line for what cannot be compared."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from waddington.cli._app import run_app

TASK = """
import torch
from torch.nn.functional import mse_loss
from waddington import bench

@bench.task(steps=5)
def my_line(seed, *, slope=2.0):
    x = torch.linspace(-1, 1, 12)[:, None]
    pair = (x, slope * x)
    return bench.supervised(torch.nn.Linear(1, 1), mse_loss, train=pair, validation=pair, test=pair, batch_size=4)
"""

OPTIMIZER = """
import torch

class Mine(torch.optim.SGD):
    pass
"""


def invoke(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    code = run_app(["bench", *map(str, arguments)])
    captured = capsys.readouterr()
    return code, " ".join(captured.out.split()), " ".join(captured.err.split())


def study(folder: Path, *more: object) -> list[object]:
    names = ["rosenbrock", "quadratic", "--optimizer", "AdamW", "--optimizer", "AMVT", "--tiny", "--workers", 1]
    return ["run", *names, "--trials", 2, "--tuning-seeds", 1, "--seeds", 3, "--out", folder, *more]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bench") / "study"
    assert run_app(["bench", *map(str, study(folder))]) == 0
    return folder


def test_a_study_leaves_its_page_its_tables_and_its_store(done: Path) -> None:
    for name in (
        "report.html",
        "report.md",
        "records.csv",
        "summary.csv",
        "contrasts.csv",
        "store.sqlite",
        "study.json",
    ):
        assert (done / name).stat().st_size > 0, name
    with (done / "summary.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["task"], row["arm"], row["n"], row["diverged"]) for row in rows] == [
        (task, arm, "3", "0") for task in ("rosenbrock", "quadratic (dimensions=4)") for arm in ("AdamW", "AMVT")
    ]
    with (done / "contrasts.csv").open(newline="") as file:
        assert [row["first"] for row in csv.DictReader(file)] == ["AMVT"] * 2


def test_the_same_command_runs_nothing_twice_and_says_what_it_found(
    done: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (done / "store.sqlite").read_bytes()
    code, out, _ = invoke(capsys, *study(done))
    assert code == 0
    assert "Is AMVT better than AdamW? (known length)" in out
    assert "report.html" in out
    code, again, _ = invoke(capsys, "compare", done)
    assert code == 0
    assert "Is AMVT better than AdamW?" in again
    assert len((done / "store.sqlite").read_bytes()) == len(before)


def test_a_report_is_written_anew_from_records_alone(
    done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, _ = invoke(capsys, "report", done, "--out", tmp_path / "page")
    assert code == 0
    assert (tmp_path / "page" / "report.html").exists()
    for table in ("summary.csv", "contrasts.csv"):
        assert (tmp_path / "page" / table).read_text() == (done / table).read_text()


def test_a_study_that_is_refused_before_it_runs_leaves_its_folder_to_another(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = invoke(capsys, *study(tmp_path, "--optimizer", "AdamW,lr=-1"))
    assert code == 2
    assert "lr=-1" in err
    code, _, _ = invoke(capsys, *study(tmp_path))
    assert code == 0


def test_a_folder_holds_one_study(done: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = invoke(capsys, *study(done, "--trials", 3))
    assert code == 2
    assert "it holds the study" in err
    assert "accepted: another folder" in err


def test_a_task_of_ones_own_works_by_its_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "my_task.py").write_text(TASK)
    code, out, err = invoke(
        capsys, "tune", tmp_path / "my_task.py", "--optimizer", "SGD,momentum=0.5", "--trials", 2, "--tuning-seeds", 1,
        "--workers", 1, "--space", "lr=1e-3:1e-1", "--space", "task.slope=1,2", "--out", tmp_path / "out",
    )  # fmt: skip
    assert code == 0, err
    assert "Best points" in out
    with (tmp_path / "out" / "tuning.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) >= 2
    arguments = [json.loads(row["arguments"]) for row in rows]
    assert all(set(one) == {"task.slope", "lr"} for one in arguments)
    assert all(1e-4 <= one["lr"] <= 1.0 for one in arguments)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["run"], "cannot compare on no task: accepted are one or more of"),
        (["run", "rosenbrock"], "accepted are one or more, such as --optimizer AdamW"),
        (["run", "rosenbrok", "--optimizer", "AdamW"], "Did you mean 'rosenbrock'"),
        (["run", "rosenbrock", "--optimizer", "AdamV"], "Did you mean 'Adam"),
        (["run", "nothing.py", "--optimizer", "AdamW"], "the file cannot be read"),
        (["run", "rosenbrock", "--optimizer", "AdamW", "--set", "weight_decay"], "accepted is name=value"),
        (["run", "rosenbrock", "--optimizer", "AdamW", "--space", "lr=1"], None),
        (["run", "rosenbrock", "--optimizer", "AdamW", "--space", "lr=x:1"], "cannot read the range 'x:1'"),
        (["run", "rosenbrock", "--optimizer", "AdamW", "--space", "AMVT.lr=1e-3:1"], "arguments of AMVT: accepted are"),
        (["run", "rosenbrock", "--optimizer", "AdamW", "--contrast", "AMVT"], "accepted is ARM:AGAINST"),
        (["run", "rosenbrock", "--optimizer", "AdamW", "--search", "random"], "'random'"),
        (["run", "rosenbrock", "--optimizer", "AdamW", "--executor", "dask"], "'dask'"),
        (["run", "rosenbrock", "--optimizer", "AdamW", "--set", "task.noice=1"], "Did you mean 'task.noise'"),
        (
            ["run", "rosenbrock", "--optimizer", "AdamW", "--patience", "0"],
            "--patience 0: patience must be a whole number",
        ),
        (["run", "rosenbrock", "--optimizer", "AdamW", "--schedule", "cosin"], "must be one of 'constant', 'cosine'"),
        (
            ["run", "rosenbrock", "--optimizer", "AdamW", "--schedule", "restarts,200"],
            "found '200'; accepted is a course",
        ),
        (["run", "rosenbrock", "--optimizer", "AdamW", "--schedule", "restarts,perod=9"], "Did you mean 'period'"),
        (["run", "rosenbrock", "--optimizer", "AdamW", "--schedule", "restarts,period=0.5"], "period must be a whole"),
        (
            ["run", "rosenbrock", "--optimizer", "AdamW", "--horizon", "both", "--schedule", "cosine"],
            "at the horizon 'open': it knows the last step, and the length is open there; accepted: constant, inverse",
        ),
        (
            [
                *("run", "rosenbrock", "--optimizer", "AdamW", "--schedule", "restarts,period=9"),
                "--set",
                "schedule.period=8",
            ],
            "cannot use schedule.period beside --schedule restarts,period=9: it is said there",
        ),
        (["run", "rosenbrock", "--optimizer", "AdamW", "--set", "eps=1e-8", "--set", "eps=1e-6"], "says eps twice"),
        (["run", "rosenbrock", "--optimizer", "AdamW", *("--space", "lr=1..2") * 2], "--space: it says lr twice"),
        (
            ["run", "rosenbrock", "--optimizer", "AdamW", "--schedule", "constant,period=9"],
            "cannot use period in the schedule 'constant,period=9': it changes nothing there; accepted",
        ),
        (
            ["run", "rosenbrock", "--optimizer", "AdamW", "--schedule", "restarts,period=9,period=8"],
            "it says period twice",
        ),
        (["run", "rosenbrock", "--optimizer", "AdamW", "--set", "schedule.nmae=cosine"], "Did you mean 'name'"),
        (["run", "rosenbrock", "--optimizer", "AdamW", "--set", "schedule.name=cosin"], "must be one of 'constant'"),
        (
            ["run", "rosenbrock", "--optimizer", "AdamW", "--space", "schedule.warmup=0..2"],
            "warmup must be a number in",
        ),
        (
            ["run", "--study", "rivals", "--patience", "3", "--seeds", "2"],
            "cannot use --seeds, --patience with --study",
        ),
        (["run", "rosenbrock", "--study", "rivals"], "cannot use TASKS with --study rivals: a study has its own"),
        (["compare", "nowhere"], "accepted: a folder that `waddington bench run` has written"),
        (["report", "nowhere"], "accepted: a folder that `waddington bench run` has written"),
    ],
)
def test_what_cannot_be_compared_is_refused_in_one_line(
    arguments: list[str],
    said: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    brief = ["--tiny", "--trials", "1", "--seeds", "1", "--workers", "1"]
    extra = brief if arguments[0] == "run" and "--study" not in arguments else []
    code, _, err = invoke(capsys, *arguments, *extra)
    if said is None:
        assert code == 0
        return
    assert code == 2
    assert err.startswith("error: ")
    assert said in err
    assert not (tmp_path / "bench").exists()


def test_an_arm_that_cannot_be_built_is_refused_by_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arms = ["--optimizer", "AdamW", "--optimizer", "AMVT,lr=-1"]
    code, out, err = invoke(capsys, "run", "rosenbrock", *arms, "--tiny", "--workers", 1, "--out", tmp_path / "out")
    assert code == 2
    assert err.startswith("error: cannot use the arm 'AMVT (lr=-1)': ")
    assert "search" not in out  # no run was begun


def test_a_run_stops_early_and_its_rate_runs_as_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = invoke(
        capsys, "run", "rosenbrock", "--optimizer", "AdamW,lr=1e-3", "--optimizer", "AdamW,lr=9.0,name=far", "--tiny",
        "--workers", 1, "--trials", 1, "--tuning-seeds", 1, "--seeds", 3, "--patience", 1, "--no-costs",
        "--schedule", "restarts,period=2", "--space", "schedule.warmup=0.0,0.25", "--out", tmp_path / "out",
    )  # fmt: skip
    assert code == 0, err
    with (tmp_path / "out" / "records.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["spec.patience"] for row in rows} == {"1"}
    assert {(row["spec.schedule.name"], row["spec.schedule.period"]) for row in rows} == {("restarts", "2")}
    assert {row["spec.schedule.warmup"] for row in rows} <= {"0.0", "0.25"}
    far = [row for row in rows if "9.0" in row["spec.arguments.lr"]]
    assert far
    assert all(int(row["result.steps"]) < int(row["spec.steps"]) for row in far), "what only gets worse stops"
    page = (tmp_path / "out" / "report.md").read_text()
    assert "The length is known beforehand: cosines of 2 steps, compared at the end." in page
    assert "Runs stopped early, on rosenbrock after 1 evaluations without a better one" in page


def test_a_study_is_compared_from_its_two_files_where_those_of_the_user_are_gone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my_task.py").write_text(TASK)
    (tmp_path / "mine.py").write_text(OPTIMIZER)
    code, before, err = invoke(
        capsys, "run", tmp_path / "my_task.py", "--optimizer", "AdamW", "--optimizer", f"{tmp_path / 'mine.py'}:Mine",
        "--trials", 1, "--tuning-seeds", 1, "--seeds", 3, "--workers", 1, "--no-costs", "--set", "task.slope=3.0",
        "--space", "Mine.momentum=0.1,0.5", "--out", tmp_path / "out",
    )  # fmt: skip
    assert code == 0, err
    away = tmp_path / "away"
    away.mkdir()
    for name in ("study.json", "store.sqlite"):
        (tmp_path / "out" / name).rename(away / name)
    for name in ("my_task.py", "mine.py"):
        (tmp_path / name).unlink()
    code, out, err = invoke(capsys, "compare", away)
    assert code == 0, err
    assert out.partition("Where things are")[0] == before.partition("Where things are")[0]
    code, _, err = invoke(capsys, "report", away)
    assert code == 0, err
    code, _, err = invoke(capsys, "run", "--study", away / "study.json", "--out", tmp_path / "again", "--workers", 1)
    assert code == 2
    assert "my_task.py" in err
    assert "the file cannot be read" in err


def test_an_older_study_says_which_file_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "my_task.py").write_text(TASK)
    code, _, err = invoke(
        capsys, "run", tmp_path / "my_task.py", "--optimizer", "AdamW", "--optimizer", "SGD", "--trials", 1, "--seeds",
        3, "--tuning-seeds", 1, "--workers", 1, "--no-costs", "--out", tmp_path / "out",
    )  # fmt: skip
    assert code == 0, err
    written = json.loads((tmp_path / "out" / "study.json").read_text())
    del written["known"]
    (tmp_path / "out" / "study.json").write_text(json.dumps(written))
    assert invoke(capsys, "compare", tmp_path / "out")[0] == 0
    (tmp_path / "my_task.py").unlink()
    code, _, err = invoke(capsys, "compare", tmp_path / "out")
    assert code == 2
    assert f"{tmp_path / 'my_task.py'}:my-line" in err
    assert "accepted: the file where it was" in err


def test_records_that_are_not_there_are_named(done: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "study.json").write_text((done / "study.json").read_text())
    for command in ("compare", "report", "pack"):
        code, _, err = invoke(capsys, command, tmp_path)
        assert code == 2
        assert "store.sqlite is not there, which holds them" in err
    assert not (tmp_path / "store.sqlite").exists()


def test_tasks_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = invoke(capsys, "list", "--json")
    assert code == 0
    listed = {one["name"]: one for one in json.loads(out)}
    assert listed["digits"]["parameters"]["batch_size"] == 32
    code, out, _ = invoke(capsys, "list")
    assert "rosenbrock" in out
