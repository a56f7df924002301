"""Kernels for CPUs: a function written as C (:mod:`.c_source`), compiled by the system's compiler, called once a step.

Torch's compiler does the same (:mod:`.gpu`). It takes tens of seconds, its kernels are called for one tensor
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
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from waddington.errors import UnsupportedError
from waddington.optim.kernels.c_source import c_source
from waddington.optim.kernels.identity import command_identity, processor
from waddington.optim.kernels.spec import SCALARS, KernelSpec, Launch
from waddington.optim.kernels.trace import Program
from waddington.optim.kernels.trusted import opened

__all__ = [
    "SUFFIX",
    "CpuKernel",
    "build",
    "circumstances",
    "compiler",
    "load",
    "make",
    "open_kernel",
    "source",
    "why_unavailable",
]

SUFFIX = ".so"
_FLAGS = [
    "-std=gnu11", "-O3", "-shared", "-fPIC",
    "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fwrapv",  # none of which changes a result
    "-mcpu=native" if platform.machine() in ("arm64", "aarch64") else "-march=native",
    # A Mac's compiler comes without OpenMP's library, which torch has loaded.
    *(["-Xclang", "-fopenmp", "-undefined", "dynamic_lookup"] if sys.platform == "darwin" else ["-fopenmp"]),
]  # fmt: skip
_DIGEST = hashlib.sha256().digest_size  # bytes that follow a kernel, which its loader does not read


class CpuKernel:
    """A function written as C, called once for all tensors of a launch; see :class:`~.spec.Kernel`."""

    reads_tensors = False

    def __init__(self, path: Path, names: tuple[str, ...]) -> None:
        self.names = names
        self._step = open_kernel(path)

    def run(self, launch: Launch) -> None:
        """Go through the tensors of a launch.

        Raises
        ------
        MemoryError
            There is none for the sums of chunks.
        """
        if self._step(*launch.arguments, torch.get_num_threads()):
            raise MemoryError("cannot step: no memory for the sums of chunks, a few bytes for each 4,096 coordinates")


def load(path: Path, spec: KernelSpec, names: tuple[str, ...]) -> CpuKernel:
    """Load what was compiled.

    Raises
    ------
    RuntimeError
        The file is none of :func:`make`, or not a whole one.
    OSError
        It is not there, may not be read or trusted, or may not be run from where it lies.
    """
    return CpuKernel(path, names)


def why_unavailable() -> str:
    """Say what stands in the way of compiling; empty where nothing does."""
    if sys.platform == "win32":
        return "kernels are not compiled on Windows"
    try:
        found = _compiler()
    except ValueError as error:
        return f"CC={os.environ['CC']!r} is no command ({error})"
    if found is None:
        return (
            f"no C compiler was found (looked for {os.environ.get('CC') or 'cc, gcc and clang'}; CC may name another)"
        )
    return ""


def _compiler() -> list[str] | None:
    """Give the command that compiles C, None where there is none.

    Raises
    ------
    ValueError
        CC cannot be split into words, or has none.
    """
    update = [["cc"], ["gcc"], ["clang"]]
    if os.environ.get("CC"):
        update = [shlex.split(os.environ["CC"])]
        if not update[0]:
            raise ValueError("it has no words")
    return next((command for command in update if shutil.which(command[0])), None)


def source(spec: KernelSpec, programs: Sequence[Program]) -> str:
    """Write a function as C.

    Raises
    ------
    UnsupportedError
        The function uses what is not known here, or the length of a tensor as a number.
    """
    vectors = ["value", "grad", *(f"buffer_{place}" for place in range(len(spec.buffers)))]
    places = {f"number_{place}": place for place in range(SCALARS)}
    drawn = {name: f"noise[{at}]" for at, name in enumerate(("salt", "local", "whole", "start"))}
    text, other = (c_source(program, vectors, places, drawn) for program in programs)
    if text != other:
        raise UnsupportedError("the rule uses the length of a tensor as a number, and kernels are for every length")
    return text


def circumstances(device: str) -> str:
    """Name what decides, with its source, what a kernel is: options, and the processor's instructions."""
    return "\n".join([*_FLAGS, processor()])


def compiler() -> str:
    """Name the compiler, empty where there is none."""
    command = _compiler()
    return command_identity(command) if command else ""


def make(spec: KernelSpec, source: str, path: Path) -> None:
    """Compile a function into a file.

    Raises
    ------
    UnsupportedError
        The compiler lacks a type.
    RuntimeError
        The compiler failed; says how.
    """
    build(source, path)


def build(text: str, path: Path) -> None:
    """Compile C into a file, whole or not at all.

    Raises
    ------
    UnsupportedError
        The compiler lacks a type.
    RuntimeError
        The compiler failed, or there is none; says how.
    """
    command = _compiler()
    if command is None:
        raise RuntimeError(why_unavailable())
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        file, made = Path(folder) / "step.c", Path(folder) / path.name
        file.write_text(text, encoding="utf-8")
        arguments = [*command, *_FLAGS, str(file), "-o", str(made), "-lm"]
        try:
            done = subprocess.run(
                arguments, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
            )
        except OSError as error:
            raise RuntimeError(f"the compiler {command[0]} cannot be run ({error.strerror})") from error
        if done.returncode:
            if "_Float16" in done.stderr:  # gcc before its version 12, on some processors
                raise UnsupportedError(f"{Path(command[0]).name} does not know _Float16, in which float16 is read")
            # The last step only says that the one before has failed.
            lines = [line for line in done.stderr.splitlines() if not line.startswith("collect2")] or [
                "no reason given"
            ]
            raise RuntimeError(f"the compiler failed ({next((line for line in lines if 'error' in line), lines[0])})")
        if not made.is_file():
            raise RuntimeError("the compiler failed (it wrote nothing)")
        made.write_bytes(made.read_bytes() + hashlib.sha256(made.read_bytes()).digest())
        made.chmod(0o755)  # whatever new files are like here, nobody else may write to it
        os.replace(made, path)


def open_kernel(path: Path) -> Any:
    """Open a file of :func:`build`; give its function ``waddington_step`` (``step.c``).

    Raises
    ------
    RuntimeError
        It is none, or not a whole one.
    OSError
        It is not there, may not be read or trusted, or may not be run from where it lies.
    """
    with opened(path) as file:
        whole = file.read()
    if hashlib.sha256(whole[:-_DIGEST]).digest() != whole[-_DIGEST:]:  # opening a part of one would end the process
        raise RuntimeError(f"{path} is no kernel, or not a whole one")
    step = ctypes.CDLL(str(path)).waddington_step
    size, address = ctypes.c_int64, ctypes.c_void_p
    step.argtypes = [size, address, address, address, size, address, address, size, ctypes.c_int]
    step.restype = ctypes.c_int
    return step
