"""What tests of whole runs share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from waddington.twin.run import api


@pytest.fixture
def unpictured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a run's pictures out, which take a third of its time; test_run.py looks at those of a whole one."""
    _leave_out(monkeypatch)


@pytest.fixture(scope="module")
def unpictured_module() -> Iterator[None]:
    """Leave them out of every run of a module."""
    with pytest.MonkeyPatch.context() as patch:
        _leave_out(patch)
        yield


def _leave_out(patch: pytest.MonkeyPatch) -> None:
    for name in ("write_pictures", "write_loss_landscape", "evaluation_pictures"):
        patch.setattr(api, name, lambda *_, **__: {})
