"""Adversarial training (Madry et al. 2018): every batch is moved against the network before it is learned from."""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import torch
from torch import nn
from torch.nn import functional as F

from waddington._checks import check_choice, check_count, check_in_range
from waddington.bench._task import task
from waddington.bench.problem import Pair, Problem, Split, supervised
from waddington.bench.tasks._transformers import Logits, small_image_resnet
from waddington.bench.tasks._vision import Augment, Data, Normalize, image_data, image_problem
from waddington.bench.tasks.digits import digits_splits

__all__ = ["attacked", "cifar_adversarial", "digits_adversarial"]

Attack: TypeAlias = Literal["fgsm", "pgd"]
_AT_ONCE = 256


def attacked(
    model: nn.Module,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    attack: Attack = "pgd",
    epsilon: float,
    iterations: int = 7,
    is_random: bool = True,
) -> torch.Tensor:
    """Move images from 0 to 1 against a classifier, by at most `epsilon` in every pixel.

    Parameters
    ----------
    model
        Gives logits.
    x, y
        Images and classes.
    attack
        ``"fgsm"``: one step of `epsilon` along the sign of the gradient (Goodfellow et al. 2015). ``"pgd"``:
        `iterations` steps of ``2.5 epsilon / iterations``, each brought back (Madry et al. 2018).
    epsilon
        Largest change of a pixel.
    iterations
        Steps of ``"pgd"``.
    is_random
        Whether ``"pgd"`` begins at a random place, drawn from torch's own random numbers.

    Returns
    -------
    Tensor
        Images from 0 to 1, without a graph.
    """
    check_choice("attack", attack, ("fgsm", "pgd"))
    steps = 1 if attack == "fgsm" else iterations
    size = epsilon if attack == "fgsm" else 2.5 * epsilon / iterations
    moved = x
    if attack == "pgd" and is_random:
        moved = (x + epsilon * (2.0 * torch.rand_like(x) - 1.0)).clamp(0.0, 1.0)
    with torch.enable_grad():
        for _ in range(steps):
            moved = moved.detach().requires_grad_()
            (slope,) = torch.autograd.grad(F.cross_entropy(model(moved), y, reduction="sum"), moved)
            step = moved.detach() + size * slope.sign()
            moved = torch.minimum(torch.maximum(step, x - epsilon), x + epsilon).clamp(0.0, 1.0)
    return moved.detach()


def _adversarial(
    problem: Problem,
    splits: dict[str, Pair],
    *,
    attack: Attack,
    epsilon: float,
    iterations: int,
    evaluated: int,
) -> Problem:
    """Train a problem of images on attacked ones; evaluate on attacked ones too, and say what becomes of the others.

    The network stands in evaluation mode while a batch is moved, so that its normalization counts only what it learns.
    """
    check_in_range("epsilon", epsilon, 0.0, 1.0, open_low=True)
    check_count("iterations", iterations, 1)
    device = problem.device
    settings: dict[str, Any] = {"attack": attack, "epsilon": epsilon, "iterations": iterations}

    def floats(x: torch.Tensor) -> torch.Tensor:
        return x.to(device).float() / 255.0 if x.dtype == torch.uint8 else x.to(device)

    def loss(model: nn.Module, pair: Pair) -> torch.Tensor:
        is_training = model.training
        model.eval()
        moved = attacked(model, floats(pair[0]), pair[1], **settings)
        model.train(is_training)
        return F.cross_entropy(model(moved), pair[1])

    def evaluate(model: nn.Module, split: Split) -> dict[str, float]:
        x, y = (part[:evaluated] for part in splits[split])
        sums = dict.fromkeys(("loss", "robust_accuracy", "accuracy"), 0.0)
        for some in torch.split(torch.arange(len(x)), _AT_ONCE):
            images, labels = floats(x[some]), y[some].to(device)
            moved = model(attacked(model, images, labels, is_random=False, **settings))
            sums["loss"] += float(F.cross_entropy(moved, labels, reduction="sum"))
            sums["robust_accuracy"] += float((moved.argmax(-1) == labels).sum())
            sums["accuracy"] += float((model(images).argmax(-1) == labels).sum())
        return {name: total / len(x) for name, total in sums.items()}

    problem.loss, problem.evaluate = loss, evaluate
    return problem


@task(steps=800, tiny={"steps": 10, "hidden": 8, "iterations": 2, "evaluated": 50})
def digits_adversarial(
    seed: int,
    *,
    attack: Attack = "pgd",
    epsilon: float = 0.1,
    iterations: int = 5,
    hidden: int = 64,
    batch_size: int = 32,
    evaluated: int = 400,
) -> Problem:
    """A network of two hidden layers on scikit-learn's digits, trained and evaluated on attacked images.

    Parameters
    ----------
    seed
        Of the initialization.
    attack, epsilon, iterations
        As :func:`attacked` takes them; pixels lie from 0 to 1.
    hidden
        Width of the hidden layers.
    batch_size
        Images in a batch.
    evaluated
        Images of a split that are evaluated at most.
    """
    check_count("hidden", hidden, 1)
    splits = digits_splits()
    model = nn.Sequential(nn.Linear(64, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 10))
    problem = supervised(
        model,
        F.cross_entropy,
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        batch_size=batch_size,
    )
    return _adversarial(
        problem, splits, attack=attack, epsilon=epsilon, iterations=iterations, evaluated=evaluated
    )  # fmt: skip


@task(
    steps=35_000,
    evaluations=100,
    tier="gpu",
    needs=("cifar10",),
    tiny={
        "steps": 3, "data": "stand-in", "size": "tiny", "validation_cases": 32, "batch_size": 8, "iterations": 2,
        "evaluated": 16, "autocast": False, "device": "cpu",
    },
)  # fmt: skip
def cifar_adversarial(
    seed: int,
    *,
    attack: Attack = "pgd",
    epsilon: float = 8 / 255,
    iterations: int = 7,
    size: Literal["full", "tiny"] = "full",
    batch_size: int = 128,
    validation_cases: int = 5_000,
    evaluated: int = 2_000,
    crop: int = 4,
    flip: bool = True,
    clip: float | None = None,
    autocast: bool = True,
    data: Data = "disk",
    device: str = "cuda",
) -> Problem:
    """ResNet-18 from transformers on CIFAR-10, trained and evaluated on images attacked in 7 steps of PGD at 8/255.

    Parameters
    ----------
    seed
        Of the initialization.
    attack, epsilon, iterations
        As :func:`attacked` takes them.
    size
        ``"tiny"``: one block a stage, of few channels.
    batch_size
        Images in a batch.
    validation_cases
        Images to choose by, out of CIFAR's 50,000 training images.
    evaluated
        Images of a split that are attacked and evaluated at most.
    crop, flip
        Augmentation: pixels of a shift, and mirroring.
    clip, autocast, data, device
        As for `cifar-resnet`.
    """
    images = image_data("cifar10", data)
    problem = image_problem(
        nn.Sequential(Normalize.of(3), Logits(small_image_resnet(18, 10, is_tiny=size == "tiny"))),
        images,
        seed=seed,
        validation_cases=validation_cases,
        batch_size=batch_size,
        augment=Augment(crop, flip),
        clip=clip,
        device=device,
        autocast=torch.bfloat16 if autocast else None,
    )
    x, y = images.train
    splits = {"validation": (x[-validation_cases:], y[-validation_cases:]), "test": images.test}
    return _adversarial(
        problem, splits, attack=attack, epsilon=epsilon, iterations=iterations, evaluated=evaluated
    )  # fmt: skip
