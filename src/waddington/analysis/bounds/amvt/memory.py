"""Bytes of an optimizer's state and of a model's activations: 50 % more of the one can be 2 % of all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import nn

from waddington._checks import check_choice, check_in_range
from waddington.errors import ArgumentError
from waddington.optim import AMVT

__all__ = ["activation_bytes", "memory_share", "state_bytes"]

Named = Literal["AMVT", "Adam", "SGD"]


def state_bytes(
    optimizer: Named | Callable[[list[nn.Parameter]], torch.optim.Optimizer], *, dtype: torch.dtype = torch.float32
) -> float:
    """Measure an optimizer's state in bytes for each coordinate of a parameter, after one step.

    Parameters
    ----------
    optimizer
        ``"AMVT"``, torch's ``"Adam"``, torch's ``"SGD"`` with momentum, or what makes one of parameters.
    dtype
        Of the parameter.

    Returns
    -------
    float
        Bytes of all tensors of the parameter's own size; counters are not counted.
    """
    known: dict[object, Callable[[list[nn.Parameter]], torch.optim.Optimizer]] = {
        "AMVT": lambda params: AMVT(params, compile=False),
        "Adam": lambda params: torch.optim.Adam(params),
        "SGD": lambda params: torch.optim.SGD(params, lr=1e-3, momentum=0.9),
    }
    if not callable(optimizer):
        check_choice("optimizer", optimizer, known)
    param = nn.Parameter(torch.ones(64, dtype=dtype))
    param.grad = torch.ones_like(param)
    made = optimizer([param]) if callable(optimizer) else known[optimizer]([param])
    made.step()
    buffers = [value for value in made.state[param].values() if isinstance(value, torch.Tensor)]
    return sum(buffer.nbytes for buffer in buffers if buffer.shape == param.shape) / param.numel()


def activation_bytes(model: nn.Module, inputs: torch.Tensor) -> int:
    """Measure what a forward pass keeps for the backward one, in bytes, without parameters and buffers.

    Parameters
    ----------
    model
        In the mode in which it trains. Its running statistics move as in any forward pass.
    inputs
        One batch; a tensor that is kept several times counts once.

    Raises
    ------
    ArgumentError
        Nothing is kept: no parameter requires grad.
    """
    own = {each.untyped_storage().data_ptr() for each in (*model.parameters(), *model.buffers())}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage  # held, so that no other takes its address
        return tensor

    with torch.enable_grad(), torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        output = model(inputs)
    if not getattr(output, "requires_grad", False):
        raise ArgumentError(
            "cannot measure activations of a model whose output needs no gradient; accepted: one that trains"
        )
    return sum(storage.nbytes() for storage in kept.values())


def memory_share(parameters: float, activations: float, *, bytes_per_buffer: float = 4.0) -> float:
    """Give what one more buffer of the parameters' size is of all memory that training with Adam takes.

    ``4P / (activations + 16P)``: weights, gradients and Adam's two moments are four tensors of 4 bytes a parameter.

    Parameters
    ----------
    parameters
        P, above 0.
    activations
        Bytes that are kept for the backward pass, for the whole batch.
    bytes_per_buffer
        Bytes of a coordinate.
    """
    check_in_range("parameters", parameters, 0.0, open_low=True)
    check_in_range("activations", activations, 0.0, open_high=True)
    check_in_range("bytes_per_buffer", bytes_per_buffer, 0.0, open_low=True)
    return bytes_per_buffer * parameters / (activations + 4.0 * bytes_per_buffer * parameters)
