"""When kernels are made, where they are kept, when they are used, and what happens where they cannot be."""

from __future__ import annotations

import copy
import io
import json
import os
import pickle
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace
from functools import partial

import pytest
import torch

from optim.parity import assert_same_course, gradients_for, steps_of
from optim.training import assert_same, values
from waddington._errors import DataError, UnsupportedError
from waddington.optim import AMGT, AlphaAdam, _compiled, _family, _native
from waddington.optim._execution import COMPILE_FROM
from waddington.optim.alphaadam import ALPHAADAM_RULE

# One kernel serves this whole file, and it is one of those of test_compiled.py.
SETTINGS = {"threshold": 0.5, "gamma": 0.1, "correction": 0.05}


def make(params, compile=True, **kwargs):
    return AMGT(params, **{"lr": 1e-2, "weight_decay": 0.1, **SETTINGS, **kwargs}, compile=compile)


def some_params(*shapes):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(shape, generator=generator).requires_grad_() for shape in shapes or [(5, 3), (7,), ()]]


def ways(optimizer):
    """Give the numbers of coordinates that are stepped in each way."""
    found = {}
    for record in optimizer.execution():
        found[record.how] = found.get(record.how, 0) + record.coordinates
    return found


@pytest.fixture
def fresh_process():
    """Forget what this process knows of kernels and compilers, now and afterwards."""
    _compiled.forget()
    yield
    _compiled.forget()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Give an empty folder for kernels."""
    monkeypatch.setenv("WADDINGTON_CACHE", str(tmp_path / "kernels"))
    return tmp_path / "kernels"


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
    made = list(_compiled.kernels_made)
    change(optimizer, params)
    change(eager, twins)
    ours, theirs = (steps_of(o, p, gradients_for(p, 3, seed=2)) for o, p in ((optimizer, params), (eager, twins)))
    assert _compiled.kernels_made == made
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
    made = list(_compiled.kernels_made)
    other, others = duplicate(optimizer, params)
    gradients = gradients_for(params, 3, seed=2)
    for left, right in zip(steps_of(optimizer, params, gradients), steps_of(other, others, gradients), strict=True):
        assert_same(left, right)
    assert _compiled.kernels_made == made
    assert not folder.exists()


def test_a_scheduler_and_tensors_of_other_shapes_use_the_same_kernels(folder, request):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WADDINGTON_CACHE", str(request.getfixturevalue("kernels")))
        params = some_params()
        steps_of(make(params), params, gradients_for(params, 1))
    made = list(_compiled.kernels_made)
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
    assert _compiled.kernels_made == made
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
    assert (record.how, record.reason) == ("eager", "it is a Kept, which may keep its values elsewhere")


def test_a_gradient_that_does_not_fit_is_refused_and_nothing_read_beyond_it():
    (param,) = some_params((30,))
    optimizer = make([param])
    param.grad = torch.ones(30)
    optimizer.step()
    param.data = torch.ones(5000)
    with pytest.raises(DataError, match=r"of shape \(5000,\): its gradient has shape \(30,\)"):
        make([param]).step()
    assert torch.equal(param, torch.ones(5000))


# -- kernels on disk --

PROCESS = """
import json, sys
import torch
torch.set_num_threads(1)
from waddington.optim import AMGT, _compiled
param = torch.linspace(-1.0, 1.0, 37).requires_grad_()
optimizer = AMGT([param], lr=1e-2, weight_decay=0.1, compile=True, **json.loads(sys.argv[1]))
for step in range(3):
    param.grad = torch.linspace(1.0 - step, 1.0, 37)
    optimizer.step()
