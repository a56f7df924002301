"""Weights along a training, in the folder of its job: a file for each kept epoch, so that a killed job goes on.

A job that is killed between a checkpoint and its snapshot goes on without that one: a picture lacks a point.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import nn

from waddington._files import replacing
from waddington.analysis import parameter_vector

__all__ = ["keep_snapshot", "read_snapshots"]

_MOST = 12
"""Snapshots of one training; each is as large as the weights."""


def keep_snapshot(folder: Path, module: nn.Module, epoch: int, epochs: int) -> None:
    """Write the weights after an epoch, if it is one of those that are kept: evenly over the training, and the last.

    Parameters
    ----------
    folder
        Of the job.
    module
        Its parameters.
    epoch, epochs
        Which one, from 1, and of how many.
    """
    every = max(1, -(-epochs // _MOST))
    if epoch % every == 0 or epoch == epochs:
        with replacing(folder / f"weights_{epoch:05d}.npy") as beside, beside.open("wb") as file:
            np.save(file, parameter_vector(module).cpu().numpy(), allow_pickle=False)


def read_snapshots(folder: Path) -> npt.NDArray[np.float32] | None:
    """Read what was kept, in order, of shape (snapshots, n); None where nothing was."""
    found = sorted(folder.glob("weights_?????.npy"))
    return np.stack([np.load(path, allow_pickle=False) for path in found]) if found else None
