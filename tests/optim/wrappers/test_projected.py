"""Parameters that stay in a convex set, around any optimizer."""

from __future__ import annotations

import io

import pytest
import torch

from optim.training import assert_same, make_gradients, make_params, run, values
from waddington.errors import ArgumentError, UnsupportedError
from waddington.optim import AMVT, ASGDAdam, Lookahead, Masked, Padam, Projected, Switched
from waddington.optim.projection import Ball, Box, Simplex

SHAPES = [(4, 3), (5,)]


def adam(params, **kwargs):
    return torch.optim.Adam(params, **{"lr": 0.1, **kwargs})


def trained(build, steps=12, dtype=torch.float64):
    params = make_params(dtype, shapes=SHAPES)
    optimizer = build(params)
    run(optimizer, params, make_gradients(steps, shapes=SHAPES))
    return params, optimizer


@pytest.mark.parametrize("metric", ["euclidean", "denominator"])
@pytest.mark.parametrize(
    ("onto", "holds"),
    [
        ("nonnegative", lambda x: (x >= 0.0).all()),
        (Box(-0.2, 0.3), lambda x: ((x >= -0.2) & (x <= 0.3)).all()),
        (Ball(0.5), lambda x: x.norm() <= 0.5 + 1e-9),
        (Simplex(2.0), lambda x: (x >= 0.0).all() and abs(x.sum() - 2.0) < 1e-9),
        (Simplex(1.0, dim=0), lambda x: (abs(x.sum(0) - 1.0) < 1e-9).all()),
    ],
    ids=["nonnegative", "box", "ball", "simplex", "slices"],
)
def test_parameters_are_in_the_set_after_every_step(onto, holds, metric):
    params = make_params(shapes=SHAPES)  # which begin outside
    optimizer = Projected(adam(params), onto, metric=metric)
    for grads in make_gradients(8, shapes=SHAPES):
        run(optimizer, params, [grads])
        assert all(holds(param.detach()) for param in params)


def test_a_step_is_the_wrapped_ones_and_then_the_nearest_point_in_the_denominators_norm():
    params, twins = make_params(shapes=SHAPES), make_params(shapes=SHAPES)
    optimizer, plain = Projected(adam(params, eps=1e-3), Ball(0.7), metric="denominator"), adam(twins, eps=1e-3)
    for step, grads in enumerate(make_gradients(6, shapes=SHAPES), start=1):
        for param, twin in zip(params, twins, strict=True):
            twin.data.copy_(param.data)
        run(optimizer, params, [grads])
        run(plain, twins, [grads])
        for param, twin in zip(params, twins, strict=True):
            weight = (plain.state[twin]["exp_avg_sq"] / (1.0 - 0.999**step)).sqrt() + 1e-3
            torch.testing.assert_close(param.detach(), Ball(0.7).project(twin.detach(), weight))


def test_the_denominator_is_the_optimizers_own():
    for build, expected in (
        (lambda p: adam(p, amsgrad=True, eps=0.0), lambda s: (s["max_exp_avg_sq"] / (1.0 - 0.999 ** s["step"])).sqrt()),
        (lambda p: torch.optim.RMSprop(p, eps=0.5), lambda s: s["square_avg"].sqrt() + 0.5),
        (lambda p: torch.optim.Adagrad(p, eps=0.5), lambda s: s["sum"].sqrt() + 0.5),
        (lambda p: Padam(p, p=0.125, eps=0.5), lambda s: s["exp_avg_sq"] ** 0.125 + 0.5),
    ):
        _, optimizer = trained(lambda p, build=build: Projected(build(p), Ball(0.7), metric="denominator"))
        for slot in optimizer._slots():
            torch.testing.assert_close(
                optimizer._denominator(slot), expected(optimizer.state[slot.param]), rtol=1e-4, atol=0.0
            )


