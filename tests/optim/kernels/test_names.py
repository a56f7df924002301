"""Which kernel is whose: a name is what a program does, the compiler and the processor, and nothing else."""

from __future__ import annotations

import warnings
from dataclasses import replace
from functools import partial

import pytest
import torch

from optim.compiled import some_params
from waddington.errors import UnsupportedError
from waddington.optim import AlphaAdam, kernels
from waddington.optim.alphaadam import ALPHAADAM_RULE
from waddington.optim.engine.dispatch import COMPILE_FROM
from waddington.optim.kernels import cache, cpu


def spec_of(cls, monkeypatch, **kwargs):
    """Give the specs that one step of an optimizer asks for, without making a kernel."""
    found = []

    def note(spec):
        found.append(spec)
        raise UnsupportedError("none is made")

    monkeypatch.setattr(kernels, "compile", note)
    (param,) = some_params((COMPILE_FROM,))
    optimizer = cls([param], **kwargs)
    param.grad = torch.ones(COMPILE_FROM)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optimizer.step()
    (spec,) = found
    return spec


OTHER_CHOICES = [
    {"maximize": True},
    {"decoupled_weight_decay": False},
    {"bias_correction": False},
    {"mask": "synchronous"},
    {"state_dtype": "bfloat16"},
]


@pytest.mark.parametrize("kwargs", OTHER_CHOICES, ids=lambda kwargs: next(iter(kwargs)))
def test_settings_that_are_no_numbers_have_kernels_of_their_own(kwargs, monkeypatch):
    assert cache.name_of(spec_of(AlphaAdam, monkeypatch)) != cache.name_of(spec_of(AlphaAdam, monkeypatch, **kwargs))


def test_numbers_are_no_part_of_a_kernel(monkeypatch):
    scalars = {"lr": 3.0, "betas": (0.5, 0.6), "eps": 1.0, "weight_decay": 0.3, "alpha_max": 7.0}
    assert spec_of(AlphaAdam, monkeypatch) == spec_of(AlphaAdam, monkeypatch, **scalars)


def test_rules_that_conclude_differently_have_kernels_of_their_own(monkeypatch):
    """What follows from a rule's sums is computed inside the kernel, too."""

    def from_sums(totals, size, scalars, flags):
        return {"keep_rate": totals["kept"] / size, "alpha": size * 0.0 + 1.0, "rate_multiplier": size * 0.0 + 2.0}

    class Doubled(AlphaAdam):
        _rule = replace(ALPHAADAM_RULE, from_sums=from_sums)

    one, other = (spec_of(cls, monkeypatch) for cls in (AlphaAdam, Doubled))
    assert one.function.phase.uses_sums
    assert cache.name_of(one) != cache.name_of(other)


def test_rules_made_by_one_function_have_kernels_of_their_own(monkeypatch):
    def times(factor, by=1.0):
        def from_sums(totals, size, scalars, flags, by=by):
            return {"keep_rate": size, "alpha": size, "rate_multiplier": size * 0.0 + factor * by}

        return from_sums

    def of(from_sums):
        class Other(AlphaAdam):
            _rule = replace(ALPHAADAM_RULE, from_sums=from_sums)

        return cache.name_of(spec_of(Other, monkeypatch))

    assert of(times(2.0)) == of(times(2.0))
    assert len({of(times(2.0)), of(times(3.0)), of(times(2.0, by=2.0)), of(partial(times(2.0), by=3.0))}) == 4
    assert of(partial(times(2.0), by=3.0)) == of(times(6.0))  # the same program
    with pytest.raises(UnsupportedError, match="a tensor that it was not given"):
        of(times(torch.ones(())))


def test_processors_with_other_instructions_have_kernels_of_their_own(monkeypatch):
    spec = spec_of(AlphaAdam, monkeypatch)
    known = cache.name_of(spec)
    monkeypatch.setattr(cpu, "processor", lambda: "another")
    assert cache.name_of(spec) != known
