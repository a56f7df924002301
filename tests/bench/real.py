"""Which real data sets are at hand: a test is skipped where nothing of one is there, and for no other reason."""

from __future__ import annotations

from pathlib import Path

import pytest

from waddington.bench.datasets import get_data_set


def skip_without(name: str, root: Path) -> None:
    """Skip where the folder has no file of any form of a data set; a half or a broken one is the test's to find."""
    places = [
        root / folder / end
        for form in get_data_set(name).forms
        for folder in form.folders
        for file in form.files
        for end in (file.name, f"{file.name}.gz")
    ]
    if not any(place.exists() for place in places):
        pytest.skip(f"the data set {name!r} is not among those that WADDINGTON_DATA names (see docs/tasks.md)")
