"""Kernels for CPUs: a phase written as C (:mod:`._source`), compiled by the system's compiler, called once a step.

Torch's compiler does the same (:mod:`._inductor`). It takes tens of seconds, its kernels are called for one tensor
after the other, and their loops are slower: docs/speed.md has had both in its tables, the other until commit d29d2fc.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from waddington._errors import UnsupportedError
from waddington.optim._recipe import Recipe, examples, names_of, perform
from waddington.optim._rule import Tensors
from waddington.optim._source import c_source
from waddington.optim._trace import trace

if TYPE_CHECKING:
    from waddington.optim._batch import Batch

__all__ = ["SUFFIX", "NativeKernel", "build", "load", "make", "obstacle", "open_kernel", "source"]

SUFFIX = ".so"
_FLAGS = [
    "-std=gnu11", "-O3", "-shared", "-fPIC",
    "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fwrapv",  # none of which changes a result
    "-mcpu=native" if platform.machine() in ("arm64", "aarch64") else "-march=native",
    # A Mac's compiler comes without OpenMP's library, which torch has loaded.
    *(["-Xclang", "-fopenmp", "-undefined", "dynamic_lookup"] if sys.platform == "darwin" else ["-fopenmp"]),
]  # fmt: skip
_DIGEST = hashlib.sha256().digest_size  # bytes that follow a kernel, which its loader does not read


class NativeKernel:
    """A compiled phase, called once for all tensors of a family; see :class:`~waddington.optim._compiled.Kernel`."""

    def __init__(self, path: Path, recipe: Recipe) -> None:
        self.names = names_of(recipe)
        self._step = open_kernel(path)

    def run(self, batch: Batch, salts: torch.Tensor | None) -> None:
        """Do the phase; sums go to the family's table.

        Raises
        ------
        MemoryError
            There is none for the sums of chunks.
        """
        if self._step(*batch.arguments(salts), torch.get_num_threads()):
            raise MemoryError("cannot step: no memory for the sums of chunks, a few bytes for each 4,096 coordinates")


def load(path: Path, recipe: Recipe) -> NativeKernel:
    """Load what was compiled.

    Raises
    ------
    RuntimeError
        The file is none of :func:`make`, or may not be run from where it lies.
    """
    return NativeKernel(path, recipe)


def obstacle() -> str:
    """Say what stands in the way of compiling; empty where nothing does."""
    if sys.platform == "win32":
        return "kernels are not compiled on Windows"
    if _compiler() is None:
        return (
            f"no C compiler was found (looked for {os.environ.get('CC') or 'cc, gcc and clang'}; CC may name another)"
        )
    return ""


def _compiler() -> list[str] | None:
    """Give the command that compiles C, None where there is none."""
    wanted = [shlex.split(os.environ["CC"])] if os.environ.get("CC") else [["cc"], ["gcc"], ["clang"]]
    return next((command for command in wanted if shutil.which(command[0])), None)


def source(recipe: Recipe) -> str:
    """Write a phase as C.

    Raises
    ------
    UnsupportedError
        The rule uses what is not known here, or the length of a tensor as a number.
    """
    text, other = (_source(recipe, length) for length in (7, 11))
    if text != other:
        raise UnsupportedError("the rule uses the length of a tensor as a number, and kernels are for every length")
    return text


def _source(recipe: Recipe, length: int) -> str:
    value, grad, buffers, row, noise = examples(recipe, length)
    vectors = {"value": value, "grad": grad}
    vectors |= {name: buffer for (name, _), buffer in zip(recipe.buffers, buffers, strict=True)}
    numbers = {f"number_{place}": number for place, number in enumerate(row.unbind())}
    drawn = dict(zip(("salt", "local", "whole", "start"), noise, strict=False))

    def phase(**given: torch.Tensor) -> Tensors:
        held = [given[name] for name, _ in recipe.buffers]
        row, noise = ([given[name] for name in names] for names in (numbers, drawn))
        return perform(recipe, given["value"], given["grad"], held, row, noise)

    program = trace(phase, {**vectors, **numbers, **drawn})
    places = {name: place for place, name in enumerate(numbers)}
    return c_source(program, list(vectors), places, {name: f"noise[{at}]" for at, name in enumerate(drawn)})


def make(recipe: Recipe, path: Path) -> None:
    """Compile a phase into a file.

    Raises
    ------
    UnsupportedError
        The rule uses what is not known here.
    RuntimeError
        The compiler failed; says how.
    """
    build(source(recipe), path)


def build(text: str, path: Path) -> None:
    """Compile C into a file, whole or not at all.

    Raises
    ------
    UnsupportedError
        The compiler lacks a type.
    RuntimeError
        The compiler failed, or there is none; says how.
    """
    compiler = _compiler()
    if compiler is None:
        raise RuntimeError(obstacle())
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        file, made = Path(folder) / "step.c", Path(folder) / path.name
        file.write_text(text, encoding="utf-8")
        command = [*compiler, *_FLAGS, str(file), "-o", str(made), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            if "_Float16" in done.stderr:  # gcc before its version 12, on some processors
                raise UnsupportedError(f"{Path(compiler[0]).name} does not know _Float16, in which float16 is read")
            lines = done.stderr.splitlines() or ["no reason given"]
            raise RuntimeError(f"the compiler failed ({next((line for line in lines if 'error' in line), lines[0])})")
        made.write_bytes(made.read_bytes() + hashlib.sha256(made.read_bytes()).digest())
        os.replace(made, path)


def open_kernel(path: Path) -> Any:
    """Open a file of :func:`build`; give its function ``waddington_step`` (``_step.c``).

    Raises
    ------
    RuntimeError
        It is none, or may not be run from where it lies.
    """
    whole = path.read_bytes()
    if hashlib.sha256(whole[:-_DIGEST]).digest() != whole[-_DIGEST:]:  # opening a part of one would end the process
        raise RuntimeError(f"{path} is no kernel, or not a whole one")
    try:
        step = ctypes.CDLL(str(path)).waddington_step
    except OSError as error:
        raise RuntimeError(str(error)) from error
    size, address = ctypes.c_int64, ctypes.c_void_p
    step.argtypes = [size, address, address, address, size, address, address, size, ctypes.c_int]
    step.restype = ctypes.c_int
    return step
