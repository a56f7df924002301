"""The house keeps its floors: imports run downwards, `bench` and `twin` are strangers, nothing runs in a ring."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
SRC = TESTS.parent / "src"
FLOORS = {
    "waddington": {
        "errors": 0,
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
        "__init__": 5,
        "cli": 6,
        "__main__": 7,
    },
    "waddington.optim": {
        "_moved": 0,
        "moments": 0,
        "projection": 0,
        "schedules": 0,
        "kernels": 0,
        "_engine": 1,
        "_rule": 1,
        "lookahead": 1,
        "rule": 1,
        "adaptation": 1,
        "alignment": 1,
        "updating": 1,
        "amvt_momentum": 2,
        "_switch_settings": 2,
        "masking": 2,
        "compression": 2,
        "communication": 3,
        "switching": 3,
        "engine": 3,
        "preprocessing": 4,
        "padam": 4,
        "amgt": 4,
        "alphaadam": 4,
        "microadam": 4,
        "ldadam": 4,
        "amvt": 5,
        "asgd": 5,
        "wrappers": 5,
        "registry": 6,
        "testing": 6,
        "__init__": 7,
    },
    "waddington.analysis": {
        "records": 0,
        "batches": 0,
        "vectors": 0,
        "lanczos": 1,
        "_surroundings": 0,
        "_numbers": 1,
        "objective": 1,
        "preconditioner": 1,
        "diagnostics": 1,
        "curvature": 2,
        "gradients": 2,
        "noise": 2,
        "trajectory": 2,
        "landscape": 2,
        "spectrum": 3,
        "rates": 3,
        "bounds": 3,
        "plots": 4,
        "__init__": 5,
    },
    "waddington.bench": {
        "files": 0,
        "space": 0,
        "_seeding": 0,
        "schedule": 0,
        "problem": 0,
        "_task": 1,
        "arm": 1,
        "packing": 0,
        "studies": 6,
        "trackers": 0,
        "training": 1,
        "datasets": 1,
        "tasks": 2,
        "catalog": 2,
        "run": 3,
        "entry": 3,
        "study": 4,
        "registered": 5,
        "search": 5,
        "remarks": 6,
        "tracing": 3,
        "conducting": 6,
        "cost": 4,
        "comparison": 7,
        "report": 1,
        "reporting": 8,
        "folder": 9,
        "store": 0,
        "statistics": 0,
        "__init__": 10,
    },
    "waddington.twin": {
        "_moved": 0,
        "_arrays": 0,
        "_energy": 0,
        "_gymnasium": 0,
        "_keys": 0,
        "data": 1,
        "simulate": 2,
        "preprocess": 2,
        "datasets": 3,
        "trajectory": 3,
        "embed": 3,
        "respond": 3,
        "evaluate": 4,
        "dynamics": 4,
        "links": 4,
        "plan": 5,
        "plots": 5,
        "report": 5,
        "models": 6,
        "objectives": 6,
        "run": 7,
        "pp": 7,
        "tl": 7,
        "pl": 7,
        "tables": 8,
        "__init__": 9,
    },
}
"""The floor of every room, a file or a folder, for each package that has several; a package itself is `__init__`."""
SAME_FLOOR = {("waddington._checks", "waddington.errors"), ("waddington._files", "waddington.errors")}
STRANGERS = {("waddington.bench", "waddington.twin"), ("waddington.twin", "waddington.bench")}
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
    "optuna",
    "plotly",
    "pytorch_optimizer",
    "schedulefree",
    "statsmodels",
    "torchao",
    "transformers",
}
MODULES = sorted(SRC.rglob("*.py"))


def module_name(path: Path) -> str:
    parts = path.relative_to(SRC).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


NAMES = {module_name(path): path for path in MODULES}


def imported(path: Path) -> set[str]:
    """Give the package's modules that a file imports, anywhere in it; `from a import b` is `a.b` where that is one."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = path.relative_to(SRC).parts[:-1]
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) + 1 - node.level] if node.level else ()
            base = ".".join([*start, *([node.module] if node.module else [])])
            found |= {inner if (inner := f"{base}.{alias.name}") in NAMES else base for alias in node.names}
    return {name for name in found if name.split(".")[0] == "waddington"}


