"""What every optimizer of the package owes its user; the rows are in table.py."""

from __future__ import annotations

import copy
import io
import pickle

import numpy as np
import pytest
import torch

from optim.table import BRIEF, OWN, ROWS, Row
from optim.training import SHAPES, assert_same, make_gradients, make_model, make_params, run, train, values
from waddington.errors import ArgumentError, DataError, UnsupportedError
from waddington.optim import AMVT

every_row = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
each_kind = pytest.mark.parametrize("row", BRIEF, ids=lambda row: row.name)
each_rule = pytest.mark.parametrize("row", OWN, ids=lambda row: row.name)


# -- mathematics --


@every_row
def test_equals_its_float64_reference(row: Row):
    shapes = [*SHAPES, (3, 1, 4), (1,)]
    params, gradients = make_params(shapes=shapes), make_gradients(40, shapes=shapes)
    start = [param.detach().numpy().copy() for param in params]
    keywords = row.kwargs | row.reference_kwargs
    trajectory, rates = row.reference(start, gradients, **keywords)
    optimizer = row.build(params)
    for t, grads in enumerate(gradients):
        run(optimizer, params, [grads])
        assert optimizer.diagnostics()["base_rate"] == pytest.approx(rates[t], rel=1e-12)
        for param, expected in zip(params, trajectory[t], strict=True):
            np.testing.assert_allclose(param.detach().numpy(), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("row", [row for row in ROWS if row.twin], ids=lambda row: row.name)
def test_equals_the_torch_optimizer_it_degenerates_to(row: Row):
    assert row.twin is not None
    cls, theirs, ours = row.twin
    keywords = {"weight_decay": 0.05}
    left, right, gradients = make_params(), make_params(), make_gradients(20)
    kwargs = {**keywords, "decoupled_weight_decay": cls is torch.optim.AdamW, **ours}
    run(row.build(left, **kwargs), left, gradients)
    run(cls(right, lr=row.kwargs["lr"], **keywords, **theirs), right, gradients)
    for a, b in zip(left, right, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-13)


def rosenbrock(p):
    return (1 - p[0]).square().sum() + 5 * (p[1] - p[0].square()).square().sum()


@pytest.mark.slow  # that each step is the reference's is asked at once; testing/test_ours.py fits a matrix and a bowl
@each_kind
def test_converges(row: Row):
    params = [torch.tensor([-1.0, 0.5]).requires_grad_(), torch.tensor([1.5, -1.0]).requires_grad_()]
    optimizer = row.build(params, lr=row.steep, **({"alpha_min": row.steep / 2} if row.switches else {}))
    first = rosenbrock(params).item()
    for _ in range(500):
        optimizer.zero_grad()
        rosenbrock(params).backward()
        optimizer.step()
    assert rosenbrock(params).item() < 0.02 * first


@each_kind
def test_is_bitwise_deterministic(row: Row):
    results = []
    for _ in range(2):
        model, x, y = make_model()
        train(model, row.build(model.parameters()), x, y, 10)
        results.append(values(model.parameters()))
    assert_same(*results)


@each_kind
def test_maximize_is_the_negated_gradient(row: Row):
    left, right, gradients = make_params(), make_params(), make_gradients(10)
    run(row.build(left), left, gradients)
    run(row.build(right, maximize=True), right, [[-g for g in grads] for grads in gradients])
    assert_same(left, right)


@pytest.mark.parametrize("row", [row for row in BRIEF if not row.is_real], ids=lambda row: row.name)
def test_complex_is_a_pair_of_reals(row: Row):
    generator = torch.Generator().manual_seed(0)
    start = torch.randn(4, 3, dtype=torch.complex128, generator=generator)
    left, right = start.clone().requires_grad_(), torch.view_as_real(start).clone().requires_grad_()
    a, b = row.build([left]), row.build([right])
    for _ in range(10):
        grad = torch.randn(4, 3, dtype=torch.complex128, generator=generator)
        left.grad, right.grad = grad, torch.view_as_real(grad).clone()
        a.step()
        b.step()
    tolerance = 0.0 if row.ours else 1e-12  # torch's own complex arithmetic rounds differently
    torch.testing.assert_close(torch.view_as_real(left.detach()), right.detach(), rtol=tolerance, atol=tolerance)


# -- state --


def _torch_file(optimizer, fresh):
    stream = io.BytesIO()
    torch.save(optimizer.state_dict(), stream)
    stream.seek(0)
    fresh.load_state_dict(torch.load(stream, weights_only=True))


def _in_process(optimizer, fresh):
    fresh.load_state_dict(optimizer.state_dict())


# A file and another process's memory differ in what may share storage; a low precision differs in what must be cast.
@pytest.mark.parametrize(("carry", "dtype"), [(_torch_file, torch.bfloat16), (_in_process, torch.float32)])
@each_kind
def test_a_loaded_state_resumes_bit_for_bit(row: Row, dtype, carry):
    params, gradients = make_params(dtype), make_gradients(14)
    optimizer = row.build(params)
    run(optimizer, params, gradients[:7])
    resumed = [param.detach().clone().requires_grad_() for param in params]
    fresh = row.build(resumed)
    carry(optimizer, fresh)
    run(optimizer, params, gradients[7:])
    run(fresh, resumed, gradients[7:])
    assert_same(params, resumed)
    assert optimizer.diagnostics() == fresh.diagnostics()


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda pair: pickle.loads(pickle.dumps(pair))])
@each_kind
def test_copies_and_pickles_go_on_alike(row: Row, duplicate):
    params, gradients = make_params(), make_gradients(14)
    optimizer = row.build(params)
    run(optimizer, params, gradients[:7])
    other, other_params = duplicate((optimizer, params))
    run(optimizer, params, gradients[7:])
    run(other, other_params, gradients[7:])
    assert_same(params, other_params)
    assert optimizer.diagnostics() == other.diagnostics()


