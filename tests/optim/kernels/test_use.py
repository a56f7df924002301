"""When kernels are made and used, and how what they read may lie in memory."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch

from optim.compiled import make, some_params, ways
from optim.parity import assert_same_course, gradients_for, steps_of
from optim.training import assert_same, values
from waddington.errors import DataError
from waddington.optim import AMGT, AlphaAdam
from waddington.optim.engine.dispatch import COMPILE_FROM
from waddington.optim.kernels import cache

# -- nothing is compiled anew --


def another_rate(optimizer, params):
    optimizer.param_groups[0]["lr"] = 3e-3


def a_rate_that_is_a_tensor(optimizer, params):
    optimizer.param_groups[0]["lr"] = torch.tensor(3e-3)


def other_betas(optimizer, params):
    optimizer.param_groups[0]["betas"] = (0.7, 0.97)


def another_eps(optimizer, params):
    optimizer.param_groups[0]["eps"] = 1e-3


def no_decay(optimizer, params):
    optimizer.param_groups[0]["weight_decay"] = 0.0


def more_decay(optimizer, params):
    optimizer.param_groups[0]["weight_decay"] = 0.7


def another_gamma(optimizer, params):
    optimizer.param_groups[0]["gamma"] = 3.0


def other_thresholds(optimizer, params):
    optimizer.param_groups[0].update(threshold=0.1, correction=-0.2)


def a_new_group(optimizer, params):
    generator = torch.Generator().manual_seed(5)
    late = torch.randn(11, 3, generator=generator).requires_grad_()
    params.append(late)
    optimizer.add_param_group({"params": [late], "lr": 1e-3, "weight_decay": 0.0})


def a_frozen_parameter(optimizer, params):
    params[0].requires_grad_(False)
    params[0].grad = None
    del params[0]


def a_parameter_elsewhere(optimizer, params):
    params[1].data = params[1].data.clone()


CHANGES = [
    another_rate,
    a_rate_that_is_a_tensor,
    other_betas,
    another_eps,
    no_decay,
    more_decay,
    another_gamma,
    other_thresholds,
    a_new_group,
    a_frozen_parameter,
    a_parameter_elsewhere,
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_no_change_of_numbers_or_tensors_compiles_anew(change, folder, request):
    params, twins = some_params(), some_params()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WADDINGTON_CACHE", str(request.getfixturevalue("kernels")))
        optimizer, eager = make(params), make(twins, compile=False)
        start, twin_start = (steps_of(o, p, gradients_for(p, 3)) for o, p in ((optimizer, params), (eager, twins)))
    made = list(cache.kernels_made)
    change(optimizer, params)
    change(eager, twins)
    ours, theirs = (steps_of(o, p, gradients_for(p, 3, seed=2)) for o, p in ((optimizer, params), (eager, twins)))
    assert cache.kernels_made == made
    assert not folder.exists()
    assert set(ways(optimizer)) == {"compiled"}
    assert_same_course(start, twin_start)
    assert_same_course(ours, theirs, ulps=8.0)  # what they begin with differs already


def loaded(optimizer, params):
    stream = io.BytesIO()
    torch.save(optimizer.state_dict(), stream)
    stream.seek(0)
    others = [param.detach().clone().requires_grad_() for param in params]
    fresh = make(others)
    fresh.load_state_dict(torch.load(stream, weights_only=True))
    return fresh, others


def copied(optimizer, params):
    return copy.deepcopy((optimizer, params))


def pickled(optimizer, params):
    return pickle.loads(pickle.dumps((optimizer, params)))


@pytest.mark.parametrize("duplicate", [loaded, copied, pickled])
def test_a_duplicate_goes_on_bit_for_bit_with_the_same_kernels(duplicate, folder, request):
    params = some_params()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WADDINGTON_CACHE", str(request.getfixturevalue("kernels")))
        optimizer = make(params)
        steps_of(optimizer, params, gradients_for(params, 3))
    made = list(cache.kernels_made)
    other, others = duplicate(optimizer, params)
    gradients = gradients_for(params, 3, seed=2)
    for left, right in zip(steps_of(optimizer, params, gradients), steps_of(other, others, gradients), strict=True):
        assert_same(left, right)
    assert cache.kernels_made == made
    assert not folder.exists()


def test_a_scheduler_and_tensors_of_other_shapes_use_the_same_kernels(folder, request):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WADDINGTON_CACHE", str(request.getfixturevalue("kernels")))
        params = some_params()
        steps_of(make(params), params, gradients_for(params, 1))
    made = list(cache.kernels_made)
    for shapes in ([(1,)], [(0, 3), (2, 2)], [(1023,), (1025,)], [(300, 41)]):
        params, twins = some_params(*shapes), some_params(*shapes)
        courses = []
        for optimizer, tensors in ((make(params), params), (make(twins, compile=False), twins)):
            scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0 / (1.0 + step))
            course = []
            for grads in gradients_for(tensors, 4):
                course += steps_of(optimizer, tensors, [grads])[-1:]
                scheduler.step()
            courses.append([values(some_params(*shapes)), *course])
        assert_same_course(*courses)
    assert cache.kernels_made == made
    assert not folder.exists()


def test_a_training_may_change_between_kernels_and_operations():
    """Each way of stepping a tensor lays its state out in its own manner, and takes it over from the others."""
    params, twins = some_params(), some_params()
    optimizer, eager = make(params), make(twins, False)
    ours, theirs = [values(params)], [values(twins)]
    for seed, (compile, expected) in enumerate([(True, "compiled"), (False, "together"), (True, "compiled")], 2):
        optimizer.param_groups[0]["compile"] = compile
        ours += steps_of(optimizer, params, gradients_for(params, 2, seed))[1:]
        theirs += steps_of(eager, twins, gradients_for(twins, 2, seed))[1:]
        assert set(ways(optimizer)) == {expected}
    assert_same_course(ours, theirs)


@pytest.mark.parametrize("compile", [True, False, "auto"])
def test_autograd_learns_that_a_step_has_changed_what_it_saved(compile):
    """As with torch's optimizers: going back through a graph of before the step would give wrong gradients."""
    (weight,) = params = some_params((5, 5))
    optimizer = make(params, compile)
    loss = (torch.ones(3, 5) @ weight).tanh() @ weight
    loss.sum().backward(retain_graph=True)
    optimizer.step()
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.sum().backward()


