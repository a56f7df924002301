from __future__ import annotations

import pandas as pd
import pytest

from waddington.twin.run.pictures import shown_conditions


@pytest.mark.parametrize(
    ("measurable", "shown"),
    [([True, False, True], [True, False, False]), ([False, False, True], [True, True, False])],
    ids=["the measurable ones", "all that are predicted, where none is measurable"],
)
def test_the_scatter_shows_what_can_be_measured(measurable: list[bool], shown: list[bool]) -> None:
    obs = pd.DataFrame({"measured_support": [True, True, False], "measurable": measurable})
    assert shown_conditions(obs).tolist() == shown
