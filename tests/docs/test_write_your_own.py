"""The tutorial's optimizers: as short as it says, right, compiled, checked, and accepted by a strict type checker."""

from __future__ import annotations

import importlib
import re
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from optim.training import make_gradients, make_params, run
from reference.adan import adan
from reference.lion import lion
from waddington.errors import ArgumentError
from waddington.optim import Switched, registry
from waddington.optim.testing import check_optimizer

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "optimizers" / "write-your-own.md"
BLOCK = re.compile(r"^<!-- (?P<name>\w+): (?P<part>\w+) -->\n```python\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = {(found["name"], found["part"]): found["code"] for found in BLOCK.finditer(PAGE.read_text(encoding="utf-8"))}
SOURCE = "from __future__ import annotations\n\n" + "\n".join(BLOCKS.values())
SHAPES = [(70, 60), (5,), ()]


@cache
def own():
    """Import them as a user's module would be, so that they can be pickled."""
    folder = tempfile.mkdtemp()
    Path(folder, "own_optimizers.py").write_text(SOURCE, encoding="utf-8")
    sys.path.insert(0, folder)
    return importlib.import_module("own_optimizers")


def written_lines(code: str) -> int:
    """Count what is written: neither imports, comments nor empty lines."""
    return sum(bool(line.strip()) and not re.match(r"\s*(#|import\b|from\b)", line) for line in code.splitlines())


def test_lion_takes_fifteen_lines_of_mathematics_and_ten_of_class():
    assert set(BLOCKS) == {(name, part) for name in ("Lion", "Adan") for part in ("mathematics", "class")}
    assert written_lines(BLOCKS["Lion", "mathematics"]) <= 15
    assert written_lines(BLOCKS["Lion", "class"]) <= 10


CASES = [("Lion", lion, {"lr": 1e-2}), ("Adan", adan, {"lr": 1e-2})]


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize(("name", "reference", "kwargs"), CASES, ids=["Lion", "Adan"])
def test_each_equals_its_float64_reference_compiled_and_not(name, reference, kwargs, compile, decay):
    params, gradients = make_params(shapes=SHAPES), make_gradients(30, shapes=SHAPES)
    start = [param.detach().numpy().copy() for param in params]
    optimizer = getattr(own(), name)(params, compile=compile, weight_decay=decay, **kwargs)
    trajectory = reference(start, gradients, weight_decay=decay, **kwargs)
    for grads, expected in zip(gradients, trajectory, strict=True):
        run(optimizer, params, [grads])
        for param, value in zip(params, expected, strict=True):
            np.testing.assert_allclose(param.detach().numpy(), value, rtol=1e-11, atol=1e-12)
    if compile:
        assert {record.path for record in optimizer.execution()} == {"compiled"}


def test_a_model_of_some_size_is_compiled_without_being_asked():
    params = make_params(torch.float32, shapes=SHAPES)
    optimizer = own().Lion(params)
    run(optimizer, params, make_gradients(1, shapes=SHAPES))
    (record,) = optimizer.execution()
    assert (record.path, record.tensors) == ("compiled", len(SHAPES))


@pytest.mark.parametrize(("name", "theirs"), [("Lion", {"lr": 1e-3}), ("Adan", {"lr": 1e-3})])
def test_each_equals_a_known_implementation(name, theirs):
    library = pytest.importorskip("pytorch_optimizer")
    left, right = (make_params(torch.float32, shapes=SHAPES) for _ in range(2))
    gradients = make_gradients(30, shapes=SHAPES)
    run(getattr(own(), name)(left, **theirs), left, gradients)
    run(getattr(library, name)(right, **theirs), right, gradients)
    for a, b in zip(left, right, strict=True):
        torch.testing.assert_close(a, b, rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", ["Lion", "Adan"])
def test_each_does_what_an_optimizer_owes_its_user(name):
    report = check_optimizer(getattr(own(), name), only=["closure", "complex_parameters", "late_group", "pickle"])
    report.raise_if_failed()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["Lion", "Adan"])
def test_each_passes_the_whole_conformance_kit(name):
    check_optimizer(getattr(own(), name), expected_refusals={"sparse_gradients": "sparse"}).raise_if_failed()


def test_it_is_recorded_wrapped_and_named(monkeypatch):
    monkeypatch.setattr(registry, "_SPECS", dict(registry._SPECS))
    cls = own().Lion
    params = make_params(torch.float32)
    optimizer = Switched(cls(params, lr=1e-3), switch_interval=2)
    optimizer.record()
    run(optimizer, params, make_gradients(5))
    assert {"base_rate", "update_ratio", "update_cosine"} <= set(optimizer.diagnostics())
    registry.register("OwnLion", cls, defaults={"lr": 3e-4})
    assert registry.build("ownlion", params, weight_decay=0.1).param_groups[0]["lr"] == 3e-4


def test_a_state_that_does_not_fit_is_refused_by_name():
    params = make_params(torch.float32)
    adam = torch.optim.Adam(params)
    run(adam, params, make_gradients(1))
    with pytest.raises(ArgumentError, match=r"cannot read 'beta3'"):
        own().Adan(params).load_state_dict(adam.state_dict())
