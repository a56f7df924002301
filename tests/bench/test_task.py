from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.bench.toys import LINE, line

from waddington import bench
from waddington.bench import catalog
from waddington.errors import ArgumentError, UnknownNameError

FILE = """
import torch
from torch.nn.functional import mse_loss
from waddington import bench
from beside import SLOPE

@bench.task(steps=5)
def my_line(seed, *, batch_size=4):
    "A line."
    x = torch.linspace(-1, 1, 12)[:, None]
    pair = (x, SLOPE * x)
    splits = {"train": pair, "validation": pair, "test": pair}
    return bench.supervised(torch.nn.Linear(1, 1), mse_loss, batch_size=batch_size, **splits)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "beside.py").write_text("SLOPE = 3.0\n")
    path = tmp_path / "my_task.py"
    path.write_text(FILE)
    return path


def test_a_task_of_ten_lines_is_found_by_its_file(file: Path) -> None:
    found = bench.get_task(str(file))
    assert (found.name, found.steps, found.about) == ("my-line", 5, "A line.")
    assert bench.get_task(f"{file}:my-line").reference == found.reference == f"{file}:my-line"
    assert bench.get_task(found.reference).digest == found.digest
    assert found.parameters == {"batch_size": 4}


def test_a_file_that_was_edited_is_another_task(file: Path) -> None:
    before = bench.get_task(str(file))
    file.write_text(FILE.replace("steps=5", "steps=6"))
    after = bench.get_task(str(file))
    assert (before.steps, after.steps) == (5, 6)
    assert before.digest != after.digest


def test_a_file_whose_helper_was_edited_is_another_task_and_runs_the_new_one(file: Path) -> None:
    def target() -> float:
        found = bench.get_task(str(file)).problem(0)
        return float(found.batch(torch.Generator(), 0)[1].max())

    (file.parent / "beside.py").write_text("from package.inner import SLOPE\n")
    (file.parent / "package").mkdir()
    (file.parent / "package" / "__init__.py").write_text("")
    (file.parent / "package" / "inner.py").write_text("from .slopes import SLOPE\n")
    slopes = file.parent / "package" / "slopes.py"
    slopes.write_text("SLOPE = 3.0\n")
    before, was = bench.get_task(str(file)).digest, target()
    slopes.write_text("SLOPE = 14.0\n")
    assert bench.get_task(str(file)).digest != before
    assert target() == pytest.approx(was * 14 / 3)
    (file.parent / "no_helper.py").write_text("SLOPE = 5.0\n")
    slopes.write_text("SLOPE = 3.0\n")
    assert bench.get_task(str(file)).digest == before


def test_helpers_of_one_name_in_two_folders_are_two(file: Path) -> None:
    other = file.parent / "other" / "my_task.py"
    other.parent.mkdir()
    other.write_text(FILE)
    (other.parent / "beside.py").write_text("SLOPE = 14.0\n")
    targets = [
        float(bench.get_task(str(path)).problem(0).batch(torch.Generator(), 0)[1].max()) for path in (file, other)
    ]
    assert targets[1] > 3 * targets[0]


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("raise SystemExit(0)", "cannot run .*SystemExit: 0"),
        ("x = 1", "it has no task: is the function decorated"),
        ("raise ValueError('no')", "ValueError: no"),
        ("def f(:", "SyntaxError"),
        (FILE + FILE.replace("my_line", "other"), "it has my-line, other"),
        ("from waddington import bench\n@bench.task(steps=1)\ndef f(seed, size=3): ...", "found size; accepted is"),
        ("from waddington import bench\n@bench.task(steps=1)\ndef f(): ...", "found no seed"),
        ("from waddington import bench\n@bench.task(steps=0)\ndef f(seed): ...", "steps of task 'f'=0"),
        ("from waddington import bench\n@bench.task(steps=1, metrc='a')\ndef f(seed): ...", "Did you mean 'metric'"),
    ],
)
def test_a_file_without_one_good_task_is_refused_by_name(file: Path, content: str, match: str) -> None:
    file.write_text(content)
    with pytest.raises(ArgumentError, match=match):
        bench.get_task(str(file))


def test_unknown_tasks_are_refused_with_what_is_accepted(tmp_path: Path) -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean 'digits'"):
        bench.get_task("digit")
    with pytest.raises(UnknownNameError, match=r"cannot be read .*`waddington bench list`"):
        bench.get_task(str(tmp_path / "nothing.py"))
    with pytest.raises(UnknownNameError, match="No module named 'nothing'"):
        bench.get_task("nothing:task")


def test_entry_points_are_tasks_and_may_be_plain_mappings(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        name = "their-line"

        def load(self) -> Any:
            return {"make": line, "steps": 7}

    monkeypatch.setattr(catalog, "entry_points", lambda group: [Point()] if group == "waddington.tasks" else [])
    catalog._points.cache_clear()
    try:
        assert "their-line" in bench.task_names()
        assert bench.get_task("their-line").steps == 7
    finally:
        catalog._points.cache_clear()


def test_an_entry_point_that_cannot_be_loaded_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        name = "broken"

        def load(self) -> Any:
            raise ModuleNotFoundError("No module named 'theirs'")

    monkeypatch.setattr(catalog, "_points", lambda: {"broken": Point()})
    with pytest.raises(ArgumentError, match=r"cannot load the entry point 'broken' .*No module named 'theirs'"):
        bench.get_task("broken")


def test_models_begin_alike_for_a_seed_and_torch_forgets_that(file: Path) -> None:
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first, again, other = (LINE.problem(seed).model.state_dict() for seed in (1, 1, 2))
    assert torch.equal(torch.rand(1), expected)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not all(torch.equal(first[name], other[name]) for name in first)


def test_parameters_are_checked_by_name() -> None:
    with pytest.raises(UnknownNameError, match=r"parameter of task 'line' 'slop'.*Did you mean 'slope'"):
        LINE.problem(0, slop=1.0)


@pytest.mark.parametrize("name", list(catalog.HOMES))
def test_every_task_is_known_by_one_sentence(name: str) -> None:
    found = bench.get_task(name)
    assert found.name == name
    assert found.about.endswith(".")
    assert found.tiny, "a size for tests"


def test_what_gives_no_problem_is_refused() -> None:
    with pytest.raises(ArgumentError, match="it gave a int"):
        bench.Task(name="none", make=lambda seed: 3, steps=1).problem(0)  # type: ignore[arg-type, return-value]


def test_splits_without_cases_are_refused() -> None:
    x = torch.zeros(3, 1)
    with pytest.raises(ArgumentError, match="validation of 3 inputs and 2 targets"):
        bench.supervised(
            torch.nn.Linear(1, 1), torch.nn.functional.mse_loss, train=(x, x), validation=(x, x[:2]), test=(x, x)
        )
    with pytest.raises(ArgumentError, match=r"batch_size=32: batch_size must be a whole number in \[1, 3\]"):
        bench.supervised(
            torch.nn.Linear(1, 1), torch.nn.functional.mse_loss, train=(x, x), validation=(x, x), test=(x, x)
        )


def test_an_edit_of_the_same_second_and_size_is_seen(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python takes kept bytecode for a file whose time and size are those that it was made of."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    assert bench.get_task(str(file)).steps == 5
    times = file.stat()
    file.write_text(FILE.replace("steps=5", "steps=6"))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert bench.get_task(str(file)).steps == 6
