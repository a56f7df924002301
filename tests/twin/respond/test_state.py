"""Responses that depend on the state: recovered where they do, not claimed where they do not."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch

from waddington.errors import ArgumentError, UnsupportedError
from waddington.twin.data.splits import Split
from waddington.twin.respond.base import Training
from waddington.twin.respond.hierarchical import HierarchicalAdditive
from waddington.twin.respond.state import StateDependent
from waddington.twin.respond.state.deviations import Deviations
from waddington.twin.respond.state.slopes import log_map

N = 500
SHIFTS = {"A": np.array([0.0, 0, 2, 0, 0]), "B": np.array([0.0, 0, 0, -2, 0])}
SLOPES = {"A": np.array([-0.7, 0, 0, 0, 0]), "B": np.array([0, 1.0, 0, 0, 0])}
"""Change of each feature for each unit that the feature lies above the mean of unperturbed cells."""


def world(
    *, slopes: bool = False, by_group: bool = False, labels: tuple[str, ...] = ("A", "B"), seed: int = 0
) -> Training:
    """Give cells that vary along two features; group "two" responds to A with feature 4, if groups respond apart."""
    rng = np.random.default_rng(seed)
    names = np.repeat(["control", *labels], N)
    x = 5 + rng.standard_normal((len(names), 5)) * [2, 1.5, 0.2, 0.2, 0.2]
    groups = np.where(rng.random(len(names)) < 0.5, "one", "two")
    state = x - 5
    for gene, shift in SHIFTS.items():
        hit = np.char.find(names, gene) >= 0
        x[hit] += shift
        if slopes:
            x[hit] += state[hit] * SLOPES[gene]
        if by_group and gene == "A":
            x[hit & (groups == "two"), 4] += 2.0
    spelt = {"control": "control", **{one: "+".join(f"{g}:knockout" for g in one.split("+")) for one in labels}}
    split = Split(
        kind="perturbation",
        labels=np.array([spelt[name] for name in names]),
        control="control",
        train=np.ones(len(names), dtype=bool),
        split_of={},
    )
    return Training(values={"rna": x.astype(np.float32)}, split=split, groups=groups if by_group else None)


def permuted(data: Training) -> Training:
    assert data.groups is not None
    groups = np.random.default_rng(1).permutation(data.groups)
    return Training(values=data.values, split=data.split, groups=groups)


def test_the_map_between_normal_distributions_is_found() -> None:
    root = np.random.default_rng(0).normal(size=(3, 3))
    control, mapped = root @ root.T + np.eye(3), np.diag([0.3, 1.0, 2.0]) + 0.1
    w, v = np.linalg.eigh(log_map(control, mapped @ control @ mapped))
    np.testing.assert_allclose((v * np.exp(w)) @ v.T, mapped, rtol=0.01)


def test_effects_that_depend_on_the_state_are_recovered() -> None:
    model = StateDependent.fit(world(slopes=True))
    assert model.choice.form == "by state"
    assert model.choice.reason.startswith("effects by state: E-distance to unseen cells")
    for gene in "AB":
        for where in (np.array([2.0, 1, 0, 0, 0]), np.array([-2.0, -1, 0, 0, 0])):
            found = model.predict(f"{gene}:knockout", start={"rna": 5 + where})["rna"]
            np.testing.assert_allclose(found, SHIFTS[gene] + SLOPES[gene] * where, atol=0.5)
    both = model.predict("A:knockout+B:knockout", start={"rna": np.array([7.0, 6, 5, 5, 5])})["rna"]
    np.testing.assert_allclose(both[:2], [-1.4, 1.0], atol=0.5)


def test_each_cell_has_its_own_effect_within_the_measured_range() -> None:
    data = world(slopes=True)
    model = StateDependent.fit(data)
    cells = {"rna": data.values["rna"][:N]}
    found = model.predict_cells("A:knockout", cells)["rna"]
    effect = found - cells["rna"]
    assert np.corrcoef(effect[:, 0], cells["rna"][:, 0])[0, 1] < -0.9
    assert found[:, 0].std() == pytest.approx(data.values["rna"][N : 2 * N, 0].std(), rel=0.1)
    far = model.predict_cells("A:knockout", {"rna": cells["rna"] + 100})["rna"]
    assert (far <= data.values["rna"].max(axis=0)).all()


def test_a_constant_effect_is_left_alone() -> None:
    data = world()
    model = StateDependent.fit(data)
    assert model.choice.form == "shared"
    assert "no better than noise" in model.choice.reason
    cells = {"rna": data.values["rna"][:3]}
    moved = model.predict_cells("A:knockout", cells)["rna"] - cells["rna"]
    expected = model.shared.predict("A:knockout")["rna"]
    np.testing.assert_allclose(moved, np.broadcast_to(expected, moved.shape), atol=1e-6)


def test_permuted_conditions_have_no_effect_that_could_depend_on_anything() -> None:
    data = world(slopes=True)
    labels = np.random.default_rng(3).permutation(data.split.labels)
    split = Split(kind="perturbation", labels=labels, control="control", train=data.split.train, split_of={})
    assert StateDependent.fit(Training(values=data.values, split=split)).choice.form == "shared"


def test_effects_that_differ_between_groups_are_recovered_and_not_with_permuted_groups() -> None:
    data = world(by_group=True)
    model = StateDependent.fit(data)
    assert model.choice.form == "by group"
    cells, groups = {"rna": np.full((3, 5), 5.0)}, np.array(["one", "two", "three"])
    effect = model.predict_cells("A:knockout", cells, groups=groups)["rna"][:, 4] - 5
    np.testing.assert_allclose(effect, [0, 2, 1], atol=0.15)  # a group that was never seen has the shared effect
    assert StateDependent.fit(permuted(data)).choice.form != "by group"


def test_without_a_state_the_answer_is_the_hierarchical_models() -> None:
    data = world(slopes=True)
    model, other = StateDependent.fit(data), HierarchicalAdditive.fit(data)
    for label in ("A:knockout", "A:knockout+B:knockout"):
        np.testing.assert_array_equal(model.predict(label)["rna"], other.predict(label)["rna"])
        np.testing.assert_array_equal(
            model.standard_deviation(label)["rna"], other.standard_deviation(label)["rna"]
        )  # fmt: skip


def test_a_condition_that_was_measured_has_its_own_slope() -> None:
    model = StateDependent.fit(world(slopes=True, labels=("A", "B", "A+B")))
    start = {"rna": np.array([7.0, 6, 5, 5, 5])}
    found = model.predict("A:knockout+B:knockout", start=start)["rna"]
    np.testing.assert_allclose(found, [-1.4, 1.0, 2, -2, 0], atol=0.5)


@pytest.mark.parametrize("data", [world(slopes=True), world(by_group=True), world()], ids=["state", "group", "shared"])
def test_it_is_saved_and_loaded(data: Training) -> None:
    model = StateDependent.fit(data)
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    loaded = StateDependent.from_state_dict(torch.load(file, weights_only=True))
    assert loaded.choice == model.choice
    assert loaded.choice.reason == model.choice.reason
    cells = {"rna": data.values["rna"][:4]}
    one, other = (m.predict_cells("A:knockout+B:knockout", cells)["rna"] for m in (model, loaded))
    np.testing.assert_array_equal(one, other)


def test_two_cells_of_each_say_nothing_about_states() -> None:
    data = world(slopes=True)
    few = np.concatenate([np.arange(2) + N * i for i in range(3)])
    split = Split(kind="perturbation", labels=data.split.labels[few], control="control",
                  train=np.ones(6, dtype=bool), split_of={})  # fmt: skip
    model = StateDependent.fit(Training(values={"rna": data.values["rna"][few]}, split=split))
    assert model.choice.reason == "shared effect: too few cells to compare anything"


def test_what_does_not_fit_is_refused_by_name() -> None:
    model = StateDependent.fit(world())
    with pytest.raises(ArgumentError, match=r"profiles of rna \(4 features\): accepted is rna \(5 features\)"):
        model.predict_cells("A:knockout", {"rna": np.zeros((2, 4))})
    with pytest.raises(ArgumentError, match="2 cells with 1 group"):
        model.predict_cells("A:knockout", {"rna": np.zeros((2, 5))}, groups=np.array(["one"]))
    with pytest.raises(UnsupportedError, match="Z:knockout"):
        model.predict_cells("Z:knockout", {"rna": np.zeros((2, 5))})


def test_a_mean_profile_counts_as_the_mixture_of_groups_that_it_is() -> None:
    found = Deviations(
        groups=("one", "two"),
        centers=np.array([[0.0, 0, 0], [4, 0, 0]]),
        tables={"A": np.array([[0.0, -1, 0], [8, 1, 0]])},
    )
    states = np.array([[1.0, 0, 0], [4, 2, 0], [-9, 0, 0]])
    expected = [[2, -0.5, 0], [8, 1, 0], [0, -1, 0]]
    np.testing.assert_allclose(found.change({"A": 1.0}, states), expected, atol=1e-3)
