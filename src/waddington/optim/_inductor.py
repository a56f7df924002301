"""Kernels for GPUs: a phase exported as a function of tensors of open length, and compiled by torch (AOTInductor).

The file that comes of it is loaded in milliseconds, without importing the compiler, and called for one tensor after the
other: calls that a GPU queues. For a CPU it does the same, more slowly than :mod:`._native`; so it can be tested there.
"""

from __future__ import annotations

import os
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from waddington.optim._phases import Take
from waddington.optim._recipe import NUMBERS, SUMS, Recipe, names_of, perform

if TYPE_CHECKING:
    from waddington.optim._batch import Batch

__all__ = ["SUFFIX", "InductorKernel", "load", "make", "obstacle"]

SUFFIX = ".pt2"
_EXAMPLE = 1 << 10  # longer ones would be summed in cascades, at half the speed


class InductorKernel:
    """A compiled phase, for one tensor.

    Attributes
    ----------
    names
        Names of the sums, in the order in which it writes them.
    """

    def __init__(self, path: Path, recipe: Recipe) -> None:
        self.names = names_of(recipe)
        self._path, self._device = str(path), recipe.device
        self._loaders: dict[int, Any] = {}
        self._loader(-1 if recipe.device == "cpu" else torch.cuda.current_device())

    def _loader(self, index: int) -> Any:
        """Give the kernel on one of several devices."""
        if index not in self._loaders:
            # torch.export's own loader imports the whole compiler, two seconds, to do no more than this. A GPU's graphs
            # cannot be captured from several threads.
            load = torch._C._aoti.AOTIModelPackageLoader
            self._loaders[index] = load(self._path, "model", self._device == "cuda", 1, index)
        return self._loaders[index]

    def run(self, batch: Batch, salts: torch.Tensor | None) -> None:
        """Do the phase; sums go to the family's table."""
        family = batch.family
        loader = self._loader(-1 if family.device.index is None else family.device.index)
        for place, unit in enumerate(batch.units):
            noise = () if salts is None else (salts[place], batch.frames[place])
            loader.boxed_run(
                [unit.value, unit.grad, *unit.buffers.values(), family.table[place], family.sums[place], *noise]
            )


class _Phase(torch.nn.Module):
    """A phase as a function of the tensors that a kernel is called with."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe

    def forward(
        self,
        value: torch.Tensor,
        grad: torch.Tensor,
        buffers: list[torch.Tensor],
        row: torch.Tensor,
        sums: torch.Tensor,
        noise: list[torch.Tensor],
    ) -> tuple[()]:
        numbers = [noise[0], *noise[1].unbind()] if noise else []
        found = list(perform(self.recipe, value, grad, buffers, row, numbers).values())
        if found:
            # Into one aligned row: a GPU's kernels would write to places within it and lose what they wrote.
            sums.copy_(torch.cat([torch.stack(found), sums[len(found) :]]))
        return ()


def load(path: Path, recipe: Recipe) -> InductorKernel:
    """Load what was compiled.

    Raises
    ------
    RuntimeError
        The file is none of :func:`make`.
    """
    return InductorKernel(path, recipe)


def obstacle() -> str:
    """Say what stands in the way of compiling; empty where nothing does."""
    return "kernels have not been run on a GPU yet"


def make(recipe: Recipe, path: Path) -> None:
    """Compile a phase into a file.

    Raises
    ------
    RuntimeError
        The compiler failed; says how.
    """
    length = torch.export.Dim("length", min=2)
    arguments = _arguments(recipe)
    value, grad, buffers, row, sums, noise = arguments
    shapes = {
        "value": {0: length},
        "grad": {0: length},
        "buffers": [{0: length} for _ in buffers],
        "row": None,
        "sums": None,
        "noise": [None for _ in noise],
    }
    options: dict[str, Any] = {"cpp.dynamic_threads": True}
    if isinstance(recipe.phase, Take) and recipe.phase.sums and not recipe.phase.settles:
        options["realize_reads_threshold"] = 1  # sums of what is written are then taken while it is written
    else:  # nothing is held between loops
        options |= {"realize_reads_threshold": 1000, "realize_opcount_threshold": 10_000}
    handle, temporary = tempfile.mkstemp(suffix=SUFFIX, dir=path.parent)
    os.close(handle)
    try:
        with warnings.catch_warnings(), torch.utils._python_dispatch._disable_current_modes():
            warnings.simplefilter("ignore")
            program = torch.export.export(_Phase(recipe), arguments, dynamic_shapes=shapes)
            torch._inductor.aoti_compile_and_package(program, package_path=temporary, inductor_configs=options)
        os.replace(temporary, path)
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise RuntimeError(f"torch's compiler failed ({reason})") from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def _arguments(recipe: Recipe) -> tuple[Any, ...]:
    """Give tensors of the kinds that a kernel is called with."""
    device = torch.device(recipe.device)

    def fresh(dtype: torch.dtype) -> torch.Tensor:
        return torch.zeros(_EXAMPLE, dtype=dtype, device=device)

    row = torch.ones(NUMBERS, dtype=recipe.work.dtype, device=device)
    frame = torch.tensor((_EXAMPLE, _EXAMPLE, 0), device=device)
    noise = [torch.zeros((), dtype=torch.int64, device=device), frame] if recipe.rounds else []
    buffers = [fresh(dtype) for _, dtype in recipe.buffers]
    return fresh(recipe.dtype), fresh(recipe.dtype), buffers, row, row.new_zeros(SUMS), noise
