from __future__ import annotations

import numpy as np

from waddington.twin.simulate.dynamics import MYELOID_KINETICS, integrate
from waddington.twin.simulate.fates import FATE_STATES, STATE_NAMES, STATES, classify, progress
from waddington.twin.simulate.network import MYELOID


def test_the_states_are_their_own_nearest() -> None:
    np.testing.assert_array_equal(classify(STATES), np.arange(5))


def test_edited_genes_do_not_count() -> None:
    # An erythrocyte in which EKLF is taken away by hand is as near to either sister fate but for Fli1.
    x = FATE_STATES[:, [0]].copy()
    touched = np.zeros(x.shape, dtype=bool)
    x[MYELOID.index("EKLF")] = 0
    x[MYELOID.index("Fli1")] = 0.6
    assert STATE_NAMES[classify(x)[0]] == "Megakaryocyte"
    x[MYELOID.index("Fli1")] = 1.0
    touched[MYELOID.index("Fli1")] = True
    x[MYELOID.index("EKLF")] = 0.8
    assert STATE_NAMES[classify(x, touched)[0]] == "Erythrocyte"


def test_progress_runs_from_the_progenitor_to_the_fates() -> None:
    start = MYELOID_KINETICS.start[:, None]
    np.testing.assert_allclose(progress(FATE_STATES), 1.0, rtol=1e-6)
    np.testing.assert_allclose(progress(start), 0.0, atol=1e-6)
    np.testing.assert_allclose(progress((start + FATE_STATES[:, :1]) / 2), 0.5, atol=1e-6)


def test_progenitors_spread_over_the_four_fates_and_get_there() -> None:
    start = np.repeat(MYELOID_KINETICS.start[:, None], 800, axis=1)
    end = integrate(MYELOID, MYELOID_KINETICS, start, hours=150.0, rng=np.random.default_rng(0))
    share = np.bincount(classify(end), minlength=5) / 800
    assert (share[:4] > 0.1).all(), dict(zip(STATE_NAMES, share, strict=True))
    assert share[4] == 0
    assert np.median(progress(end)) > 0.9
