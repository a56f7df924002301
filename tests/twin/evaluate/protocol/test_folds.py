from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.twin.evaluate.protocol.world import DOUBLES, SINGLES, make_screen

from waddington.errors import DataError, UnknownNameError
from waddington.twin.evaluate.protocol import WAYS, Fold, Screen, evaluate_screen, folds_of
from waddington.twin.evaluate.protocol.halves import draw_halves
from waddington.twin.respond.registry import MODELS


def ways(folds: list[Fold]) -> dict[tuple[str, bool], str]:
    return {(label, fold.half_of_cells): way for fold in folds for label, way in fold.targets.items()}


def relabelled(names: dict[str, str], **changes: object) -> Screen:
    screen = make_screen()
    return make_screen(labels=np.array([names.get(label, label) for label in screen.labels]), **changes)


def test_each_condition_is_hidden_alone_and_once_by_cells() -> None:
    folds = folds_of(make_screen())
    found = ways(folds)
    assert {found[label, False] for label in DOUBLES} == {"combo_seen2"}
    assert {found[label, False] for label in SINGLES} == {"unseen_single"}
    assert {found[label, True] for label in (*SINGLES, *DOUBLES)} == {"held-out cells"}
    assert set(found.values()) <= set(WAYS)


def test_with_a_single_every_combination_that_holds_it_is_hidden() -> None:
    fold = next(fold for fold in folds_of(make_screen()) if "A:knockout" in fold.targets and not fold.half_of_cells)
    assert fold.left_out == {"A:knockout", "A:knockout+B:knockout", "A:knockout+C:knockout"}


def test_combinations_are_named_by_how_many_of_their_parts_were_measured_alone() -> None:
    found = ways(folds_of(relabelled({"A:knockout": "Y:knockout", "B:knockout": "Z:knockout"})))
    assert [found[label, False] for label in DOUBLES] == ["combo_seen0", "combo_seen1", "combo_seen1"]


def test_many_conditions_are_dealt_into_folds_each_once() -> None:
    labels = np.repeat(["control", *(f"G{i}:knockout" for i in range(60))], 12)
    screen = make_screen(labels=labels, values={"rna": np.zeros((len(labels), 24), np.float32)})
    folds = folds_of(screen, splits=["unseen_single"])
    hidden = [label for fold in folds for label in fold.targets]
    assert len(folds) == 10
    assert sorted(hidden) == sorted(set(hidden)) == sorted(screen.conditions)


def test_a_group_is_hidden_with_all_its_perturbed_cells() -> None:
    groups = np.where(np.arange(len(make_screen().labels)) % 2 == 0, "one", "two")
    screen = make_screen(groups=groups)
    folds = folds_of(screen)
    assert [(fold.group, fold.way, len(fold.targets)) for fold in folds] == [
        (group, "held-out group", 9) for group in ("one", "two")
    ]
    halves = draw_halves(screen, np.random.default_rng(0))
    train = halves.train(folds[0])
    inside = groups == "one"
    assert not (train & inside & (screen.labels != "control")).any()
    assert train[~inside].all()


def test_a_time_is_hidden_with_every_later_one() -> None:
    times = ("time 1 h", "time 2 h", "time 3 h")
    labels = np.repeat(["time 0 h", *times], 30)
    values = {"rna": np.zeros((len(labels), 24), np.float32)}
    screen = make_screen(labels=labels, values=values, control="time 0 h", kind="time", order=times)
    assert [sorted(fold.left_out) for fold in folds_of(screen, splits=["unseen time"])] == [
        ["time 2 h", "time 3 h"],
        ["time 3 h"],
    ]


def test_a_later_time_of_few_cells_is_hidden_too() -> None:
    times = ("time 1 h", "time 2 h", "time 3 h")
    labels = np.repeat(["time 0 h", *times], [30, 30, 30, 3])
    values = {"rna": np.zeros((len(labels), 24), np.float32)}
    screen = make_screen(labels=labels, values=values, control="time 0 h", kind="time", order=times)
    (fold,) = folds_of(screen, splits=["unseen time"])
    assert fold.left_out == {"time 2 h", "time 3 h"}


def test_groups_that_cannot_be_hidden_are_named_with_their_controls() -> None:
    labels = make_screen().labels
    screen = make_screen(groups=np.where(labels == "control", "rest", "plate 1"))
    with pytest.raises(DataError, match=r"'plate 1' \(216 cells, 0 controls\), 'rest' \(60 cells, 60 controls\)"):
        folds_of(screen)


def test_the_split_of_the_data_is_kept() -> None:
    screen = make_screen()
    train = (np.arange(len(screen.labels)) % 2 == 0) & (screen.labels != "A:knockout+B:knockout")
    screen = make_screen(train=train)
    (fold,) = folds_of(screen)
    assert fold.targets["A:knockout+B:knockout"] == "combo_seen2"
    assert fold.targets["A:knockout"] == "held-out cells"
    halves = draw_halves(screen, np.random.default_rng(0))
    np.testing.assert_array_equal(halves.train(fold), train)
    assert not train[halves.target(fold, "A:knockout")].any()
    assert not train[halves.control(fold, first=False)].any()