def test_a_constrained_minimum_is_found_where_the_gradient_points_outwards():
    """Minimize ‖x - (2, -1, 0.2)‖² over a ball: the minimum is the Euclidean projection, whatever the metric."""
    target = torch.tensor([2.0, -1.0, 0.2], dtype=torch.float64)
    expected = target / target.norm()
    for metric in ("euclidean", "denominator"):
        param = torch.zeros(3, dtype=torch.float64, requires_grad=True)
        optimizer = Projected(torch.optim.RMSprop([param], lr=1e-2), "ball", metric=metric)
        scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.99)
        for _ in range(600):
            optimizer.zero_grad()
            (param - target).square().sum().backward()
            optimizer.step()
            scheduler.step()
        # In the Euclidean norm an adaptive step's fixed point is another one, unless its denominators are equal.
        error = (param.detach() - expected).abs().max().item()
        assert error < 1e-2 if metric == "denominator" else error > 1e-2


def test_a_ball_of_a_whole_group_holds_for_all_of_it_together():
    params = make_params(shapes=SHAPES)
    optimizer = Projected(adam(params), Ball(1.0, over="group"))
    idle = params[1].detach().clone()
    params[0].grad = torch.ones_like(params[0])
    optimizer.step()  # the second has no gradient, and is part of the point
    assert torch.cat([param.detach().flatten() for param in params]).norm().item() == pytest.approx(1.0)
    assert not torch.equal(params[1].detach(), idle)
    weighted = Projected(adam(make_params(shapes=SHAPES)), Ball(1.0, over="group"), metric="denominator")
    run_one = weighted.param_groups[0]["params"]
    run_one[0].grad = torch.ones_like(run_one[0])
    with pytest.raises(UnsupportedError, match="parameter 1 of group 0 has no gradient"):
        weighted.step()
    run(weighted, run_one, make_gradients(2, shapes=SHAPES))
    assert torch.cat([param.detach().flatten() for param in run_one]).norm().item() == pytest.approx(1.0)


def test_groups_have_sets_of_their_own_and_may_be_free():
    params, twins = make_params(shapes=SHAPES), make_params(shapes=SHAPES)
    groups = [{"params": params[:1]}, {"params": params[1:], "onto": None}]
    optimizer = Projected(adam(groups), Box(0.0, 1.0))
    run(optimizer, params, make_gradients(5, shapes=SHAPES))
    run(adam(twins), twins, make_gradients(5, shapes=SHAPES))
    assert ((params[0] >= 0.0) & (params[0] <= 1.0)).all()
    assert torch.equal(params[1], twins[1])
    extra = torch.full((3,), -1.0, requires_grad=True)
    optimizer.add_param_group({"params": [extra], "onto": Simplex(1.0)})
    extra.grad = torch.zeros(3)
    optimizer.step()
    assert extra.sum().item() == pytest.approx(1.0)


def test_a_saved_state_holds_the_set_in_plain_values():
    _, optimizer = trained(lambda p: Projected(ASGDAdam(p), Box(torch.tensor(-0.1, dtype=torch.float64), 0.5)))
    stream = io.BytesIO()
    torch.save(optimizer.state_dict(), stream)
    stream.seek(0)
    loaded = torch.load(stream, weights_only=True)
    params = make_params(shapes=SHAPES)
    fresh = Projected(ASGDAdam(params), "nonnegative")
    fresh.load_state_dict(loaded)
    run(fresh, params, make_gradients(1, shapes=SHAPES))
    assert all(((param >= -0.1) & (param <= 0.5)).all() for param in params)
    assert any((param < 0.0).any() for param in params)


def test_nothing_moves_at_rate_zero_without_a_gradient_or_in_a_step_left_out():
    param, idle = (torch.tensor([3.0, -3.0], requires_grad=True) for _ in range(2))
    optimizer = Projected(adam([param, idle], lr=0.0), "nonnegative")
    param.grad = torch.ones(2)
    optimizer.step()
    optimizer.param_groups[0]["lr"] = 0.1
    param.grad = torch.tensor([torch.nan, 1.0])
    optimizer.step()
    assert param.tolist() == [3.0, -3.0]
    param.grad = torch.ones(2)
    optimizer.step()
    assert param[1] == 0.0
    assert idle.tolist() == [3.0, -3.0]
    optimizer.project()  # at once, and all
    assert idle.tolist() == [3.0, 0.0]


