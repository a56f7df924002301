"""What units read and leave: the run's shared inputs, arrays, weights, and scores as JSON holds them."""

from __future__ import annotations

import functools
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
import torch

from waddington._files import replacing
from waddington.twin.run.config import RunConfig
from waddington.twin.run.executor import Unit
from waddington.twin.run.prepare import Prepared, load

__all__ = ["finite", "joint_latent", "save_arrays", "save_state", "score_rows", "shared", "state_path"]

Float = npt.NDArray[np.float32]


def shared(work: Path) -> tuple[Prepared, RunConfig]:
    """Read prepared cells and configuration from a run's ``work`` folder, once a process and run.

    A folder may be taken away and used again by another run in the same process (a notebook does that), so what was
    read is kept by the settings and the data's hash, not by the folder's name alone.
    """
    return _read(work, (work / "config.json").read_text(encoding="utf-8"), (work / "data.txt").read_text())


@functools.lru_cache(maxsize=1)
def _read(work: Path, settings: str, data: str) -> tuple[Prepared, RunConfig]:
    return load(work / "prepared"), RunConfig.of(**json.loads(settings))


def state_path(folder: Path, unit: Unit) -> Path:
    """Name the file of a unit's weights."""
    return folder / f"{unit.key}.pt"


def joint_latent(folder: Path, unit: Unit, train: npt.NDArray[np.bool_]) -> Float:
    """Read the joint embedding that an encoder unit wrote, each dimension standardized on training cells.

    Parameters
    ----------
    folder
        The ``units`` folder.
    unit
        The encoder unit.
    train
        Training mask, (cells,).
    """
    with np.load(folder / f"{unit.key}.npz", allow_pickle=False) as stored:
        joint: Float = stored["joint"]
    scaled = (joint - joint[train].mean(axis=0)) / (joint[train].std(axis=0) + 1e-6)
    return np.asarray(scaled, dtype=np.float32)


def score_rows(scores: pd.DataFrame) -> list[dict[str, Any]]:
    """Give averaged scores as JSON holds them; an undefined value is None."""
    return [
        {**{str(name): cell for name, cell in row.items()}, "value": finite(row["value"])}
        for row in scores.to_dict("records")
    ]


def finite(value: float | None) -> float | None:
    """Give a finite number, or None."""
    return value if value is not None and math.isfinite(value) else None


def save_arrays(path: Path, arrays: dict[str, Float]) -> None:
    """Write arrays whole or not at all."""
    with replacing(path) as beside:
        np.savez(beside, **arrays)  # type: ignore[arg-type]


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write weights whole or not at all; they load with ``weights_only=True``.

    An archive that PyTorch opens by name holds that name, and the one it is written under holds a process id. Written
    through an open file, the same weights give the same bytes.
    """
    with replacing(path) as beside, beside.open("wb") as file:
        torch.save(state, file)
