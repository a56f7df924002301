"""How many files of the package a step passes: whoever reads one step reads these."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

import waddington
from waddington.optim import ASGDAdam

PACKAGE = str(Path(waddington.__file__).parent)


def files_of_third_step(**kwargs):
    """Give the package's files that run in a step after the layout is made and the gradients' forms are known."""
    params = [torch.randn(shape, requires_grad=True) for shape in ((64, 64), (64,), (10, 64), (10,))]
    optimizer = ASGDAdam(params, lr=1e-2, **kwargs)
    found = set()

    def note(frame, event, argument):
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            found.add(str(Path(frame.f_code.co_filename).relative_to(PACKAGE)))

    for at in range(3):
        for param in params:
            param.grad = torch.randn_like(param)
        before = sys.getprofile()
        try:
            sys.setprofile(note if at == 2 else before)
            optimizer.step()
        finally:
            sys.setprofile(before)
    return found


@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
@pytest.mark.parametrize(("switch", "most"), [("relative", 10), ("alignment", 11)])  # the cosine has its own file
def test_a_compiled_step_passes_few_files(weight_decay, switch, most):
    found = files_of_third_step(compile=True, weight_decay=weight_decay, switch=switch)
    assert "optim/kernels/cpu.py" in found
    assert len(found) <= most, sorted(found)
