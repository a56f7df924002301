"""The tables computed with: what their own numbers say."""

from __future__ import annotations

import numpy as np
import pytest

from waddington.analysis.bounds.alphaadam import (
    ablation_means,
    ablation_order,
    accuracy_gap,
    attainable_percent,
    correlation_error,
    glue_errors,
    glue_gain,
    glue_means,
    matthews_error,
    mcnemar_p,
    share_error,
    tables,
)
from waddington.errors import ArgumentError, UnknownNameError

pytest.importorskip("scipy")


def test_adamw_ends_the_ablation_first() -> None:
    assert ablation_order() == ("AdamW", "asynchronous, α", "asynchronous", "synchronous")
    assert ablation_order(20)[0] == "asynchronous, α"
    with pytest.raises(ArgumentError, match="percent=80; accepted: 20, 40, 60, 100"):
        ablation_order(80)


def test_one_mean_of_the_ablation_is_none() -> None:
    found = {(arm, at): mean for arm, both in ablation_means().items() for at, mean in enumerate(both)}
    wrong = {key for key, mean in found.items() if not mean.agrees}
    assert wrong == {("asynchronous, α", 0)}
    assert found["asynchronous, α", 0].computed == pytest.approx(3.516)  # 3.523 is printed
    assert found["AdamW", 0].computed == pytest.approx(3.6095)


def test_means_of_glue() -> None:
    computed = {method: round(mean, 2) for method, (mean, _) in glue_means().items()}
    assert computed == {
        "AdamW": 83.24, "Adam-mini": 80.28, "GaLore": 82.25, "LDAdam": 83.58, "CAdamW": 82.43, "AlphaAdam": 83.63,
    }  # fmt: skip
    assert {method for method, mean in computed.items() if mean != tables.GLUE_MEANS[method]} == {"CAdamW"}


def test_alphaadam_loses_four_of_seven_to_adamw_and_rte_carries_its_mean() -> None:
    found = glue_gain()
    assert (found.wins, found.losses) == (3, 4)
    assert found.mean == pytest.approx(2.72 / 7.0)
    assert (found.largest, found.largest_share) == ("RTE", pytest.approx(3.26 / 7.0))
    # ranks of -20, 77, -79, 326, -89, -22, 79: 1, 3, 4.5, 7, 6, 2, 4.5; the gains sum to 14.5, the losses to 13.5
    assert found.p_wilcoxon == pytest.approx(126 / 128)
    assert not found.is_distinguishable
    assert found.error == pytest.approx(0.87, abs=0.03)
    assert glue_gain("AlphaAdam", "LDAdam").mean == pytest.approx(0.05)
    assert glue_gain("AdamW", "AdamW").p_wilcoxon == 1.0


def test_sampling_errors_of_the_development_sets() -> None:
    errors = glue_errors("AlphaAdam")
    assert errors["RTE"] == pytest.approx(100.0 * share_error(0.7149, 277)) == pytest.approx(2.71, abs=0.01)
    assert errors["QQP"] < 0.15
    assert np.sqrt(np.square(list(errors.values())).sum()) / 7 == pytest.approx(0.61, abs=0.02)


def test_errors_of_correlations_are_what_samples_show() -> None:
    rng = np.random.default_rng(0)
    pairs = rng.multivariate_normal([0.0, 0.0], [[1.0, 0.8], [0.8, 1.0]], size=(1000, 300))
    found = [np.corrcoef(sample.T)[0, 1] for sample in pairs]
    assert np.std(found) == pytest.approx(correlation_error(0.8, 300), rel=0.1)
    # a table of two by two with φ = 0.57 and 69 % positives on both sides
    positive, phi = 0.691, 0.57
    both = positive**2 + phi * positive * (1.0 - positive)
    cells = np.array([both, positive - both, positive - both, 1.0 - 2.0 * positive + both])
    counts = rng.multinomial(1043, cells, size=4000).astype(float)
    a, b, c, d = counts.T
    matthews = (a * d - b * c) / np.sqrt((a + b) * (a + c) * (d + b) * (d + c))
    assert np.std(matthews) == pytest.approx(matthews_error(phi, 1043, positive), rel=0.05)


def test_six_more_answers_of_1319_are_no_difference() -> None:
    found = accuracy_gap()
    assert (found.first, found.second) == (461, 455)
    assert found.z == pytest.approx(0.2454, abs=1e-4)
    assert found.p == pytest.approx(0.806, abs=1e-3)
    assert found.p_fisher == pytest.approx(0.838, abs=1e-3)
    assert found.p_mcnemar_least == pytest.approx(2.0 * 0.5**6)
    assert min(accuracy_gap("AlphaAdam", other).p_fisher for other in tables.GSM8K if other != "AlphaAdam") > 0.7
    assert mcnemar_p(0, 0) == 1.0
    assert mcnemar_p(10, 4) == pytest.approx(0.1796, abs=1e-4)


def test_most_printed_accuracies_are_of_no_number_of_answers() -> None:
    assert attainable_percent(34.42, 1319)  # 454
    assert not attainable_percent(34.94, 1319)  # 461 are 34.95
    assert attainable_percent(34.94, 1319, runs=5)  # 2304 of 6595
    grid = {name: attainable_percent(accuracy, tables.GSM8K_QUESTIONS) for name, (accuracy, _) in tables.GSM8K.items()}
    assert [name for name, whole in grid.items() if whole] == ["Adam-8bit"]
    assert attainable_percent(34.88, 1319, digits=1)


def test_names_that_no_table_has_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'AlphaAdam'"):
        glue_gain("AlfaAdam")
    with pytest.raises(UnknownNameError, match="method of Table 2"):
        accuracy_gap("SGD")
    with pytest.raises(ArgumentError, match="runs=0"):
        attainable_percent(1.0, 10, runs=0)
