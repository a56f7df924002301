from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from waddington.errors import ArgumentError
from waddington.twin.data.conditions import Perturbation, parse_label
from waddington.twin.simulate.design import default_conditions, lay_out_screen, spread_cells
from waddington.twin.simulate.network import MYELOID


def test_the_default_screen_knocks_out_every_regulator_and_measures_the_singles_of_every_double() -> None:
    screen = default_conditions()
    assert screen[0] == ()
    assert {(Perturbation(gene, "knockout"),) for gene in MYELOID.genes} <= set(screen)
    doubles = [condition for condition in screen if len(condition) == 2]
    assert len(doubles) == 12
    assert all((edit,) in screen for double in doubles for edit in double)
    assert len(set(screen)) == len(screen) == 32


@settings(deadline=None, max_examples=30)
@given(st.integers(32, 3000), st.floats(0.01, 0.99))
def test_every_cell_is_used_and_every_condition_has_cells(n_cells: int, fraction: float) -> None:
    counts = spread_cells(n_cells, default_conditions(), control_fraction=fraction)
    assert counts.sum() == n_cells
    assert (counts >= 1).all()
    assert np.ptp(counts[1:]) <= 1


def test_controls_get_their_share() -> None:
    assert spread_cells(5000, default_conditions())[0] == 2000
    assert spread_cells(10, [()]).tolist() == [10]
    assert spread_cells(10, [parse_label("Gata1:knockout")]).tolist() == [10]


def test_hours_and_batches_are_crossed_in_each_condition() -> None:
    obs, codes = lay_out_screen(
        240, default_conditions()[:3], control_fraction=0.5, hours=(0, 24), n_batches=2, rng=np.random.default_rng(0)
    )
    sizes = obs.assign(code=codes).groupby(["code", "time", "batch"], observed=False).size().to_numpy().reshape(3, 4)
    assert (np.ptp(sizes, axis=1) <= 2).all()
    assert obs.index.is_unique


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_cells": 3}, "n_cells=3: 32 conditions"),
        ({"conditions": ()}, "at least one is needed"),
        ({"conditions": [(), ()]}, "listed twice"),
        ({"control_fraction": 1.0}, "control_fraction=1.0"),
        ({"hours": ()}, r"hours=\(\)"),
        ({"hours": (-1.0,)}, "none of them negative"),
        ({"hours": (float("nan"),)}, "none of them negative"),
        ({"n_batches": 0}, "n_batches=0"),
    ],
)
def test_a_screen_that_cannot_be_is_refused(arguments: dict[str, object], message: str) -> None:
    good: dict[str, object] = {
        "n_cells": 100,
        "conditions": default_conditions(),
        "control_fraction": 0.4,
        "hours": (0.0, 24.0),
        "n_batches": 2,
    }
    with pytest.raises(ArgumentError, match=message):
        lay_out_screen(**(good | arguments), rng=np.random.default_rng(0))  # type: ignore[arg-type]