compilers = [name for name in sys.modules if name.startswith(("torch._inductor.codegen", "torch._inductor.compile"))]
print(json.dumps([_compiled.kernels_made, compilers, param.tolist()]))
"""


def test_another_process_finds_the_kernels_and_needs_no_compiler():
    param = torch.linspace(-1.0, 1.0, 37).requires_grad_()
    optimizer = make([param])
    for step in range(3):
        param.grad = torch.linspace(1.0 - step, 1.0, 37)
        optimizer.step()
    command = [sys.executable, "-c", PROCESS, json.dumps(SETTINGS)]
    found = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ})
    made, compilers, result = json.loads(found.stdout.splitlines()[-1])
    assert made == []
    assert compilers == []
    assert result == param.tolist()


def copy_kernels(source, target):
    """Copy the finished kernels of a folder; another process may be writing there."""
    target.mkdir(parents=True)
    for path in source.glob("*.so"):
        shutil.copy(path, target)


@pytest.mark.usefixtures("fresh_process")
@pytest.mark.parametrize(("compile", "kept"), [(True, 1000), ("auto", 0)], ids=["truncated", "empty"])
def test_a_damaged_kernel_is_made_anew(compile, kept, kernels, folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WADDINGTON_CACHE", str(kernels))
        step_large(True)
    copy_kernels(kernels, folder)
    for path in folder.glob("*.so"):
        with path.open("r+b") as file:
            file.truncate(kept)
    _compiled.forget()
    made = len(_compiled.kernels_made)
    param, optimizer = step_large(compile)
    twin, _ = step_large(False)
    assert len(_compiled.kernels_made) == made + 1
    assert set(ways(optimizer)) == {"compiled"}
    torch.testing.assert_close(param, twin, rtol=1e-6, atol=1e-6)
    _compiled.forget()
    step_large(compile)
    assert len(_compiled.kernels_made) == made + 1  # the one that was made is whole


def step_large(compile, **kwargs):
    """Take a step of a model that is just large enough to be compiled."""
    (param,) = some_params((COMPILE_FROM,))
    optimizer = make([param], compile, **kwargs)
    param.grad = torch.linspace(-1.0, 1.0, COMPILE_FROM)
    optimizer.step()
    return param, optimizer


def check_that_it_goes_on_eagerly(reason):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        param, optimizer = step_large("auto")
    twin, _ = step_large(False)
    torch.testing.assert_close(param, twin, rtol=1e-6, atol=1e-6)
    assert "compiled" not in ways(optimizer)
    assert reason in optimizer.execution()[0].reason
    return [str(entry.message) for entry in caught]


@pytest.mark.usefixtures("fresh_process")
def test_a_folder_that_cannot_be_written_is_named(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("WADDINGTON_CACHE", str(tmp_path / "file" / "kernels"))
    with pytest.raises(UnsupportedError, match=r"WADDINGTON_CACHE|file/kernels"):
        step_large(True)
    _compiled.forget()
    (message,) = check_that_it_goes_on_eagerly("file/kernels")
    assert "eagerly" in message


@pytest.mark.usefixtures("fresh_process", "folder")
def test_a_failing_compiler_is_asked_once_and_warned_of_once(monkeypatch):
    asked = []

    def fail(*args, **kwargs):
        asked.append(args)
        raise RuntimeError("the compiler failed (out of registers)\nand a long trace")

    monkeypatch.setattr("waddington.optim._native.make", fail)
    with pytest.raises(UnsupportedError, match=r"compiler failed \(out of registers\); accepted is compile=False"):
        step_large(True)
    _compiled.failures.clear()
    params, twins = (some_params((COMPILE_FROM,), (5000,)) for _ in range(2))
    optimizer, eager = ([{"params": tensors[:1]}, {"params": tensors[1:]}] for tensors in (params, twins))
    optimizer, eager = make(optimizer, "auto"), make(eager, False)
    asked.clear()
    gradients = gradients_for(params, 3)
    gradients[1][1] = None  # which lays the tensors out anew, twice
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        ours = steps_of(optimizer, params, gradients)
    theirs = steps_of(eager, twins, gradients)
    assert all(torch.equal(a, b) for a, b in zip(ours[-1], theirs[-1], strict=True))
    assert "compiled" not in ways(optimizer)
    assert "out of registers" in optimizer.execution()[0].reason
    assert ["eagerly" in str(entry.message) for entry in caught] == [True]
    assert len(asked) <= 1


@pytest.mark.usefixtures("fresh_process", "folder")
def test_where_there_is_no_compiler_auto_is_eager_and_true_says_why(monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(
        UnsupportedError, match=r"no C compiler was found \(looked for no-such-compiler; CC may name another\)"
    ):
        step_large(True)
    assert check_that_it_goes_on_eagerly("no C compiler was found") == []


@pytest.mark.usefixtures("fresh_process", "folder")
def test_a_rule_that_computes_with_a_tensors_length_is_not_compiled_for_one_length():
    def update(grad, measured, buffers, numbers, choices):
        return grad / grad.numel()

    class Odd(AlphaAdam):
        _rule = replace(ALPHAADAM_RULE, update=update)

    (param,) = some_params((300,))
    param.grad = torch.ones(300)
    with pytest.raises(UnsupportedError, match="the length of a tensor as a number"):
        Odd([param], compile=True).step()


@pytest.mark.usefixtures("fresh_process", "folder")
def test_a_rule_that_cannot_be_compiled_is_stepped_eagerly_and_others_are_compiled():
    def settle(totals, size, numbers, choices):
        return {name: torch.erf(size) for name in ("keep_rate", "alpha", "rate_multiplier")}

    class Odd(AlphaAdam):
        _rule = replace(ALPHAADAM_RULE, settle=settle)

    def step(cls, compile):
        (param,) = some_params((COMPILE_FROM,))
        optimizer = cls([param], compile=compile)
        param.grad = torch.linspace(-1.0, 1.0, COMPILE_FROM)
        optimizer.step()
        return param, optimizer

    with pytest.raises(
        UnsupportedError, match="the rule uses torch's erf, which is not compiled; accepted is compile=F"
    ):
        step(Odd, True)
    with pytest.warns(RuntimeWarning, match="erf.*goes on eagerly"):
        param, optimizer = step(Odd, "auto")
    assert torch.equal(param, step(Odd, False)[0])
    assert "erf" in optimizer.execution()[0].reason
    assert set(ways(step(AlphaAdam, "auto")[1])) == {"compiled"}


# -- which kernel is whose --


def recipes_of(cls, monkeypatch, **kwargs):
    """Give the recipes that one step of an optimizer asks for, without making a kernel."""
    found = []

    def note(recipe):
        found.append(recipe)
        raise UnsupportedError("none is made")

    monkeypatch.setattr(_family, "kernel_for", note)
    (param,) = some_params((COMPILE_FROM,))
    optimizer = cls([param], **kwargs)
    param.grad = torch.ones(COMPILE_FROM)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optimizer.step()
    (recipe,) = found
    return recipe


OTHER_CHOICES = [
    {"maximize": True},
    {"decoupled_weight_decay": False},
    {"bias_correction": False},
    {"mask": "synchronous"},
    {"state_dtype": "bfloat16"},
]


@pytest.mark.parametrize("kwargs", OTHER_CHOICES, ids=lambda kwargs: next(iter(kwargs)))
def test_settings_that_are_no_numbers_have_kernels_of_their_own(kwargs, monkeypatch):
    assert _compiled.name_of(recipes_of(AlphaAdam, monkeypatch)) != _compiled.name_of(
        recipes_of(AlphaAdam, monkeypatch, **kwargs)
    )


def test_numbers_are_no_part_of_a_kernel(monkeypatch):
    numbers = {"lr": 3.0, "betas": (0.5, 0.6), "eps": 1.0, "weight_decay": 0.3, "alpha_max": 7.0}
    assert recipes_of(AlphaAdam, monkeypatch) == recipes_of(AlphaAdam, monkeypatch, **numbers)


def test_rules_that_conclude_differently_have_kernels_of_their_own(monkeypatch):
    """What follows from a rule's sums is computed inside the kernel, too."""

    def settle(totals, size, numbers, choices):
        return {"keep_rate": totals["kept"] / size, "alpha": size * 0.0 + 1.0, "rate_multiplier": size * 0.0 + 2.0}

    class Doubled(AlphaAdam):
        _rule = replace(ALPHAADAM_RULE, settle=settle)

    one, other = (recipes_of(cls, monkeypatch) for cls in (AlphaAdam, Doubled))
    assert one.phase.settles
    assert _compiled.name_of(one) != _compiled.name_of(other)


