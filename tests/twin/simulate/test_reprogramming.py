from __future__ import annotations

import numpy as np
import pytest

from waddington.errors import ArgumentError, UnknownNameError, UnsupportedError
from waddington.twin.data.conditions import condition_label, parse_label
from waddington.twin.simulate.fates import FATES
from waddington.twin.simulate.reprogramming import edit_sets, optimal_reprogramming, reach_probability


def test_edit_sets_are_all_of_them_and_each_once() -> None:
    singles, pairs = edit_sets(1), edit_sets(2)
    assert len(singles) == 22
    assert len(pairs) == len(set(pairs)) == 22 + 220
    assert len(edit_sets(1, modes=("knockout",))) == 11
    assert all(len({edit.gene for edit in condition}) == len(condition) for condition in pairs)


@pytest.mark.parametrize("fate", FATES)
def test_fates_stay_what_they_are_when_left_alone(fate: str) -> None:
    odds = [reach_probability([()], fate, other, n_cells=60)[0] for other in FATES]
    assert dict(zip(FATES, odds, strict=True)) == {other: float(other == fate) for other in FATES}


@pytest.mark.parametrize(
    ("start", "target", "known"),
    [
        ("Erythrocyte", "Megakaryocyte", {"EKLF:knockout", "Fli1:activation"}),
        ("Megakaryocyte", "Erythrocyte", {"Fli1:knockout", "EKLF:activation"}),
        ("Neutrophil", "Monocyte", {"Gfi1:knockout", "EgrNab:activation"}),
        ("Erythrocyte", "Monocyte", {"Pu.1:activation"}),
    ],
)
def test_known_switches_come_first(start: str, target: str, known: set[str]) -> None:
    ranked = optimal_reprogramming(start, target, max_size=1, n_cells=24)
    assert len(ranked) == 22
    sure = {condition_label(condition) for condition, probability in ranked if probability > 0.9}
    assert known <= sure
    assert [probability for _, probability in ranked] == sorted((p for _, p in ranked), reverse=True)


def test_crossing_the_first_branch_and_choosing_the_second_takes_two_edits() -> None:
    labels = ("Gata1:activation", "EKLF:activation", "EKLF:activation+Gata1:activation")
    odds = reach_probability([parse_label(label) for label in labels], "Monocyte", "Erythrocyte", n_cells=40)
    assert odds[1] < 0.1
    assert odds[0] < 0.8
    assert odds[2] > 0.9


def test_without_release_cells_are_judged_by_the_genes_that_are_not_edited() -> None:
    condition = parse_label("EKLF:knockout")
    held = reach_probability([condition], "Erythrocyte", "Megakaryocyte", n_cells=20, release_hours=0)
    assert held[0] > 0.9


def test_a_seed_fixes_the_odds_and_conditions_do_not_disturb_each_other() -> None:
    conditions = [parse_label("Gata1:activation"), parse_label("Pu.1:knockout")]
    both = reach_probability(conditions, "Progenitor", "Erythrocyte", n_cells=50)
    alone = [reach_probability([one], "Progenitor", "Erythrocyte", n_cells=50)[0] for one in conditions]
    np.testing.assert_array_equal(both, alone)


def test_questions_without_an_answer_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'Monocyte'"):
        optimal_reprogramming("Monocytes", "Neutrophil")
    with pytest.raises(UnknownNameError, match="unknown fate 'Progenitor'"):
        optimal_reprogramming("Monocyte", "Progenitor")
    with pytest.raises(ArgumentError, match="max_size=4"):
        optimal_reprogramming("Monocyte", "Neutrophil", max_size=4)
    with pytest.raises(ArgumentError, match="modes='drug'"):
        edit_sets(1, modes=("drug",))
    with pytest.raises(UnsupportedError, match="drug"):
        reach_probability([parse_label("Gata1:drug")], "Monocyte", "Neutrophil")
