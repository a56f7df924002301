"""The files that jobs leave in their folders, arrays and weights, and scores as JSON holds them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from waddington._files import replacing
from waddington.twin.embed.scaling import Standardization

__all__ = [
    "ARRAYS",
    "CHECKPOINT",
    "WEIGHTS",
    "finite",
    "joint_latent",
    "read_arrays",
    "save_arrays",
    "save_state",
    "score_rows",
]

Float = npt.NDArray[np.float32]

ARRAYS, WEIGHTS, CHECKPOINT = "arrays.npz", "weights.pt", "checkpoint.ckpt"
"""Names of the files in a job's folder; the checkpoint goes when the job is done."""


def read_arrays(folder: Path) -> dict[str, Float]:
    """Read the arrays in a job's folder."""
    with np.load(folder / ARRAYS, allow_pickle=False) as stored:
        return {str(name): stored[name] for name in stored.files}


def joint_latent(folder: Path, train: npt.NDArray[np.bool_]) -> Float:
    """Read the joint embedding that an encoder job wrote, each dimension standardized on training cells.

    Parameters
    ----------
    folder
        Of the encoder job.
    train
        Training mask, (cells,).
    """
    joint = read_arrays(folder)["joint"]
    return Standardization.fit(joint, train).apply(joint)


def score_rows(scores: pd.DataFrame) -> list[dict[str, Any]]:
    """Give averaged scores as JSON holds them; an undefined value is None."""
    return [
        {**{str(name): cell for name, cell in row.items()}, "value": finite(row["value"])}
        for row in scores.to_dict("records")
    ]


def finite(value: float | None) -> float | None:
    """Give a finite number, or None."""
    return value if value is not None and math.isfinite(value) else None


def save_arrays(folder: Path, arrays: dict[str, Float]) -> None:
    """Write arrays into a job's folder, whole or not at all."""
    with replacing(folder / ARRAYS) as beside:
        np.savez(beside, **arrays)  # type: ignore[arg-type]


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write weights whole or not at all; they load with ``weights_only=True``.

    An archive that PyTorch opens by name holds that name, and the one it is written under holds a process id. Written
    through an open file, the same weights give the same bytes.
    """
    with replacing(path) as beside, beside.open("wb") as file:
        torch.save(state, file)
