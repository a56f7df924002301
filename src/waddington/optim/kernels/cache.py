"""Kernels by what they do: this process's own, the one on disk, or a new one.

A function of tensors is turned into a kernel by the compiler for its device: on a CPU it is written as C (:mod:`.cpu`),
on a GPU it is torch's own, Triton (:mod:`.gpu`). There are as many kernels as there are functions, not tensors.

Kernels are kept in a folder (:mod:`.trusted`), and named by what they are: the program that a function turned out to be
when it was run on a few numbers, the compiler and its options, the processor. So none is taken for another, whatever
functions are called and wherever they are written. Deleting the folder does no harm.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple, Protocol

from waddington.errors import UnsupportedError
from waddington.optim.kernels import cpu, gpu
from waddington.optim.kernels.spec import Kernel, KernelSpec, programs_of
from waddington.optim.kernels.trace import Program
from waddington.optim.kernels.trusted import cache_folder, make_folder

__all__ = ["BACKENDS", "Backend", "compile", "failures", "forget", "kernels_made", "name_of", "why_unavailable"]

_log = logging.getLogger(__name__)


class Backend(Protocol):
    """A compiler."""

    SUFFIX: str

    def why_unavailable(self) -> str:
        """Say what stands in the way of compiling; empty where nothing does."""

    def source(self, spec: KernelSpec, programs: Sequence[Program]) -> str:
        """Write down what a function does."""

    def circumstances(self, device: str) -> str:
        """Name what decides, with its source, what a kernel is."""

    def compiler(self) -> str:
        """Name the compiler, empty where there is none."""

    def make(self, spec: KernelSpec, source: str, path: Path) -> None:
        """Compile a function into a file."""

    def load(self, path: Path, spec: KernelSpec, names: tuple[str, ...]) -> Kernel:
        """Load what was compiled; RuntimeError if it is damaged, OSError if it is not there or not to be loaded."""


BACKENDS: dict[str, Backend] = {"cpu": cpu, "cuda": gpu}
"""Compilers by type of device."""

kernels_made: list[str] = []
"""Names of the kernels that this process had to compile, for tests and benchmarks."""

failures: dict[str, str] = {}
"""Why this machine cannot compile or keep kernels, by type of device; ``compile="auto"`` then asks no more."""

_known: dict[tuple[str, tuple[str, ...]], Kernel] = {}


def compile(spec: KernelSpec) -> Kernel:
    """Give the kernel of a spec: this process's own, the one on disk, or a new one.

    Its function is run on a few numbers each time, so that one that has been edited meanwhile is seen.

    Raises
    ------
    UnsupportedError
        It cannot be compiled or kept here; says why.
    """
    reason = why_unavailable(spec.device)
    if reason:
        raise UnsupportedError(f"cannot compile the step: {reason}; accepted is compile=False")
    draft = _draft(spec)
    known = draft.key, draft.names
    try:
        if known not in _known:
            path = _path_of(draft)
            _known[known] = _kept(draft, path) or _made(draft, path)
        return _known[known]
    except OSError as error:
        trouble = f"{error.strerror or error}; accepted are another folder, named by the environment variable"
        place = "" if error.filename is None else f"{_shortened(str(error.filename))}: "
        raise _failure(spec, f"{place}{trouble} WADDINGTON_CACHE, and compile=False") from error


class _Draft(NamedTuple):
    """A kernel before it is made.

    Attributes
    ----------
    spec, source
        What it is, and all that is written down of it.
    names
        Names of its sums.
    key
        The name of its file, but for the compiler's part.
    """

    spec: KernelSpec
    source: str
    names: tuple[str, ...]
    key: str


def name_of(spec: KernelSpec) -> str:
    """Name a kernel by all that decides what it does, whichever compiler makes it.

    Raises
    ------
    UnsupportedError
        The function does what is not compiled.
    """
    return _draft(spec).key


def _draft(spec: KernelSpec) -> _Draft:
    backend = BACKENDS[spec.device]
    try:
        programs = programs_of(spec)
        source = backend.source(spec, programs)
    except UnsupportedError as error:
        raise UnsupportedError(f"cannot compile the step: {error}; accepted is compile=False") from error
    key = _hash(source, backend.circumstances(spec.device))
    return _Draft(spec, source, tuple(programs[0].results), key)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def _path_of(draft: _Draft) -> Path:
    """Give the file of a kernel; without a compiler any that has been made of the same."""
    backend, folder = BACKENDS[draft.spec.device], cache_folder()
    compiler = backend.compiler()
    if compiler:
        return folder / f"{draft.key}-{_hash(compiler)[:8]}{backend.SUFFIX}"
    for path in sorted(folder.glob(f"{draft.key}-*{backend.SUFFIX}")):
        return path
    raise UnsupportedError(f"cannot compile the step: {backend.why_unavailable()}; accepted is compile=False")


def _kept(draft: _Draft, path: Path) -> Kernel | None:
    """Load a kernel from disk; None if it is not there, or is to be made anew."""
    try:
        return BACKENDS[draft.spec.device].load(path, draft.spec, draft.names)
    except FileNotFoundError:
        return None
    except RuntimeError:
        return None


def _made(draft: _Draft, path: Path) -> Kernel:
    """Make a kernel and load it, unless another process has made it meanwhile."""
    from filelock import FileLock  # only where a kernel is made: importing optimizers stays quick

    make_folder(path.parent)
    # Processes of one training ask at the same moment; one of them compiles.
    with FileLock(path.with_suffix(".lock")):
        found = _kept(draft, path)
        if found is not None:
            return found
        backend = BACKENDS[draft.spec.device]
        kernels_made.append(path.stem)
        if path.exists():
            _log.warning("%s is damaged and is compiled anew", path)
        _log.info("compiling a step's kernel, once for this machine (kept in %s)", path)
        try:
            backend.make(draft.spec, draft.source, path)
            return backend.load(path, draft.spec, draft.names)
        except OSError:
            raise
        except UnsupportedError as error:  # of this function, not of this machine
            raise UnsupportedError(f"cannot compile the step: {error}; accepted is compile=False") from error
        except Exception as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise _failure(draft.spec, f"{reason}; accepted is compile=False") from error


def _failure(spec: KernelSpec, reason: str) -> UnsupportedError:
    failures[spec.device] = f"cannot compile the step: {reason}"
    return UnsupportedError(failures[spec.device])


def _shortened(path: str) -> str:
    return path if len(path) < 200 else f"{path[:100]}…{path[-60:]}"


@cache
def why_unavailable(device: str) -> str:
    """Say what stands in the way of compiling for a type of device; empty where nothing does."""
    if device not in BACKENDS:
        return f"there is no compiled path for {device} devices"
    backend = BACKENDS[device]
    reason = backend.why_unavailable()
    try:
        return "" if not reason or any(cache_folder().glob(f"*{backend.SUFFIX}")) else reason
    except OSError:
        return reason


def forget() -> None:
    """Forget what this process knows of kernels, compilers and their failures."""
    _known.clear()
    why_unavailable.cache_clear()
    failures.clear()
