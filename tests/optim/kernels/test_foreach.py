"""One function over many tensors: by a kernel it does what it does by torch, and no kernel reads what it cannot."""

from __future__ import annotations

import pytest
import torch

from waddington.errors import DataError, UnsupportedError
from waddington.optim.kernels import cache, foreach
from waddington.optim.kernels.foreach import ForEach, lies_densely

pytestmark = pytest.mark.skipif(bool(cache.why_unavailable("cpu")), reason="no C compiler")


def moved(value, other, share):
    """Write a mean of two tensors, and sum how far that is."""
    new = torch.lerp(value, other.to(value.dtype), share.to(value.dtype))
    way = (new - value).square().sum()
    value.copy_(new)
    return {"way": way, "kept": (new > 0).to(value.dtype).sum()}


def columns(shapes, dtype=torch.float32, other=torch.float32):
    generator = torch.Generator().manual_seed(0)
    make = lambda shape, kind: torch.randn(shape, generator=generator).to(kind)  # noqa: E731
    return {"value": [make(s, dtype) for s in shapes], "other": [make(s, other) for s in shapes]}


def by_hand(given, share):
    sums = [moved(v, o, s) for v, o, s in zip(given["value"], given["other"], share.to(torch.float32), strict=True)]
    return given["value"], {name: torch.stack([row[name] for row in sums]).double() for name in sums[0]}


@pytest.mark.parametrize("other", [torch.float32, torch.bfloat16])
def test_a_kernel_does_what_torch_does(other):
    shapes = [(70, 64), (1,), (0, 3), (5, 7, 3)]
    share = torch.tensor([0.1, 0.9, 0.5, 1.0], dtype=torch.float64)
    expected, sums = by_hand(columns(shapes, other=other), share)
    given, each = columns(shapes, other=other), ForEach(moved, ["share"])
    made = len(cache.kernels_made)
    found = each(given, {"share": share})
    again = columns(shapes, other=other)
    each(again, {"share": share})  # the second time nothing is compiled
    assert len(cache.kernels_made) - made <= 1
    for tensors in (given, again):
        for a, b in zip(tensors["value"], expected, strict=True):
            torch.testing.assert_close(a, b)
    assert set(found) == set(sums)
    for name in found:
        torch.testing.assert_close(found[name], sums[name], rtol=1e-5, atol=1e-6)


def test_sums_do_not_depend_on_the_number_of_threads():
    given = {"value": [torch.randn(300, 300)], "other": [torch.randn(300, 300)]}
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            copies = {name: [tensor.clone() for tensor in column] for name, column in given.items()}
            found.append(ForEach(moved, ["share"])(copies, {"share": torch.tensor([0.3])})["way"])
    finally:
        torch.set_num_threads(before)
    assert torch.equal(*found)


def seen(value, other):
    """Sum, and write nothing."""
    return {"size": value.square().sum(), "above": (value > other.to(value.dtype)).to(value.dtype).sum()}


@pytest.mark.parametrize("threads", [1, 3])
def test_chunks_that_are_read_at_once_have_the_sums_of_chunks_alone(threads):
    chunk, before = 4096, torch.get_num_threads()
    given = columns([(4 * chunk,), (9 * chunk + 17,), (3 * chunk + 1,), (20 * chunk,)], other=torch.bfloat16)
    try:
        torch.set_num_threads(threads)
        found = ForEach(seen)(given)
        for row, (value, other) in enumerate(zip(*given.values(), strict=True)):
            alone = ForEach(seen)({"value": value.split(chunk), "other": other.split(chunk)})
            for name, sums in alone.items():
                assert found[name][row].float() == sums.cumsum(0)[-1].float(), (name, row)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("spoil", ["gaps", "strides", "negated", "freed", "dtype"])
