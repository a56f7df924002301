"""Compiled phases: one kernel for tensors of any length, made once, kept on disk, called without a guard.

A phase of a step (:mod:`waddington.optim._phases`) is exported as a function of one-dimensional tensors whose length is
open, and compiled ahead of time by torch's own compiler (AOTInductor: C++ and OpenMP on a CPU, Triton on a GPU). All
that changes from step to step enters as a tensor: rate, decays, corrections, whether the step is taken. So there is
nothing to compile anew when a scheduler turns a rate, and as many kernels as an optimizer has phases, not tensors. The
result is a file; a later process loads it in milliseconds without importing the compiler.

Kernels are kept in ``$WADDINGTON_CACHE``, or ``waddington`` in the user's cache folder. Their names are hashes of all
that they depend on: the sources of this package and of the rule, the versions and the processor. Deleting the folder
does no harm.
"""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock

from waddington._errors import UnsupportedError
from waddington.optim._identity import identity, processor, sources
from waddington.optim._noise import Frame, coordinates, random_bits
from waddington.optim._phases import Take, Want, Work, look, take
from waddington.optim._rule import Tensors
from waddington.optim.moments import Numbers

__all__ = ["NUMBERS", "Kernel", "Recipe", "cache_folder", "failures", "kernel_for", "kernels_made", "obstacle"]

_log = logging.getLogger(__name__)

NUMBERS = 48
"""Length of the row of numbers that a kernel is given; what it does not use it does not read."""

_EXAMPLE = 1 << 10  # longer ones would be summed in cascades, at half the speed
_TEST = 2  # coordinates of the dry run that finds the names of the sums

kernels_made: list[str] = []
"""Names of the kernels that this process had to compile, for tests and benchmarks."""


failures: dict[str, str] = {}
"""Why compiling has failed in this process, by type of device; ``compile="auto"`` then asks no more."""


@dataclass(frozen=True)
class Recipe:
    """What a kernel is: a phase of some work for tensors of some dtypes.

    Attributes
    ----------
    work, phase
        What is done.
    numbers
        Names of the numbers, each with its place in the row that the kernel is given.
    device
        Type of the device.
    dtype
        Of parameter and gradient.
    buffers
        Names and dtypes of the buffers.
    rounds
        Whether anything is rounded stochastically.
    """

    work: Work
    phase: Want | Take
    numbers: tuple[tuple[str, int], ...]
    device: str
    dtype: torch.dtype
    buffers: tuple[tuple[str, torch.dtype], ...]
    rounds: bool

    def key(self) -> str:
        """Give the name under which the kernel is kept."""
        rule, stage = self.work.rule, getattr(self.phase, "stage", None)
        functions = [rule.measure, rule.settle, rule.update, rule.prepare, rule.observe, stage and stage.terms]
        parts = [
            *(identity(function) for function in functions if function is not None),
            repr((self.work.settings, self.work.dtype, self.numbers, self.dtype, self.buffers, self.rounds)),
            repr((type(self.phase).__name__, [v for v in vars(self.phase).values() if isinstance(v, bool)])),
            repr((sources(), torch.__version__, self.device)),
            repr((processor(), torch.get_num_threads() > 1)),
        ]
        if self.device == "cuda":
            parts.append(repr(torch.cuda.get_device_capability()))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


class Kernel:
    """A compiled phase.

    Attributes
    ----------
    names
        Names of the sums, in the order in which it writes them.
    run
        Called with a list: value, gradient, buffers, the row of numbers, and where the sums go, 0-d; where something is
        rounded, also salt and frame (int64, 0-d and of shape (3,)).
    """

    def __init__(self, path: Path, names: tuple[str, ...], device: str) -> None:
        self.names = names
        # torch.export's own loader imports the whole compiler, two seconds, to do no more than this. A GPU's graphs
        # cannot be captured from several threads.
        self._loader = torch._C._aoti.AOTIModelPackageLoader(str(path), "model", device == "cuda", 1, -1)
        self.run = self._loader.boxed_run


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
        sums: list[torch.Tensor],
        noise: list[torch.Tensor],
    ) -> tuple[()]:
        found = _run(self.recipe, value, grad, buffers, row, noise)
        for target, total in zip(sums, found.values(), strict=True):
            target.copy_(total)
        return ()


def _run(
    recipe: Recipe,
    value: torch.Tensor,
    grad: torch.Tensor,
    buffers: Sequence[torch.Tensor],
    row: torch.Tensor,
    noise: Sequence[torch.Tensor],
) -> Tensors:
    named = {name: buffer for (name, _), buffer in zip(recipe.buffers, buffers, strict=True)}
    numbers: Numbers = {name: row[place] for name, place in recipe.numbers}

    def total(term: torch.Tensor) -> torch.Tensor:
        return term.to(recipe.work.dtype).sum()

    if isinstance(recipe.phase, Want):
        return look(recipe.work, recipe.phase, value, grad, named, numbers, total)[0]
    size = row[dict(recipe.numbers)["size"]] if recipe.phase.settles else None
    bits = None
    if recipe.rounds:
        salt, frame = noise
        places = coordinates(torch.arange(value.numel(), device=value.device), frame)
        bits = random_bits(places, salt)
    return take(recipe.work, recipe.phase, value, grad, named, numbers, total, _same, size=size, bits=bits)


