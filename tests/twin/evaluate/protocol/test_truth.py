from __future__ import annotations

import numpy as np
from scipy import stats
from tests.twin.evaluate.protocol.world import make_screen

from waddington.twin.evaluate.protocol.truth import moments_of, observe_effect


def test_an_observed_effect_is_welchs() -> None:
    screen = make_screen(scale=0.4)
    target, control = screen.cells("A:knockout"), screen.cells("control")
    found = observe_effect(moments_of(screen, target), moments_of(screen, control), "rna")
    x, y = (screen.values["rna"][rows].astype(np.float64) for rows in (target, control))
    test = stats.ttest_ind(x, y, equal_var=False)
    np.testing.assert_allclose(found.effect, x.mean(axis=0) - y.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(found.effect / np.sqrt(found.noise), test.statistic, rtol=1e-10)
    np.testing.assert_array_equal(found.changed, stats.false_discovery_control(test.pvalue) < 0.05)
    assert 0 < found.changed.sum() < len(found.changed)


def test_features_without_any_spread_did_not_change() -> None:
    screen = make_screen()
    screen.values["rna"][:, 3] = 2.0
    found = observe_effect(
        moments_of(screen, screen.cells("A:knockout")), moments_of(screen, screen.cells("control")), "rna"
    )
    assert found.noise[3] == 0
    assert not found.changed[3]
