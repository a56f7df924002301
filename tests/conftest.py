"""Shared by every test: one thread, one seed, and where the real data is."""

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
