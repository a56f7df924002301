"""``loss_landscape.png``: the encoder's loss over its weights, with the path of each optimizer.

It is the surface that optimizers move on; ``landscape.png`` is that of the cells.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from waddington import analysis
from waddington.errors import ArgumentError
from waddington.twin.embed.surface import fixed_loss
from waddington.twin.report.page import Picture
from waddington.twin.run.config import RunConfig
from waddington.twin.run.data import RunData
from waddington.twin.run.encoder_jobs import VALIDATION, make_encoder
from waddington.twin.run.folder import RunFolder
from waddington.twin.run.records import RunRecords
from waddington.twin.run.snapshots import read_snapshots

__all__ = ["write_loss_landscape"]

_POINTS, _CELLS = 11, 256
_CAPTION = (
    "Loss of the encoder on {cells} training cells, with the same masks everywhere, over the two directions in which "
    "the weights moved most. Lines are the paths of optimizers of seed {seed}, from the open circle to a mark of each, "
    "a point for each snapshot; of paths that lie on each other the lower is wider. {share}What lies in other "
    "directions is not seen."
)


def write_loss_landscape(
    folder: RunFolder, config: RunConfig, prepared: RunData, finished: RunRecords
) -> dict[str, Picture]:
    """Draw the surface that encoders were trained on, with the paths of one seed.

    Parameters
    ----------
    folder, config, prepared, finished
        The run.

    Returns
    -------
    dict
        The picture by name; empty where no training left two finite snapshots.
    """
    seed, train = config.evaluation_seeds[0], prepared.design.train
    encoder = make_encoder(prepared, config, seed)
    encoder.fit(
        prepared.inputs, prepared.counts, prepared.spaces, train=train, epochs=0, validation=VALIDATION, seed=seed
    )
    paths = _paths(folder, finished, seed, analysis.parameter_vector(encoder.module))
    if not paths:
        return {}
    loss = fixed_loss(
        encoder,
        prepared.inputs,
        prepared.counts,
        prepared.spaces,
        train=train,
        validation=VALIDATION,
        seed=seed,
        n_cells=_CELLS,
    )
    every = torch.cat(list(paths.values()))
    analysis.load_parameter_vector(encoder.module, next(iter(paths.values()))[-1])
    directions, shares = _directions(encoder.module, every, seed)
    found = analysis.loss_landscape(
        encoder.module,
        loss,
        directions,
        span=0.5 if shares is None else 0.02 * float((every - every[0]).norm(dim=1).max()),
        points=_POINTS,
        paths=paths,
        shares=shares,
        names=None if shares is None else ("component 1", "component 2"),
    )
    path = analysis.plots.save(analysis.plots.contour(found), folder.path / "loss_landscape.png")
    share = "" if shares is None else f"They hold {shares.sum():.0%} of the variance of the paths. "
    picture = Picture(
        path=path,
        title="Loss landscape of the encoder",
        caption=_CAPTION.format(cells=min(_CELLS, int(train.sum())), seed=seed, share=share),
        alt=f"Contours of the loss over two directions of the weights, with the paths of {', '.join(paths)}.",
    )
    return {"loss_landscape": picture}


def _paths(folder: RunFolder, finished: RunRecords, seed: int, start: torch.Tensor) -> dict[str, torch.Tensor]:
    """Give the weights along each optimizer's training of one seed, from the same start; those that are finite."""
    paths = {}
    for (name, of), job in finished.encoders.items():
        kept = read_snapshots(folder.files_of(job)) if of == seed else None
        if kept is not None:
            points = torch.cat([start[None], torch.as_tensor(kept)])
            paths[name] = points[points.isfinite().all(dim=1)]
    return {name: points for name, points in paths.items() if len(points) > 1}


def _directions(
    module: nn.Module, points: torch.Tensor, seed: int
) -> tuple[torch.Tensor, npt.NDArray[np.float64] | None]:
    """Give the paths' principal components, or random directions where they have no two."""
    try:
        plane = analysis.path_directions(points, 2)
    except ArgumentError:
        return analysis.random_directions(module, 2, seed=seed), None
    return plane.directions, plane.shares
