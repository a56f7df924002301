"""What is given back of measured effects: the equations, and what they are worth where effects are not normal."""

from __future__ import annotations

import numpy as np
import pytest
from tests.twin.respond.hierarchical.dense import MIXED, a_screen

from waddington.twin.respond.hierarchical import Course, HierarchicalAdditive
from waddington.twin.respond.hierarchical.likelihood import posterior_of
from waddington.twin.respond.hierarchical.prediction import predicted_mean
from waddington.twin.respond.hierarchical.translation import Translation, residuals
from waddington.twin.respond.measured import Measured, Table

NEVER = Course(translation=np.inf)


@pytest.mark.parametrize("kappa", [0.0, 0.9])
def test_a_residual_is_what_the_posterior_leaves_of_what_was_observed(kappa: float) -> None:
    screen = a_screen(kappa=kappa)
    posterior = posterior_of(screen.design(pairs_together=kappa > 0), screen.n, screen.y, screen.strengths)
    found = residuals(posterior, screen.n)
    for row, parts in enumerate(MIXED):
        left = screen.y[row] - posterior.mu - predicted_mean(posterior, parts)
        np.testing.assert_allclose(found[row], left, rtol=1e-9, atol=1e-12)


def test_a_mean_goes_no_further_than_the_limit_and_the_variance_grows_by_what_it_moved() -> None:
    screen = a_screen(features=40)
    posterior = posterior_of(screen.design(), screen.n, screen.y, screen.strengths)
    away, error = residuals(posterior, screen.n), 0.3 / np.sqrt(screen.n)
    found = Translation.of(posterior, screen.n, 0.3)
    for row in range(len(MIXED)):
        left = away[row] - found.mean({row: 1.0})
        np.testing.assert_allclose(left, np.clip(away[row], -error[row], error[row]), atol=1e-12)
        moved = np.abs(away[row] - left)
        np.testing.assert_allclose(found.variance({row: 1.0}), np.minimum(moved, error[row]) ** 2, atol=1e-12)
    one, other = ({row: 1.0} for row in (1, 2))
    np.testing.assert_allclose(found.mean({1: 0.5, 2: 1.0}), 0.5 * found.mean(one) + found.mean(other))
    np.testing.assert_allclose(found.variance({1: 0.5, 2: 1.0}), 0.25 * found.variance(one) + found.variance(other))
    assert not Translation.of(posterior, screen.n, np.inf).moved.nnz


def own_features(singles: int = 30, features: int = 300) -> tuple[Measured, np.ndarray]:
    """Give singles of which each moves five features that no other moves, and pairs; the truth of each beside."""
    rng = np.random.default_rng(0)
    names = [f"G{i:02d}:knockout" for i in range(singles)]
    theta = 0.02 * rng.standard_normal((singles, features))
    own = rng.permutation(features)[: singles * 5].reshape(singles, 5)
    np.put_along_axis(theta, own, rng.choice([-1.0, 1.0], own.shape), axis=1)
    pairs = [(i, i + 1) for i in range(0, singles, 2)]
    labels = ["control", *names, *(f"{names[i]}+{names[j]}" for i, j in pairs)]
    truth = np.stack([np.zeros(features), *theta, *(theta[i] + theta[j] for i, j in pairs)])
    n = np.array([400.0, *[30.0] * (len(labels) - 1)])
    mean = 2.0 + truth + rng.standard_normal(truth.shape) / np.sqrt(n)[:, None]
    table = Table(mean=mean, variance=np.ones_like(mean))
    return Measured(kind="perturbation", labels=tuple(labels), n=n, tables={"rna": table}, names={}), truth


@pytest.mark.parametrize("of", ["singles", "pairs that were not measured"])
def test_features_that_answer_one_perturbation_alone_are_neither_shrunk_away_nor_missed(of: str) -> None:
    measured, truth = own_features()
    pairs = [label for label in measured.labels if "+" in label]
    asked = measured.labels[1:31] if of == "singles" else pairs
    wanted = np.stack([truth[measured.row[label]] for label in asked])
    inside, errors = {}, {}
    for name, course in (("limited", Course()), ("normal", NEVER)):
        model = HierarchicalAdditive(measured.without(pairs), course=course)
        error = np.stack([model.predict(label)["rna"] for label in asked]) - wanted
        sd = np.stack([model.standard_deviation(label)["rna"] for label in asked])
        inside[name] = float((np.abs(error) <= 1.645 * sd)[np.abs(wanted) > 0.5].mean())
        errors[name] = float(np.square(error).mean())
    assert inside["normal"] < 0.2 < 0.5 < inside["limited"]
    assert errors["limited"] < 0.7 * errors["normal"]


def test_a_model_is_kept_with_its_limit() -> None:
    measured, _ = own_features(20, 100)
    model = HierarchicalAdditive(measured, course=NEVER)
    again = HierarchicalAdditive.from_state_dict(model.state_dict())
    other = HierarchicalAdditive(measured)
    label = measured.labels[1]
    np.testing.assert_array_equal(again.predict(label)["rna"], model.predict(label)["rna"])
    assert not np.array_equal(other.predict(label)["rna"], model.predict(label)["rna"])