@pytest.mark.parametrize("n_test_controls", [0, 4])
def test_a_split_without_controls_to_judge_by_is_refused(n_test_controls: int) -> None:
    labels = make_screen().labels
    train = np.arange(len(labels)) % 2 == 0
    train[labels == "control"] = True
    train[:n_test_controls] = False
    screen = make_screen(train=train)
    with pytest.raises(DataError, match=f"found {n_test_controls} test cells of 'control'"):
        folds_of(screen)
    assert folds_of(screen, splits=["combo_seen2"]), "what is hidden in turn needs no split"


def test_ways_that_the_split_of_the_data_lacks_are_hidden_in_turn() -> None:
    screen = make_screen(train=np.arange(len(make_screen().labels)) % 2 == 0)
    assert {way for fold in folds_of(screen) for way in fold.targets.values()} == {"held-out cells"}
    asked = folds_of(screen, splits=["combo_seen2"])
    assert [fold.given for fold in asked] == [False] * 3


def test_unknown_ways_and_ways_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="unknown split 'combo_seen3'"):
        folds_of(make_screen(), splits=["combo_seen3"])
    with pytest.raises(DataError, match="allow none of them"):
        folds_of(make_screen(), splits=["held-out group"])


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), grouped=st.booleans())
def test_what_judges_was_never_learned_from(seed: int, grouped: bool) -> None:
    plain = make_screen(cells=11, controls=21)
    groups = np.where(np.arange(len(plain.labels)) % 2 == 0, "one", "two") if grouped else None
    screen = make_screen(cells=11, controls=21, groups=groups)
    halves = draw_halves(screen, np.random.default_rng(seed))
    for fold in folds_of(screen):
        train = halves.train(fold) & ~np.isin(screen.labels, sorted(fold.left_out))
        judging = halves.control(fold, first=False)
        assert len(judging) >= 5
        assert not train[judging].any()
        for label in fold.targets:
            target = halves.target(fold, label)
            assert len(target) >= 5
            assert not train[target].any()
            first, second = (halves.half_of(fold, label, first=side) for side in (True, False))
            assert not set(first) & set(second)
            assert abs(len(first) - len(second)) <= 1


DOSED = {"A:knockout": "X@1:drug", "B:knockout": "X@10:drug", "C:knockout": "X@100:drug", "D:knockout": "Y@5:drug"}


def test_an_inner_dose_is_hidden_with_its_combinations() -> None:
    names = {**DOSED, DOUBLES[0]: "E:knockout+X@10:drug", DOUBLES[1]: "E:knockout+X@1:drug", DOUBLES[2]: "X@3:drug"}
    folds = folds_of(relabelled(names), splits=["held-out dose"])
    assert [fold.targets for fold in folds] == [{"X@3:drug": "held-out dose"}, {"X@10:drug": "held-out dose"}]
    assert [fold.left_out for fold in folds] == [{"X@3:drug"}, {"X@10:drug", "E:knockout+X@10:drug"}]


def test_a_drug_is_unseen_with_all_its_doses() -> None:
    folds = folds_of(relabelled({**DOSED, DOUBLES[0]: "E:knockout+X@10:drug"}), splits=["unseen_single"])
    drug = next(fold for fold in folds if "X@1:drug" in fold.targets)
    assert set(drug.targets) == {"X@1:drug", "X@10:drug", "X@100:drug"}
    assert drug.left_out == {*drug.targets, "E:knockout+X@10:drug"}
    assert {"Y@5:drug"} in [set(fold.targets) for fold in folds]


def test_a_given_split_says_which_dose_was_held_out() -> None:
    screen = relabelled(DOSED)
    train = (np.arange(len(screen.labels)) % 2 == 0) & ~np.isin(screen.labels, ["X@10:drug", "Y@5:drug"])
    (fold,) = folds_of(relabelled(DOSED, train=train))
    assert fold.targets["X@10:drug"] == "held-out dose"
    assert fold.targets["Y@5:drug"] == "unseen_single"
    assert fold.targets["X@1:drug"] == "held-out cells"


def test_a_held_out_dose_is_judged_beside_the_mean_over_doses_where_there_are_any() -> None:
    dosed = relabelled(DOSED)
    assert [model.uses_doses and not dosed.dosed for model in MODELS.values()] == [False] * len(MODELS)
    assert not make_screen().dosed
    models = ["mean over doses", "hierarchical additive"]
    found = evaluate_screen(dosed, models=models, splits=["held-out dose"], repeats=1, null_repeats=0)
    rows = found.scores[found.scores["model"] == "hierarchical additive"]
    assert set(rows["support"]) == {"interpolated"}
    assert "mean over doses" in set(found.scores["model"])