def rooms(here: str, there: str) -> tuple[str, str, str] | None:
    """Give the innermost package with floors that has two modules in different rooms, and these rooms; else None."""
    package = "waddington"
    while True:
        first, second = (name.removeprefix(package).lstrip(".").split(".")[0] or "__init__" for name in (here, there))
        if first != second:
            return package, first, second
        package = f"{package}.{first}"
        if package not in FLOORS:
            return None


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_run_downwards(path: Path) -> None:
    here = module_name(path)
    for target in imported(path):
        if (found := rooms(here, target)) is None:
            continue
        package, room, other = found
        floors, pair = FLOORS[package], (f"{package}.{room}", f"{package}.{other}")
        assert floors[other] < floors[room] or pair in SAME_FLOOR, (
            f"{here} (floor {floors[room]} of {package}) imports {target} (floor {floors[other]})"
        )
        assert pair not in STRANGERS, f"{here} imports {target}: the two don't know each other"


def test_every_room_has_a_floor_and_every_floor_a_room() -> None:
    later = {"waddington.claims"}
    for package, floors in FLOORS.items():
        folder = SRC.joinpath(*package.split("."))
        found = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
        assert {f"{package}.{room}" for room in floors} - later == {f"{package}.{room}" for room in found} - later


@pytest.mark.parametrize(
    ("source", "targets"),
    [
        ("import waddington.optim.registry", {"waddington.optim.registry"}),
        ("from waddington import twin", {"waddington.twin"}),
        ("from waddington.twin import run as r", {"waddington.twin.run"}),
        (
            "from . import splits\nfrom ..embed import config",
            {"waddington.twin.data.splits", "waddington.twin.embed.config"},
        ),
        ("from .splits import nothing", {"waddington.twin.data.splits"}),
        ("def f():\n    from waddington.cli import main", {"waddington.cli"}),
        ("if TYPE_CHECKING:\n    import waddington.jobs", {"waddington.jobs"}),
        ("import torch", set()),
    ],
)
def test_imports_of_every_kind_are_seen(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str, targets: set[str]
) -> None:
    monkeypatch.setattr(sys.modules[__name__], "SRC", tmp_path)
    path = tmp_path / "waddington" / "twin" / "data" / "new.py"
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert imported(path) == targets


def test_rooms_are_told_apart_where_they_part() -> None:
    assert rooms("waddington.twin.data.io.read", "waddington.optim.adam") == ("waddington", "twin", "optim")
    assert rooms("waddington.twin.data.io.read", "waddington.twin.embed") == ("waddington.twin", "data", "embed")
    assert rooms("waddington.twin.data.io.read", "waddington.twin") == ("waddington.twin", "data", "__init__")
    assert rooms("waddington.twin.data.io.read", "waddington.twin.data.splits") is None


def test_no_import_runs_in_a_ring() -> None:
    graph = {name: imported(path) & NAMES.keys() - {name} for name, path in NAMES.items()}
    TopologicalSorter(graph).prepare()  # raises CycleError with the ring


def test_the_core_needs_nothing_heavy() -> None:
    code = "import sys, waddington, waddington.optim; print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not HEAVY & set(loaded)


def test_files_stay_readable() -> None:
    files = [*MODULES, *TESTS.rglob("*.py")]
    long = {str(path): n for path in files if (n := len(path.read_text(encoding="utf-8").splitlines())) > 400}
    assert not long, f"look for the split: {long}"


def test_a_package_gives_no_name_that_is_also_its_module() -> None:
    """`from package import name` would give the one or the other, as it happens; `twin.run` is guarded and tested."""
    both = set()
    for package in (path.parent for path in MODULES if path.name == "__init__.py"):
        tree = ast.parse((package / "__init__.py").read_text(encoding="utf-8"))
        inner = {module_name(path) for path in MODULES if path.parent == package or path.parent.parent == package}
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module != module_name(package / "__init__.py"):
                names = {f"{module_name(package / '__init__.py')}.{alias.asname or alias.name}" for alias in node.names}
                both |= names & inner
    assert both <= {"waddington.twin.run"}


def test_tests_mirror_the_source() -> None:
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    of_rooms = {folder for folder in folders if folder.parts[:1] in (("twin",), ("analysis",))}
    assert of_rooms
    assert not [str(folder) for folder in of_rooms if not (SRC / "waddington" / folder).is_dir()]
