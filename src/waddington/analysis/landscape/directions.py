"""Directions through the space of parameters: random ones of the model's own scale, or those of a path.

Random directions are those of Li, Xu, Taylor, Studer & Goldstein 2018, *Visualizing the loss landscape of neural nets*
(NeurIPS, arXiv:1712.09913), section 4: without their scaling a picture shows the size of the weights, not the loss.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import nn

from waddington._checks import check_choice, check_count
from waddington.analysis.records import Arrays
from waddington.analysis.vectors import joined, real_points, trainable, widest
from waddington.errors import ArgumentError

__all__ = ["Normalize", "PathPlane", "path_directions", "random_directions"]

Normalize = Literal["filter", "layer", "none"]
"""What of a direction gets the norm that the weights have there."""

_TRANSPOSED = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


@dataclass(frozen=True)
class PathPlane:
    """The directions along which a path moves most.

    Attributes
    ----------
    directions
        Orthonormal, of shape (count, n).
    shares
        Share of the path's variance along each, of shape (count,), descending.
    """

    directions: torch.Tensor
    shares: Arrays


def random_directions(
    model: nn.Module,
    count: int = 2,
    *,
    normalize: Normalize = "filter",
    seed: int = 0,
) -> torch.Tensor:
    """Draw random directions of the scale of the model's weights.

    Every filter of a direction has the norm of the model's own filter: ``d ← d / ‖d‖ ‖w‖``. A filter is what makes one
    output: a row of a matrix, a kernel of a convolution. Biases and the weights of normalization layers, which have one
    dimension, get 0, as in the authors' code.

    Parameters
    ----------
    model
        Its parameters that require grad count, in their order, a shared one once.
    count
        How many.
    normalize
        ``"filter"``; ``"layer"``: each tensor of two or more dimensions as a whole; ``"none"``: standard normal numbers
        everywhere, also in biases.
    seed
        Of the draw.

    Returns
    -------
    torch.Tensor
        Of shape (count, n), in the widest dtype of the parameters, at least float32. Random directions in many
        dimensions are nearly orthogonal, and are left so.

    Raises
    ------
    ArgumentError
        Every direction is zero: the model has no weight of two dimensions, or all of them are zero. Or no parameter
        requires grad.
    UnsupportedError
        A parameter is complex or sharded.
    """
    check_count("count", count, 1)
    check_choice("normalize", normalize, ("filter", "layer", "none"))
    check_count("seed", seed, 0, 2**63 - 1)
    generator = torch.Generator("cpu").manual_seed(int(seed))
    params = [param for _, param in trainable(model)]
    dtype, device = widest(params), params[0].device
    second = {id(module.weight) for module in model.modules() if isinstance(module, _TRANSPOSED)}
    rows = []
    for _ in range(count):
        parts = []
        for param in params:
            noise = torch.randn(param.shape, generator=generator, dtype=torch.float64, device="cpu")
            noise = noise.to(dtype=torch.promote_types(param.dtype, torch.float32), device=param.device)
            axis = 1 if id(param) in second else 0
            parts.append(noise if normalize == "none" else _scaled(noise, param.detach().to(noise), normalize, axis))
        rows.append(joined(parts, dtype, device))
    found = torch.stack(rows)
    if not found.any(dim=1).all():
        raise ArgumentError(
            f"cannot use normalize={normalize!r}: the model has no weight of two dimensions that is not zero; accepted"
            " is normalize='none'"
        )
    return found


def _scaled(noise: torch.Tensor, weight: torch.Tensor, normalize: Normalize, axis: int) -> torch.Tensor:
    if weight.dim() < 2:
        return torch.zeros_like(noise)
    over = None if normalize == "layer" else [dim for dim in range(weight.dim()) if dim != axis]
    length = torch.linalg.vector_norm(noise, dim=over, keepdim=True)
    wanted = torch.linalg.vector_norm(weight, dim=over, keepdim=True)
    found: torch.Tensor = noise * (wanted / length.clamp_min(torch.finfo(noise.dtype).tiny))
    return found


def path_directions(points: torch.Tensor | Arrays, count: int = 2) -> PathPlane:
    """Find the directions along which a path varies most: its principal components.

    Parameters
    ----------
    points
        Parameters along the path, finite, of shape (T, n), T > count; the ``snapshots`` of a :class:`Path` are.
    count
        How many directions.

    Returns
    -------
    PathPlane
        Orthonormal directions, at least in float32, and the share of the variance that each holds. Random walks, too,
        look like smooth curves in them (Antognini & Sohl-Dickstein 2018), so the shares belong beside every such
        picture.

    Raises
    ------
    ArgumentError
        There are too few points, they are not finite, or the path has fewer directions than wanted.
    """
    check_count("count", count, 1)
    points = real_points("points", points)
    if len(points) <= count:
        raise ArgumentError(
            f"cannot find {count} directions of points of shape {tuple(points.shape)}: accepted is (T, n), T > {count}"
        )
    moved = points.double() - points.double().mean(0)
    moved = moved / 2.0 ** math.frexp(float(moved.abs().max()) if moved.numel() else 0.0)[1]  # squares stay in range
    values, weights = np.linalg.eigh((moved @ moved.T).cpu().numpy())
    values, weights = values[::-1], weights[:, ::-1]
    total = values.clip(min=0.0).sum()
    if not values[count - 1] > 1e-12 * max(total, np.finfo(float).tiny):
        raise ArgumentError(
            f"cannot find {count} directions of a path that moves along fewer; accepted is a smaller count"
        )
    mixed = torch.as_tensor(weights[:, :count].copy(), device=moved.device).T @ moved
    return PathPlane((mixed / mixed.norm(dim=1, keepdim=True)).to(points), values[:count] / total)
