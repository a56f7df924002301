"""The rate of a wrapped optimizer, set before its step where that is the same as shortening the step after it."""

from __future__ import annotations

import pytest
import torch

from optim.training import make_gradients, make_params, run
from waddington.optim import AMVT, Compressed, Masked, Switched
from waddington.optim.wrappers import rates, switched

SHAPES = [(4, 3), (2, 5)]
INNER = {
    "Adadelta": lambda p: torch.optim.Adadelta(p, lr=0.5, weight_decay=0.1),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1, lr_decay=0.01, weight_decay=0.1),
    "Adam": lambda p: torch.optim.Adam(p, lr=1e-2, weight_decay=0.1, amsgrad=True),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=1e-2, weight_decay=0.5),
    "Adamax": lambda p: torch.optim.Adamax(p, lr=1e-2, weight_decay=0.1),
    "Muon": lambda p: torch.optim.Muon(p, lr=1e-2, weight_decay=0.5),
    "NAdam": lambda p: torch.optim.NAdam(p, lr=1e-2, weight_decay=0.5, decoupled_weight_decay=True),
    "RAdam": lambda p: torch.optim.RAdam(p, lr=1e-2, weight_decay=0.5, decoupled_weight_decay=True),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=1e-2, momentum=0.9, centered=True, weight_decay=0.1),
    "SGD": lambda p: torch.optim.SGD(p, lr=1e-2, momentum=0.9, nesterov=True, weight_decay=0.1),
    "Masked": lambda p: Masked(torch.optim.AdamW(p, lr=1e-2, weight_decay=0.5)),
}


def trained(build, monkeypatch=None):
    params = make_params(shapes=SHAPES)
    optimizer = Switched(build(params), switch="linear", switch_interval=2)
    if monkeypatch is not None:
        monkeypatch.setattr(switched, "scales_with_rate", lambda inner: False)
    run(optimizer, params, make_gradients(12, shapes=SHAPES))
    return params, optimizer


@pytest.mark.parametrize("name", INNER)
def test_a_step_at_the_chosen_rate_is_the_step_shortened(name, monkeypatch):
    assert name in ("Masked", *(kind.__name__ for kind in rates._PROPORTIONAL))
    set_before, first = trained(INNER[name])
    shortened, second = trained(INNER[name], monkeypatch)
    assert first.diagnostics() == pytest.approx(second.diagnostics(), rel=1e-9)
    for a, b in zip(set_before, shortened, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-12)


def test_every_optimizer_of_the_table_is_held_against_its_shortened_step():
    assert {kind.__name__ for kind in rates._PROPORTIONAL} == set(INNER) - {"Masked"}


class Derived(torch.optim.SGD):
    """Of which nothing is known."""


def noted(inner):
    """Note the rates that an optimizer is found with in each of its steps."""
    found = []
    inner.register_step_pre_hook(lambda optimizer, *_: found.append(float(optimizer.param_groups[0]["lr"])))
    return found


@pytest.mark.parametrize(
    "build",
    [
        lambda p: torch.optim.ASGD(p, lr=1e-2, lambd=0.1),
        lambda p: torch.optim.Rprop(p, lr=1e-2),
        lambda p: Derived(p, lr=1e-2),
        lambda p: AMVT(p, lr=1e-2),
        lambda p: Masked(Compressed(torch.optim.Adam(p, lr=1e-2))),
    ],
)
def test_where_nothing_is_known_the_step_is_shortened(build):
    params = make_params(shapes=SHAPES)
    inner = build(params)
    found = noted(getattr(inner, "innermost", inner))
    run(Switched(inner, switch_interval=1), params, make_gradients(8, shapes=SHAPES))
    assert set(found) == {1e-2}


@pytest.mark.parametrize("rate", [1e-2, torch.tensor(1e-2, dtype=torch.float64)], ids=["number", "tensor"])
def test_nobody_but_the_wrapped_optimizer_sees_the_rate(rate):
    params = make_params(shapes=SHAPES)
    inner = torch.optim.Adam(params, lr=rate)
    found, optimizer = noted(inner), Switched(inner, switch_interval=1)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    for step, grads in enumerate(make_gradients(12, shapes=SHAPES)):
        run(optimizer, params, [grads])
        assert optimizer.param_groups[0]["lr"] is inner.param_groups[0]["lr"]
        if isinstance(rate, torch.Tensor):
            assert optimizer.param_groups[0]["lr"] is rate
        assert float(optimizer.state_dict()["param_groups"][0]["lr"]) == pytest.approx(1e-2 * 0.9**step)
        assert found[-1] == pytest.approx(optimizer.diagnostics()["base_rate"])
        scheduler.step()
    assert len({round(rate / 0.9**step, 9) for step, rate in enumerate(found)}) == 2


def test_an_error_puts_the_rate_back_and_leaves_the_switch_as_it_was():
    params = make_params(shapes=SHAPES)
    inner = torch.optim.Adam(params, lr=1e-2)
    optimizer = Switched(inner, large_rate_in="flat", switch_interval=1)
    run(optimizer, params, make_gradients(3, shapes=SHAPES))
    before = optimizer.diagnostics()

    def fails(*given):
        raise KeyboardInterrupt

    hook = inner.register_step_pre_hook(fails)
    with pytest.raises(KeyboardInterrupt):
        run(optimizer, params, make_gradients(1, shapes=SHAPES))
    assert optimizer.param_groups[0]["lr"] == 1e-2
    assert optimizer.diagnostics() == before
    hook.remove()
    run(optimizer, params, make_gradients(1, shapes=SHAPES))
    assert optimizer.diagnostics() != before


def test_groups_that_share_a_rate_and_not_the_small_one_get_what_is_theirs():
    shared = torch.tensor(1e-2, dtype=torch.float64)
    left, right = make_params(shapes=SHAPES), make_params(shapes=SHAPES)
    for params, rate in ((left, shared), (right, 1e-2)):
        groups = [{"params": params[:1], "alpha_min": 1e-3}, {"params": params[1:], "alpha_min": 5e-3}]
        inner = torch.optim.SGD(groups, lr=rate)
        run(Switched(inner, large_rate_in="flat", switch_interval=1), params, make_gradients(8, shapes=SHAPES))
    for a, b in zip(left, right, strict=True):
        torch.testing.assert_close(a, b)


def test_recording_changes_no_step():
    left, right = make_params(shapes=SHAPES), make_params(shapes=SHAPES)
    for params, records in ((left, False), (right, True)):
        optimizer = Switched(torch.optim.Adam(params, lr=1e-2), switch_interval=2)
        optimizer.record(records)
        run(optimizer, params, make_gradients(8, shapes=SHAPES))
    assert optimizer.diagnostics()["update_ratio"] > 0.0
    assert all(torch.equal(a, b) for a, b in zip(left, right, strict=True))
