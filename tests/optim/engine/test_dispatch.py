"""What an optimizer says of how it is run: decided by sizes and settings, before the first step and after it."""

from __future__ import annotations

import weakref

import pytest
import torch

from waddington.errors import UnsupportedError
from waddington.optim import AMGT, AMVT, LDAdam, Lookahead, MicroAdam, Switched
from waddington.optim.engine import dispatch
from waddington.optim.engine.params import real_size


def with_gradients(*shapes):
    params = [torch.zeros(shape, requires_grad=True) for shape in shapes]
    for param in params:
        param.grad = torch.ones_like(param)
    return params


def ways(optimizer):
    return {record.path: (record.tensors, record.coordinates) for record in optimizer.execution()}


def test_small_tensors_are_stepped_together_and_larger_ones_alone():
    params = with_gradients((200, 200), (100,), (), (0,))
    optimizer = AMVT(params, compile=False)
    foreseen = ways(optimizer)
    assert foreseen == {"eager": (2, 40_000), "together": (2, 101)}
    optimizer.step()
    assert ways(optimizer) == foreseen


def test_a_model_that_is_not_tiny_is_compiled_with_all_its_tensors(monkeypatch):
    monkeypatch.setattr(dispatch, "COMPILE_FROM", 40_000)
    params = with_gradients((200, 200), (3000,), (2047,))
    assert ways(AMGT(params)) == {"compiled": (3, 45_047)}
    assert ways(AMGT(params, compile=False)) == {"eager": (1, 40_000), "together": (2, 5047)}
    assert ways(AMGT(params, compile=True)) == {"compiled": (3, 45_047)}


def test_groups_are_judged_by_the_size_of_the_model_and_their_own_wish(monkeypatch):
    monkeypatch.setattr(dispatch, "COMPILE_FROM", 60_000)
    one, two = with_gradients((200, 200)), with_gradients((200, 200))
    assert set(ways(AMGT([{"params": one}, {"params": two}]))) == {"compiled"}
    assert set(ways(AMGT([{"params": one}, {"params": two, "compile": False}]))) == {"eager"}


def test_the_reason_is_told():
    (record,) = AMVT(with_gradients((200, 200)), compile=False).execution()
    assert record.reason == "compile=False"
    assert str(record) == "eager: 1 tensors, 40,000 coordinates (compile=False)"
    (record,) = LDAdam(with_gradients((20, 20))).execution()
    assert "singular vectors" in record.reason


def test_memory_that_has_gaps_is_stepped_eagerly():
    whole = torch.zeros(300, 300)
    param = whole[:, :200].requires_grad_()
    param.grad = torch.ones(300, 200)
    (record,) = AMVT([param], compile=True).execution()
    assert (record.path, record.reason) == ("eager", "its memory has gaps")
    turned = torch.zeros(300, 200).T.requires_grad_()
    (record,) = AMVT([turned], compile=True).execution()
    assert record.path == "compiled"


@pytest.mark.parametrize("cls", [MicroAdam, LDAdam])
def test_rules_that_need_whole_tensors_refuse_to_be_compiled(cls):
    with pytest.raises(UnsupportedError, match="compile=True"):
        cls(with_gradients((4, 4)), compile=True)
    cls(with_gradients((4, 4)), compile="auto").step()


def test_complex_parameters_count_as_pairs():
    param = torch.zeros(5, dtype=torch.complex64, requires_grad=True)
    (record,) = AMVT([param]).execution()
    assert record.coordinates == real_size(param) == 10


@pytest.mark.parametrize("compile", [False, "auto"])
def test_gradients_set_to_none_are_freed(compile):
    """Nothing holds them between steps, which would cost their memory during the next backward pass."""
    params = [torch.ones(shape, requires_grad=True) for shape in ((3,), (5,), (200, 100))]
    optimizer = AMVT(params, compile=compile)
    for _ in range(2):
        for param in params:
            param.grad = torch.ones_like(param)
        alive = [weakref.ref(param.grad) for param in params]
        optimizer.step()
        optimizer.zero_grad()
        assert [found() for found in alive] == [None, None, None]


def test_a_component_says_what_the_optimizer_inside_does():
    optimizer = AMVT(with_gradients((200, 200)), compile=False)
    assert Lookahead(Switched(optimizer)).execution() == optimizer.execution()
    with pytest.raises(UnsupportedError, match="cannot say how SGD steps: it is not of this package; accepted are"):
        Lookahead(torch.optim.SGD(with_gradients((2,)), lr=0.1)).execution()


def test_experts_count_from_their_first_gradient_on():
    params = with_gradients((3,), (4,))
    params[1].grad = None
    optimizer = AMVT(params, compile=False)
    assert ways(optimizer) == {"together": (2, 7)}
    optimizer.step()
    assert ways(optimizer) == {"together": (1, 3)}
