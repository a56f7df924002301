"""What a compiled kernel depends on, as text: sources, processor, and the functions that a rule is made of."""

from __future__ import annotations

import hashlib
import inspect
import platform
import sys
from functools import cache, partial
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any
from uuid import uuid4

import torch

__all__ = ["identity", "processor", "sources"]


@cache
def sources() -> str:
    """Hash the sources of this package's optimizers."""
    found = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.[cp]*")):
        found.update(path.read_bytes())
    return found.hexdigest()


@cache
def processor() -> str:
    """Name the processor's instructions, all of which a kernel may use; a folder of kernels may serve many machines."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    names = sorted(name for name, has in capabilities.items() if has is True)
    return " ".join([platform.machine(), torch.backends.cpu.get_cpu_capability(), *names])


def identity(function: Any) -> str:
    """Name a function of a rule by all that decides what it computes: its name, its module's source, what it holds."""
    if isinstance(function, partial):
        return f"{identity(function.func)} with {_told((function.args, sorted(function.keywords.items())))}"
    cells = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    held = _told((cells, function.__defaults__, sorted((function.__kwdefaults__ or {}).items())))
    return f"{function.__module__}.{function.__qualname__} of {_digest(sys.modules[function.__module__])} with {held}"


def _told(value: Any) -> str:
    """Describe a value; of what cannot be told apart by its description every one is another."""
    if isinstance(value, list | tuple):
        return f"({', '.join(map(_told, value))})"
    if isinstance(value, int | float | str | bool | torch.dtype | None):
        return repr(value)
    return identity(value) if isinstance(value, FunctionType | partial) else uuid4().hex


@cache
def _digest(module: ModuleType) -> str:
    """Hash the source of a rule's module, which need not be of this package."""
    try:
        return hashlib.sha256(inspect.getsource(module).encode()).hexdigest()
    except (OSError, TypeError):
        return module.__name__
