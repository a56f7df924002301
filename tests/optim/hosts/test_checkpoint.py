"""torch.distributed.checkpoint on one process: its probing step changes nothing and its states resume exactly."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch.distributed import checkpoint
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_optimizer_state_dict,
    get_state_dict,
    set_optimizer_state_dict,
    set_state_dict,
)

from optim.hosts.hosted import Hosted, assert_equal, each_hosted, loss_of, net, train, weights

pytestmark = pytest.mark.filterwarnings("ignore:torch.distributed is disabled:UserWarning")

SAVED_AFTER = 7
STEPS = 14


def frozen_first(seed: int = 0) -> torch.nn.Module:
    """Give a model whose first parameter is not trained, as when a body is frozen and a head is not."""
    model = net(seed)
    model[0].weight.requires_grad_(False)
    return model


@pytest.mark.parametrize("make", [net, frozen_first])
@pytest.mark.parametrize("flatten", [False, True], ids=["nested", "flattened"])
@each_hosted
def test_a_state_resumes_exactly(hosted: Hosted, flatten, make):
    options = StateDictOptions(flatten_optimizer_state_dict=flatten)
    model, other = make(), make(seed=1)
    optimizer, fresh = (hosted.build([p for p in m.parameters() if p.requires_grad]) for m in (model, other))
    train(model, optimizer, range(SAVED_AFTER))
    saved = copy.deepcopy(get_optimizer_state_dict(model, optimizer, options=options))
    other.load_state_dict(model.state_dict())
    get_optimizer_state_dict(other, fresh, options=options)  # takes the probing step
    set_optimizer_state_dict(other, fresh, saved, options=options)
    assert fresh.diagnostics() == optimizer.diagnostics()
    train(model, optimizer, range(SAVED_AFTER, STEPS))
    train(other, fresh, range(SAVED_AFTER, STEPS))
    assert_equal(weights(model), weights(other))
    assert fresh.diagnostics() == optimizer.diagnostics()


@each_hosted
def test_files_resume_exactly(hosted: Hosted, tmp_path):
    model, other = net(), net(seed=1)
    optimizer, fresh = hosted.build(model.parameters()), hosted.build(other.parameters())
    train(model, optimizer, range(SAVED_AFTER))
    checkpoint.save(_both(model, optimizer), checkpoint_id=tmp_path, no_dist=True)
    state = _both(other, fresh)
    checkpoint.load(state, checkpoint_id=tmp_path, no_dist=True)
    set_state_dict(other, fresh, model_state_dict=state["model"], optim_state_dict=state["optimizer"])
    assert fresh.diagnostics() == optimizer.diagnostics()
    train(model, optimizer, range(SAVED_AFTER, STEPS))
    train(other, fresh, range(SAVED_AFTER, STEPS))
    assert_equal(weights(model), weights(other))


def _both(model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
    weights_of, state = get_state_dict(model, optimizer)
    return {"model": weights_of, "optimizer": state}


@each_hosted
def test_asking_for_the_state_before_training_changes_nothing(hosted: Hosted):
    model, plain = net(), net()
    optimizer, other = hosted.build(model.parameters()), hosted.build(plain.parameters())
    get_optimizer_state_dict(model, optimizer)
    assert_equal(weights(model), weights(plain))
    assert optimizer.diagnostics() == other.diagnostics()
    train(model, optimizer, range(STEPS))
    train(plain, other, range(STEPS))
    assert_equal(weights(model), weights(plain))
    assert optimizer.diagnostics() == other.diagnostics()


@each_hosted
def test_asking_for_the_state_while_training_changes_nothing(hosted: Hosted):
    model, plain = net(), net()
    optimizer, other = hosted.build(model.parameters()), hosted.build(plain.parameters())
    for step in range(STEPS):
        optimizer.zero_grad()
        loss_of(model, step).backward()
        get_optimizer_state_dict(model, optimizer)  # with the gradients of this step still there
        optimizer.step()
        get_optimizer_state_dict(model, optimizer)
    train(plain, other, range(STEPS))
    assert_equal(weights(model), weights(plain))
    assert optimizer.diagnostics() == other.diagnostics()
