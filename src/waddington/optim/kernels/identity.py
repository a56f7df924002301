"""What a kernel depends on besides its program: the processor's instructions, and the compiler."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Sequence
from functools import cache
from typing import Any

import torch

__all__ = ["command_identity", "processor"]


@cache
def processor() -> str:
    """Name the processor's instructions, all of which a kernel may use; a folder of kernels may serve many machines."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    names = sorted(name for name, has in capabilities.items() if has is True)
    return " ".join([platform.machine(), torch.backends.cpu.get_cpu_capability(), *names, *_features()])


def _features() -> list[str]:
    """Give what Linux says that the first processor can do; compilers go by more of it than torch names."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            found = next((line for line in lines if line.startswith(("flags", "Features"))), "")
    except OSError:  # another system
        return []
    return sorted(found.partition(":")[2].split())


def command_identity(words: Sequence[str]) -> str:
    """Name what a command runs: its words, and the programs among them by place, size and time.

    Asking a compiler for its version would cost a process; one that is updated is another file.
    """
    parts = []
    for word in words:
        parts.append(word)
        program = shutil.which(word)
        if program is not None:
            program = os.path.realpath(program)
            found = os.stat(program)
            parts.append(f"{program} {found.st_size} {found.st_mtime_ns}")
    return "\n".join(parts)
