"""The handwritten digits that come with scikit-learn: 1,797 images of 8 by 8, no download."""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from waddington._checks import check_choice, check_count, check_in_range, require_extra
from waddington.bench._task import task
from waddington.bench.problem import Pair, Problem, accuracy, supervised
from waddington.bench.tasks._moving import moving

__all__ = ["autoencoder", "digits", "digits_data", "digits_splits"]


@functools.cache
def digits_data() -> Pair:
    """Give images in [0, 1], 1,797 by 64, in a mixed order, and their classes."""
    sklearn: Any = require_extra("sklearn.datasets", "bench")
    found = sklearn.load_digits()
    order = torch.randperm(len(found.target), generator=torch.Generator().manual_seed(0))
    images = torch.from_numpy(found.data).float()[order] / 16.0
    return images, torch.from_numpy(found.target).long()[order]


def digits_splits() -> dict[str, Pair]:
    """Give them cut: 1,000 to train, 397 to choose by, 400 to test; the same for every seed."""
    x, y = digits_data()
    return {"train": (x[:1000], y[:1000]), "validation": (x[1000:1397], y[1000:1397]), "test": (x[1397:], y[1397:])}


@task(steps=1500, tiny={"steps": 20, "hidden": 8})
def digits(
    seed: int,
    *,
    model: str = "mlp",
    hidden: int = 64,
    batch_size: int = 32,
    label_noise: float = 0.0,
    permute_every: int = 0,
    clip: float | None = None,
) -> Problem:
    """A small network on scikit-learn's digits.

    Parameters
    ----------
    seed
        Of the initialization.
    model
        ``"mlp"``, two hidden layers, or ``"cnn"``, two convolutions.
    hidden
        Width of the hidden layers.
    batch_size
        Images in a batch.
    label_noise
        Share of training labels that are random; the same for every seed.
    permute_every
        Pixels change their places about every so many steps, at times that no optimizer knows; 0: never. Evaluated is
        what the network does on the present places.
    clip
        Largest norm of the gradient; None does not clip.
    """
    check_choice("model", model, ("mlp", "cnn"))
    check_count("hidden", hidden, 1)
    check_in_range("label_noise", label_noise, 0.0, 1.0)
    check_count("permute_every", permute_every, 0)
    data = digits_splits()
    x, y = data["train"]
    if label_noise:
        generator = torch.Generator().manual_seed(1)
        is_random = torch.rand(len(y), generator=generator) < label_noise
        y = torch.where(is_random, torch.randint(0, 10, y.shape, generator=generator), y)
        data["train"] = (x, y)
    network = _mlp(hidden) if model == "mlp" else _cnn(hidden)
    problem = supervised(
        network,
        F.cross_entropy,
        train=data["train"],
        validation=data["validation"],
        test=data["test"],
        batch_size=batch_size,
        metrics={"accuracy": accuracy},
        clip=clip,
    )
    return moving(problem, 64, permute_every, seed) if permute_every else problem


@task(steps=800, tiny={"steps": 20, "hidden": 8})
def autoencoder(seed: int, *, hidden: int = 128, code: int = 8, batch_size: int = 64) -> Problem:
    """A deep autoencoder of scikit-learn's digits: 64, hidden, hidden/2, code and back; mean squared error.

    Parameters
    ----------
    seed
        Of the initialization.
    hidden, code
        Widths of the first hidden layer and of the narrowest.
    batch_size
        Images in a batch.
    """
    check_count("hidden", hidden, 2)
    sizes = [64, hidden, hidden // 2, code]
    layers: list[nn.Module] = []
    for i, (before, after) in enumerate(zip((*sizes, *sizes[-2:0:-1]), (*sizes[1:], *sizes[-2::-1]), strict=True)):
        layers += [nn.Linear(before, after)] + ([nn.ReLU()] if i < 2 * len(sizes) - 3 else [])
    data = {name: (x, x) for name, (x, _) in digits_splits().items()}
    return supervised(
        nn.Sequential(*layers),
        F.mse_loss,
        train=data["train"],
        validation=data["validation"],
        test=data["test"],
        batch_size=batch_size,
    )


def _mlp(hidden: int) -> nn.Module:
    return nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 10))


def _cnn(hidden: int) -> nn.Module:
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1), nn.ReLU(), nn.Flatten(),
        nn.Linear(256, hidden), nn.ReLU(), nn.Linear(hidden, 10),
    )  # fmt: skip
