"""Shared by every test: one thread, one seed, where the real data is, and what `-m slow` need not import."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, settings

torch.set_num_threads(1)
# The same examples every time where a change is judged; new ones, and those that once failed, where it is made.
settings.register_profile("made", deadline=None, suppress_health_check=[HealthCheck.too_slow])  # no clock decides
settings.register_profile("judged", settings.get_profile("made"), derandomize=True)
settings.load_profile("judged" if os.environ.get("CI") else "made")


@pytest.fixture
def data_dir() -> Path:
    """Give the folder of real data sets, or skip: set WADDINGTON_DATA to it (see CONTRIBUTING.md)."""
    root = os.environ.get("WADDINGTON_DATA")
    if not root:
        pytest.skip("real data are not part of the repository: WADDINGTON_DATA is not set (see CONTRIBUTING.md)")
    return Path(root)


def _says_slow(path: Path) -> bool:
    return "slow" in path.read_text(encoding="utf-8")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Where only slow tests are asked for, import the fifth of all files that speak of such."""
    is_file = collection_path.name.startswith("test_") and collection_path.suffix == ".py"
    return True if config.option.markexpr == "slow" and is_file and not _says_slow(collection_path) else None


HERE = Path(__file__).parent
LONGEST = [
    HERE / name
    for name in (
        "twin/run/test_run.py", "optim/testing/test_ours.py", "optim/testing/test_checks.py",
        "twin/preprocess/test_graph.py", "notebooks/test_multimodal_reprogramming.py", "twin/tables/test_command.py",
        "docs/test_types.py", "notebooks/test_quickstart.py", "docs/test_snippets.py", "docs/test_api_pages.py",
        "bench/statistics/test_verdicts.py",
    )
]  # fmt: skip
"""Files whose slow tests take half a minute of a processor or more, about the longest first."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse slow tests that `-m slow` would not find: in a file that has the mark from another and does not say so.

    Where only slow tests are asked for, the longest files come first, then those of the twin.
    """
    silent = [path for path in {item.path for item in items if item.get_closest_marker("slow")} if not _says_slow(path)]
    if silent:
        raise pytest.UsageError(f"tests are marked slow in files without that word: {sorted(map(str, silent))}")
    if items and items[0].config.option.markexpr == "slow":  # the longest files first: none runs alone at the end
        if gone := [str(path) for path in LONGEST if not path.exists()]:
            raise pytest.UsageError(f"files that are to come first are not there: {gone}")
        turn = {path: at for at, path in enumerate(LONGEST)}
        items.sort(key=lambda item: (turn.get(item.path, len(turn)), "twin" not in item.path.parts))
