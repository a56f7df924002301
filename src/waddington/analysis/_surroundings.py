"""What surrounds an evaluation: random numbers, buffers, kernels and precision."""

from __future__ import annotations

import contextlib
import random
import sys
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from waddington.errors import UnsupportedError

__all__ = ["Buffers", "fixed_randomness", "quiet", "refusing_half_precision"]


@contextlib.contextmanager
def fixed_randomness(seed: int, generators: Iterable[torch.Generator] = ()) -> Iterator[None]:
    """Begin the generators of torch, numpy and Python at a seed, and give them their states back at the end.

    Parameters
    ----------
    seed
        In [0, 2³²).
    generators
        Others of torch, which go on from where they are and get that state back, too.
    """
    others = [(generator, generator.get_state()) for generator in generators]
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 - the user's own global generator
    try:
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(int(seed))
            random.seed(int(seed))
            np.random.seed(int(seed))  # noqa: NPY002
            yield
    finally:
        for generator, state in others:
            generator.set_state(state)
        random.setstate(python)
        np.random.set_state(numpy)  # noqa: NPY002


class Buffers:
    """The buffers of a model as they were, to be put back.

    Parameters
    ----------
    model
        Its buffers are copied.
    """

    def __init__(self, model: nn.Module) -> None:
        self._kept = [
            (f"{prefix}.{name}".lstrip("."), module, name, buffer, None if buffer is None else buffer.detach().clone())
            for prefix, module in model.named_modules()
            for name, buffer in module._buffers.items()
        ]

    def restore(self, others: Mapping[str, torch.Tensor] | None = None) -> None:
        """Put every buffer back: the same tensor, with the same values, or others by name."""
        for key, module, name, buffer, values in self._kept:
            module._buffers[name] = buffer
            if buffer is not None and values is not None:
                buffer.data.copy_((others or {}).get(key, values))  # .data: what a graph has saved is not called stale


@contextlib.contextmanager
def quiet(model: nn.Module, *, order: int) -> Iterator[None]:
    """Switch off what stands in the way of derivatives: autocast, inference mode, and at order 2 fused kernels.

    Parameters
    ----------
    model
        Says which devices and kernels matter.
    order
        How many derivatives are wanted.
    """
    kinds = {param.device.type for param in model.parameters()} | {"cpu"}
    with contextlib.ExitStack() as stack:
        stack.enter_context(torch.inference_mode(False))
        for kind in sorted(kinds):
            stack.enter_context(torch.autocast(kind, enabled=False))
        if order == 2:
            stack.enter_context(torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH))
            if any(isinstance(module, nn.RNNBase) for module in model.modules()):
                stack.enter_context(torch.backends.cudnn.flags(enabled=False))
            if "torch._dynamo" in sys.modules:  # a compiled model is differentiated once alone
                stack.enter_context(torch.compiler.set_stance("force_eager"))
        yield


def refusing_half_precision() -> contextlib.AbstractContextManager[Any]:
    """Refuse a loss that computes in half precision, whether the model's or a mixed precision of its own."""
    mode: contextlib.AbstractContextManager[Any] = _FullPrecision()  # type: ignore[no-untyped-call]
    return mode


class _FullPrecision(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Look at the result of every operation."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if isinstance(found, torch.Tensor) and found.dtype in (torch.float16, torch.bfloat16):
            raise UnsupportedError(
                f"cannot take second derivatives of a loss in half precision: {func} gives {found.dtype}; accepted is a"
                " loss without autocast, of a model in float32 or float64"
            )
        return found