LAID_OUT = {
    "as usual": lambda values: values.clone(),
    "every second": lambda values: torch.stack([values, values], dim=-1).flatten(-2)[..., ::2],
    "one for all": lambda values: values[..., :1].expand_as(values),
    "one for all, whole": lambda values: values.flatten()[:1].expand(values.shape),
    "turned": lambda values: values.mT.contiguous().mT,
    "negated": lambda values: torch._neg_view(values.clone()),
    "part of a larger one": lambda values: torch.nn.functional.pad(values, (3, 2))[..., 3:-2],
}


@pytest.mark.parametrize("how", LAID_OUT)
def test_gradients_may_lie_in_memory_as_they_like(how):
    params, twins = (some_params((50, 7), (1, 300), (300, 1), (4, 3, 5), (301,)) for _ in range(2))
    compiled, eager = make(params), make(twins, False)
    generator = torch.Generator().manual_seed(1)
    for _ in range(3):
        for param, twin in zip(params, twins, strict=True):
            values = torch.randn(param.shape, generator=generator)
            param.grad = values if how == "turned" and values.dim() < 2 else LAID_OUT[how](values)
            twin.grad = param.grad.clone(memory_format=torch.contiguous_format)
        compiled.step()
        eager.step()
    for param, twin in zip(params, twins, strict=True):
        torch.testing.assert_close(param, twin, rtol=1e-5, atol=1e-6)


class Kept(torch.Tensor):
    """A tensor that keeps its values in another, as quantized ones do."""

    @staticmethod
    def __new__(cls, held):
        return torch.Tensor._make_wrapper_subclass(cls, held.shape, dtype=held.dtype)

    def __init__(self, held):
        self.held = held

    @classmethod
    def __torch_dispatch__(cls, func, types, args=(), kwargs=None):
        def bare(arg):
            return arg.held if isinstance(arg, Kept) else arg

        found = func(*map(bare, args), **{name: bare(arg) for name, arg in (kwargs or {}).items()})
        return cls(found) if func is torch.ops.aten.detach.default else found


def test_gradients_that_keep_their_values_elsewhere_are_read_from_there():
    (param,), (twin,) = some_params((30,)), some_params((30,))
    compiled, eager = make([param]), make([twin], False)
    for step in range(3):
        values = torch.linspace(-1.0, 1.0 + step, 30)
        param.grad, twin.grad = Kept(values), values.clone()
        compiled.step()
        eager.step()
    torch.testing.assert_close(param, twin, rtol=1e-5, atol=1e-6)


def test_parameters_that_keep_their_values_elsewhere_have_no_kernel():
    (record,) = AMGT([torch.nn.Parameter(Kept(torch.ones(30)))], compile=True).execution()
    assert (record.path, record.reason) == ("eager", "it is a Kept, which may keep its values elsewhere")


def test_a_gradient_that_does_not_fit_is_refused_and_nothing_read_beyond_it():
    (param,) = some_params((30,))
    optimizer = make([param])
    param.grad = torch.ones(30)
    optimizer.step()
    param.data = torch.ones(5000)
    with pytest.raises(DataError, match=r"of shape \(5000,\): its gradient has shape \(30,\)"):
        make([param]).step()
    assert torch.equal(param, torch.ones(5000))


def test_figures_of_empty_tensors_are_those_of_eager_steps():
    found = []
    for compile in (True, False):
        params = some_params((0, 4), (5, 3))
        optimizer = AlphaAdam(params, compile=compile)
        optimizer.record()
        steps_of(optimizer, params, gradients_for(params, 3))
        found.append(optimizer.tensor_diagnostics())
    assert found[0]["0.0"] == found[1]["0.0"]
    assert found[0]["0.0"]["alpha"] == 1.0


# -- what "auto" chooses --


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (COMPILE_FROM - 1, {"eager": 20_000, "together": COMPILE_FROM - 1}),
        (COMPILE_FROM, {"compiled": COMPILE_FROM, "eager": 20_000}),
    ],
    ids=["smaller", "large"],
)
def test_size_alone_decides_what_is_compiled(size, expected):
    """Neither gradients nor tensors that are not to be compiled have a say."""
    shapes = [(size - 3100,), (3000,), (10, 10), (0, 3), (20_000,)]
    params, twins = some_params(*shapes), some_params(*shapes)
    optimizer = make([{"params": params[:-1]}, {"params": params[-1:], "compile": False}], "auto")
    eager = make(twins, False)
    assert ways(optimizer) == expected
    zeros, ones = ([torch.full_like(param, value) for param in params] for value in (0.0, 1.0))
    gradients = [zeros, *gradients_for(params, 2), ones]
    assert_same_course(steps_of(optimizer, params, gradients), steps_of(eager, twins, gradients))
    assert ways(optimizer) == expected
