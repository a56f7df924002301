"""Kernels for GPUs: a function exported for tensors of open length, and compiled by torch (AOTInductor).

The file that comes of it is loaded in milliseconds, without importing the compiler, and called for one tensor after the
other: calls that a GPU queues. For a CPU it does the same, more slowly than :mod:`.cpu`; so it can be tested there.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from waddington.optim.kernels.identity import command_identity, processor
from waddington.optim.kernels.spec import SUMS, KernelSpec, Launch, examples
from waddington.optim.kernels.trace import Program, written
from waddington.optim.kernels.trusted import opened

__all__ = ["SUFFIX", "GpuKernel", "circumstances", "compiler", "load", "make", "source", "why_unavailable"]

SUFFIX = ".pt2"
_EXAMPLE = 1 << 10
_OPTIONS = {"realize_reads_threshold": 1000, "realize_opcount_threshold": 10_000}  # nothing is held between loops


class GpuKernel:
    """A function compiled by torch, called for each tensor of a launch; see :class:`~.spec.Kernel`."""

    reads_tensors = True

    def __init__(self, path: Path, spec: KernelSpec, names: tuple[str, ...]) -> None:
        self.names = names
        self._path, self._on_gpu = str(path), spec.device == "cuda"
        self._loaders: dict[int, Any] = {}
        self.on(torch.empty(0, device=spec.device).device)

    def on(self, device: torch.device) -> Callable[[list[torch.Tensor]], Any]:
        """Give the kernel on one of several devices, to be called with the list of what :class:`_Module` takes."""
        index = device.index if self._on_gpu else -1
        if index not in self._loaders:
            # torch.export's own loader imports the whole compiler, two seconds, to do no more than this. A GPU's graphs
            # cannot be captured from several threads.
            load = torch._C._aoti.AOTIModelPackageLoader
            self._loaders[index] = load(self._path, "model", self._on_gpu, 1, index)
        found: Callable[[list[torch.Tensor]], Any] = self._loaders[index].boxed_run
        return found

    def run(self, launch: Launch) -> None:
        """Go through the tensors of a launch."""
        call, salts, frames = self.on(launch.scalars.device), launch.salts, launch.frames
        for row, (value, grad, own) in enumerate(zip(launch.values, launch.gradients, launch.buffers, strict=True)):
            noise = () if salts is None or frames is None else (salts[row], frames[row])
            call([value, grad, *own, launch.scalars[row], launch.sums[row], *noise])


class _Module(torch.nn.Module):
    """A spec's function, of the tensors that a kernel is called with."""

    def __init__(self, spec: KernelSpec) -> None:
        super().__init__()
        self.spec = spec

    def forward(
        self,
        value: torch.Tensor,
        grad: torch.Tensor,
        buffers: list[torch.Tensor],
        row: torch.Tensor,
        sums: torch.Tensor,
        noise: list[torch.Tensor],
    ) -> tuple[()]:
        drawn = [noise[0], *noise[1].unbind()] if noise else []
        found = list(self.spec.function(value, grad, buffers, row, drawn).values())
        if found:
            # Into one aligned row: a GPU's kernels would write to places within it and lose what they wrote.
            sums.copy_(torch.cat([torch.stack(found).to(sums.dtype), sums[len(found) :]]))
        return ()


def load(path: Path, spec: KernelSpec, names: tuple[str, ...]) -> GpuKernel:
    """Load what was compiled.

    Raises
    ------
    RuntimeError
        The file is none of :func:`make`, or the kernel does not do here what it should.
    OSError
        It is not there, may not be read or trusted.
    """
    with opened(path):
        kernel = GpuKernel(path, spec, names)
    _try_out(kernel, spec)
    return kernel


def _try_out(kernel: GpuKernel, spec: KernelSpec) -> None:
    """Hold a kernel against the operations that it was made of, on this device, before anything depends on it."""
    arguments = _arguments(spec)
    value, grad, buffers, row, sums, noise = arguments
    row.copy_(torch.linspace(0.25, 0.75, len(row), device=row.device))
    for scale, tensor in enumerate((value, grad, *buffers), start=1):
        tensor.copy_(torch.linspace(-1.0, scale, len(tensor), device=tensor.device).roll(97 * scale).square())
    copies = [tensor.clone() for tensor in (value, grad, *buffers)]
    kernel.on(value.device)([value, grad, *buffers, row, sums, *noise])
    drawn = [noise[0], *noise[1].unbind()] if noise else []
    found = spec.function(copies[0], copies[1], copies[2:], row, drawn)
    pairs = [*zip(copies, (value, grad, *buffers), strict=True), *zip(found.values(), sums, strict=False)]
    for expected, got in pairs:
        tolerance = max(1e-4, torch.finfo(expected.dtype).eps)  # in half precision, one unit
        if not torch.allclose(got.double(), expected.double(), rtol=tolerance, atol=tolerance, equal_nan=True):
            raise RuntimeError(
                f"a kernel made by torch's compiler gives other results here than eager steps ({kernel.names})"
            )


def why_unavailable() -> str:
    """Say what stands in the way of compiling; empty where nothing does."""
    found = shutil.which(os.environ.get("CXX") or "g++")
    return "" if found else "no C++ compiler was found, which torch's compiler needs"


def source(spec: KernelSpec, programs: Sequence[Program]) -> str:
    """Write down what a function does.

    Torch's compiler traces by itself, and this is what kernels are named by.

    Raises
    ------
    UnsupportedError
        The function does what cannot be written down.
    """
    return "\n".join(map(written, programs))


def circumstances(device: str) -> str:
    """Name what decides, with its source, what a kernel is: options, versions, processor and GPU."""
    gpu = (torch.version.cuda, torch.cuda.get_device_capability()) if device == "cuda" else ()
    return repr((_OPTIONS, torch.__version__, device, gpu, processor()))


def compiler() -> str:
    """Name the compiler of what runs on the host, empty where there is none."""
    return "" if why_unavailable() else command_identity([os.environ.get("CXX") or "g++"])


def make(spec: KernelSpec, source: str, path: Path) -> None:
    """Compile a function into a file.

    Raises
    ------
    RuntimeError
        The compiler failed; says how.
    """
    length = torch.export.Dim("length", min=2)
    arguments = _arguments(spec)
    _, _, buffers, _, _, noise = arguments
    shapes = {
        "value": {0: length},
        "grad": {0: length},
        "buffers": [{0: length} for _ in buffers],
        "row": None,
        "sums": None,
        "noise": [None for _ in noise],
    }
    handle, temporary = tempfile.mkstemp(suffix=SUFFIX, dir=path.parent)
    os.close(handle)
    try:
        with warnings.catch_warnings(), torch.utils._python_dispatch._disable_current_modes():
            warnings.simplefilter("ignore")
            program = torch.export.export(_Module(spec), arguments, dynamic_shapes=shapes)
            torch._inductor.aoti_compile_and_package(program, package_path=temporary, inductor_configs=_OPTIONS)
        os.chmod(temporary, 0o644)  # whatever new files are like here, nobody else may write to it
        os.replace(temporary, path)
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise RuntimeError(f"torch's compiler failed ({reason})") from error
    finally:
        Path(temporary).unlink(missing_ok=True)


def _arguments(spec: KernelSpec) -> tuple[Any, ...]:
    """Give what :class:`_Module` is called with."""
    value, grad, buffers, row, noise = examples(spec, _EXAMPLE, spec.device)
    sums = row.new_zeros(SUMS, dtype=torch.float64)
    return value, grad, buffers, row, sums, [noise[0], torch.stack(noise[1:])] if noise else []
