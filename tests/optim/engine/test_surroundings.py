"""What a user changes around an optimizer: the device that new tensors are made on, the dtype of the model."""

from __future__ import annotations

import contextlib
import copy

import pytest
import torch

from optim.table import BRIEF, Row
from optim.training import assert_same, make_gradients, make_params, run, values

SHAPES = [(64, 65), (5,), (3, 2)]  # one for kernels, two to be stepped together
each_kind = pytest.mark.parametrize("row", BRIEF, ids=lambda row: row.name)
OURS = [row for row in BRIEF if row.ours]
# Each precision is compiled for: a few at once, the others among the slow tests.
ours_in_turn = pytest.mark.parametrize(
    "row",
    [pytest.param(row, id=row.name, marks=[] if at % 5 == 0 else pytest.mark.slow) for at, row in enumerate(OURS)],
)


def train(row: Row, context):
    """Step, look at every figure, and go on from a saved state."""
    params = make_params(torch.float32, shapes=SHAPES)
    gradients = [[torch.tensor(g, dtype=torch.float32) for g in grads] for grads in make_gradients(6, shapes=SHAPES)]

    def step(optimizer, *places):
        for place in places:
            for param, grad in zip(params, gradients[place], strict=True):
                param.grad = grad
            optimizer.step()

    with context:
        optimizer = row.build(params)
        step(optimizer, 0, 1)
        optimizer.record()
        step(optimizer, 2, 3)
        figures = optimizer.diagnostics(), optimizer.tensor_diagnostics()
        resumed = row.build(params)
        resumed.load_state_dict(optimizer.state_dict())
        step(resumed, 4, 5)
    return values(params), figures


@each_kind
def test_a_default_device_says_nothing_to_a_step(row: Row):
    expected, figures = train(row, contextlib.nullcontext())
    found, same = train(row, torch.device("meta"))
    assert_same(found, expected)
    assert same == figures


@ours_in_turn
def test_moments_follow_a_model_into_another_precision_and_back(row: Row):
    """As if the state had been saved, and loaded over a model of that precision."""
    gradients = make_gradients(8, shapes=SHAPES)
    params = make_params(torch.float32, shapes=SHAPES)
    others, optimizer = params, row.build(params)
    run(optimizer, params, gradients[:2])
    other, start = optimizer, 2
    for dtype in (torch.float64, torch.float32, torch.bfloat16):
        saved = copy.deepcopy(other.state_dict())
        others = [param.detach().to(dtype, copy=True).requires_grad_() for param in others]
        for param in params:
            param.data = param.data.to(dtype)  # as torch.nn.Module.to does
            param.grad = None
        other = row.build(others)
        other.load_state_dict(saved)
        for each, over in ((optimizer, params), (other, others)):
            run(each, over, gradients[start : start + 2])
        start += 2
        torch.testing.assert_close(values(params), values(others))  # a mask may still read what is not rounded yet
