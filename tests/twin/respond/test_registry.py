"""The contract of every response model of the registry: a new row is tested by being there."""

from __future__ import annotations

import numpy as np
import pytest
from tests.twin.respond.test_baselines import EFFECTS, additive_world

from waddington.errors import ArgumentError, UnknownNameError, UnsupportedError
from waddington.twin.respond.base import ResponseModel
from waddington.twin.respond.registry import MODELS, fit_model

SAME_FOR_ALL = {"no change", "mean"}
"""Models whose answer does not depend on the condition."""


def fitted(name: str, *, poisoned: bool = False, order: np.ndarray | None = None) -> ResponseModel:
    """Fit a model on cells in which effects add exactly; the features themselves serve as the representation."""
    values, split = additive_world()
    if poisoned:
        values = {"rna": np.where(split.train[:, None], values["rna"], 1e3).astype(np.float32)}
    if order is not None:
        values = {"rna": values["rna"][:, order]}
    return fit_model(name, values, split, representation=values["rna"] if MODELS[name].uses_representation else None)


@pytest.mark.parametrize("name", MODELS)
class TestEveryModel:
    def test_is_a_class_that_knows_its_name(self, name: str) -> None:
        assert issubclass(MODELS[name], ResponseModel)
        assert MODELS[name].name == name
        assert type(fitted(name)) is MODELS[name]

    def test_gives_one_finite_number_a_feature_in_every_modality(self, name: str) -> None:
        effect = fitted(name).predict("A:knockout+C:knockout")
        assert effect.keys() == {"rna"}
        assert effect["rna"].shape == (5,)
        assert effect["rna"].dtype == np.float64
        assert np.isfinite(effect["rna"]).all()

    def test_predicts_what_adds(self, name: str) -> None:
        if name in SAME_FOR_ALL:
            first, second = (fitted(name).predict(label)["rna"] for label in ("A:knockout", "A:knockout+B:knockout"))
            np.testing.assert_array_equal(first, second)
            return
        model = fitted(name)
        for label in ("A:knockout", "A:knockout+B:knockout", "A:knockout+C:knockout"):
            expected = sum(EFFECTS[part[0]] for part in label.split("+"))
            np.testing.assert_allclose(model.predict(label)["rna"], expected, atol=0.1)
            assert model.supports(label)

    def test_refuses_by_name_what_was_never_measured(self, name: str) -> None:
        model = fitted(name)
        assert model.supports("Z:knockout") == (name in SAME_FOR_ALL)
        if name not in SAME_FOR_ALL:
            with pytest.raises(UnsupportedError, match="Z:knockout"):
                model.predict("A:knockout+Z:knockout")

    def test_learns_from_training_cells_alone(self, name: str) -> None:
        for label in ("A:knockout", "A:knockout+B:knockout"):
            np.testing.assert_array_equal(
                fitted(name).predict(label)["rna"], fitted(name, poisoned=True).predict(label)["rna"]
            )

    def test_does_not_mind_the_order_of_features(self, name: str) -> None:
        order = np.array([3, 0, 4, 1, 2])
        one, other = (fitted(name, order=o).predict("A:knockout+B:knockout")["rna"] for o in (None, order))
        np.testing.assert_allclose(one[order], other, atol=1e-4)


def test_a_representation_is_asked_for_where_it_is_used_and_nowhere_else() -> None:
    values, split = additive_world()
    with pytest.raises(ArgumentError, match="'latent additive' without a representation"):
        fit_model("latent additive", values, split)
    with pytest.raises(ArgumentError, match="'additive' in a representation: it uses features alone"):
        fit_model("additive", values, split, representation=values["rna"])


def test_an_unknown_model_is_refused_by_name() -> None:
    values, split = additive_world()
    with pytest.raises(UnknownNameError, match=r"unknown response model 'aditive'.*'additive'"):
        fit_model("aditive", values, split)
