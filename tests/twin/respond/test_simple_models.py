"""Nearest, opposite mode and the bilinear model, each against what its docstring says."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.decomposition import PCA

from waddington.errors import UnsupportedError
from waddington.twin.respond import Bilinear, Measured, Nearest, OppositeMode, Table
from waddington.twin.respond.opposite import opposites_of

NEAR = {"A:knockout": [1.0, 0.0], "A:knockout+B:knockout": [2.0, 1.0], "A:knockout+C:knockout": [4.0, 3.0]}
BOTH_WAYS = {
    "A:knockout": [1.0, 2.0],
    "A:activation": [-2.0, -4.0],
    "B:knockout": [3.0, -1.0],
    "C:knockdown": [1.0, 1.0],
}


def measured(effects: dict[str, list[float]], names: list[str] | None = None) -> Measured:
    """Give exact means: the control at 1, everything else its effect above it."""
    labels = ("control", *sorted(effects))
    mean = 1.0 + np.array([np.zeros(len(next(iter(effects.values())))), *(effects[label] for label in labels[1:])])
    return Measured(
        kind="perturbation",
        labels=labels,
        n=np.full(len(labels), 50.0),
        tables={"rna": Table(mean=mean, variance=np.ones_like(mean))},
        names={} if names is None else {"rna": np.array(names)},
    )


class TestNearest:
    def test_a_perturbation_seen_in_combinations_is_answered_by_those(self) -> None:
        model = Nearest(measured(NEAR))
        np.testing.assert_allclose(model.predict("B:knockout")["rna"], [2.0, 1.0])

    def test_ties_are_averaged(self) -> None:
        model = Nearest(measured({key: value for key, value in NEAR.items() if "+" in key}))
        np.testing.assert_allclose(model.predict("A:knockout")["rna"], [3.0, 2.0])

    def test_what_shares_nothing_is_refused_even_as_a_guess(self) -> None:
        with pytest.raises(UnsupportedError, match="no training condition shares a perturbation"):
            Nearest(measured(NEAR)).predict("Z:knockout", guess=True)


class TestOppositeMode:
    def test_the_share_is_fitted_on_genes_of_both_directions(self) -> None:
        model = OppositeMode(measured(BOTH_WAYS))
        # Least squares over both pairs, each from both sides: -(x·y + y·x) / (y·y + x·x).
        share = 2 * 10.0 / (5.0 + 20.0)
        assert model.share["rna"] == pytest.approx(share)
        assert model.n_pairs == 2
        np.testing.assert_allclose(model.predict("B:activation")["rna"], -share * np.array([3.0, -1.0]))
        np.testing.assert_allclose(model.predict("C:overexpression")["rna"], -share * np.array([1.0, 1.0]))
        np.testing.assert_allclose(model.predict("A:knockout+B:activation")["rna"], [1 - 3 * share, 2 + share])

    def test_without_such_genes_it_is_one(self) -> None:
        model = OppositeMode(measured({"B:knockout": [3.0, -1.0]}))
        np.testing.assert_allclose(model.predict("B:activation")["rna"], [-3.0, 1.0])

    def test_the_other_direction_of_what_is_no_gene(self) -> None:
        assert opposites_of("LPS:cytokine") == ()
        assert opposites_of("A:knockdown") == ("A:activation", "A:overexpression")
        with pytest.raises(UnsupportedError, match="D:activation"):
            OppositeMode(measured(BOTH_WAYS)).predict("D:activation")


def test_the_bilinear_model_is_its_equation() -> None:
    rng = np.random.default_rng(0)
    genes = list("ABCDEF")
    data = measured({f"{gene}:knockout": rng.standard_normal(6).tolist() for gene in "ABCD"}, genes)
    y = data.effects("rna")[1:].T
    g = PCA(5, svd_solver="full").fit_transform(data.tables["rna"].mean.T)
    p, c, ridge = g[:4], y.mean(axis=1, keepdims=True), 0.1 * np.eye(5)
    k = np.linalg.inv(g.T @ g + ridge) @ g.T @ (y - c) @ p @ np.linalg.inv(p.T @ p + ridge)
    model = Bilinear(data)
    for asked, embedding in (("E:knockout", g[4]), ("A:knockout+F:knockout", g[0] + g[5])):
        np.testing.assert_allclose(model.predict(asked)["rna"], g @ k @ embedding + c[:, 0], rtol=1e-9)
    with pytest.raises(UnsupportedError, match="Z:knockout"):
        model.predict("Z:knockout")