@pytest.mark.parametrize("row", [row for row in BRIEF if row.like_adam], ids=lambda row: row.name)
def test_state_uses_torchs_names_and_moves_to_adam_and_back(row: Row):
    params, gradients = make_params(), make_gradients(10)
    adam = torch.optim.Adam(params, lr=1e-3)
    run(adam, params, gradients)
    optimizer = row.build(params)
    optimizer.load_state_dict(adam.state_dict())
    state = optimizer.state[params[0]]
    assert torch.equal(state["exp_avg"], adam.state[params[0]]["exp_avg"])
    assert state["exp_avg"] is not adam.state[params[0]]["exp_avg"]
    assert optimizer.param_groups[0]["lr"] == 1e-3
    run(optimizer, params, gradients)
    assert optimizer.state[params[0]]["step"].item() == 20
    adam.load_state_dict(optimizer.state_dict())
    run(adam, params, gradients)
    assert adam.state[params[0]]["step"].item() == 30


@each_kind
def test_low_precision_parameters_have_float32_state(row: Row):
    params = make_params(torch.bfloat16)
    optimizer = row.build(params)
    run(optimizer, params, make_gradients(3))
    assert all(param.dtype == torch.bfloat16 for param in params)
    state = optimizer.state[params[0]]
    if row.ours and row.like_adam:
        assert state["exp_avg"].dtype == torch.float32
        assert state["step"].shape == ()
    # Where torch keeps its own buffers in bfloat16, a wrapper's are in float32 all the same.
    ours = [state[name] for name in ("slow_param", "compression_error") if name in state]
    assert all(buffer.dtype == torch.float32 for buffer in ours)


@each_kind
def test_mixed_dtypes_share_one_optimizer(row: Row):
    dtypes = [torch.bfloat16, torch.float32, torch.float64, torch.float16, torch.float32]
    params = [param.detach().to(dtype).requires_grad_() for param, dtype in zip(make_params(), dtypes, strict=True)]
    optimizer = row.build(params)
    before = values(params)
    run(optimizer, params, make_gradients(5))
    assert all(torch.isfinite(param).all() for param in params)
    assert not any(torch.equal(a, b) for a, b in zip(before[:4], params[:4], strict=True))


@each_kind
def test_a_phantom_step_counts_for_nothing(row: Row):
    """torch.distributed.checkpoint takes a step of rate 0 with gradients 0 to learn what state there is."""
    params, plain, gradients = make_params(), make_params(), make_gradients(10)
    optimizer = row.build(params)
    for param in params:
        param.grad = torch.zeros_like(param)
    rate, optimizer.param_groups[0]["lr"] = optimizer.param_groups[0]["lr"], 0.0
    optimizer.step()
    optimizer.param_groups[0]["lr"] = rate
    assert optimizer.state[params[0]].get("step", torch.zeros(())).item() == 0
    run(optimizer, params, gradients)
    run(row.build(plain), plain, gradients)
    assert_same(params, plain)


@each_kind
def test_state_can_be_made_before_the_first_step(row: Row):
    params, plain, gradients = make_params(), make_params(), make_gradients(8)
    optimizer = row.build(params)
    optimizer.init_state()
    assert set(optimizer.state) == set(params)
    run(optimizer, params, gradients)
    run(row.build(plain), plain, gradients)
    assert_same(params, plain)


# -- gradients --


@each_kind
def test_parameters_without_gradient_stay(row: Row):
    params = make_params()
    optimizer = row.build(params)
    optimizer.step()
    assert not optimizer.state
    before = values(params)
    params[1].grad = torch.ones_like(params[1])
    optimizer.step()
    assert torch.equal(params[0], before[0])
    assert not torch.equal(params[1], before[1])


@each_kind
@pytest.mark.parametrize("bad", [float("nan"), 1e200])
def test_a_non_finite_gradient_skips_the_step_everywhere(row: Row, bad):
    params, plain, gradients = make_params(), make_params(), make_gradients(10)
    optimizer, other = row.build(params, nonfinite="skip"), row.build(plain, nonfinite="skip")
    for t, grads in enumerate(gradients):
        if t in (0, 5):
            broken = [np.copy(g) for g in grads]
            broken[1][2] = bad
            run(optimizer, params, [broken])
        run(optimizer, params, [grads])
        run(other, plain, [grads])
    assert_same(params, plain)
    assert optimizer.diagnostics() == {**other.diagnostics(), "skipped_steps": 2.0}


