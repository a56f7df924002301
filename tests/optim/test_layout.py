"""Gradients that come and go: experts, alternating tasks, tensors that are frozen for a while."""

import itertools

import pytest
import torch

from optim.parity import snapshot
from waddington._errors import DataError
from waddington.optim import AMGT, AMVT, AlphaAdam, ASGDAdam, MicroAdam, _engine

SHAPES = [(130, 130), (5, 3), (64, 80), (7,), (), (3000,), (0,), (140, 130)]
KINDS = {
    "ASGDAdam": lambda params, **kwargs: ASGDAdam(params, switch_interval=2, **kwargs),
    "ASGDAdam, coordinate": lambda params, **kwargs: ASGDAdam(params, switch="coordinate", **kwargs),
    "AMGT": lambda params, **kwargs: AMGT(params, **kwargs),
    "AlphaAdam": lambda params, **kwargs: AlphaAdam(params, **kwargs),
    "AMVT": lambda params, **kwargs: AMVT(params, state_dtype="bfloat16", **kwargs),
    "MicroAdam": lambda params, compile, **kwargs: MicroAdam(params, **kwargs),
}
EACH_WAY = pytest.mark.parametrize("compile", [True, False], ids=["compiled", "eager"])


@pytest.fixture
def laid_out(monkeypatch):
    """How many tensors were laid out, each time that any were."""
    found = []
    lay_out = _engine.lay_out
    monkeypatch.setattr(
        _engine, "lay_out", lambda rule, members, ways: found.append(len(members)) or lay_out(rule, members, ways)
    )
    return found


def in_groups(params):
    return [{"params": params[:3]}, {"params": params[3:], "lr": 3e-3}]


def set_gradients(params, which, seed):
    generator = torch.Generator().manual_seed(seed)
    for at, param in enumerate(params):
        grad = torch.randn(param.shape, generator=generator)
        param.grad = grad if at in which else None


@EACH_WAY
@pytest.mark.parametrize("make", KINDS.values(), ids=KINDS)
def test_a_step_of_some_is_that_of_an_optimizer_that_knows_no_others(make, compile):
    """To the bit: each step of the twin is one of a new optimizer, which lays out what has a gradient and no more."""
    params = [torch.nn.Parameter(torch.linspace(-1.0, 1.0, torch.Size(shape).numel()).view(shape)) for shape in SHAPES]
    twins = [torch.nn.Parameter(param.detach().clone()) for param in params]
    optimizer, state = make(in_groups(params), lr=1e-2, weight_decay=0.1, compile=compile), None
    sets = [{0, 1, 2}, {1, 3}, {0, 1, 2, 3, 4, 5, 6, 7}, {7}, {1, 3, 5}, {2}, {0, 1, 2, 3, 4, 5, 6, 7}, {3, 4, 6}, {1}]
    for step, which in enumerate(sets):
        for tensors in (params, twins):
            set_gradients(tensors, which, step)
        alone = make(in_groups(twins), lr=1e-2, weight_decay=0.1, compile=compile)
        if state is not None:
            alone.load_state_dict(state)
        optimizer.step()
        alone.step()
        state = alone.state_dict()
        found, wanted = snapshot(optimizer), snapshot(alone)
        assert found.keys() == wanted.keys()
        assert all(torch.equal(found[name], wanted[name]) for name in found)
        assert all(map(torch.equal, params, twins))


def test_tensors_are_laid_out_at_their_first_gradient_and_no_more(laid_out):
    params = [torch.nn.Parameter(torch.ones(20)) for _ in range(6)]
    optimizer = AMGT(params, compile=False)
    for at in range(6):
        set_gradients(params, {at}, at)
        optimizer.step()
    assert laid_out == [1, 2, 3, 4, 5, 6]
    for which in itertools.combinations(range(6), 2):
        set_gradients(params, set(which), 0)
        optimizer.step()
    assert len(laid_out) == 6
    assert all(optimizer.state[param]["step"] == 1 + 5 for param in params)


def test_what_is_replaced_is_laid_out_anew_with_what_has_a_gradient(laid_out):
    params = [torch.nn.Parameter(torch.ones(20)) for _ in range(4)]
    optimizer = AMGT(params, compile=False)
    set_gradients(params, {0, 1, 2}, 0)
    optimizer.step()
    for at, entry in ((0, torch.zeros(20)), (2, torch.zeros(20))):
        optimizer.state[params[at]]["exp_avg"] = entry
    set_gradients(params, {1}, 1)
    optimizer.step()
    assert laid_out == [3]  # neither of the two is stepped
    set_gradients(params, {0}, 2)
    optimizer.step()
    assert laid_out == [3, 1]
    assert optimizer.state[params[0]]["exp_avg"].any()
    optimizer.param_groups[0]["params"][:2] = optimizer.param_groups[0]["params"][1::-1]  # another order
    set_gradients(params, {0}, 3)
    optimizer.step()
    assert laid_out == [3, 1, 1]


def test_what_a_user_writes_to_a_tensor_without_gradient_counts_when_it_comes_back():
    params = [torch.nn.Parameter(torch.ones(20)) for _ in range(2)]
    optimizer = AMGT(params, lr=0.1, compile=False)

    def step(which):
        set_gradients(params, which, 0)
        optimizer.step()

    step({0, 1})
    step({0})
    optimizer.state[params[1]]["step"].fill_(5.0)
    optimizer.state[params[1]]["exp_avg"] = torch.zeros(30)
    step({0})
    with pytest.raises(DataError, match="its exp_avg has shape"):
        step({0, 1})
    optimizer.state[params[1]]["exp_avg"] = torch.zeros(20)
    step({0, 1})
    assert optimizer.state[params[0]]["step"] == 4
    assert optimizer.state[params[1]]["step"] == 6


@EACH_WAY
def test_a_step_of_some_that_is_refused_changes_nothing(compile):
    params = [torch.nn.Parameter(torch.ones(70, 70)) for _ in range(3)]
    optimizer = AMGT(params, lr=0.1, compile=compile)
    set_gradients(params, {0, 1, 2}, 0)
    optimizer.step()
    set_gradients(params, {0, 2}, 1)
    params[2].grad = None
    params[2].data = torch.ones(80)
    params[2].grad = torch.ones(80)
    before = snapshot(optimizer)
    with pytest.raises(DataError, match="parameter 2 of group 0, of shape"):
        optimizer.step()
    after = snapshot(optimizer)
    assert all(torch.equal(before[name], after[name]) for name in before)
    set_gradients(params[:2], {0}, 2)
    params[2].grad = None
    optimizer.step()
    assert [int(optimizer.state[param]["step"]) for param in params] == [2, 1, 1]
