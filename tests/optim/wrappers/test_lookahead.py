"""Lookahead against its two lines."""

from __future__ import annotations

import pytest
import torch

from optim.training import make_gradients, make_params, run
from waddington.errors import ArgumentError, UnsupportedError
from waddington.optim import AMVT, Lookahead


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("inner", [AMVT, torch.optim.AdamW])
def test_slow_weights_follow_the_fast_ones(k, inner):
    params, twins = make_params(), make_params()
    optimizer, fast = Lookahead(inner(params, lr=1e-2), k=k, alpha=0.3), inner(twins, lr=1e-2)
    slow = [twin.detach().clone() for twin in twins]
    for t, grads in enumerate(make_gradients(23), start=1):
        run(optimizer, params, [grads])
        run(fast, twins, [grads])
        if t % k == 0:
            for i, twin in enumerate(twins):
                slow[i] = slow[i] + 0.3 * (twin.detach() - slow[i])
                twin.data.copy_(slow[i])
        for param, twin in zip(params, twins, strict=True):
            torch.testing.assert_close(param, twin, rtol=1e-12, atol=1e-14)
    for param, expected in zip(params, slow, strict=True):
        torch.testing.assert_close(optimizer.slow_weights()[param], expected, rtol=1e-12, atol=1e-14)


def test_alpha_one_is_the_optimizer_itself():
    params, twins = make_params(), make_params()
    run(Lookahead(torch.optim.AdamW(params), alpha=1.0), params, make_gradients(12))
    run(torch.optim.AdamW(twins), twins, make_gradients(12))
    for param, twin in zip(params, twins, strict=True):
        torch.testing.assert_close(param, twin, rtol=1e-12, atol=1e-14)


def test_parameters_that_join_late_start_their_own_slow_weights():
    params = make_params()
    optimizer = Lookahead(torch.optim.SGD(params[:2], lr=0.1), k=2)
    run(optimizer, params[:2], [g[:2] for g in make_gradients(3)])
    optimizer.add_param_group({"params": params[2:]})
    start = params[3].detach().clone()
    run(optimizer, params, make_gradients(1))  # the fourth step: all slow weights move
    step = 0.1 * torch.as_tensor(make_gradients(1)[0][3])
    torch.testing.assert_close(params[3].detach(), start - 0.5 * step)


def test_a_group_at_rate_0_stays_and_its_steps_do_not_count():
    params = make_params()
    optimizer = Lookahead(torch.optim.SGD([{"params": params[:2]}, {"params": params[2:]}], lr=0.1), k=2)
    run(optimizer, params, make_gradients(1))
    optimizer.param_groups[1]["lr"] = 0.0
    before = [param.detach().clone() for param in params]
    run(optimizer, params, make_gradients(2)[1:])  # the second step: slow weights of the first group move
    assert not torch.equal(params[0], before[0])
    assert all(torch.equal(a, b) for a, b in zip(before[2:], params[2:], strict=True))
    optimizer.param_groups[0]["lr"] = 0.0
    before = [param.detach().clone() for param in params]
    run(optimizer, params, make_gradients(4))
    assert all(torch.equal(a, b) for a, b in zip(before, params, strict=True))


@pytest.mark.parametrize(("kwargs", "message"), [({"k": 0}, "k=0"), ({"k": 2.5}, "k=2.5"), ({"alpha": 0.0}, "alpha=0")])
def test_argument_errors(kwargs, message):
    with pytest.raises(ArgumentError, match=f"cannot use {message}"):
        Lookahead(torch.optim.SGD(make_params()), **kwargs)


def test_two_of_them_are_refused():
    with pytest.raises(UnsupportedError, match="has the setting 'k' itself"):
        Lookahead(Lookahead(torch.optim.SGD(make_params())))
