"""The hierarchical additive model as users meet it: what it keeps, what it survives, what it refuses."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from waddington.errors import DataError, UnsupportedError
from waddington.twin.data.splits import Split
from waddington.twin.respond import Course, HierarchicalAdditive, Training

GENES = "ABCDEFG"
DOUBLES = ("A:knockout+B:knockout", "A:knockout+C:knockout", "B:knockout+C:knockout", "D:knockout+E:knockout")
DOUBLES = (*DOUBLES, "C:knockout+D:knockout", "A:knockout+E:knockout", "F:knockout+H:knockout")
LABELS = ("control", *(f"{gene}:knockout" for gene in GENES), *DOUBLES)
ASKED = ("A:knockout", "A:knockout+B:knockout", "F:knockout+G:knockout", "H:knockout")


def cells(*, size: int = 12, features: int = 14, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Give values and labels."""
    rng = np.random.default_rng(seed)
    effects = {gene: rng.standard_normal(features) for gene in (*GENES, "H")}
    labels = np.repeat(LABELS, size)
    x = np.stack([sum((effects[p[0]] for p in one.split("+") if p != "control"), np.zeros(features)) for one in labels])
    return 3.0 + x + 0.5 * rng.standard_normal(x.shape), labels


def training(x: np.ndarray, labels: np.ndarray, **others: np.ndarray) -> Training:
    split = Split(
        kind="perturbation", labels=labels, control="control", train=np.ones(len(labels), dtype=bool), split_of={}
    )
    names = {"rna": np.array([f"gene {i}" for i in range(x.shape[1])])}
    return Training(values={"rna": x, **others}, split=split, names=names)


def fitted(x: np.ndarray, labels: np.ndarray, **others: np.ndarray) -> HierarchicalAdditive:
    return HierarchicalAdditive.fit(training(x, labels, **others))


def answers(model: HierarchicalAdditive) -> np.ndarray:
    return np.stack([[model.predict(one)["rna"], model.standard_deviation(one)["rna"]] for one in ASKED])


@pytest.fixture(scope="module")
def model() -> HierarchicalAdditive:
    x, labels = cells()
    return fitted(x, labels, protein=x[:, :3])


@pytest.fixture(scope="module")
def coupled() -> HierarchicalAdditive:
    """Give a model whose pairs are coupled for certain."""
    x, labels = cells()
    course = Course(pairs_for_kernel=2, couplings=(0.9,), last_steps=2)
    return HierarchicalAdditive(training(x, labels, protein=x[:, :3]).measured, course=course)


@pytest.mark.parametrize("which", ["model", "coupled"])
def test_what_was_kept_answers_to_the_last_digit(which: str, request: pytest.FixtureRequest) -> None:
    model: HierarchicalAdditive = request.getfixturevalue(which)
    assert (model.strengths("rna").kappa > 0) == (which == "coupled")
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    loaded = HierarchicalAdditive.from_state_dict(torch.load(file, weights_only=True))
    assert loaded.known == model.known or loaded.known.n_cells == model.known.n_cells
    for one in ASKED:
        for name in ("predict", "standard_deviation"):
            found, expected = getattr(loaded, name)(one), getattr(model, name)(one)
            assert found.keys() == expected.keys() == {"rna", "protein"}
            for modality, values in expected.items():
                np.testing.assert_array_equal(found[modality], values)
    np.testing.assert_array_equal(loaded.unperturbed["rna"], model.unperturbed["rna"])
    assert loaded.notes == model.notes == ()
    assert [loaded.support(one) for one in ASKED] == [model.support(one) for one in ASKED]
    with pytest.raises(UnsupportedError, match="Z:knockout"):
        loaded.predict("A:knockout+Z:knockout")


def test_what_was_kept_is_a_copy(model: HierarchicalAdditive) -> None:
    before = answers(model)
    state = model.state_dict()
    state["tables"]["rna"]["mean"].zero_()
    state["strengths"]["rna"]["a"].zero_()
    np.testing.assert_array_equal(answers(model), before)


@settings(max_examples=5, deadline=None)
@given(st.integers(0, 13), st.floats(1e-2, 1e3))
def test_an_effect_has_the_unit_of_its_feature(feature: int, factor: float) -> None:
    x, labels = cells()
    scale = np.ones(x.shape[1])
    scale[feature] = factor
    np.testing.assert_allclose(answers(fitted(x * scale, labels)), answers(fitted(x, labels)) * scale, rtol=1e-6)


def test_order_of_cells_and_names_of_perturbations_do_not_matter() -> None:
    x, labels = cells()
    order = np.random.default_rng(1).permutation(len(labels))
    np.testing.assert_allclose(answers(fitted(x[order], labels[order])), answers(fitted(x, labels)), rtol=1e-9)


