"""What a function of tensors does, as it is written down."""

from __future__ import annotations

import pytest
import torch

from waddington.errors import UnsupportedError
from waddington.optim.kernels.trace import trace

LENGTH = 7


def vector(value=1.0, dtype=torch.float32):
    return torch.full((LENGTH,), value, dtype=dtype)


def test_what_is_written_is_what_inputs_hold_in_the_end():
    def function(x, y):
        y.copy_(x)
        y.add_(1.0)
        torch.mul(x, 2.0, out=x)
        return {"total": (x * y).sum()}

    program = trace(function, {"x": vector(), "y": vector()})
    assert {name: node.op for name, node in program.stores.items()} == {"x": "mul", "y": "add"}
    total = program.results["total"]
    assert (total.op, total.is_vector) == ("sum", False)
    (product,) = total.nodes
    assert product.nodes == [program.stores["x"], program.stores["y"]]
    assert product.is_vector


def test_dtypes_are_those_of_the_values_and_of_what_is_compared():
    def function(x, n):
        return {"count": (x.to(torch.float64) > n).sum()}

    program = trace(function, {"x": vector(), "n": torch.tensor(0.5, dtype=torch.float64)})
    count = program.results["count"]
    (compared,) = count.nodes
    assert (count.dtype, compared.dtype, compared.common) == (torch.int64, torch.bool, torch.float64)


def test_views_of_the_same_shape_are_the_same_values():
    program = trace(lambda x: {"total": x.view(-1).detach().expand(LENGTH).sum()}, {"x": vector()})
    assert program.results["total"].nodes == [program.inputs["x"]]


def test_what_is_written_through_a_view_is_written():
    def function(x, y):
        seen = y.view(-1)
        doubled = x * 2.0
        doubled.view(-1).add_(seen)
        seen.copy_(doubled)
        return {"total": (y + doubled).sum()}

    program = trace(function, {"x": vector(), "y": vector()})
    assert program.stores.keys() == {"y"}
    (both,) = program.results["total"].nodes
    written, doubled = both.nodes
    assert written is program.stores["y"]
    assert (written.op, written.nodes[-1], doubled.op) == ("copy", doubled, "add")


def test_tensors_from_elsewhere_are_refused():
    outside = torch.ones(())
    with pytest.raises(UnsupportedError, match="was not given"):
        trace(lambda x: {"total": (x * outside).sum()}, {"x": vector()})


@pytest.mark.parametrize(
    ("function", "named"),
    [
        (lambda x: x.outer(x).sum(), "shape"),
        (lambda x: x.sort().values.sum(), "sort"),
        (lambda x: x[:2].sum(), "slice"),
    ],
    ids=["matrix", "several results", "part"],
)
def test_what_is_not_done_coordinate_by_coordinate_is_refused(function, named):
    with pytest.raises(UnsupportedError, match=named):
        trace(lambda x: {"total": function(x)}, {"x": vector()})
