"""What it takes to move an optimizer's bytes, and to do next to nothing with them. Does nothing by itself.

A step of Adam's kind reads gradient, parameter and two moments and writes all but the gradient. Here the same numbers
are read and written by the same compiler's code, with one addition for each that is written. An optimizer with these
moments can hardly be faster, whoever wrote it.
"""

from __future__ import annotations

import os
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is imported; see measuring.py

import numpy as np
import torch

from waddington.optim.kernels import cpu
from waddington.optim.kernels.c_source import c_source
from waddington.optim.kernels.trace import trace

__all__ = ["BytesAlone"]

NAMES = ("value", "grad", "exp_avg", "exp_avg_sq")


def _move(value: torch.Tensor, grad: torch.Tensor, exp_avg: torch.Tensor, exp_avg_sq: torch.Tensor) -> dict[str, Any]:
    for tensor in (exp_avg, exp_avg_sq, value):
        tensor.copy_(tensor + grad)
    return {}


@cache
def _kernel(dtype: torch.dtype) -> Any:
    text = c_source(trace(_move, {name: torch.zeros(7, dtype=dtype) for name in NAMES}), NAMES, {}, {})
    with tempfile.TemporaryDirectory(prefix="waddington") as folder:
        path = Path(folder) / "bytes.so"
        cpu.build(text, path)
        return cpu.open_kernel(path)


class BytesAlone:
    """Moves the bytes of a step; to be called as an optimizer is."""

    def __init__(self, params: list[torch.nn.Parameter]) -> None:
        self._kernel = _kernel(params[0].dtype)
        self._held = [[param.detach(), param.grad, *(torch.zeros_like(param) for _ in NAMES[2:])] for param in params]
        self._addresses = np.array([[tensor.data_ptr() for tensor in tensors] for tensors in self._held])
        self._lengths = np.array([param.numel() for param in params])
        self._sums = np.zeros((len(params), 1))
        self._arguments = (
            *(len(params), self._lengths.ctypes.data, self._addresses.ctypes.data),
            *(0, 0, 0, self._sums.ctypes.data, 1),
        )

    def step(self) -> None:
        """Move the bytes once."""
        self._kernel(*self._arguments, torch.get_num_threads())
