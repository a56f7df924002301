"""What tests of whole runs share."""

from __future__ import annotations

import pytest

from waddington.twin.run import api


@pytest.fixture
def unpictured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a run's pictures out, which take a third of its time; test_run.py looks at those of a whole one."""
    for name in ("write_pictures", "write_loss_landscape", "evaluation_pictures"):
        monkeypatch.setattr(api, name, lambda *_, **__: {})
