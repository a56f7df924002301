"""`waddington landscape`: what a user names, what is written, and one line for what cannot be used."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from waddington.analysis import Landscape
from waddington.cli._app import run_app

SOURCE = """
import torch
from torch import nn


def model_and_loss():
    torch.manual_seed(0)
    turn = torch.linspace(0.0, 2.0 * torch.pi, 21)[:20]
    x = torch.stack([turn.cos(), turn.sin()], dim=1)
    model = nn.Linear(2, 1)
    return model, lambda model: nn.functional.mse_loss(model(x), 2.0 * x[:, :1])


def with_optimizer():
    model, loss = model_and_loss()
    return model, loss, torch.optim.SGD(model.parameters(), lr=0.125, momentum=0.5)


def with_paths():
    model, loss = model_and_loss()
    path = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.5, 0.1], [2.0, 0.2, 0.0]])
    return {"model": model, "loss": loss, "paths": {"SGD": path}}


def half():
    model, loss = model_and_loss()
    return model.bfloat16(), lambda model: (model.weight ** 2).sum()


def nothing():
    return 3


def wrong():
    return {"model": 3, "loss": len}


def broken():
    return 1 / 0


def takes(x):
    return x


def exits():
    raise SystemExit(3)


def unstepped():
    model, loss = model_and_loss()
    return model, loss, torch.optim.Adam(model.parameters())


def norm():
    x = torch.arange(12.0).view(3, 4)
    return nn.LayerNorm(4), lambda model: model(x).pow(4).mean()


def failing():
    model, loss = model_and_loss()
    return model, lambda model: 1 / 0


def wrong_paths():
    model, loss = model_and_loss()
    return {"model": model, "loss": loss, "paths": [torch.ones(3, 3)]}


def short_paths():
    model, loss = model_and_loss()
    return {"model": model, "loss": loss, "paths": {"SGD": torch.ones(3, 2)}}


def infinite():
    model, loss = model_and_loss()
    return model, lambda model: loss(model) * torch.inf
