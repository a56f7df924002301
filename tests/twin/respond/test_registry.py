"""The contract of every response model of the registry: a new row is tested by being there."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from tests.twin.respond.test_baselines import EFFECTS, additive_world

from waddington.errors import ArgumentError, DataError, UnknownNameError, UnsupportedError
from waddington.twin.respond.base import ResponseModel, Training
from waddington.twin.respond.calibration import deviation
from waddington.twin.respond.known import SUPPORT
from waddington.twin.respond.registry import DEFAULT_MODEL, MODELS, fit_model, model_from_state

SAME_FOR_ALL = {"no change", "mean", "denoised mean"}
"""Models whose answer does not depend on the condition."""
NO_SUM = {"matching mean", "strongest single", "nearest", "bilinear", "similarity-weighted"}
"""Models that answer for a combination, or any condition, by something else than a sum."""
MEASURED_ALONE = {"similarity-weighted"}
"""Models that answer for measured conditions alone."""

NAMES = {"rna": np.array(["A", "B", "C", "D", "E"])}


def training(*, poisoned: bool = False, order: np.ndarray | None = None) -> Training:
    """Give cells in which effects add exactly; the features themselves serve as the representation."""
    values, split = additive_world()
    names = dict(NAMES)
    if poisoned:
        values = {"rna": np.where(split.train[:, None], values["rna"], 1e3).astype(np.float32)}
    if order is not None:
        values, names = {"rna": values["rna"][:, order]}, {"rna": NAMES["rna"][order]}
    groups = np.where(np.arange(len(split.labels)) % 2 == 0, "one", "two")
    return Training(values=values, split=split, names=names, representation=values["rna"], groups=groups)


def fitted(name: str, *, poisoned: bool = False, order: np.ndarray | None = None) -> ResponseModel:
    return fit_model(name, training(poisoned=poisoned, order=order))


@pytest.mark.parametrize("name", MODELS)
class TestEveryModel:
    def test_is_a_class_that_knows_its_name(self, name: str) -> None:
        assert issubclass(MODELS[name], ResponseModel)
        assert MODELS[name].name == name
        assert type(fitted(name)) is MODELS[name]

    def test_gives_one_finite_number_a_feature_in_every_modality(self, name: str) -> None:
        model, label = fitted(name), "A:knockout" if name in MEASURED_ALONE else "A:knockout+C:knockout"
        effect = model.predict(label)
        assert effect.keys() == {"rna"}
        assert effect["rna"].shape == (5,)
        assert effect["rna"].dtype == np.float64
        assert np.isfinite(effect["rna"]).all()
        cells = model.predict_cells(label, {"rna": np.zeros((3, 5), dtype=np.float32)})["rna"]
        assert cells.shape == (3, 5)
        assert np.isfinite(cells).all()

    def test_predicts_what_adds(self, name: str) -> None:
        model = fitted(name)
        if name in SAME_FOR_ALL:
            first, second = (model.predict(label)["rna"] for label in ("A:knockout", "A:knockout+B:knockout"))
            np.testing.assert_array_equal(first, second)
            return
        singles = ("A:knockout", "B:knockout")
        for label in singles if name in NO_SUM else (*singles, "A:knockout+B:knockout", "A:knockout+C:knockout"):
            expected = sum(EFFECTS[part[0]] for part in label.split("+"))
            found = model.predict(label)["rna"]
            if name in {
                "hierarchical additive",
                "state-dependent",
            }:  # stays within 5 % of what training conditions span
                expected = np.clip(expected, [-0.1, -1.05, -0.15, -0.1, -0.1], [2.1, 0.05, 3.15, 0.1, 0.525])
            np.testing.assert_allclose(found, expected, atol=1.5 if name == "bilinear" else 0.1)
            assert model.supports(label)

    def test_refuses_by_name_what_was_never_measured(self, name: str) -> None:
        model = fitted(name)
        assert model.supports("Z:knockout") == (name in SAME_FOR_ALL)
        if name not in SAME_FOR_ALL:
            with pytest.raises(UnsupportedError, match="Z:knockout"):
                model.predict("A:knockout+Z:knockout")

    def test_a_guess_is_finite_or_refused_by_name(self, name: str) -> None:
        model = fitted(name)
        for label in ("Z:knockout", "A:knockout+Z:knockout"):
            try:
                effect = model.predict(label, guess=True)
            except UnsupportedError as error:
                assert "Z:knockout" in str(error)  # noqa: PT017
            else:
                assert np.isfinite(effect["rna"]).all()

    def test_says_what_an_answer_rests_on(self, name: str) -> None:
        model = fitted(name)
        found = {label: model.support(label) for label in ("A:knockout", "A:knockout+B:knockout", "Z:knockout")}
        assert [one.how for one in found.values()] == ["measured", "added", "none"]
        assert found["Z:knockout"].flagged
        assert found["Z:knockout"].missing == ("Z:knockout",)
        assert found["A:knockout"].n_cells > 0
        assert all(one.how in SUPPORT for one in found.values())

    def test_a_deviation_is_not_negative_where_there_is_one(self, name: str) -> None:
        found = fitted(name).standard_deviation("A:knockout")
        assert found is None or (np.isfinite(found["rna"]).all() and (found["rna"] >= 0).all())

    def test_a_deviation_or_a_sampling_error_stands_beside_every_answer(self, name: str) -> None:
        model = fitted(name)
        for label in ("A:knockout", "control"):
            found = deviation(model, label)
            assert found is not None
            assert (found["rna"] >= 0).all()
        assert deviation(model, "A:knockout")["rna"].max() > 0  # type: ignore[index]

    def test_says_the_same_when_it_was_kept_in_a_file(self, name: str) -> None:
        model, file = fitted(name), io.BytesIO()
        torch.save(model.state_dict(), file)
        file.seek(0)
        loaded = model_from_state(torch.load(file, weights_only=True))
        assert type(loaded) is type(model)
        for label in ("A:knockout", "control", *(() if name in MEASURED_ALONE else ("A:knockout+C:knockout",))):
            np.testing.assert_array_equal(loaded.predict(label)["rna"], model.predict(label)["rna"])
            np.testing.assert_array_equal(deviation(loaded, label)["rna"], deviation(model, label)["rna"])  # type: ignore[index]
            assert loaded.support(label) == model.support(label)

    def test_learns_from_training_cells_alone(self, name: str) -> None:
        for label in ("A:knockout", "B:knockout"):
            np.testing.assert_array_equal(
                fitted(name).predict(label)["rna"], fitted(name, poisoned=True).predict(label)["rna"]
            )

    def test_does_not_learn_from_conditions_that_are_left_out(self, name: str) -> None:
        whole = training()
        _ = whole.measured  # what is left out of known sums, and what is summed anew, are the same
        anew = training()
        one, other = (fit_model(name, data.without({"C:knockout"})) for data in (whole, anew))
        np.testing.assert_allclose(one.predict("A:knockout")["rna"], other.predict("A:knockout")["rna"], rtol=1e-12)
        assert "C:knockout" not in one.known.n_cells
        assert one.support("C:knockout").how == "none"

    def test_does_not_mind_the_order_of_features(self, name: str) -> None:
        order = np.array([3, 0, 4, 1, 2])
        one, other = (fitted(name, order=o).predict("A:knockout")["rna"] for o in (None, order))
        np.testing.assert_allclose(one[order], other, atol=1e-4)


def test_the_default_is_a_row() -> None:
    assert DEFAULT_MODEL in MODELS


def test_a_representation_is_asked_for_where_it_is_used() -> None:
    values, split = additive_world()
    with pytest.raises(ArgumentError, match="'latent additive' without a representation"):
        fit_model("latent additive", Training(values=values, split=split))


def test_groups_are_asked_for_where_they_are_used() -> None:
    values, split = additive_world()
    with pytest.raises(UnsupportedError, match="'similarity-weighted' without groups"):
        fit_model("similarity-weighted", Training(values=values, split=split))


def test_genes_that_are_no_features_are_no_use_to_the_bilinear_model() -> None:
    values, split = additive_world()
    names = {"rna": np.array(["v", "w", "x", "y", "z"])}
    with pytest.raises(DataError, match="the genes of 0 of 3 training conditions"):
        fit_model("bilinear", Training(values=values, split=split, names=names))


def test_an_unknown_model_is_refused_by_name() -> None:
    values, split = additive_world()
    with pytest.raises(UnknownNameError, match=r"unknown response model 'aditive'.*'additive'"):
        fit_model("aditive", Training(values=values, split=split))