@each_kind
def test_other_policies_for_non_finite_gradients(row: Row):
    params = make_params()
    before = values(params)
    grads = [np.full(shape, np.nan) for shape in SHAPES]
    with pytest.raises(DataError, match=r"NaN or infinity in the gradients of parameters of shape \(4, 3\)"):
        run(row.build(params, nonfinite="raise"), params, [grads])
    assert_same(params, before)
    run(row.build(params, nonfinite="propagate"), params, [grads])
    assert torch.isnan(params[0]).any()


@each_kind
def test_sparse_gradients_are_refused(row: Row):
    table = torch.nn.Embedding(5, 3, sparse=True)
    optimizer = row.build(table.parameters())
    table(torch.tensor([1, 2])).sum().backward()
    with pytest.raises(UnsupportedError, match="dense gradients"):
        optimizer.step()


# -- groups, rates, closures --


@each_kind
def test_two_groups_are_one_model(row: Row):
    whole, split, gradients = make_params(), make_params(), make_gradients(14)
    one = row.build(whole)
    two = row.build([{"params": split[:2]}, {"params": split[2:]}])
    for grads in gradients:
        run(one, whole, [grads])
        run(two, split, [grads])
        assert one.diagnostics() == two.diagnostics()
    for a, b in zip(whole, split, strict=True):
        # Not bit for bit: a power is rounded otherwise at the end of a vector than within it, and tensors lie together.
        torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-13)


@each_kind
def test_groups_may_differ_in_rate_and_late_ones_join(row: Row):
    params, gradients = make_params(), make_gradients(10)
    optimizer = row.build(params[:2])
    run(optimizer, params[:2], [grads[:2] for grads in gradients])
    optimizer.add_param_group({"params": params[2:], "lr": 2e-2})
    before = values(params)
    run(optimizer, params, gradients)
    assert not torch.equal(before[3], params[3])
    if row.like_adam:
        assert optimizer.state[params[3]]["step"].item() == 10
        assert optimizer.state[params[0]]["step"].item() == 20


@each_kind
@pytest.mark.parametrize("tensor", [False, True])
def test_schedulers_turn_the_rate(row: Row, tensor):
    model, x, y = make_model()
    lr = row.kwargs["lr"]
    optimizer = row.build(model.parameters(), lr=torch.tensor(lr, dtype=torch.float64) if tensor else lr)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2, 0.1)
    for _ in range(4):
        train(model, optimizer, x, y, 1)
        scheduler.step()
    before = values(model.parameters())
    optimizer.param_groups[0]["lr"] = torch.tensor(0.0) if tensor else 0.0
    train(model, optimizer, x, y, 1)
    assert_same(before, model.parameters())
    assert optimizer.diagnostics()["base_rate"] == 0.0


@each_kind
def test_a_closure_is_called_once_and_its_loss_returned(row: Row):
    model, x, y = make_model()
    optimizer = row.build(model.parameters())
    calls = []

    def closure():
        assert torch.is_grad_enabled()
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(x), y)
        loss.backward()
        calls.append(loss)
        return loss

    assert optimizer.step(closure) is calls[0]
    assert len(calls) == 1


@each_kind
def test_hooks_run(row: Row):
    params = make_params()
    optimizer, seen = row.build(params), []
    optimizer.register_step_pre_hook(lambda *_: seen.append("before"))
    optimizer.register_step_post_hook(lambda *_: seen.append("after"))
    run(optimizer, params, make_gradients(1))
    assert seen == ["before", "after"]


@each_rule
@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"lr": -1.0}, r"cannot use lr=-1.0: lr must be a number in"),
        ({"lr": float("nan")}, r"cannot use lr=nan"),
        ({"eps": -1e-8}, r"cannot use eps=-1e-08"),
        ({"betas": (1.0, 0.9, 0.9)}, r"cannot use betas\[0\]=1.0: betas\[0\] must be a number in \[0, 1\)"),
        ({"betas": (0.9,)}, r"betas must be two (or three )?numbers"),
        ({"weight_decay": -1.0}, r"cannot use weight_decay=-1.0"),
        ({"nonfinite": "hope"}, r"'mask', 'skip', 'raise', 'propagate'"),
        ({"compile": "yes"}, r"cannot use compile='yes'"),
    ],
)
def test_argument_errors_name_argument_value_and_range(row: Row, kwargs, message):
    if "betas" in kwargs and row.cls is not AMVT:
        kwargs = {"betas": kwargs["betas"][:2]}
    with pytest.raises(ArgumentError, match=message):
        row.build(make_params(), **kwargs)


@each_rule
def test_unknown_keywords_are_refused(row: Row):
    with pytest.raises(TypeError, match="momentun"):
        row.build(make_params(), momentun=0.9)