"""


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", ["", *__import__("sys").path])
    path = tmp_path / "mine.py"
    path.write_text(SOURCE)
    return path


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = run_app(["landscape", *arguments])
    found = capsys.readouterr()
    return code, found.out, found.err


def test_files_are_written_and_sharpness_and_rates_printed(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, f"{source}:with_optimizer", "--out", "there", "--points", "5")
    assert code == 0
    assert sorted(path.name for path in Path("there").iterdir()) == ["landscape.html", "landscape.npz", "landscape.png"]
    assert Landscape.load("there/landscape.npz").loss.shape == (5, 5)
    # On a circle the loss is ((w1 - 2)² + w2²) / 2 + b².
    assert "sharpness (largest eigenvalue): 2; smallest: 1" in out
    assert "largest stable rate: 1.5 (3 / sharpness); it is 0.125 now" in out
    assert "note: no fastest rate" in out
    code, out, err = run(capsys, f"{source}:with_optimizer", "--out", "there", "--points", "3")
    assert code == 2
    assert "the file exists; accepted: another --out, or --force" in " ".join(err.split())
    assert run(capsys, "mine:model_and_loss", "--out", "there", "--points", "3", "--force")[0] == 0


def test_paths_span_the_plane_and_half_precision_has_a_surface_without_curvature(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, _ = run(capsys, f"{source}:with_paths", "--out", "paths", "--points", "3")
    assert code == 0
    found = Landscape.load("paths/landscape.npz")
    assert list(found.paths) == ["SGD"]
    assert found.names == ("component 1", "component 2")
    assert found.shares is not None
    code, out, _ = run(capsys, f"{source}:half", "--out", "half", "--directions", "1", "--points", "3")
    assert code == 0
    assert "curvature: cannot take second derivatives" in out


def test_a_task_is_trained_and_its_paths_lie_on_the_surface(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--optimizer", "Adam,lr=0.05", "--optimizer", "SGD,lr=0.001", "--steps", "30", "--points", "4"]
    code, out, _ = run(capsys, "rosenbrock", *given, "--out", "there")
    assert code == 0
    found = Landscape.load("there/landscape.npz")
    assert list(found.paths) == ["Adam (lr=0.05)", "SGD (lr=0.001)"]
    assert "it is 0.001 now" in out
    assert "left out" not in out
    given = ["--optimizer", "Adam,lr=0.05", "--optimizer", "SGD,lr=1e9", "--steps", "9", "--points", "2"]
    code, out, _ = run(capsys, "rosenbrock", *given, "--out", "one")
    assert code == 0
    assert list(Landscape.load("one/landscape.npz").paths) == ["Adam (lr=0.05)"]
    assert "left out: SGD (lr=1000000000.0), whose runs diverged" in out


def test_a_file_of_one_task_is_taken_as_the_bench_takes_it(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = "\n\n@bench.task(steps=3)\ndef bowl(seed):\n    model, loss = model_and_loss()\n    return bench.Problem("
    held += "model=model, batch=lambda g, s: None, loss=lambda m, b: loss(m), evaluate=lambda m, s: {'loss': 1.0})\n"
    Path("task.py").write_text("from waddington import bench" + SOURCE.split("def with_optimizer")[0] + held)
    assert run(capsys, "task.py", "--points", "3", "--out", "there")[0] == 0
    assert "has no function 'none'; it has model_and_loss, bowl" in run(capsys, "task.py:none")[2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["mine.py"], "accepted is a task, a file of one task, module:function or file.py:function"),
        (["digit"], "unknown task 'digit'. Did you mean 'digits'?"),
        (
            ["mine.py:model_and_loss", "--steps", "3"],
            "it is no task of the bench; accepted is no optimizer, and no steps",
        ),
        (["rosenbrock", "--optimizer", "Adamm"], "Did you mean 'Adam'?"),
        (["missing.py:f"], "there is no file"),
        (["no_such_module:f"], "ModuleNotFoundError: No module named 'no_such_module'"),
        (["mine.py:other"], "mine.py has no function 'other'; it has model_and_loss"),
        (["mine.py:broken"], "ZeroDivisionError: division by zero (mine.py, line 39)"),
        (["mine.py:takes"], "TypeError: takes() missing 1 required positional argument"),
        (["mine.py:nothing"], "it returns int; accepted is (model, loss), (model, loss, optimizer)"),
        (["mine.py:wrong"], "it returns {model: int, loss: builtin_function_or_method}"),
        (
            ["mine.py:model_and_loss", "--directions", "4"],
            "cannot use --directions 4: directions must be one of 1, 2, 3",
        ),
        (["mine.py:model_and_loss", "--mode", "test"], "cannot use --mode 'test': mode must be one of"),
        (["mine.py:model_and_loss", "--points", "1"], "cannot use --points 1: points must be a whole number from 2"),
        (["rosenbrock", "--span", "-1"], "cannot use --span -1.0: span must be a number in (0, inf)"),
        (["rosenbrock", "--seed", "-1"], "cannot use --seed -1: seed must be a whole number"),
        (["mine.py:exits"], "SystemExit: 3 (mine.py, line"),
        (["mine.py:failing"], "ZeroDivisionError: division by zero (mine.py, line"),
        (["mine.py:wrong_paths"], "paths: list}; accepted is"),
        (["mine.py:short_paths"], "paths['SGD'] of shape (3, 2) and torch.float32: accepted are real points"),
        (["mine.py:norm"], "accepted is --normalize 'none'"),
        (["mine.py:infinite", "--points", "3"], "cannot draw losses of which none is finite"),
    ],
)
def test_what_cannot_be_used_is_one_line(
    source: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert said in " ".join(err.split())
    assert not Path("landscape").exists()


def test_a_surface_is_drawn_where_curvature_cannot_be_measured(
    source: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--directions", "1", "--points", "3"]
    code, out, _ = run(capsys, f"{source}:unstepped", *given, "--out", "fresh")
    assert code == 0
    assert "curvature: cannot use Adam: it has no state; accepted is one that has taken a step" in out
    assert run(capsys, f"{source}:norm", *given, "--out", "norm", "--normalize", "none")[0] == 0
    assert (Path("fresh/landscape.png").exists(), Path("norm/landscape.png").exists()) == (True, True)


def test_a_place_that_cannot_be_written_is_refused_before_anything_runs(
    source: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("waddington.cli.landscape.find_subject", lambda *_, **__: pytest.fail("it ran"))
    Path("taken").write_text("a file")
    for place in ("taken", "taken/below"):
        code, _, err = run(capsys, "rosenbrock", "--out", place)
        assert code == 2
        assert f"cannot write to '{place}': Not a directory; accepted: a folder" in " ".join(err.split())


def test_a_file_may_be_called_like_a_module_of_python(source: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = dict(sys.modules)
    source.with_name("statistics.py").write_text(SOURCE)
    given = ["--directions", "1", "--points", "3", "--out", "there"]
    assert run(capsys, "statistics.py:model_and_loss", *given)[0] == 0
    assert sys.modules.get("statistics") is before.get("statistics")
