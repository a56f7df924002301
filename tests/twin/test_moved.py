"""Addresses of the last release go on working, and say where their things live now."""

from __future__ import annotations

import dataclasses
import importlib
import subprocess
import sys

import numpy as np
import pytest

from waddington import twin
from waddington.twin import _moved
from waddington.twin.dynamics import Dynamics


@pytest.mark.parametrize(("old", "new"), _moved.MODULES.items())
def test_an_old_module_is_the_new_one(old: str, new: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, f"waddington.twin.{old}", raising=False)
    with pytest.warns(DeprecationWarning, match=rf"waddington\.twin\.{old} is now waddington\.twin\.{new};"):
        found = importlib.import_module(f"waddington.twin.{old}")
    assert found is importlib.import_module(f"waddington.twin.{new}")
    assert found.__name__ == found.__spec__.name == f"waddington.twin.{new}"


@pytest.mark.parametrize(("old", "new"), _moved.ATTRIBUTES.items())
def test_an_old_attribute_is_the_new_module(old: str, new: str) -> None:
    with pytest.warns(DeprecationWarning, match=rf"waddington\.twin\.{old} is now waddington\.twin\.{new};") as caught:
        found = getattr(twin, old)
    assert found is importlib.import_module(f"waddington.twin.{new}")
    assert caught[0].filename == __file__


@pytest.mark.parametrize(("module", "old"), [(module, old) for module, names in _moved.NAMES.items() for old in names])
def test_an_old_name_is_the_new_one(module: str, old: str) -> None:
    home, _, new = _moved.NAMES[module][old].rpartition(".")
    with pytest.warns(DeprecationWarning, match=rf"{module}\.{old} is now waddington\.twin\.{home}\.{new};"):
        found = getattr(importlib.import_module(f"waddington.twin.{module}"), old)
    assert found is getattr(importlib.import_module(f"waddington.twin.{home}"), new)


@pytest.mark.filterwarnings("ignore:waddington.twin:DeprecationWarning")
@pytest.mark.parametrize(
    "statement",
    [
        "from waddington.twin.design import design_from_conditions",
        "from waddington.twin.io.labels import standard_columns",
        "from waddington.twin.env import CellEnv, CellTask, CellVecEnv, PaperTask",
        "from waddington.twin.agent import AgentConfig, build_agent",
        "from waddington.twin.baselines import LatentHead",
        "from waddington.twin.simulate import optimal_reprogramming, simulate",
        "from waddington.twin import heldout, baselines, design as D",
        "from waddington.twin import io, simulate; simulate.simulate; io.read",
        "import waddington.twin.conditions as c; c.parse_condition",
        "from waddington.twin.pipeline.stages import run_stages",
        "from waddington.twin.pipeline import RunConfig, run; from waddington.twin.pipeline.verdicts import verdicts",
        "import waddington.twin.io.labels as labels; labels.standard_columns",
        "import waddington.twin.plots as p; p.landscape",
        "import waddington.twin.model; waddington.twin.model.TwinEncoder",
    ],
)
def test_what_scripts_of_the_last_release_import(statement: str) -> None:
    exec(statement, {})


def test_an_unknown_name_is_still_unknown() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = twin.nothing
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = importlib.import_module("waddington.twin.simulate").nothing
    with pytest.raises(ModuleNotFoundError, match=r"waddington\.twin\.nothing"):
        importlib.import_module("waddington.twin.nothing")


@pytest.mark.slow  # it imports everything anew
def test_the_package_itself_uses_no_old_address_and_run_is_the_function_whatever_was_imported() -> None:
    code = (
        "import importlib, inspect, pkgutil, waddington\n"
        "for m in pkgutil.walk_packages(waddington.__path__, 'waddington.'):\n"
        "    m.name.endswith('__main__') or importlib.import_module(m.name)\n"
        "from waddington import twin\n"
        "assert inspect.isfunction(twin.run) and twin.run.__name__ == 'run'"
    )
    command = [sys.executable, "-W", "ignore", "-W", "error:waddington.twin", "-c", code]
    subprocess.run(command, check=True, capture_output=True, text=True)


def test_the_import_system_does_not_put_a_module_in_the_place_of_run() -> None:
    function = twin.run
    twin.run = sys.modules["waddington.twin.run"]  # as it does
    assert twin.run is function


class TestRenamed:
    """Names within a class."""

    def test_an_old_keyword_an_old_attribute_and_an_old_method_work(self) -> None:
        with pytest.warns(DeprecationWarning, match="(shifts|edits) of Dynamics is now") as caught:
            dynamics = Dynamics(shifts=np.eye(2), edits=("A", "B"))
        assert [str(one.message).split()[1] for one in caught] == ["shifts", "edits"]
        assert caught[0].filename == __file__
        with pytest.warns(DeprecationWarning, match="edits of Dynamics is now perturbations"):
            assert dynamics.edits is dynamics.perturbations
        with pytest.warns(DeprecationWarning, match="begin of Dynamics is now reset") as caught:
            state = dynamics.begin(np.zeros((1, 2), np.float32))
        assert caught[0].filename == __file__
        assert state["z"].shape == (1, 2)

    def test_new_names_say_nothing_and_may_be_replaced(self) -> None:
        dynamics = Dynamics(effects=np.eye(2), perturbations=("A", "B"))
        assert dataclasses.replace(dynamics, scale=0.5).scale == 0.5

    def test_both_names_at_once_are_refused(self) -> None:
        with (
            pytest.warns(DeprecationWarning, match="shifts of Dynamics"),
            pytest.raises(TypeError, match="'shifts' and 'effects'"),
        ):
            Dynamics(shifts=np.eye(2), effects=np.eye(2), perturbations=("A", "B"))
