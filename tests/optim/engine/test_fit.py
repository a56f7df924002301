"""What does not fit is refused before anything is written; a step is whole, or nothing, or says what it is."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from optim.replacing import try_out
from waddington.errors import DataError, UnsupportedError
from waddington.optim import AMGT, ASGDAdam, Padam
from waddington.optim.amgt import AMGT_RULE
from waddington.optim.engine.guards import WrittenMemory
from waddington.optim.kernels import cache
from waddington.optim.kernels.memory import Forms

EACH_WAY = pytest.mark.parametrize("compile", [True, False], ids=["compiled", "eager"])


def one(compile, size=60, cls=ASGDAdam, **kwargs):
    """Give a parameter that has been stepped once, and its optimizer."""
    param = torch.nn.Parameter(torch.linspace(-1.0, 1.0, size).view(-1, 2))
    optimizer = cls([("weight", param)], compile=compile, **kwargs)
    param.grad = torch.ones_like(param)
    optimizer.step()
    return param, optimizer


# -- memory --


@EACH_WAY
def test_a_parameter_that_grew_is_named_with_both_shapes_and_what_to_do(compile):
    param, optimizer = one(compile)
    param.data = torch.cat([param.data, torch.ones(10, 2)])
    param.grad = torch.ones_like(param)
    before = {name: value.clone() for name, value in optimizer.state[param].items()}
    with pytest.raises(
        DataError,
        match=r"parameter 0 \('weight'\) of group 0, of shape \(40, 2\): its exp_avg has shape \(30, 2\).*begin",
    ):
        optimizer.step()
    assert before.keys() == optimizer.state[param].keys()
    assert all(torch.equal(value, optimizer.state[param][name]) for name, value in before.items())
    del optimizer.state[param]
    optimizer.step()
    assert optimizer.state[param]["exp_avg"].shape == (40, 2)


@EACH_WAY
def test_a_gradient_without_memory_steps_as_zeros(compile):
    (param, optimizer), (twin, other) = one(compile), one(compile)
    torch.sgn(param.requires_grad_()).sum().backward(inputs=[param])
    param.grad = torch.autograd.grad(torch.sgn(param).sum(), param)[0]
    assert param.grad._is_zerotensor()
    twin.grad = torch.zeros_like(twin)
    optimizer.step()
    other.step()
    assert torch.equal(param, twin)


def freed_parameter(param, optimizer):
    param.untyped_storage().resize_(0)


def cut_parameter(param, optimizer):
    for size in (64, 32):  # a second time, for the first memory may be given out again
        param.untyped_storage().resize_(size)


def freed_gradient(param, optimizer):
    param.grad.untyped_storage().resize_(0)


def cut_gradient(param, optimizer):
    param.grad.untyped_storage().resize_(32)


def freed_entry(param, optimizer):
    optimizer.state[param]["exp_avg_sq"].untyped_storage().resize_(0)


def freed_step_count(param, optimizer):
    optimizer.state[param]["step"] = torch.tensor(1.0)
    optimizer.state[param]["step"].untyped_storage().resize_(0)


@EACH_WAY
@pytest.mark.parametrize(
    "deed", [freed_parameter, cut_parameter, freed_gradient, cut_gradient, freed_entry, freed_step_count]
)
def test_freed_memory_is_neither_read_nor_written(deed, compile):
    param, optimizer = one(compile)
    param.grad = torch.ones_like(param)
    deed(param, optimizer)
    with pytest.raises(DataError, match=r"parameter 0 \('weight'\) of group 0.*too few for"):
        optimizer.step()


@EACH_WAY
def test_a_parameter_without_memory_is_refused(compile):
    for size in (60, 0):
        param, optimizer = one(compile, size)
        param.data = torch._efficientzerotensor(param.shape)
        param.grad = torch.ones(param.shape)
        with pytest.raises(DataError, match="one of torch's zero tensors"):
            optimizer.step()


@EACH_WAY
@pytest.mark.parametrize("where", ["itself", "another's", "a moment"])
def test_gradients_that_lie_in_what_is_written_are_read_as_they_were(where, compile):
    found = []
    for apart in (False, True):
        params = [torch.nn.Parameter(torch.linspace(-1.0, 1.0 + at, 60)) for at in range(2)]
        optimizer = AMGT(params, lr=0.1, compile=compile)
        for step in range(3):
            params[0].grad = torch.ones(60)
            params[1].grad = torch.ones(60)
            if step:
                places = {
                    "itself": params[1],
                    "another's": params[0],
                    "a moment": optimizer.state[params[0]]["exp_avg"],
                }
                grad = places[where].detach()
                params[1].grad = grad.clone() if apart else grad
            optimizer.step()
        found.append(params)
    for left, right in zip(*found, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-6, atol=1e-7)


SHARED = {
    "numpy": lambda tensor: torch.from_numpy(tensor.numpy()),
    "dlpack": torch.from_dlpack,
    "view": lambda tensor: tensor.view_as(tensor),
}


@EACH_WAY
@pytest.mark.parametrize("where", ["middle", "over the edge"])
@pytest.mark.parametrize("shared", SHARED)
def test_memory_is_known_by_its_addresses_not_by_the_object_that_owns_it(shared, where, compile):
    begin = {"middle": 4000, "over the edge": 4996}[where]
    found = []
    for apart in (False, True):
        whole = torch.linspace(-1.0, 1.0, 10_000)
        params = [torch.nn.Parameter(whole[:5000]), torch.nn.Parameter(whole[5000:])]
        optimizer = AMGT(params, lr=0.1, compile=compile)
        for _ in range(3):
            grad = SHARED[shared](whole[begin : begin + 5000])
            params[0].grad, params[1].grad = torch.ones(5000), grad.clone() if apart else grad
            optimizer.step()
        found.append(whole)
    torch.testing.assert_close(*found, rtol=1e-6, atol=1e-7)


@EACH_WAY
def test_what_is_copied_in_one_selection_is_copied_when_it_comes_again(compile):
    found = []
    for apart in (False, True):
        params = [torch.nn.Parameter(torch.linspace(-1.0, 1.0 + at, 5000)) for at in range(3)]
        optimizer = AMGT(params, lr=0.1, compile=compile)
        shared = torch.from_numpy(params[0].detach().numpy())
        fresh = [torch.linspace(1.0, 2.0, 5000) for _ in params]
        for step in range(9):
            for at, param in enumerate(params):
                param.grad = fresh[at]
            if step % 2:
                params[2].grad = None
            else:
                params[1].grad = shared.clone() if apart else shared
            optimizer.step()
        found.append(params)
    for left, right in zip(*found, strict=True):
        torch.testing.assert_close(left, right, rtol=1e-6, atol=1e-7)


def test_pieces_of_memory_meet_where_they_share_a_byte():
    whole = torch.zeros(100, dtype=torch.uint8)
    begin = whole.data_ptr()
    parts = [
        torch.frombuffer(whole.numpy(), dtype=torch.uint8, count=n, offset=at) for at, n in ((10, 5), (15, 5), (40, 9))
    ]
    memory = WrittenMemory(part.untyped_storage() for part in [*parts, torch.empty(0), *parts])
    taken = set(range(10, 20)) | set(range(40, 49))
    pieces = [(at, length) for at in range(60) for length in range(1, 40)]
    found = memory.meets([begin + at for at, _ in pieces], [length for _, length in pieces])
    assert found == [bool(taken & set(range(at, at + length))) for at, length in pieces]
    assert WrittenMemory().meets([begin], [100]) == [False]


def test_forms_are_all_that_decides_how_an_address_is_read():
    tensor = torch.zeros(4, 6)
    forms = Forms([tensor])
    assert forms.are(torch.ones(4, 6))
    others = [tensor.t(), tensor[:3], tensor.double(), tensor[..., ::2], torch._neg_view(tensor), tensor.to("meta")]
    others += [torch.nn.Parameter(tensor), torch._efficientzerotensor((4, 6)), tensor.to_sparse(), tensor.view(24)]
    assert not any(forms.are(other) for other in others)


@EACH_WAY
@pytest.mark.parametrize("size", [60, 6000])
@pytest.mark.parametrize("where", ["parameter", "gradient"])
def test_numbers_for_storing_are_refused_by_their_dtype(where, size, compile):
    param = torch.nn.Parameter(torch.ones(size))
    param.grad_dtype = None
    if where == "parameter":
        param.data = param.data.to(torch.float8_e4m3fn)
    param.grad = torch.ones(size).to(torch.float8_e5m2)
    optimizer = Padam([param], compile=compile)
    dtype = "float8_e4m3fn" if where == "parameter" else "float8_e5m2"
    with pytest.raises(DataError, match=f"parameter 0 of group 0.*torch.{dtype}, which.*accepted are torch.float32"):
        optimizer.step()
    assert not optimizer.state


# -- whole or not at all --


def two_precisions(compile=True):
    params = [torch.nn.Parameter(torch.ones(5000, dtype=dtype)) for dtype in (torch.float32, torch.float64)]
    for param in params:
        param.grad = torch.ones_like(param)
    return params, ASGDAdam(params, compile=compile)


@pytest.mark.parametrize("begun", [False, True], ids=["first step", "later"])
def test_kernels_are_made_before_anything_is_written(begun, monkeypatch):
    params, optimizer = two_precisions(compile=False)
    if begun:
        optimizer.step()
    before = [param.detach().clone() for param in params]
    state = {at: {n: v.clone() for n, v in optimizer.state[p].items()} for at, p in enumerate(params) if begun}

    def fail(spec):
        if spec.dtype == torch.float64:
            raise UnsupportedError("no double precision today")
        return cache.compile(spec)

    monkeypatch.setattr("waddington.optim.kernels.compile", fail)
    optimizer.param_groups[0]["compile"] = True
    for _ in range(2):
        with pytest.raises(UnsupportedError, match="no double precision today"):
            optimizer.step()
        assert all(map(torch.equal, params, before))
        assert len(optimizer.state) == len(state)
        for at, entries in state.items():
            assert all(torch.equal(value, optimizer.state[params[at]][name]) for name, value in entries.items())


def test_a_gradient_that_is_refused_leaves_no_state():
    params, optimizer = two_precisions()
    params[1].grad = params[1].grad.to_sparse()
    with pytest.raises(UnsupportedError, match="layout"):
        optimizer.step()
    assert not optimizer.state


def test_a_first_step_that_is_refused_leaves_no_state_of_the_model_either():
    """It is kept with the first parameter, which need not be one that is stepped."""
    params = [torch.nn.Parameter(torch.ones(5)) for _ in range(2)]
    optimizer = ASGDAdam(params, nonfinite="raise", compile=False)
    for values, stepped in ((torch.full((5,), torch.nan), False), (torch.ones(5), True)):
        params[1].grad = values
        with nullcontext() if stepped else pytest.raises(DataError, match="NaN"):
            optimizer.step()
        assert bool(optimizer.state) == stepped
    assert set(optimizer.state) == set(params)


def test_a_step_that_breaks_off_says_what_is_changed():
    """A rule that fails on its second tensor, which no one can know before."""

    def update(grad, *rest):
        if grad.numel() == 300 * 70:
            raise ZeroDivisionError("not this one")
        return AMGT_RULE.update(grad, *rest)

    class Broken(AMGT):
        _rule = replace(AMGT_RULE, update=update)

    params = [torch.nn.Parameter(torch.ones(shape)) for shape in [(300, 60), (300, 70), (300, 80)]]
    optimizer = Broken(params, compile=False)
    for param in params:
        param.grad = torch.ones_like(param)
    with pytest.raises(ZeroDivisionError) as caught:
        optimizer.step()
    moved = [at for at, param in enumerate(params) if not torch.equal(param, torch.ones_like(param))]
    assert moved == [2]
    (note,) = caught.value.__notes__
    assert "Changed, with their buffers: parameter 2 of group 0." in note
    assert all(optimizer.state[param]["step"] == 0 for param in params)


@EACH_WAY
def test_an_interrupt_after_all_is_written_leaves_the_whole_step(compile, monkeypatch):
    param = torch.nn.Parameter(torch.ones(60))
    optimizer = ASGDAdam([param], compile=compile)
    param.grad = torch.ones(60)
    monkeypatch.setattr("waddington.optim.engine.groups.TensorGroup.release", interrupt)
    with pytest.raises(KeyboardInterrupt):
        optimizer.step()
    assert (param < 1.0).all()
    assert optimizer.state[param]["step"] == 1
    assert optimizer.state[param]["exp_avg"].all()


def interrupt(_):
    raise KeyboardInterrupt


# -- at random --


def test_whatever_is_replaced_kernels_do_what_operations_do():
    found = try_out(int(os.environ.get("WADDINGTON_FUZZ_SEED", "0")), rounds=60)
    assert min(found.values()) > 5


@pytest.mark.slow
def test_whatever_is_replaced_for_long():
    seconds, seed = (
        float(os.environ.get("WADDINGTON_FUZZ_SECONDS", "10")),
        int(os.environ.get("WADDINGTON_FUZZ_SEED", "1")),
    )
    while seconds > 0:
        try_out(seed, seconds=min(seconds, 30.0))
        seconds, seed = seconds - 30.0, seed + 1


CHECKED = """
import sys
import torch
torch.set_num_threads(1)
from optim.replacing import try_out
print(try_out(int(sys.argv[1]), seconds=float(sys.argv[2])))
"""


@pytest.mark.slow
def test_a_memory_checker_finds_nothing(tmp_path):
    """The kernels are compiled with AddressSanitizer, which stops the process at the first byte out of bounds."""
    if shutil.which("gcc") is None:
        pytest.skip("there is no gcc here, whose AddressSanitizer this asks")
    libraries = []  # the second for the exceptions that torch throws
    for name in ("libasan.so", "libstdc++.so"):
        asked = subprocess.run(["gcc", f"-print-file-name={name}"], capture_output=True, text=True, check=False)
        libraries.append(Path(asked.stdout.strip()))
    if not all(library.is_absolute() for library in libraries):
        pytest.skip("gcc has no AddressSanitizer here")
    environment = {
        **os.environ,
        "CC": "gcc -fsanitize=address",
        "LD_PRELOAD": " ".join(map(str, libraries)),
        "ASAN_OPTIONS": "detect_leaks=0",
        "WADDINGTON_CACHE": str(tmp_path),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    seconds, seed = os.environ.get("WADDINGTON_FUZZ_SECONDS", "10"), os.environ.get("WADDINGTON_FUZZ_SEED", "1")
    done = subprocess.run(
        [sys.executable, "-c", CHECKED, seed, seconds], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    assert any(tmp_path.iterdir()), "no kernel was made"
