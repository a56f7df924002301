"""Two parameters over one memory: refused where both are stepped at once, the memory stepped once where only one is."""

from __future__ import annotations

import pytest
import torch

from waddington.errors import ArgumentError, DataError
from waddington.optim import ASGDAdam, Padam
from waddington.optim.kernels.memory import overlapping

EACH_WAY = pytest.mark.parametrize("compile", [True, False], ids=["compiled", "eager"])


@EACH_WAY
@pytest.mark.parametrize("size", [100, 20000])
def test_two_parameters_over_one_memory_are_refused_on_every_path(size, compile):
    first = torch.nn.Parameter(torch.ones(size))
    second = torch.nn.Parameter(first.data[10:])
    optimizer = Padam([first, second], compile=compile)
    first.grad, second.grad = torch.ones(size), torch.ones(size - 10)
    with pytest.raises(
        DataError, match="values of parameter 0 of group 0 and the values of parameter 1 of group 0 lie in"
    ):
        optimizer.step()
    assert torch.equal(first, torch.ones(size))
    assert not optimizer.state


def test_parts_of_one_memory_that_do_not_overlap_are_stepped():
    whole = torch.ones(50, 6)
    params = [torch.nn.Parameter(whole[:, ::2]), torch.nn.Parameter(whole[:, 1::2])]
    optimizer = Padam(params, compile=False)
    for param in params:
        param.grad = torch.ones_like(param)
    optimizer.step()
    assert (whole < 1.0).all()


def test_overlaps_are_found_to_the_byte():
    whole = torch.zeros(10, 10)
    assert overlapping([whole[:, :3], whole[:, 3:], torch.ones(3)]) is None
    assert overlapping([whole[:, :4], torch.ones(3), whole[:, 3:]]) == (0, 2)
    assert overlapping([whole[:1].expand(10, 10)]) == (0, 0)
    assert overlapping([torch.as_strided(whole, (5, 4), (3, 1))]) == (0, 0)
    assert overlapping([whole.view(torch.int16)[:, ::2], whole.view(torch.int16)[:, 1::2]]) is None


def test_one_parameter_twice_is_refused_when_groups_are_built():
    param, other = torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(3))
    with pytest.raises(ArgumentError, match="parameter 2 of group 0 is also parameter 0 of group 0"):
        Padam([param, other, param])
    with pytest.raises(ArgumentError, match="parameter 0 of group 1 is also parameter 1 of group 0"):
        Padam([{"params": [other, param]}, {"params": param}])
    optimizer = Padam(iter([param]))
    with pytest.raises(ArgumentError, match="parameter 1 of group 1 is also parameter 0 of group 0"):
        optimizer.add_param_group({"params": [other, param]})
    optimizer.add_param_group({"params": iter([other])})
    assert len(optimizer.param_groups) == 2


@EACH_WAY
def test_one_parameter_that_was_appended_twice_is_named_by_both_places(compile):
    param = torch.nn.Parameter(torch.ones(60))
    optimizer = ASGDAdam([("weight", param)], compile=compile)
    optimizer.param_groups[0]["params"].append(param)
    param.grad = torch.ones(60)
    with pytest.raises(DataError, match=r"parameter 0 \('weight'\) of group 0 and .* parameter 1 of group 0 lie in"):
        optimizer.step()


@EACH_WAY
def test_a_frozen_parameter_may_be_tied(compile):
    """It moves as the one that is stepped, which moves as if it were alone."""
    param, alone = (torch.nn.Parameter(torch.linspace(-1.0, 1.0, 60).view(-1, 2)) for _ in range(2))
    optimizer, other = (ASGDAdam([each], lr=0.1, compile=compile) for each in (param, alone))
    frozen = torch.nn.Parameter(param.data[3:], requires_grad=False)
    spread = torch.nn.Parameter(torch.ones(1).expand(5), requires_grad=False)
    optimizer.add_param_group({"params": [frozen, spread]})
    for _ in range(3):
        param.grad, alone.grad = param.detach().clone(), alone.detach().clone()
        optimizer.step()
        other.step()
    assert torch.equal(param, alone)
    assert torch.equal(frozen, param[3:])


@EACH_WAY
def test_two_views_of_one_memory_may_take_turns_but_not_step_at_once(compile):
    whole = torch.linspace(-1.0, 1.0, 60)
    views = [torch.nn.Parameter(whole), torch.nn.Parameter(whole.view(6, 10))]
    optimizer = ASGDAdam(views, lr=0.1, compile=compile)
    for turn in (0, 0, 1, 0, 1):
        for at, view in enumerate(views):
            view.grad = torch.ones_like(view) if at == turn else None
        before = whole.clone()
        optimizer.step()
        assert (whole < before).all()
    views[0].grad = torch.ones(60)
    before = whole.clone()
    for _ in range(2):
        with pytest.raises(DataError, match="values of parameter 0 of group 0 and the values of parameter 1 of group"):
            optimizer.step()
    assert torch.equal(whole, before)
    views[1].grad = None
    optimizer.step()
    assert [optimizer.state[view]["step"] for view in views] == [4, 2]


def test_two_that_took_turns_are_refused_also_after_another_refusal():
    first, other = torch.nn.Parameter(torch.ones(20)), torch.nn.Parameter(torch.ones(5))
    second = torch.nn.Parameter(first.data)
    optimizer = Padam([first, second, other], compile=False)
    for param in (first, second):
        optimizer.zero_grad()
        param.grad = torch.ones(20)
        optimizer.step()
    first.grad, second.grad, other.grad = torch.ones(20), None, torch.ones(5)
    other.data = torch.ones(6)
    with pytest.raises(DataError, match="its gradient has shape"):
        optimizer.step()
    other.grad, second.grad = None, torch.ones(20)
    before = first.detach().clone()
    with pytest.raises(DataError, match="lie in one memory"):
        optimizer.step()
    assert torch.equal(first, before)


def test_a_buffer_is_nobody_elses_even_while_it_is_not_stepped():
    whole = torch.linspace(-1.0, 1.0, 60)
    views = [torch.nn.Parameter(whole), torch.nn.Parameter(whole.view(6, 10))]
    optimizer = ASGDAdam(views, compile=False)
    views[1].grad = torch.ones(6, 10)
    optimizer.step()
    optimizer.state[views[1]]["exp_avg"] = views[0].detach().view(6, 10)
    views[0].grad, views[1].grad = torch.ones(60), None
    with pytest.raises(DataError, match=r"values of parameter . of group 0 and exp_avg of parameter 1"):
        optimizer.step()


def test_inside_backward_all_that_learn_are_stepped_together():
    whole = torch.ones(60)
    views = [torch.nn.Parameter(whole), torch.nn.Parameter(whole.view(6, 10))]
    optimizer = Padam(views)
    optimizer.step_in_backward()
    with pytest.raises(DataError, match="lie in one memory"):
        (views[0].sum() + views[1].square().sum()).backward()
    assert torch.equal(whole, torch.ones(60))
