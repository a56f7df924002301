"""Shared by every test: one thread, one seed, and where the real data is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)


@pytest.fixture
def data_dir() -> Path:
    """Give the folder of real data sets, or skip: set WADDINGTON_DATA to it (see CONTRIBUTING.md)."""
    root = os.environ.get("WADDINGTON_DATA")
    if not root:
        pytest.skip("real data are not part of the repository: WADDINGTON_DATA is not set (see CONTRIBUTING.md)")
    return Path(root)
