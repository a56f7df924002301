"""Kernels of the tests: kept from run to run, so that each is compiled once, or in an empty folder on request."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from waddington.optim.kernels import cache


@pytest.fixture(scope="session", autouse=True)
def kernels(pytestconfig: pytest.Config) -> Path:
    """Point WADDINGTON_CACHE to a folder that all processes of all runs share, unless it is set already.

    A kernel is named by its whole program and its compiler, so none that is kept is taken for a later one.
    """
    if not os.environ.get("WADDINGTON_CACHE"):
        os.environ["WADDINGTON_CACHE"] = str(pytestconfig.cache.mkdir("kernels") / "waddington")
    return Path(os.environ["WADDINGTON_CACHE"])


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