def test_a_set_is_made_once_and_anew_when_a_group_gets_another(monkeypatch):
    made, check = [], Box.__post_init__
    monkeypatch.setattr(Box, "__post_init__", lambda self: made.append(1) or check(self))
    params = make_params(shapes=SHAPES)
    optimizer = Projected(adam(params), Box(torch.tensor(-0.2, dtype=torch.float64), 0.3))
    run(optimizer, params, make_gradients(1, shapes=SHAPES))
    before = len(made)
    run(optimizer, params, make_gradients(3, shapes=SHAPES))
    assert len(made) == before  # a look at bounds on a GPU would wait for it
    optimizer.param_groups[0]["onto"]["high"] = 0.1
    run(optimizer, params, make_gradients(1, shapes=SHAPES))
    assert all(param.max() <= 0.1 for param in params)
    optimizer.param_groups[0]["onto"] = Box(0.0, 0.05).described()
    run(optimizer, params, make_gradients(1, shapes=SHAPES))
    assert all(param.min() >= 0.0 and param.max() <= 0.05 for param in params)


def test_low_precision_is_in_the_set_up_to_its_rounding():
    params, _ = trained(lambda p: Projected(AMVT(p), Simplex(1.0)), dtype=torch.bfloat16)
    for param in params:
        assert param.dtype == torch.bfloat16
        assert param.float().sum().item() == pytest.approx(1.0, abs=2e-2)


def test_slow_weights_around_it_stay_in_the_set_and_a_switch_and_a_mask_go_inside():
    params = make_params(shapes=SHAPES)
    inside = Projected(Masked(Switched(adam(params), switch_interval=2)), Ball(0.5))
    inside.project()  # slow weights begin where the parameters do
    optimizer = Lookahead(inside, k=2)
    for grads in make_gradients(7, shapes=SHAPES):
        run(optimizer, params, [grads])
        for weights in (*params, *optimizer.slow_weights().values()):
            assert weights.norm() <= 0.5 + 1e-9


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda p: Projected(adam(p), "box"), ArgumentError, r"cannot project onto 'box': accepted are Box\(low"),
        (lambda p: Projected(adam(p), Ball(), metric="L1"), ArgumentError, "'euclidean', 'denominator'"),
        (lambda p: Projected(adam(p), Simplex(dim=1)), ArgumentError, r"cannot use dim=1 .* shape \(5,\)"),
        (lambda p: Projected(adam(p), Box(torch.zeros(7), 1.0)), ArgumentError, r"cannot use low of shape \(7,\)"),
        (lambda p: Projected(Projected(adam(p), "ball"), "ball"), UnsupportedError, "has the setting 'onto' itself"),
        (lambda p: Masked(Projected(adam(p), "ball")), UnsupportedError, "put Projected around Masked instead"),
        (
            lambda p: Projected(adam([torch.ones(2, dtype=torch.complex64, requires_grad=True)]), "ball"),
            UnsupportedError,
            "cannot project a complex parameter",
        ),
    ],
)
def test_what_cannot_be_projected_is_refused_at_once(build, error, message):
    with pytest.raises(error, match=message):
        build(make_params(shapes=SHAPES))


def test_an_optimizer_without_a_denominator_is_refused_by_name():
    params = make_params(shapes=SHAPES)
    optimizer = Projected(torch.optim.SGD(params, lr=0.1, momentum=0.9), Ball(), metric="denominator")
    before = values(params)
    with pytest.raises(UnsupportedError, match=r"denominator of SGD.*holds momentum_buffer; accepted"):
        run(optimizer, params, make_gradients(1, shapes=SHAPES))
    assert_same(params, before)
    assert not any(optimizer.state.values())


def test_a_group_that_lacks_a_gradient_is_refused_before_the_step():
    params = make_params(shapes=SHAPES)
    optimizer = Projected(adam(params), Ball(1.0, over="group"), metric="denominator")
    run(optimizer, params, make_gradients(1, shapes=SHAPES))
    before, params[0].grad = values(params), None
    with pytest.raises(UnsupportedError, match="has no gradient"):
        optimizer.step()
    assert_same(params, before)
