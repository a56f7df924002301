"""The house keeps its floors: imports run downwards, `bench` and `twin` are strangers, nothing runs in a ring."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src"
FLOORS = {
    "_errors": 0,
    "_checks": 0,
    "_files": 0,
    "_text": 0,
    "_version": 0,
    "jobs": 1,
    "optim": 2,
    "analysis": 3,
    "bench": 4,
    "twin": 4,
    "claims": 5,
    "": 5,  # waddington/__init__.py
    "cli": 6,
}
SAME_FLOOR = {("_checks", "_errors"), ("_files", "_errors")}
STRANGERS = {("bench", "twin"), ("twin", "bench")}
HEAVY = {
    "anndata",
    "gymnasium",
    "matplotlib",
    "mudata",
    "pandas",
    "scanpy",
    "scipy",
    "sklearn",
    "stable_baselines3",
} | {
    "pytorch_optimizer",
    "schedulefree",
    "torchao",
    "transformers",
}
MODULES = sorted(SRC.rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {module_name(path) for path in MODULES}


def imported(path: Path, *, top_level_only: bool = False) -> set[str]:
    """Give the modules of the package that a file imports; `from a import b` counts as `a.b` where that is a module."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    nodes = tree.body if top_level_only else ast.walk(tree)
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            found |= {
                f"{node.module}.{alias.name}" if f"{node.module}.{alias.name}" in NAMES else node.module
                for alias in node.names
            }
    return {name for name in found if name.split(".")[0] == "waddington"}


def room(name: str) -> str:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 else ""


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_run_downwards(path: Path) -> None:
    here = room(module_name(path))
    for target in imported(path):
        there = room(target)
        if here == there or (here, there) in SAME_FLOOR:
            continue
        assert FLOORS[there] < FLOORS[here], f"{module_name(path)} (floor {FLOORS[here]}) imports {target}"
        assert (here, there) not in STRANGERS, f"{module_name(path)} imports {target}: the two don't know each other"


def test_no_import_runs_in_a_ring() -> None:
    graph = {module_name(path): imported(path, top_level_only=True) & NAMES - {module_name(path)} for path in MODULES}
    TopologicalSorter(graph).prepare()  # raises CycleError with the ring


def test_the_core_needs_nothing_heavy() -> None:
    code = "import sys, waddington, waddington.optim; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not HEAVY & set(loaded)


def test_files_stay_readable() -> None:
    long = {str(path.relative_to(SRC)): n for path in MODULES if (n := len(path.read_text().splitlines())) > 400}
    assert not long, f"look for the split: {long}"
