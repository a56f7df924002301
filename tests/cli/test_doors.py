"""Whatever reading can be told, every door can be told; no message advises an option that the door at hand lacks."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from typer.main import get_command

import waddington
from waddington import twin
from waddington.cli._app import app, run_app
from waddington.cli._spelling import Written, spell, spellings
from waddington.twin.data import io
from waddington.twin.run.config import FIELDS, READ_FIELDS

TWIN = Path(waddington.__file__).parent / "twin"
# These have no flag, for columns that must exist are named by their own keys; a run takes them by `--set`.
NOT_FOR_DOORS = {"path", "label_keys", "min_cells"}
READING = set(inspect.signature(io.read).parameters) - NOT_FOR_DOORS
# Only these rooms are reached from a file of cells; what else refuses is reached from Python alone.
READ_ROOMS = ("data/io", "data/conditions")
RUN_ROOMS = ("preprocess", "run", "trajectory/rooting.py", "trajectory/order.py", "data/splits.py")


def command(*path: str) -> Any:
    found: Any = get_command(app)
    for name in path:
        found = found.commands[name]
    return found


RUN, DESCRIBE = command("run"), command("data", "describe")


def files(*rooms: str) -> Iterator[Path]:
    for room in rooms:
        place = TWIN / room
        assert place.exists()
        yield from [place] if place.suffix else sorted(place.rglob("*.py"))


def sentences(path: Path) -> Iterator[str]:
    """Give every text of a file that is neither docstring nor pattern; what is filled in later stands as `{}`."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = list(ast.walk(tree))
    silent = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    silent |= {id(part) for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values}
    calls = [node for node in nodes if isinstance(node, ast.Call) and node.args]
    patterns = [call.args[0] for call in calls if ast.unparse(call.func).startswith("re.")]
    silent |= {id(pattern) for pattern in patterns}
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in silent:
            yield node.value


def advised(*rooms: str) -> set[tuple[str, str]]:
    """Give (file, option) of every `option=` in a sentence."""
    return {
        (path.name, name)
        for path in files(*rooms)
        for text in sentences(path)
        if " " in text
        for name in re.findall(r"(?<![\w.\[{-])([a-z][a-z0-9_]*)=", text)
    }


def test_a_run_can_be_told_everything_that_reading_can() -> None:
    assert set(READ_FIELDS) == set(inspect.signature(io.read).parameters) - {"path"} <= FIELDS.keys()


@pytest.mark.parametrize("door", [RUN, DESCRIBE], ids=["run", "data describe"])
def test_a_command_can_be_told_everything_that_reading_can(door: Any) -> None:
    known = spellings(door)
    assert set(known) >= READING
    assert {known[name] for name in READING} == {"--" + name.replace("_", "-") for name in READING}


def test_what_reading_advises_reading_can_be_told() -> None:
    found = advised(*READ_ROOMS)
    assert {"perturbation_mode", "counts_layer", "normalization", "layer"} <= {name for _, name in found}
    assert not [(file, name) for file, name in found if name not in READING]


def test_what_a_run_advises_a_run_can_be_told() -> None:
    told = FIELDS.keys() | set(inspect.signature(twin.run).parameters)
    found = advised(*RUN_ROOMS)
    assert {"resume", "size_factor_key"} <= {name for _, name in found}
    assert not [(file, name) for file, name in found if name not in told]


def test_the_library_names_no_flag() -> None:
    texts = [(path.name, text) for path in files(*READ_ROOMS, *RUN_ROOMS) for text in sentences(path)]
    assert not [found for found in texts if re.search(r"(?<![\w-])--[a-z]", found[1])]


@pytest.mark.parametrize(
    ("said", "run", "describe"),
    [
        (
            "perturbation_mode= says otherwise",
            "--perturbation-mode says otherwise",
            "--perturbation-mode says otherwise",
        ),
        ("or normalization='none'", "or --normalization 'none'", "or --normalization 'none'"),
        ("one of rna=, atac= and x", "one of --rna, --atac and x", "one of --rna, --atac and x"),
        ("cannot use lr=-1.0: lr must", "cannot use --lr -1.0: lr must", "cannot use lr=-1.0: lr must"),
        ("cannot use horizon=0: x", "cannot use --set horizon=0: x", "cannot use horizon=0: x"),
        ("resume=True to go on", "--resume to go on", "resume=True to go on"),
        ("both file='a' and", "both FILE 'a' and", "both FILE 'a' and"),
        ("n_cells=5", "--cells 5", "n_cells=5"),
        ("cannot use lr=True: x", "cannot use --lr True: x", "cannot use lr=True: x"),
        ("modalities['x']=3, obs['lr=2']", "modalities['x']=3, obs['lr=2']", "modalities['x']=3, obs['lr=2']"),
    ],
)
def test_spelling(said: str, run: str, describe: str) -> None:
    assert spell(said, RUN) == run
    assert spell(said, DESCRIBE) == describe