def test_predictions_stay_within_the_measured_ranges(model: HierarchicalAdditive) -> None:
    x, labels = cells()
    means = np.stack([x[labels == one].mean(axis=0) for one in LABELS])
    margin = 0.05 * np.ptp(means, axis=0)
    for one in ("A:knockout+B:knockout+C:knockout", *ASKED):
        profile = means[0] + model.predict(one)["rna"]
        assert (profile >= means.min(axis=0) - margin - 1e-9).all()
        assert (profile <= means.max(axis=0) + margin + 1e-9).all()


class TestDegenerateInput:
    def test_one_control_cell_is_enough_and_less_sure(self) -> None:
        x, labels = cells()
        few = (labels != "control") | (np.cumsum(labels == "control") == 1)
        found = fitted(x[few], labels[few])
        assert np.isfinite(answers(found)).all()
        sd, usual = (one.standard_deviation("G:knockout")["rna"] for one in (found, fitted(x, labels)))
        assert sd.mean() > usual.mean()

    def test_one_perturbation_is_enough(self) -> None:
        x, labels = cells(size=40)
        two = np.isin(labels, ("control", "A:knockout"))
        found = fitted(x[two], labels[two])
        change = x[labels == "A:knockout"].mean(axis=0) - x[labels == "control"].mean(axis=0)
        assert np.corrcoef(found.predict("A:knockout")["rna"], change)[0, 1] > 0.99
        with pytest.raises(UnsupportedError, match="B:knockout"):
            found.predict("B:knockout")

    def test_a_feature_that_does_not_vary_does_not_change(self) -> None:
        x, labels = cells()
        still = x.copy()
        still[:, 2] = 7.0
        found = fitted(still, labels)
        assert found.predict("A:knockout")["rna"][2] == 0.0
        assert found.standard_deviation("A:knockout")["rna"][2] == 0.0
        assert found.unperturbed["rna"][2] == 7.0
        others = np.arange(14) != 2
        np.testing.assert_allclose(answers(found)[..., others], answers(fitted(x[:, others], labels)), rtol=1e-9)

    def test_a_condition_of_one_cell_counts_as_one_cell(self) -> None:
        x, labels = cells()
        few = (labels != "G:knockout") | (np.cumsum(labels == "G:knockout") == 1)
        found, usual = fitted(x[few], labels[few]), fitted(x, labels)
        assert np.isfinite(answers(found)).all()
        assert found.support("G:knockout").n_cells == 1
        sd, other = (one.standard_deviation("G:knockout")["rna"] for one in (found, usual))
        assert (sd > other).mean() > 0.9

    def test_single_cells_throughout_are_refused(self) -> None:
        x, labels = cells(size=1)
        with pytest.raises(DataError, match=r"none of 14 features of 'rna' varies.*condition of 2 training cells"):
            fitted(x, labels)

    def test_a_column_that_is_wrong_in_all_cells_spoils_no_other(self) -> None:
        x, labels = cells()
        expected, others = answers(fitted(x, labels)), np.arange(14) != 5
        for wrong in (x[:, 5] * 1e6, x[:, 5] + 1e6):
            found = x.copy()
            found[:, 5] = wrong
            np.testing.assert_allclose(answers(fitted(found, labels))[..., others], expected[..., others], rtol=1e-6)

    def test_a_column_that_is_wrong_in_one_condition_is_named_and_spoils_no_other(self) -> None:
        x, labels = cells()
        wrong = x.copy()
        wrong[labels == "A:knockout", 5] += 1e6
        found, others = fitted(wrong, labels), np.arange(14) != 5
        assert len(found.notes) == 1
        assert "'gene 5' of 'rna'" in found.notes[0]
        np.testing.assert_allclose(
            answers(found)[..., others], answers(fitted(x[:, others], labels)), rtol=1e-6, atol=1e-9
        )

    @pytest.mark.parametrize("value", [np.nan, np.inf])
    def test_what_is_no_number_is_refused_by_name(self, value: float) -> None:
        x, labels = cells()
        x[labels == "B:knockout", 6] = value
        with pytest.raises(DataError, match=r"'gene 6' of 'rna'.*'B:knockout'.*1 feature in all"):
            fitted(x, labels)

    def test_a_missing_control_is_refused(self) -> None:
        x, labels = cells()
        perturbed = labels != "control"
        with pytest.raises(DataError, match="0 training cells of 'control'"):
            fitted(x[perturbed], labels[perturbed])

    def test_controls_alone_are_refused(self) -> None:
        x, labels = cells()
        rest = labels == "control"
        with pytest.raises(DataError, match="0 other conditions"):
            fitted(x[rest], labels[rest])


def test_a_guess_is_what_all_have_in_common_and_unsure() -> None:
    x, labels = cells()
    x[labels != "control", :7] += 4.0
    model = fitted(x, labels)
    guess = model.predict("Z:knockout", guess=True)["rna"]
    assert guess[:7].mean() > 2.0
    assert np.abs(guess[7:]).max() < 1.5
    sd, known = (model.standard_deviation(one, guess=True)["rna"] for one in ("Z:knockout", "A:knockout"))
    assert (sd > 3.0 * known).all()
    assert model.support("Z:knockout").flagged