def _same(found: torch.Tensor) -> torch.Tensor:
    return found


@cache
def kernel_for(recipe: Recipe) -> Kernel:
    """Give the kernel of a recipe: this process's own, the one on disk, or a new one.

    Raises
    ------
    UnsupportedError
        It cannot be compiled or kept here; says why.
    """
    reason = obstacle(recipe.device)
    if reason:
        raise UnsupportedError(f"cannot compile the step: {reason}; accepted is compile=False")
    names = _dry_run(recipe)
    path = cache_folder() / f"{recipe.key()}.pt2"
    if path.exists():
        try:
            return Kernel(path, names, recipe.device)
        except RuntimeError:  # not a kernel, or not a whole one
            _log.warning("%s cannot be loaded and is compiled anew", path)
            path.unlink(missing_ok=True)
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Processes of one training ask at the same moment; one of them compiles.
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                _compile(recipe, path)
    except OSError as error:
        raise UnsupportedError(
            f"cannot compile the step: {path.parent} cannot be written to ({error.strerror}); accepted are another"
            " folder, named by the environment variable WADDINGTON_CACHE, and compile=False"
        ) from error
    return Kernel(path, names, recipe.device)


def cache_folder() -> Path:
    """Give the folder in which kernels are kept."""
    chosen = os.environ.get("WADDINGTON_CACHE")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "waddington"


@cache
def obstacle(device: str) -> str:
    """Say what stands in the way of compiling for a type of device; empty where nothing does."""
    if device == "cuda":
        return "kernels have not been run on a GPU yet"
    if device != "cpu":
        return f"there is no compiled path for {device} devices"
    if sys.platform == "win32":
        return "kernels are not compiled on Windows"
    compiler = os.environ.get("CXX") or ("clang++" if sys.platform == "darwin" else "g++")  # as torch's own choice
    if shutil.which(compiler) is None and not any(cache_folder().glob("*.pt2")):
        return f"no C++ compiler was found (looked for {compiler}; CXX may name another)"
    return ""


def _compile(recipe: Recipe, path: Path) -> None:
    kernels_made.append(path.stem)
    _log.info("compiling a step's kernel, once for this machine: some seconds (kept in %s)", path)
    length = torch.export.Dim("length", min=2)
    value, grad, buffers, row, noise = _arguments(recipe, _EXAMPLE)
    sums = [row.new_zeros(()) for _ in _dry_run(recipe)]
    shapes = {
        "value": {0: length},
        "grad": {0: length},
        "buffers": [{0: length} for _ in buffers],
        "row": None,
        "sums": [None for _ in sums],
        "noise": [None for _ in noise],
    }
    options: dict[str, Any] = {"cpp.dynamic_threads": True}
    if isinstance(recipe.phase, Take) and recipe.phase.sums and not recipe.phase.settles:
        options["realize_reads_threshold"] = 1  # sums of what is written are then taken while it is written
    else:
        options |= {
            "realize_reads_threshold": 1000,
            "realize_opcount_threshold": 10_000,
        }  # nothing is held between loops
    handle, temporary = tempfile.mkstemp(suffix=".pt2", dir=path.parent)
    os.close(handle)
    try:
        with warnings.catch_warnings(), torch.utils._python_dispatch._disable_current_modes():
            warnings.simplefilter("ignore")
            program = torch.export.export(
                _Phase(recipe), (value, grad, buffers, row, sums, noise), dynamic_shapes=shapes
            )
            torch._inductor.aoti_compile_and_package(program, package_path=temporary, inductor_configs=options)
        os.replace(temporary, path)
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        failures[recipe.device] = (
            f"cannot compile the step: torch's compiler failed ({reason}); accepted is compile=False"
        )
        raise UnsupportedError(failures[recipe.device]) from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def _dry_run(recipe: Recipe) -> tuple[str, ...]:
    """Give the names of the sums that a phase takes."""
    return tuple(_run(recipe, *_arguments(recipe, _TEST)))


def _arguments(recipe: Recipe, size: int) -> tuple[Any, ...]:
    """Give tensors of the kinds that a kernel is called with."""
    device = torch.device(recipe.device)

    def fresh(dtype: torch.dtype) -> torch.Tensor:
        return torch.zeros(size, dtype=dtype, device=device)

    row = torch.ones(NUMBERS, dtype=recipe.work.dtype, device=device)
    frame = torch.tensor(Frame(size, size, 0), dtype=torch.int64, device=device)
    noise = [torch.zeros((), dtype=torch.int64, device=device), frame] if recipe.rounds else []
    return fresh(recipe.dtype), fresh(recipe.dtype), [fresh(dtype) for _, dtype in recipe.buffers], row, noise