def test_settings_are_spelled_as_they_were_written() -> None:
    written = Written(file=Path("run.toml"), in_file={"lr": True, "seed": 1}, by_set=frozenset({"horizon"}))
    assert spell("cannot use lr=True: x", RUN, written) == "run.toml: cannot use lr = true: x"
    assert spell("seed=1 with eps=0.5, resume=True", RUN, written) == "run.toml: seed = 1 with eps = 0.5, --resume"
    assert spell("cannot use horizon=0: x", RUN, written) == "cannot use --set horizon=0: x"
    assert spell("cannot use eps=0.5: x", RUN, written) == "cannot use --eps 0.5: x"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("lr = true", "lr = true: lr must be a number"),
        ('seeds = "many"', 'seeds = "many": seeds must be a whole number'),
        ("lr_grid = [0.1, true]", "lr_grid = [0.1, true]: lr_grid must be a list of numbers"),
        ("paper_net = [64.5]", "paper_net = [64.5]: paper_net must be a list of whole numbers"),
        ('[encoder]\nepochs = "many"', 'epochs = "many": epochs must be a whole number'),
        ("ppo.steps = 0", "ppo_steps = 0: ppo_steps must be a number in [1, inf]"),
        ("device = 2026-01-01", 'device = "2026-01-01": device must be text'),
        ("alpha_min = 5.0", "alpha_min = 5 with alpha_max = 0.01: the small base rate must not exceed the large one"),
        (
            'layer = "x"',
            "layer = \"x\" with normalization = 'total': it names values that are taken as they are; "
            "accepted: normalization = 'none' with it, or counts_layer for raw counts",
        ),
    ],
)
def test_a_file_of_settings_is_answered_in_its_own_words(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, line: str, said: str
) -> None:
    path = tmp_path / "run.toml"
    path.write_text(line)
    assert run_app(["run", "--config", str(path), "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == f"error: {path}: cannot use {said}\n"


@pytest.mark.parametrize("name", ["out", "resume", "listener"])
def test_what_is_no_setting_is_refused_by_name(capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str) -> None:
    assert run_app(["run", "--set", f"{name}=x", "--out", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith(f"error: unknown configuration field '{name}'")


def test_python_is_answered_in_keywords_and_plain_words(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"^cannot use lr=True: lr must be a number$"):
        twin.run(out=tmp_path / "out", lr=True)


def test_a_folder_as_configuration_is_one_line(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run_app(["run", "--config", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "cannot read configuration" in capsys.readouterr().err


@pytest.fixture
def normalized(tmp_path: Path) -> Path:
    values = np.random.default_rng(0).normal(size=(40, 6)).astype(np.float32)
    obs = pd.DataFrame({"target": ["none", "A"] * 20}, index=[f"c{i}" for i in range(40)])
    path = tmp_path / "cells.h5ad"
    ad.AnnData(values, obs=obs, var=pd.DataFrame(index=[f"G{i}" for i in range(6)])).write_h5ad(path)
    return path


def test_the_advice_of_a_refusal_is_followed(capsys: pytest.CaptureFixture[str], normalized: Path) -> None:
    assert run_app(["data", "describe", str(normalized)]) == 2
    assert "or --normalization 'none'" in " ".join(capsys.readouterr().err.split())
    options = ["--normalization", "none", "--perturbation-key", "target", "--control", "none"]
    assert run_app(["data", "describe", str(normalized), *options]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "as given" in said
    assert "--perturbation-mode says otherwise" in said


def test_reading_options_without_a_file_are_refused(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run_app(["run", "--out", str(tmp_path / "out"), "--time-key", "hours"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert (
        "cannot use --time-key 'hours' without a file: the cells are simulated; accepted: FILE or one of --rna" in said
    )
