"""The states that agents act on: embeddings of cells, as published (untrained) or as they should be (trained)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from waddington.jobs import Context, Job
from waddington.optim import registry
from waddington.twin.plan.env import PaperTask
from waddington.twin.run.artifacts import CHECKPOINT, read_arrays, save_arrays
from waddington.twin.run.encoder_jobs import VALIDATION, make_encoder, untrained
from waddington.twin.run.environments import joined_state
from waddington.twin.tables.sources import CellsJob, prepared_cells

__all__ = ["PROTOCOLS", "EmbeddingJob", "Protocol", "read_task"]

Protocol = Literal["paper", "held-out"]
"""``"paper"``: untrained embeddings, row number as time. ``"held-out"``: trained embeddings, diffusion pseudotime."""
PROTOCOLS: tuple[Protocol, ...] = ("paper", "held-out")


@dataclass(frozen=True, kw_only=True)
class EmbeddingJob(Job):
    """Embeds cells, 32 dimensions a modality, side by side, each dimension standardized on training cells."""

    kind: ClassVar[str] = "tables-embedding"

    cells: CellsJob
    protocol: Protocol
    seed: int
    """Of the encoder's first weights and of its training."""
    optimizer: str = "Adam"
    lr: float = 1e-3
    """Of the encoder's training; the paper's protocol trains none."""
    epochs: int = 50
    """Passes over the training cells; 0 in the paper's protocol."""

    @property
    def label(self) -> str:
        """Protocol, cells and seed."""
        return f"embedding_{self.cells.source.name}_{self.protocol}_{self.seed}"

    def run(self, context: Context) -> dict[str, Any]:
        """Embed; the states of all cells, their order and which are for training lie in the job's folder."""
        prepared, config = prepared_cells(self.cells, context), self.cells.source.config()
        order = np.arange(len(prepared.groups), dtype=np.float64)
        if self.protocol == "paper":
            embeddings = untrained(prepared, config, self.seed)
        else:
            encoder = make_encoder(prepared, config, self.seed)
            checkpoint = context.folder / CHECKPOINT
            encoder.fit(
                prepared.inputs,
                prepared.counts,
                prepared.spaces,
                train=prepared.design.train,
                optimizer=lambda params: registry.build(self.optimizer, params, lr=self.lr),
                epochs=self.epochs,
                batch_size=config.encoder.batch_size,
                validation=VALIDATION,
                seed=self.seed,
                checkpoint=checkpoint,
                progress=lambda news: context.progress(news["epoch"] / news["epochs"]),
            )
            checkpoint.unlink(missing_ok=True)
            embeddings = encoder.embed(prepared.inputs, prepared.spaces)
            order = prepared.pseudotime.astype(np.float64)
        state, slices = joined_state(embeddings, list(prepared.inputs), prepared.design.train)
        ordered = np.isfinite(order)
        arrays: dict[str, npt.NDArray[Any]] = {
            "state": state[ordered],
            "order": order[ordered],
            "train": prepared.design.train[ordered],
        }
        save_arrays(context.folder, arrays)
        return {
            "slices": {name: [part.start, part.stop] for name, part in slices.items()},
            "without_order": int((~ordered).sum()),
        }


def read_task(folder: Path, *, train: bool, horizon: int, max_perturb: int) -> PaperTask:
    """Build the paper's task on training or on test cells, from what an :class:`EmbeddingJob` left.

    Parameters
    ----------
    folder
        Of the job.
    train
        Whether the task is on training cells.
    horizon
        Most steps of an episode.
    max_perturb
        Most random perturbations at once.
    """
    arrays: dict[str, npt.NDArray[Any]] = dict(read_arrays(folder))
    chosen = arrays["train"] == train
    return PaperTask(
        cells=arrays["state"][chosen], order=arrays["order"][chosen], max_steps=horizon, max_perturb=max_perturb
    )
