"""Whether a device is there, asked before any work is done for it."""

from __future__ import annotations

import torch

from waddington.errors import ArgumentError

__all__ = ["check_device", "devices"]


def devices() -> list[str]:
    """List the devices of this machine: ``cpu``, each ``cuda:i``, and ``mps`` where there is one."""
    found = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
    return [*found, "mps"] if torch.backends.mps.is_available() else found


def check_device(name: str) -> None:
    """Refuse a device that PyTorch does not know or this machine does not have.

    Raises
    ------
    ArgumentError
        Names the device and those that are there.
    """
    there = devices()
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ArgumentError(f"cannot use device={name!r}: accepted here: {', '.join(there)}") from None
    known = {entry.partition(":")[0] for entry in there} | {"cpu:0"} | set(there)
    if str(device) not in known:
        raise ArgumentError(
            f"cannot use device={name!r}: this machine has no such device; accepted here: {', '.join(there)}"
        )
