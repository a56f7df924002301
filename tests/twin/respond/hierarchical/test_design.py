"""Conditions fall apart where they share no perturbation, and nowhere else."""

from __future__ import annotations

import numpy as np
import pytest
from tests.twin.respond.hierarchical.dense import MIXED, SINGLES

from waddington.twin.respond.hierarchical.design import Design, cut


def design_of(parts, *, pairs_together: bool = False) -> Design:
    return cut(sorted({part for one in parts for part in one}), parts, pairs_together=pairs_together)


def blocks(design: Design) -> set[tuple[tuple[int, ...], tuple[str, ...]]]:
    return {
        (tuple(rows.tolist()), tuple(design.perturbations[i] for i in columns))
        for stack in design.stacks
        for rows, columns in zip(stack.conditions, stack.perturbations, strict=True)
    }


def test_singles_stand_alone_in_one_stack_beside_the_control() -> None:
    design = design_of(SINGLES)
    assert [stack.conditions.shape for stack in design.stacks] == [(1, 1), (4, 1)]
    assert ((0,), ()) in blocks(design)


def test_combinations_join_what_they_share() -> None:
    found = blocks(design_of(MIXED))
    assert ((10,), ("G",)) in found
    assert ((11,), ("H", "I")) in found
    assert ((1, 2, 3, 4, 5, 6, 7, 8, 9), ("A", "B", "C", "D", "E", "F")) in found
    assert len(found) == 4


def test_combinations_can_be_kept_together() -> None:
    found = blocks(design_of(MIXED, pairs_together=True))
    assert {rows for rows, _ in found} == {(0,), (10,), (1, 2, 3, 4, 5, 6, 7, 8, 9, 11)}


@pytest.mark.parametrize("pairs_together", [False, True])
def test_every_condition_and_perturbation_is_in_one_block(pairs_together: bool) -> None:
    design = design_of(MIXED, pairs_together=pairs_together)
    rows = np.concatenate([stack.conditions.ravel() for stack in design.stacks])
    columns = np.concatenate([stack.perturbations.ravel() for stack in design.stacks])
    assert sorted(rows.tolist()) == list(range(len(MIXED)))
    assert sorted(columns.tolist()) == list(range(len(design.perturbations)))
    for stack in design.stacks:
        for at, (held, own) in enumerate(zip(stack.conditions, stack.perturbations, strict=True)):
            np.testing.assert_array_equal(stack.member[at], design.member[held].toarray()[:, own])
            for column in own:
                np.testing.assert_array_equal(
                    design.stacks[design.block_of[column, 0]].conditions[design.block_of[column, 1]], held
                )


def test_sizes_and_combinations() -> None:
    design = design_of(MIXED)
    assert design.size.tolist() == [len(one) for one in MIXED]
    assert design.combinations[frozenset(("B", "A"))] == MIXED.index(("A", "B"))
    assert frozenset("A") not in design.combinations
