"""CIFAR-10 and CIFAR-100: from a ResNet-8 at half resolution to ResNet-152, VGG-16 and ViT-B/16."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import torch
from torch import nn

from waddington._checks import check_choice
from waddington.bench._task import task
from waddington.bench.problem import Problem
from waddington.bench.tasks._networks import resnet8, vgg16
from waddington.bench.tasks._transformers import Logits, small_image_resnet, transformers_library
from waddington.bench.tasks._vision import Augment, Data, Normalize, image_data, image_problem

__all__ = ["cifar_resnet", "cifar_resnet8", "cifar_vgg16", "cifar_vit"]

_PASSES_200 = 70_400
"""Steps of 200 passes over 45,000 images in batches of 128."""
_TINY = {"steps": 5, "data": "stand-in", "validation_cases": 32, "batch_size": 8}
_TINY_GPU = {**_TINY, "size": "tiny", "device": "cpu", "autocast": False}

Size: TypeAlias = Literal["full", "tiny"]


@task(
    steps=200,
    evaluations=10,
    tier="minutes",
    needs=("cifar10",),
    tiny={**_TINY, "resolution": 16, "width": 4},
)
def cifar_resnet8(
    seed: int,
    *,
    cases: int = 5_000,
    validation_cases: int = 500,
    test_cases: int = 2_000,
    resolution: int = 16,
    width: int = 16,
    batch_size: int = 16,
    crop: int = 0,
    flip: bool = False,
    jitter: float = 0.0,
    dropout: float = 0.0,
    label_noise: float = 0.0,
    label_smoothing: float = 0.0,
    rename_every: int = 0,
    clip: float | None = None,
    data: Data = "disk",
) -> Problem:
    """ResNet-8 on a part of CIFAR-10 at half its resolution; resolution=32 is the whole.

    Parameters
    ----------
    seed
        Of the initialization.
    cases, validation_cases, test_cases
        Images to train on and to choose by, out of CIFAR's 50,000, and to test on, out of its 10,000.
    resolution
        Height and width to which images are averaged.
    width
        Channels of the first stage.
    batch_size
        Images in a batch.
    crop, flip, jitter
        Augmentation: pixels of a shift, mirroring, and strength of colour jitter.
    dropout
        Before the last layer.
    label_noise
        Share of training labels that are random; the same for every seed.
    label_smoothing
        Of the training loss.
    rename_every
        Classes change their numbers about every so many steps; 0: never.
    clip
        Largest norm of the gradient; None does not clip.
    data
        ``"disk"``, or ``"stand-in"`` for generated images.
    """
    images = image_data(
        "cifar10", data, train_cases=cases + validation_cases, test_cases=test_cases, resolution=resolution
    )
    return image_problem(
        nn.Sequential(Normalize.of(3), *resnet8(10, width, dropout)),
        images,
        seed=seed,
        validation_cases=validation_cases,
        batch_size=batch_size,
        augment=Augment(crop, flip, jitter),
        label_noise=label_noise,
        label_smoothing=label_smoothing,
        rename_every=rename_every,
        clip=clip,
    )


def _large(model: nn.Module, *, seed: int, classes: int, data: Data, autocast: bool, **settings: Any) -> Problem:
    """Make a problem of a large network, with what papers do to the images."""
    augment = Augment(settings.pop("crop"), settings.pop("flip"), settings.pop("jitter"))
    return image_problem(
        nn.Sequential(Normalize.of(3), model),
        image_data(_set(classes), data),
        seed=seed,
        augment=augment,
        autocast=torch.bfloat16 if autocast else None,
        **settings,
    )


def _set(classes: int) -> str:
    check_choice("classes", classes, (10, 100))
    return f"cifar{classes}"


@task(steps=_PASSES_200, evaluations=200, tier="gpu", needs=("cifar10", "cifar100"), tiny=_TINY_GPU)
def cifar_resnet(
    seed: int,
    *,
    depth: int = 50,
    classes: int = 10,
    size: Size = "full",
    batch_size: int = 128,
    validation_cases: int = 5_000,
    crop: int = 4,
    flip: bool = True,
    jitter: float = 0.2,
    dropout: float = 0.1,
    label_smoothing: float = 0.1,
    clip: float | None = None,
    autocast: bool = True,
    data: Data = "disk",
    device: str = "cuda",
) -> Problem:
    """ResNet-50, -101 or -152 from transformers on CIFAR-10 or -100, 200 passes, an evaluation after each.

    The stem is that for small images: a convolution of 3 by 3 and stride 1, and no maximum, in the place of ImageNet's
    7 by 7 of stride 2 and its maximum.

    Parameters
    ----------
    seed
        Of the initialization.
    depth
        50, 101 or 152.
    classes
        10 or 100: which CIFAR.
    size
        ``"tiny"``: one block a stage, of few channels.
    batch_size
        Images in a batch.
    validation_cases
        Images to choose by, out of CIFAR's 50,000 training images.
    crop, flip, jitter, dropout, label_smoothing
        As for `cifar-resnet8`; the defaults are the AMVT paper's protocol, whose strengths it does not name.
    clip
        Largest norm of the gradient; None does not clip.
    autocast
        Whether the forward pass runs in bfloat16.
    data
        ``"disk"``, or ``"stand-in"`` for generated images.
    device
        Where it is computed.
    """
    check_choice("depth", depth, (50, 101, 152))
    check_choice("size", size, ("full", "tiny"))
    model = small_image_resnet(depth, classes, is_tiny=size == "tiny", dropout=dropout)
    return _large(
        Logits(model),
        seed=seed, classes=classes, data=data, autocast=autocast, batch_size=batch_size, crop=crop, flip=flip,
        jitter=jitter, validation_cases=validation_cases, label_smoothing=label_smoothing, clip=clip, device=device,
    )  # fmt: skip


@task(steps=_PASSES_200, evaluations=200, tier="gpu", needs=("cifar10", "cifar100"), tiny=_TINY_GPU)
def cifar_vgg16(
    seed: int,
    *,
    classes: int = 10,
    size: Size = "full",
    batch_size: int = 128,
    validation_cases: int = 5_000,
    crop: int = 4,
    flip: bool = True,
    jitter: float = 0.2,
    dropout: float = 0.3,
    label_smoothing: float = 0.1,
    clip: float | None = None,
    autocast: bool = True,
    data: Data = "disk",
    device: str = "cuda",
) -> Problem:
    """VGG-16 with batch normalization on CIFAR-10 or -100, 200 passes, an evaluation after each.

    Parameters
    ----------
    seed
        Of the initialization.
    classes, size, batch_size, validation_cases, crop, flip, jitter, dropout, label_smoothing
        As for `cifar-resnet`.
    clip, autocast, data, device
        As for `cifar-resnet`.
    """
    check_choice("size", size, ("full", "tiny"))
    widths = (8, 8, 8, 8, 8) if size == "tiny" else (64, 128, 256, 512, 512)
    return _large(
        vgg16(classes, widths, dropout),
        seed=seed, classes=classes, data=data, autocast=autocast, batch_size=batch_size, crop=crop, flip=flip,
        jitter=jitter, validation_cases=validation_cases, label_smoothing=label_smoothing, clip=clip, device=device,
    )  # fmt: skip


@task(steps=_PASSES_200, evaluations=200, tier="gpu", needs=("cifar10", "cifar100"), tiny=_TINY_GPU)
def cifar_vit(
    seed: int,
    *,
    classes: int = 10,
    size: Size = "full",
    resolution: int = 224,
    batch_size: int = 128,
    validation_cases: int = 5_000,
    crop: int = 4,
    flip: bool = True,
    jitter: float = 0.2,
    dropout: float = 0.1,
    label_smoothing: float = 0.1,
    clip: float | None = 1.0,
    autocast: bool = True,
    data: Data = "disk",
    device: str = "cuda",
) -> Problem:
    """ViT-B/16 from transformers, from scratch, on CIFAR-10 or -100 brought to 224 by 224.

    Parameters
    ----------
    seed
        Of the initialization.
    resolution
        Height and width to which images are brought before they are cut into patches of 16 by 16.
    classes, size, batch_size, validation_cases, crop, flip, jitter, dropout, label_smoothing
        As for `cifar-resnet`; the tiny size leaves images as they are.
    clip, autocast, data, device
        As for `cifar-resnet`.
    """
    check_choice("size", size, ("full", "tiny"))
    library = transformers_library()
    is_tiny = size == "tiny"
    shape: dict[str, Any] = (
        {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
        if is_tiny
        else {}
    )
    side = 32 if is_tiny else resolution
    config = library.ViTConfig(image_size=side, patch_size=16, num_labels=classes, hidden_dropout_prob=dropout, **shape)
    model = Logits(library.ViTForImageClassification(config))
    scaled = nn.Identity() if side == 32 else nn.Upsample((side, side), mode="bilinear", align_corners=False)
    return _large(
        nn.Sequential(scaled, model),
        seed=seed, classes=classes, data=data, autocast=autocast, batch_size=batch_size, crop=crop, flip=flip,
        jitter=jitter, validation_cases=validation_cases, label_smoothing=label_smoothing, clip=clip, device=device,
    )  # fmt: skip
