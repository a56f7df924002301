"""What tasks on images share: splits, augmentation, noise in labels, smoothing."""

from __future__ import annotations

import functools
from typing import Literal, TypeAlias

import torch
from torch import nn
from torch.nn import functional as F

from waddington._checks import check_choice, check_count, check_in_range
from waddington.bench.datasets.images import Images, read_images
from waddington.bench.datasets.standins import images_standin
from waddington.bench.problem import Pair, Problem, accuracy, supervised
from waddington.bench.tasks._moving import renamed
from waddington.errors import ArgumentError

__all__ = ["Augment", "Data", "Normalize", "check_device", "image_data", "image_problem"]

Data: TypeAlias = Literal["disk", "stand-in"]
"""Where data come from: the published set on disk, or generated ones of the same shapes, which measure nothing."""

_SHAPES = {"mnist": (1, 28, 28), "cifar10": (3, 32, 32), "cifar100": (3, 32, 32)}
_STATISTICS: dict[int, tuple[tuple[float, ...], tuple[float, ...]]] = {
    1: ((0.1307,), (0.3081,)),  # MNIST's
    3: ((0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)),  # CIFAR-10's
}


class Normalize(nn.Module):
    """Bytes, or numbers from 0 to 1, to inputs of mean 0 and deviation 1, as the data set's channels have them."""

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    @classmethod
    def of(cls, channels: int) -> Normalize:
        """Make it for MNIST (1 channel) or CIFAR (3)."""
        return cls(*_STATISTICS[channels])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x.float() / 255.0 if x.dtype == torch.uint8 else x
        return (x - self.mean) / self.std


class Augment:
    """Crops, flips and colour jitter, drawn for every image from the run's generator.

    Parameters
    ----------
    crop
        Pixels by which an image is shifted at most, each way; what comes in is black.
    flip
        Whether half of the images are mirrored.
    jitter
        Brightness, contrast and saturation are multiplied by even factors from 1 - jitter to 1 + jitter.
    """

    def __init__(self, crop: int = 0, flip: bool = False, jitter: float = 0.0) -> None:
        check_count("crop", crop, 0)
        check_in_range("jitter", jitter, 0.0, 1.0)
        self.crop, self.flip, self.jitter = crop, flip, jitter

    @property
    def is_on(self) -> bool:
        """Whether it does anything."""
        return bool(self.crop or self.flip or self.jitter)

    def __call__(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        """Give other images; bytes stay bytes unless colours change."""
        if self.crop:
            x = self._shifted(x, generator)
        if self.flip:
            is_flipped = torch.rand(len(x), 1, 1, 1, generator=generator).to(x.device) < 0.5
            x = torch.where(is_flipped, x.flip(-1), x)
        if self.jitter:
            x = self._coloured(x.float() / 255.0 if x.dtype == torch.uint8 else x, generator)
        return x

    def _shifted(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        height, width = x.shape[-2:]
        padded = F.pad(x, [self.crop] * 4)
        at = torch.randint(0, 2 * self.crop + 1, (2, len(x), 1), generator=generator)
        rows = (at[0] + torch.arange(height)).to(x.device)
        columns = (at[1] + torch.arange(width)).to(x.device)
        cases = torch.arange(len(x), device=x.device)[:, None, None]
        return padded.movedim(1, -1)[cases, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)

    def _coloured(self, x: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
        factors = 1.0 + self.jitter * (2.0 * torch.rand(3, len(x), 1, 1, 1, generator=generator).to(x.device) - 1.0)
        x = x * factors[0]
        mean = x.mean((1, 2, 3), keepdim=True)
        x = mean + factors[1] * (x - mean)
        grey = x.mean(1, keepdim=True)
        return (grey + factors[2] * (x - grey)).clamp(0.0, 1.0)


@functools.lru_cache(maxsize=8)
def image_data(
    name: str,
    data: Data,
    *,
    train_cases: int | None = None,
    test_cases: int | None = None,
    resolution: int | None = None,
) -> Images:
    """Give a data set of images or its stand-in, at a resolution; it is kept for later runs of the process."""
    check_choice("data", data, ("disk", "stand-in"))
    if data == "disk":
        found = read_images(name, train_cases=train_cases, test_cases=test_cases)
    else:
        found = images_standin(_SHAPES[name], classes=100 if name == "cifar100" else 10)
    side = found.train[0].shape[-1]
    if resolution in (None, side):
        return found
    check_count("resolution", resolution, 4, side)
    size = (int(resolution), int(resolution))
    train, test = (
        (F.adaptive_avg_pool2d(x.float(), size).round().to(torch.uint8), y) for x, y in (found.train, found.test)
    )
    return Images(name=found.name, train=train, test=test, classes=found.classes)


def image_problem(
    model: nn.Module,
    images: Images,
    *,
    seed: int,
    validation_cases: int,
    batch_size: int,
    augment: Augment | None = None,
    label_noise: float = 0.0,
    label_smoothing: float = 0.0,
    rename_every: int = 0,
    clip: float | None = None,
    device: str = "cpu",
    autocast: torch.dtype | None = None,
) -> Problem:
    """Make a problem of images with classes.

    The last `validation_cases` of the training images are held out, the same ones for every seed. Label noise is the
    same for every seed and touches training labels only; smoothing is no part of what is evaluated.
    """
    check_device(device)
    check_in_range("label_smoothing", label_smoothing, 0.0, 1.0, open_high=True)
    check_in_range("label_noise", label_noise, 0.0, 1.0)
    check_count("rename_every", rename_every, 0)
    x, y = images.train
    check_count("validation_cases", validation_cases, 1, len(x) - 1)
    train, validation = (x[:-validation_cases], y[:-validation_cases]), (x[-validation_cases:], y[-validation_cases:])
    problem = supervised(
        model,
        F.cross_entropy,
        train=_with_noise(train, images.classes, label_noise),
        validation=validation,
        test=images.test,
        batch_size=batch_size,
        metrics={"accuracy": accuracy},
        prepare=augment if augment is not None and augment.is_on else None,
        device=device,
        clip=clip,
    )
    problem.autocast = autocast
    if label_smoothing:
        problem.loss = lambda model, pair: F.cross_entropy(model(pair[0]), pair[1], label_smoothing=label_smoothing)
    return renamed(problem, images.classes, rename_every, seed) if rename_every else problem


def check_device(device: str) -> None:
    """Refuse a GPU where there is none.

    Raises
    ------
    ArgumentError
        The machine has no such device.
    """
    if torch.device(device).type == "cuda" and not torch.cuda.is_available():
        raise ArgumentError(
            f"cannot use device={device!r}: PyTorch finds no GPU here; accepted is device='cpu', which takes long, and"
            " size='tiny', which runs the same code in a second"
        )


def _with_noise(pair: Pair, classes: int, share: float) -> Pair:
    if not share:
        return pair
    x, y = pair
    draw = torch.Generator().manual_seed(1)
    is_random = torch.rand(len(y), generator=draw) < share
    return x, torch.where(is_random, torch.randint(0, classes, y.shape, generator=draw), y)
