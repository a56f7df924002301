"""Kernels on disk: where they are kept, when they are used again, and what happens where they cannot be."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import warnings
from dataclasses import replace

import pytest
import torch

from optim.compiled import SETTINGS, make, some_params, ways
from optim.parity import gradients_for, steps_of
from waddington.errors import UnsupportedError
from waddington.optim import AlphaAdam
from waddington.optim.alphaadam import ALPHAADAM_RULE
from waddington.optim.engine import state
from waddington.optim.engine.dispatch import COMPILE_FROM
from waddington.optim.kernels import cache, cpu

PROCESS = """
import json, sys
import torch
torch.set_num_threads(1)
from waddington.optim import AMGT
from waddington.optim.kernels import cache
param = torch.linspace(-1.0, 1.0, 37).requires_grad_()
optimizer = AMGT([param], lr=1e-2, weight_decay=0.1, compile=True, **json.loads(sys.argv[1]))
for step in range(3):
    param.grad = torch.linspace(1.0 - step, 1.0, 37)
    optimizer.step()
compilers = [name for name in sys.modules if name.startswith(("torch._inductor.codegen", "torch._inductor.compile"))]
print(json.dumps([cache.kernels_made, compilers, param.tolist()]))
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
    cache.forget()
    made = len(cache.kernels_made)
    param, optimizer = step_large(compile)
    twin, _ = step_large(False)
    assert len(cache.kernels_made) == made + 1
    assert set(ways(optimizer)) == {"compiled"}
    torch.testing.assert_close(param, twin, rtol=1e-6, atol=1e-6)
    cache.forget()
    step_large(compile)
    assert len(cache.kernels_made) == made + 1  # the one that was made is whole


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
    cache.forget()
    (message,) = check_that_it_goes_on_eagerly("file/kernels")
    assert "eagerly" in message


@pytest.mark.usefixtures("fresh_process", "folder")
def test_a_failing_compiler_is_asked_once_and_warned_of_once(monkeypatch):
    asked = []

    def fail(*args, **kwargs):
        asked.append(args)
        raise RuntimeError("the compiler failed (out of registers)\nand a long trace")

    monkeypatch.setattr("waddington.optim.kernels.cpu.make", fail)
    with pytest.raises(UnsupportedError, match=r"compiler failed \(out of registers\); accepted is compile=False"):
        step_large(True)
    cache.failures.clear()
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
def test_a_rule_that_computes_with_a_tensors_length_is_not_compiled_for_one_length(monkeypatch):
    monkeypatch.setattr(state, "check_rule", lambda *arguments: None)  # which refuses it before there is a kernel

    def update(grad, measured, buffers, scalars, flags):
        return grad / grad.numel()

    class Odd(AlphaAdam):
        _rule = replace(ALPHAADAM_RULE, update=update)

    (param,) = some_params((300,))
    param.grad = torch.ones(300)
    with pytest.raises(UnsupportedError, match="the length of a tensor as a number"):
        Odd([param], compile=True).step()


@pytest.mark.usefixtures("fresh_process", "folder")
def test_a_rule_that_cannot_be_compiled_is_stepped_eagerly_and_others_are_compiled():
    def from_sums(totals, size, scalars, flags):
        return {name: torch.erf(size) for name in ("keep_rate", "alpha", "rate_multiplier")}

    class Odd(AlphaAdam):
        _rule = replace(ALPHAADAM_RULE, from_sums=from_sums)

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


@pytest.mark.usefixtures("fresh_process", "folder")
def test_finished_kernels_need_no_compiler(monkeypatch):
    (param,) = some_params((300,))
    optimizer = AlphaAdam([param], compile=True)
    param.grad = torch.ones(300)
    optimizer.step()
    cache.forget()
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setattr(cpu, "make", lambda *_: pytest.fail("compiled anew"))
    (twin,) = some_params((300,))
    other = AlphaAdam([twin], compile=True)
    twin.grad = torch.ones(300)
    other.step()
    assert torch.equal(param, twin)
    assert ways(other) == {"compiled": 300}
