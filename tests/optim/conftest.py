"""Kernels of the tests: kept in a folder of the run, so that each is compiled once, or in an empty one on request."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from waddington.optim.kernels import cache


@pytest.fixture(scope="session", autouse=True)
def kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Point WADDINGTON_CACHE to a folder that all processes of this run share, unless it is set already."""
    given = os.environ.get("WADDINGTON_CACHE")
    if given:  # whoever runs the tests over and over spares the compiling
        return Path(given)
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:  # each worker has its own folder in the run's
        base = base.parent
    os.environ["WADDINGTON_CACHE"] = str(base / "kernels")
    return base / "kernels"


@pytest.fixture
def fresh_process() -> Iterator[None]:
    """Forget what this process knows of kernels and compilers, now and afterwards."""
    cache.forget()
    yield
    cache.forget()


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give an empty folder for kernels."""
    monkeypatch.setenv("WADDINGTON_CACHE", str(tmp_path / "kernels"))
    return tmp_path / "kernels"