def test_rules_made_by_one_function_have_kernels_of_their_own(monkeypatch):
    def times(factor, by=1.0):
        def settle(totals, size, numbers, choices, by=by):
            return {"keep_rate": size, "alpha": size, "rate_multiplier": size * 0.0 + factor * by}

        return settle

    def of(settle):
        class Other(AlphaAdam):
            _rule = replace(ALPHAADAM_RULE, settle=settle)

        return _compiled.name_of(recipes_of(Other, monkeypatch))

    assert of(times(2.0)) == of(times(2.0))
    assert len({of(times(2.0)), of(times(3.0)), of(times(2.0, by=2.0)), of(partial(times(2.0), by=3.0))}) == 4
    assert of(partial(times(2.0), by=3.0)) == of(times(6.0))  # the same program
    with pytest.raises(UnsupportedError, match="a tensor that it was not given"):
        of(times(torch.ones(())))


def test_processors_with_other_instructions_have_kernels_of_their_own(monkeypatch):
    recipe = recipes_of(AlphaAdam, monkeypatch)
    known = _compiled.name_of(recipe)
    monkeypatch.setattr(_native, "processor", lambda: "another")
    assert _compiled.name_of(recipe) != known


@pytest.mark.usefixtures("fresh_process", "folder")
def test_finished_kernels_need_no_compiler(monkeypatch):
    (param,) = some_params((300,))
    optimizer = AlphaAdam([param], compile=True)
    param.grad = torch.ones(300)
    optimizer.step()
    _compiled.forget()
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setattr(_native, "make", lambda *_: pytest.fail("compiled anew"))
    (twin,) = some_params((300,))
    other = AlphaAdam([twin], compile=True)
    twin.grad = torch.ones(300)
    other.step()
    assert torch.equal(param, twin)
    assert ways(other) == {"compiled": 300}


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
