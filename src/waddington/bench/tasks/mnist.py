"""MNIST: small convolutional networks and a deep autoencoder."""

from __future__ import annotations

import itertools

import torch
from torch import nn
from torch.nn import functional as F

from waddington._checks import check_count
from waddington.bench._task import task
from waddington.bench.problem import Problem, supervised
from waddington.bench.tasks._vision import Augment, Data, Normalize, image_data, image_problem

__all__ = ["lenet", "mnist_autoencoder", "mnist_cnn"]


@task(
    steps=600,
    needs=("mnist",),
    tiny={"steps": 20, "data": "stand-in", "channels": 2, "validation_cases": 32, "batch_size": 8},
)
def mnist_cnn(
    seed: int,
    *,
    cases: int = 10_000,
    validation_cases: int = 2_000,
    resolution: int = 14,
    channels: int = 8,
    batch_size: int = 32,
    dropout: float = 0.0,
    label_noise: float = 0.0,
    label_smoothing: float = 0.0,
    rename_every: int = 0,
    crop: int = 0,
    clip: float | None = None,
    data: Data = "disk",
) -> Problem:
    """Two convolutions of stride 2 on a part of MNIST at half its resolution.

    Parameters
    ----------
    seed
        Of the initialization.
    cases, validation_cases
        Images to train on and to choose by; tested is on MNIST's 10,000 test images.
    resolution
        Height and width to which images are averaged.
    channels
        Of the first convolution; the second has twice as many.
    batch_size
        Images in a batch.
    dropout
        Before the last layer.
    label_noise
        Share of training labels that are random; the same for every seed.
    label_smoothing
        Of the training loss.
    rename_every
        Classes change their numbers about every so many steps, at times that no optimizer knows; 0: never. Evaluated
        is by the present numbers.
    crop
        Pixels by which training images are shifted at most.
    clip
        Largest norm of the gradient; None does not clip.
    data
        ``"disk"``, or ``"stand-in"`` for generated ones.
    """
    images = image_data(
        "mnist", data, train_cases=cases + validation_cases, resolution=None if data == "stand-in" else resolution
    )
    side = images.train[0].shape[-1]
    after = (((side + 1) // 2) + 1) // 2
    model = nn.Sequential(
        Normalize.of(1),
        nn.Conv2d(1, channels, 3, 2, 1), nn.ReLU(),
        nn.Conv2d(channels, 2 * channels, 3, 2, 1), nn.ReLU(),
        nn.Flatten(), nn.Dropout(dropout), nn.Linear(2 * channels * after * after, 10),
    )  # fmt: skip
    return image_problem(
        model,
        images,
        seed=seed,
        validation_cases=validation_cases,
        batch_size=batch_size,
        augment=Augment(crop),
        label_noise=label_noise,
        label_smoothing=label_smoothing,
        rename_every=rename_every,
        clip=clip,
    )


@task(
    steps=500,
    evaluations=10,
    tier="minutes",
    needs=("mnist",),
    tiny={"steps": 10, "data": "stand-in", "validation_cases": 32, "batch_size": 8},
)
def lenet(
    seed: int,
    *,
    cases: int = 50_000,
    validation_cases: int = 1_000,
    batch_size: int = 64,
    label_noise: float = 0.0,
    rename_every: int = 0,
    clip: float | None = None,
    data: Data = "disk",
) -> Problem:
    """LeNet-5, with rectifiers and maxima, on MNIST.

    Parameters
    ----------
    seed
        Of the initialization.
    cases, validation_cases
        Images to train on and to choose by; tested is on MNIST's 10,000 test images.
    batch_size
        Images in a batch.
    label_noise, rename_every, clip, data
        As for `mnist-cnn`.
    """
    model = nn.Sequential(
        Normalize.of(1),
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip
    return image_problem(
        model,
        image_data("mnist", data, train_cases=cases + validation_cases),
        seed=seed,
        validation_cases=validation_cases,
        batch_size=batch_size,
        label_noise=label_noise,
        rename_every=rename_every,
        clip=clip,
    )


@task(
    steps=1000,
    tier="minutes",
    needs=("mnist",),
    tiny={"steps": 10, "data": "stand-in", "width": 8, "validation_cases": 32, "batch_size": 8},
)
def mnist_autoencoder(
    seed: int,
    *,
    cases: int = 20_000,
    validation_cases: int = 2_000,
    width: int = 256,
    code: int = 16,
    batch_size: int = 64,
    data: Data = "disk",
) -> Problem:
    """A deep autoencoder of MNIST: 784, width, width/2, width/4, code and back; cross-entropy of each pixel.

    Parameters
    ----------
    seed
        Of the initialization.
    cases, validation_cases
        Images to train on and to choose by; tested is on MNIST's 10,000 test images.
    width, code
        Widths of the first hidden layer and of the narrowest.
    batch_size
        Images in a batch.
    data
        As for `mnist-cnn`.
    """
    check_count("width", width, 4)
    sizes = [784, width, width // 2, width // 4, code]
    sizes += sizes[-2::-1]
    layers: list[nn.Module] = []
    for i, (before, after) in enumerate(itertools.pairwise(sizes)):
        layers += [nn.Linear(before, after)] + ([nn.ReLU()] if i < len(sizes) - 2 else [])
    found = image_data("mnist", data, train_cases=cases + validation_cases)
    train, test = (x.flatten(1).float() / 255.0 for x, _ in (found.train, found.test))
    held_out = train[-validation_cases:]
    return supervised(
        nn.Sequential(*layers),
        F.binary_cross_entropy_with_logits,
        train=(train[:-validation_cases], train[:-validation_cases]),
        validation=(held_out, held_out),
        test=(test, test),
        batch_size=batch_size,
        metrics={"squared_error": lambda output, target: F.mse_loss(torch.sigmoid(output), target)},
    )
