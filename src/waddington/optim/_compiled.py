"""Compiled phases: one kernel for tensors of any number and length, made once and kept on disk.

A phase of a step (:mod:`waddington.optim._phases`) is turned into a kernel by the compiler for its device: on a CPU it
is written as C (:mod:`._native`), on a GPU it is torch's own, Triton (:mod:`._inductor`). All that changes from step to
step enters as numbers: rate, decays, corrections, whether the step is taken. So there is nothing to compile anew when a
scheduler turns a rate, and as many kernels as an optimizer has phases, not tensors.

Kernels are kept in ``$WADDINGTON_CACHE``, or ``waddington`` in the user's cache folder. Their names are hashes of all
that they depend on: the sources of this package and of the rule, the versions and the processor. Deleting the folder
does no harm.
"""

from __future__ import annotations

import logging
import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import torch
from filelock import FileLock

from waddington._errors import UnsupportedError
from waddington.optim import _inductor, _native
from waddington.optim._recipe import Recipe

if TYPE_CHECKING:
    from waddington.optim._batch import Batch

__all__ = ["BACKENDS", "Kernel", "cache_folder", "failures", "kernel_for", "kernels_made", "obstacle"]

_log = logging.getLogger(__name__)


class Kernel(Protocol):
    """A compiled phase.

    Attributes
    ----------
    names
        Names of the sums, in the order in which it writes them.
    """

    names: tuple[str, ...]

    def run(self, batch: Batch, salts: torch.Tensor | None) -> None:
        """Do the phase for all tensors of a batch; sums go to the family's table."""


class Backend(Protocol):
    """A compiler."""

    SUFFIX: str

    def obstacle(self) -> str:
        """Say what stands in the way of compiling; empty where nothing does."""

    def make(self, recipe: Recipe, path: Path) -> None:
        """Compile a phase into a file."""

    def load(self, path: Path, recipe: Recipe) -> Kernel:
        """Load what was compiled."""


BACKENDS: dict[str, Backend] = {"cpu": _native, "cuda": _inductor}
"""Compilers by type of device."""

kernels_made: list[str] = []
"""Names of the kernels that this process had to compile, for tests and benchmarks."""

failures: dict[str, str] = {}
"""Why compiling has failed in this process, by type of device; ``compile="auto"`` then asks no more."""


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
    backend = BACKENDS[recipe.device]
    path = cache_folder() / f"{recipe.key()}{backend.SUFFIX}"
    if path.exists():
        try:
            return backend.load(path, recipe)
        except RuntimeError:  # not a kernel, or not a whole one
            _log.warning("%s cannot be loaded and is compiled anew", path)
            path.unlink(missing_ok=True)  # what has been loaded from it elsewhere stays
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Processes of one training ask at the same moment; one of them compiles.
        with FileLock(path.with_suffix(".lock")):
            if not path.exists():
                _make(backend, recipe, path)
    except OSError as error:
        raise UnsupportedError(
            f"cannot compile the step: {path.parent} cannot be written to ({error.strerror}); accepted are another"
            " folder, named by the environment variable WADDINGTON_CACHE, and compile=False"
        ) from error
    try:
        return backend.load(path, recipe)
    except RuntimeError as error:
        raise UnsupportedError(
            f"cannot compile the step: what was compiled cannot be loaded ({error}); accepted are another folder, named"
            " by the environment variable WADDINGTON_CACHE, and compile=False"
        ) from error


def _make(backend: Backend, recipe: Recipe, path: Path) -> None:
    kernels_made.append(path.stem)
    _log.info("compiling a step's kernel, once for this machine (kept in %s)", path)
    try:
        backend.make(recipe, path)
    except OSError:
        raise
    except UnsupportedError as error:  # of this rule, not of this machine
        raise UnsupportedError(f"cannot compile the step: {error}; accepted is compile=False") from error
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        failures[recipe.device] = f"cannot compile the step: {reason}; accepted is compile=False"
        raise UnsupportedError(failures[recipe.device]) from error


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
    if device not in BACKENDS:
        return f"there is no compiled path for {device} devices"
    backend = BACKENDS[device]
    reason = backend.obstacle()
    return "" if reason and any(cache_folder().glob(f"*{backend.SUFFIX}")) else reason
