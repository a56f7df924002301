"""Between two measured doses every model interpolates on the logarithm, or says that it cannot; outside, none does."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from waddington.errors import UnsupportedError
from waddington.twin.data.splits import Split, split_by_condition
from waddington.twin.respond.base import ResponseModel, Training
from waddington.twin.respond.calibration import calibrate, deviation
from waddington.twin.respond.doses import doses_by_drug, term_of, weights_of
from waddington.twin.respond.hierarchical import HierarchicalAdditive
from waddington.twin.respond.interpolation import PRIOR_CURVATURE, curvature_of
from waddington.twin.respond.left_out import leave_out
from waddington.twin.respond.registry import MODELS, fit_model, model_from_state

N_CELLS, N_GENES = 40, 30
DOSES = (1.0, 10.0, 100.0)
SAME_FOR_ALL = {"no change", "mean", "denoised mean"}
OWN_WAY = {"nearest", "mean over doses"}


def dexes(*doses: float) -> list[str]:
    return [f"Dex@{dose:g}:drug" for dose in doses]


def training(*, steep: float = 1.0, doses: tuple[float, ...] = DOSES) -> Training:
    """Give cells of a drug at doses, a knock-out and both; effects are linear in the logarithm, to the power given."""
    rng = np.random.default_rng(3)
    drug, gene = rng.normal(size=(2, N_GENES)) * 3.0
    shares = dict(zip(dexes(*doses), (np.log10(np.array(doses) * 10.0) / 3.0) ** steep, strict=True))
    effects = {"control": np.zeros(N_GENES), **{label: share * drug for label, share in shares.items()}}
    effects |= {"A:knockout": gene, "B:knockout": -gene}
    labels = np.repeat(np.array(list(effects)), N_CELLS)
    x = 10.0 + np.repeat(np.stack(list(effects.values())), N_CELLS, axis=0) + 0.05 * rng.normal(size=(len(labels), 1))
    x = (x + 0.05 * rng.normal(size=x.shape)).astype(np.float32)
    split = Split(kind="perturbation", labels=labels, control="control", train=np.ones(len(labels), bool), split_of={})
    names = {"rna": np.array(["A", "B", *(f"g{i}" for i in range(N_GENES - 2))])}
    groups = np.where(np.arange(len(labels)) % 2 == 0, "one", "two")
    return Training(values={"rna": x}, split=split, names=names, representation=x, groups=groups)


DATA = training()


def fitted(name: str) -> ResponseModel:
    return fit_model(name, DATA)


@pytest.mark.parametrize("name", sorted(MODELS.keys() - SAME_FOR_ALL))
def test_every_model_interpolates_or_says_that_it_cannot(name: str) -> None:
    model = fitted(name)
    asked = f"Dex@{10**1.25:.6g}:drug"
    if name == "bilinear":
        with pytest.raises(UnsupportedError, match=r"given at a dose, and the model 'bilinear'"):
            model.predict(asked)
        return
    low, high = (model.predict(label)["rna"] for label in dexes(10, 100))
    expected = 0.75 * low + 0.25 * high
    if name in OWN_WAY:
        expected = (
            low if name == "nearest" else np.mean([DATA.measured.effects("rna")[1 + i] for i in range(5)][2:], axis=0)
        )
    np.testing.assert_allclose(model.predict(asked)["rna"], expected, atol=0.05)
    np.testing.assert_allclose(model.predict("Dex@17.7828")["rna"], model.predict(asked)["rna"])
    assert (model.support(asked).how, model.support(asked).flagged) == ("interpolated", False)
    assert model.support(asked).n_cells > 0
    found = deviation(model, asked)
    assert found is not None
    assert np.isfinite(found["rna"]).all()
    cells = model.predict_cells(asked, {"rna": DATA.values["rna"][:3]})["rna"]
    assert np.isfinite(cells).all()


@pytest.mark.parametrize("name", sorted(MODELS.keys() - SAME_FOR_ALL - {"bilinear"}))
def test_outside_the_measured_doses_they_are_named(name: str) -> None:
    model = fitted(name)
    for label in dexes(0.5, 300):
        assert not model.supports(label)
        assert model.support(label).missing == (label,)
        with pytest.raises(UnsupportedError, match="measured doses of Dex:drug are 1, 10 and 100"):
            model.predict(label)
    with pytest.raises(UnsupportedError, match=r"Vit@10:drug"):
        model.predict("Vit@10:drug")


def test_a_guess_holds_the_nearest_dose_and_is_flagged_and_unsure() -> None:
    model = fitted("hierarchical additive")
    held, nearest = (model.predict(label, guess=True)["rna"] for label in dexes(300, 100))
    np.testing.assert_array_equal(held, nearest)
    assert model.support(dexes(300)[0]).how == "none"
    sd = model.standard_deviation(dexes(300)[0], guess=True)
    assert sd is not None
    np.testing.assert_allclose(sd["rna"], np.abs(nearest), rtol=0.1, atol=0.2)


def test_a_single_dose_answers_for_itself_alone() -> None:
    model = HierarchicalAdditive.fit(DATA.without(dexes(1, 100)))
    assert model.support(dexes(10)[0]).how == "measured"
    with pytest.raises(UnsupportedError, match="the only measured dose of Dex:drug is 10"):
        model.predict(dexes(20)[0])


@pytest.mark.parametrize(
    "name", ["additive", "scaled additive", "matching mean", "hierarchical additive", "opposite mode"]
)
def test_a_combination_takes_the_interpolated_part(name: str) -> None:
    model = fitted(name)
    dose, gene, both = (model.predict(one)["rna"] for one in ("Dex@30:drug", "A:knockout", "A:knockout+Dex@30:drug"))
    expected = (dose + gene) * (0.5 if name == "matching mean" else 1.0)
    if name == "hierarchical additive":  # within what training conditions span
        mean = DATA.measured.effects("rna")
        margin = 0.05 * np.ptp(mean, axis=0)
        expected = np.clip(expected, mean.min(axis=0) - margin, mean.max(axis=0) + margin)
    np.testing.assert_allclose(both, expected, atol=0.1)
    assert model.support("A:knockout+Dex@30:drug").how == "interpolated"


@pytest.mark.parametrize("name", ["additive", "hierarchical additive", "latent additive"])
def test_the_doubt_is_largest_between_the_doses_and_none_at_them(name: str) -> None:
    model = fitted(name)
    at = [np.linalg.norm(deviation(model, label)["rna"]) for label in dexes(10, 10.001, 30, 99.999, 100)]  # type: ignore[index]
    assert at[2] > 2.0 * max(at[0], at[4])
    assert at[1] == pytest.approx(at[0], rel=0.1)
    assert at[3] == pytest.approx(at[4], rel=0.1)


def test_a_model_that_was_kept_interpolates_the_same() -> None:
    for name in ("hierarchical additive", "additive", "latent additive"):
        model, file = fitted(name), io.BytesIO()
        torch.save(model.state_dict(), file)
        file.seek(0)
        loaded = model_from_state(torch.load(file, weights_only=True))
        for ask in (lambda one: one.predict("Dex@30:drug"), lambda one: deviation(one, "Dex@30:drug")):
            np.testing.assert_allclose(ask(loaded)["rna"], ask(model)["rna"], rtol=1e-12)


def test_the_curvature_is_learned_from_middle_doses() -> None:
    doses = (1.0, 3.0, 10.0, 30.0, 100.0)
    straight, bent = (curvature_of(training(steep=steep, doses=doses).measured, "rna") for steep in (1.0, 4.0))
    assert straight < 0.3 * PRIOR_CURVATURE < bent
    two = DATA.without(dexes(10))
    assert curvature_of(two.measured, "rna") == PRIOR_CURVATURE


def test_intervals_are_calibrated_on_doses_left_out() -> None:
    data = training(doses=(1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0))
    found = calibrate(HierarchicalAdditive, data)
    assert "interpolated (5 conditions)" in found.why
    assert found.knows("rna", "interpolated")
    for fold in leave_out(data, "doses"):
        assert set(fold.told.values()) == {"interpolated"}
        assert not set(fold.told) & set(fold.rest.measured.labels)
    assert not calibrate(HierarchicalAdditive, DATA, supports=["interpolated"]).by_support


@given(st.sets(st.floats(1e-6, 1e6), min_size=1, max_size=6), st.floats(1e-6, 1e6))
def test_weights_sum_to_one_within_the_measured_doses(doses: set[float], asked: float) -> None:
    measured = {f"Dex@{dose!r}:drug".replace("e+", "e"): 1 for dose in doses}
    drugs = doses_by_drug(measured)
    term = term_of(f"Dex@{asked!r}:drug".replace("e+", "e"), measured, drugs)
    assert term.known == (min(doses) <= asked <= max(doses))
    weights = weights_of([term])
    assert all(0.0 <= weight <= 1.0 for weight in weights.values())
    if weights:
        assert sum(weights.values()) == pytest.approx(1.0)
        (drug,) = drugs.values()
        of = {part: dose for dose, part in drug.parts.items()}
        middle = sum(weight * np.log(of[part]) for part, weight in weights.items())
        assert middle == pytest.approx(np.log(asked), abs=1e-9)


def test_a_split_keeps_the_outermost_doses_and_names_the_others() -> None:
    labels = np.repeat(np.array(["control", *dexes(1, 3, 10, 30, 100), *(f"G{i}:knockout" for i in range(5))]), 30)
    seen = set()
    for seed in range(20):
        split = split_by_condition(labels, singles_fraction=0.4, seed=seed)
        held = {label: way for label, way in split.split_of.items() if way != "held-out cells"}
        assert not set(dexes(1, 100)) & set(held)
        seen |= {(label.startswith("Dex"), way) for label, way in held.items()}
    assert seen == {(True, "held-out dose"), (False, "unseen_single")}
