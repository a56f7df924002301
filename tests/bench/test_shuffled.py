"""Batches of a pass hold every case once, also where several make a step."""

from __future__ import annotations

import pytest
import torch

from waddington.bench.problem import Shuffled


@pytest.mark.parametrize("accumulate", [1, 2, 3])
def test_a_pass_holds_every_case_once(accumulate: int) -> None:
    generator = torch.Generator().manual_seed(0)
    draw = Shuffled(13, 2, accumulate)
    batches = [draw(generator, step) for step in range(12) for _ in range(accumulate)]
    for start in range(0, len(batches) - 5, 6):
        cases = torch.cat(batches[start : start + 6])
        assert len(cases.unique()) == 12
    assert not torch.equal(torch.cat(batches[:6]), torch.cat(batches[6:12]))


def test_one_batch_a_step_is_the_same_whenever_it_is_asked_for() -> None:
    draw = Shuffled(12, 4)
    first = draw(torch.Generator().manual_seed(1), 0)
    assert torch.equal(draw(torch.Generator().manual_seed(1), 0), first)


def test_an_order_comes_back_in_the_middle_of_a_pass() -> None:
    generator = torch.Generator().manual_seed(0)
    whole = Shuffled(12, 2, 2)
    for step in range(2):
        for _ in range(2):
            whole(generator, step)
    other = Shuffled(12, 2, 2)
    other.load(whole.state())
    assert all(torch.equal(whole(generator, 2), other(generator, 2)) for _ in range(2))
