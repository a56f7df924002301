"""Where the host may read values of tensors without waiting."""

from __future__ import annotations

import torch

__all__ = ["FREE", "host_sync_is_free"]

FREE = {"cpu"}
"""Types of devices whose values cost nothing to read: what depends on a few numbers is then computed as Python numbers,
which takes a tenth of the time. Everywhere else it is computed on the device."""


def host_sync_is_free(device: torch.device) -> bool:
    """Tell whether values on a device may be read at every step."""
    return device.type in FREE
