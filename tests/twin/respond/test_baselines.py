from __future__ import annotations

import numpy as np
import pytest

from waddington.errors import DataError, UnsupportedError
from waddington.twin.data.splits import Split, split_by_condition, split_by_time
from waddington.twin.respond.base import mean_effect
from waddington.twin.respond.baselines import Additive, MeanEffect, NoEffect
from waddington.twin.respond.decoded import DecodedResponse
from waddington.twin.respond.measured import Measured

EFFECTS = {"A": np.array([2.0, 0, 0, 0, 0.5]), "B": np.array([0, -1.0, 0, 0, 0.5]), "C": np.array([0, 0, 3.0, 0, 0])}


def additive_world(seed: int = 0, noise: float = 0.05) -> tuple[dict[str, np.ndarray], Split]:
    """Give cells in which effects add exactly, and a design that hides the doubles."""
    rng = np.random.default_rng(seed)
    names = ["control", *(f"{g}:knockout" for g in EFFECTS), "A:knockout+B:knockout", "A:knockout+C:knockout"]
    labels = np.repeat(np.array(names), 60)
    x = np.stack(
        [sum((EFFECTS[part[0]] for part in label.split("+") if label != "control"), np.zeros(5)) for label in labels]
    )
    values = {"rna": (x + noise * rng.standard_normal(x.shape)).astype(np.float32)}
    return values, split_by_condition(labels, doubles_fraction=1.0, seed=seed)


def test_no_change_and_mean_are_what_they_say() -> None:
    values, design = additive_world()
    assert (NoEffect(Measured.of(values, design)).predict("A:knockout")["rna"] == 0).all()
    mean = MeanEffect(Measured.of(values, design))
    assert mean.predict("A:knockout") is mean.predict("B:knockout")
    np.testing.assert_allclose(mean.predict("x")["rna"], np.mean(list(EFFECTS.values()), axis=0), atol=0.05)


def test_additive_adds_what_was_measured_and_nothing_else() -> None:
    values, design = additive_world()
    additive = Additive(Measured.of(values, design))
    double = additive.predict("A:knockout+B:knockout")
    assert double is not None
    np.testing.assert_allclose(double["rna"], EFFECTS["A"] + EFFECTS["B"], atol=0.05)


@pytest.mark.parametrize("model", ["additive", "head"])
@pytest.mark.parametrize("label", ["Z:knockout", "A:knockout+Z:knockout", "A:activation"])
def test_what_was_never_measured_is_refused_by_name(model: str, label: str) -> None:
    values, design = additive_world()
    predictor = (
        Additive(Measured.of(values, design)) if model == "additive" else DecodedResponse(values["rna"], values, design)
    )
    missing = label.split("+")[-1]
    with pytest.raises(UnsupportedError, match=f"no training cells with {missing} alone.*A:knockout"):
        predictor.predict(label)


def test_the_head_reads_doubles_out_of_a_good_latent_space() -> None:
    values, design = additive_world()
    head = DecodedResponse(values["rna"], values, design)
    np.testing.assert_allclose(head.predict("A:knockout+B:knockout")["rna"], EFFECTS["A"] + EFFECTS["B"], atol=0.1)
    assert head.supports("A:knockout+B:knockout")
    assert not head.supports("A:knockout+Z:knockout")


def test_a_control_does_not_change() -> None:
    values, design = additive_world()
    for predictor in (Additive(Measured.of(values, design)), DecodedResponse(values["rna"], values, design)):
        np.testing.assert_array_equal(predictor.predict("control")["rna"], np.zeros(5))


def test_predictions_don_t_move_when_test_cells_do() -> None:
    values, design = additive_world()
    poisoned = {"rna": np.where(design.train[:, None], values["rna"], 1e3).astype(np.float32)}
    for make in (
        lambda v, d: Additive(Measured.of(v, d)),
        lambda v, d: MeanEffect(Measured.of(v, d)),
        lambda v, d: DecodedResponse(v["rna"], v, d),
    ):
        for label in ("A:knockout", "A:knockout+B:knockout"):
            np.testing.assert_array_equal(
                make(values, design).predict(label)["rna"], make(poisoned, design).predict(label)["rna"]
            )


def test_times_that_were_not_seen_are_refused_by_name() -> None:
    values, _ = additive_world()
    design = split_by_time(np.repeat(np.arange(6.0), 60))
    head = DecodedResponse(values["rna"], values, design)
    assert not head.supports("time 9")
    for predictor in (head, Additive(Measured.of(values, design))):
        with pytest.raises(UnsupportedError, match="no training cells with time 9; accepted: the 5 measured"):
            predictor.predict("time 9")


def test_mean_change_is_in_double_precision() -> None:
    x = {"rna": np.full((10_000, 1), 16_777_217 / 2, dtype=np.float32)}
    change = mean_effect(x, np.arange(5000), np.arange(5000, 10_000))
    assert change["rna"].dtype == np.float64
    assert change["rna"] == pytest.approx(0.0)


@pytest.mark.parametrize("model", ["additive", "head"])
def test_a_bare_name_stands_for_its_one_measured_mode(model: str) -> None:
    labels = np.repeat(np.array(["control", "A:knockout", "A:activation", "B:knockout"]), 40)
    x = np.random.default_rng(0).normal(size=(len(labels), 4)).astype(np.float32)
    values, design = {"rna": x}, split_by_condition(labels)
    predictor = Additive(Measured.of(values, design)) if model == "additive" else DecodedResponse(x, values, design)
    np.testing.assert_array_equal(predictor.predict("B")["rna"], predictor.predict("B:knockout")["rna"])
    with pytest.raises(DataError, match="which 'A' is meant: measured are A:activation and A:knockout"):
        predictor.predict("A")
    with pytest.raises(UnsupportedError, match=r"'Z': found no cells to learn it from"):
        predictor.predict("Z")