def test_what_a_kernel_cannot_read_torch_does(spoil):
    shapes = [(80, 80), (80, 80)]
    given, share, each = columns(shapes), torch.tensor([0.5, 0.25]), ForEach(moved, ["share"])
    each(columns(shapes), {"share": share})  # its forms are known by now
    other = given["other"][1]
    if spoil == "gaps":
        given["other"][1] = torch.stack([other, other], dim=-1)[..., 0]
    elif spoil == "strides":
        given["other"][1] = other.T.contiguous().T
    elif spoil == "negated":
        given["other"][1] = torch._neg_view(-other)
    elif spoil == "dtype":
        given["other"][1] = other.double()
    else:
        given["other"][1].untyped_storage().resize_(0)
        with pytest.raises(DataError, match=r"shape \(80, 80\): its storage has 0 bytes"):
            each(given, {"share": share})
        return
    expected, _ = by_hand(columns(shapes), share)
    each(given, {"share": share})
    for a, b in zip(given["value"], expected, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("apart", [0, 1, -1, 5000])
def test_where_what_is_written_shares_memory_torch_does_it(apart):
    """A kernel's threads would read what others have written already."""
    size, before, found = 1 << 16, torch.get_num_threads(), []
    whole = torch.randn(3 * size, generator=torch.Generator().manual_seed(0))
    try:
        torch.set_num_threads(2)
        for compiles in (True, False):
            memory = whole.clone()
            given = {"value": [memory[size : 2 * size]], "other": [memory[size + apart : 2 * size + apart]]}
            ForEach(moved, ["share"], writes=["value"])(given, {"share": torch.tensor([0.5])}, compiles=compiles)
            found.append(memory)
    finally:
        torch.set_num_threads(before)
    torch.testing.assert_close(*found)


def test_parameters_in_one_memory_are_written_one_after_the_other():
    memory = torch.ones(80, 80)
    given = {"value": [memory, memory.view(-1).view(80, 80)], "other": [torch.zeros(80, 80), torch.full((80, 80), 3.0)]}
    sums = ForEach(moved, ["share"], writes=["value"])(given, {"share": torch.tensor([0.5, 0.5])})
    assert (memory == 1.75).all()
    torch.testing.assert_close(sums["way"], 6400 * torch.tensor([0.25, 1.5625], dtype=torch.float64))


def test_few_coordinates_are_not_compiled_for_and_a_failure_is_said_once(monkeypatch):
    monkeypatch.setattr(foreach, "compile", lambda *given: pytest.fail("compiled"))
    ForEach(moved, ["share"])(columns([(8, 8)]), {"share": torch.tensor([0.5])})

    def fails(*given):
        raise UnsupportedError("cannot compile the step: the disk is full; accepted is compile=False")

    monkeypatch.setattr(foreach, "compile", fails)
    each = ForEach(moved, ["share"])
    with pytest.warns(RuntimeWarning, match="the disk is full.*goes on eagerly"):
        each(columns([(80, 80)]), {"share": torch.tensor([0.5])})
    given = columns([(80, 80)])
    each(given, {"share": torch.tensor([0.5])})  # no second warning, which would be an error
    torch.testing.assert_close(given["value"], by_hand(columns([(80, 80)]), torch.tensor([0.5]))[0])


def test_autograd_sees_what_a_kernel_writes():
    value = torch.randn(80, 80, requires_grad=True)
    loss = (value * value).sum()
    with torch.no_grad():
        given = {"value": [value.detach()], "other": [torch.ones(80, 80)]}
        ForEach(moved, ["share"], writes=["value"])(given, {"share": torch.tensor([0.5])})
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()


def test_what_lies_densely():
    tensor = torch.zeros(4, 3, 2, 2)
    assert lies_densely(tensor)
    assert lies_densely(tensor.to(memory_format=torch.channels_last))
    assert not lies_densely(tensor[:, ::2])
    assert not lies_densely(tensor[:1].expand(4, 3, 2, 2))
    assert not lies_densely(torch.zeros(2, dtype=torch.complex64))
    assert not lies_densely(torch.zeros(2, device="meta"))
