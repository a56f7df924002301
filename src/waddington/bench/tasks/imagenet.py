"""ImageNet on several GPUs: ResNet-50 and ViT-B/16 from transformers, sharded by FSDP2.

::

    torchrun --nproc-per-node 8 -m waddington.bench.tasks.imagenet imagenet-resnet50 --optimizer AdamW --lr 1e-3 \
        --out results

One process on one GPU runs the same tasks through `waddington bench`.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional as F

from waddington._checks import check_choice, check_count
from waddington._files import write_text
from waddington.bench._task import Task, sized, task
from waddington.bench.datasets.folder import ImageFolder, image_folder
from waddington.bench.datasets.standins import FolderStandin
from waddington.bench.problem import Pair, Problem, Shuffled, Split
from waddington.bench.schedule import COURSES, Schedule
from waddington.bench.tasks._sharding import (
    average_statistics,
    mean_over_ranks,
    of_this_rank,
    rank,
    sharded,
    together,
    world,
)
from waddington.bench.tasks._transformers import Logits, image_resnet, transformers_library
from waddington.bench.tasks._vision import Augment, Data, Normalize, check_device
from waddington.bench.training import Plan, train
from waddington.errors import WaddingtonError
from waddington.optim import registry

__all__ = ["imagenet_resnet50", "imagenet_vit", "main"]

_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_IMAGES = 1_281_167
_TINY = {
    "steps": 3, "data": "stand-in", "size": "tiny", "resolution": 32, "batch_size": 8, "held_out": 24,
    "device": "cpu", "autocast": False,
}  # fmt: skip


def _problem(
    model: nn.Module,
    blocks: tuple[type[nn.Module], ...],
    *,
    resolution: int,
    batch_size: int,
    held_out: int,
    jitter: float,
    label_smoothing: float,
    clip: float | None,
    autocast: bool,
    data: Data,
    device: str,
) -> Problem:
    """Make a problem of images on disk; the held-out ones are the same for every seed."""
    check_choice("data", data, ("disk", "stand-in"))
    check_device(device)
    folder: ImageFolder | FolderStandin = image_folder("train") if data == "disk" else FolderStandin(96)
    tested: ImageFolder | FolderStandin = image_folder("val") if data == "disk" else FolderStandin(32, seed=1)
    check_count("held_out", held_out, 1, len(folder) - 1)
    check_count("batch_size", batch_size, world(), len(folder) - held_out)
    mixed = torch.randperm(len(folder), generator=torch.Generator().manual_seed(0))
    kept, validation = mixed[held_out:], mixed[:held_out]
    colour = Augment(jitter=jitter)
    draw = Shuffled(len(kept), batch_size)
    model = sharded(nn.Sequential(Normalize(_MEAN, _STD), model).to(device), blocks)

    def batch(generator: torch.Generator, step: int) -> Pair:
        chosen = of_this_rank(kept[draw(generator, step)])
        random = of_this_rank(torch.rand(batch_size, 5, generator=generator))  # cuts don't depend on who makes them
        seed = int(torch.randint(2**31, (), generator=generator))
        x, y = folder.read(chosen, resolution, random)
        x = colour(x, torch.Generator().manual_seed(seed + rank())) if colour.is_on else x
        return x.to(device, non_blocking=True), y.to(device, non_blocking=True)

    def evaluate(model: nn.Module, split: Split) -> dict[str, float]:
        images, cases = (tested, torch.arange(len(tested))) if split == "test" else (folder, validation)
        average_statistics(model)
        cases = cases[: len(cases) // world() * world()]
        sums = dict.fromkeys(("loss", "accuracy", "top5"), 0.0)
        own = of_this_rank(cases)
        for some in torch.split(own, max(1, batch_size // world())):
            x, y = (part.to(device) for part in images.read(some, resolution))
            logits = model(x).float()
            sums["loss"] += float(F.cross_entropy(logits, y, reduction="sum"))
            sums["accuracy"] += float((logits.argmax(-1) == y).sum())
            sums["top5"] += float((logits.topk(5).indices == y[:, None]).sum())
        return mean_over_ranks(sums, len(own), torch.device(device))

    return Problem(
        model=model,
        batch=batch,
        loss=lambda model, pair: F.cross_entropy(model(pair[0]), pair[1], label_smoothing=label_smoothing),
        evaluate=evaluate,
        clip=clip,
        autocast=torch.bfloat16 if autocast else None,
        state=draw.state,
        load=draw.load,
    )


@task(steps=90 * _IMAGES // 256, evaluations=90, tier="gpus", needs=("imagenet",), tiny=_TINY)
def imagenet_resnet50(
    seed: int,
    *,
    size: Literal["full", "tiny"] = "full",
    resolution: int = 224,
    batch_size: int = 256,
    held_out: int = 20_000,
    jitter: float = 0.0,
    dropout: float = 0.0,
    label_smoothing: float = 0.1,
    clip: float | None = None,
    autocast: bool = True,
    data: Data = "disk",
    device: str = "cuda",
) -> Problem:
    """ResNet-50 from transformers on ImageNet, 90 passes, an evaluation after each; tested is on ImageNet's val.

    Parameters
    ----------
    seed
        Of the initialization and the data order.
    size
        ``"tiny"``: one block a stage, of few channels.
    resolution
        Height and width of the cuts; training cuts are random and mirrored half of the time.
    batch_size
        Images of a step, over all processes.
    held_out
        Training images to choose by, the same for every seed.
    jitter
        Strength of colour jitter.
    dropout
        Before the last layer.
    label_smoothing
        Of the training loss.
    clip
        Largest norm of the gradient; None does not clip.
    autocast
        Whether the forward pass runs in bfloat16.
    data
        ``"disk"``, or ``"stand-in"`` for generated images.
    device
        Where it is computed; under torchrun each process has its own.
    """
    check_choice("size", size, ("full", "tiny"))
    model = image_resnet(50, 10 if data == "stand-in" else 1000, is_tiny=size == "tiny", dropout=dropout)
    blocks = tuple({type(stage) for stage in model.resnet.encoder.stages})
    return _problem(
        Logits(model), blocks, resolution=resolution, batch_size=batch_size, held_out=held_out, jitter=jitter,
        label_smoothing=label_smoothing, clip=clip, autocast=autocast, data=data, device=device,
    )  # fmt: skip


@task(steps=300 * _IMAGES // 1024, evaluations=300, tier="gpus", needs=("imagenet",), tiny=_TINY)
def imagenet_vit(
    seed: int,
    *,
    size: Literal["full", "tiny"] = "full",
    resolution: int = 224,
    batch_size: int = 1024,
    held_out: int = 20_000,
    jitter: float = 0.3,
    dropout: float = 0.1,
    label_smoothing: float = 0.1,
    clip: float | None = 1.0,
    autocast: bool = True,
    data: Data = "disk",
    device: str = "cuda",
) -> Problem:
    """ViT-B/16 from transformers, from scratch on ImageNet, 300 passes, an evaluation after each.

    Parameters
    ----------
    seed
        Of the initialization and the data order.
    dropout
        Of embeddings and blocks.
    size, resolution, batch_size, held_out, jitter, label_smoothing, clip, autocast, data, device
        As for `imagenet-resnet50`.
    """
    check_choice("size", size, ("full", "tiny"))
    library = transformers_library()
    shape: dict[str, Any] = (
        {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
        if size == "tiny"
        else {}
    )
    config = library.ViTConfig(
        image_size=resolution,
        patch_size=16,
        num_labels=10 if data == "stand-in" else 1000,
        hidden_dropout_prob=dropout,
        **shape,
    )
    model = library.ViTForImageClassification(config)
    blocks = tuple({type(m) for m in model.modules() if type(m).__name__ == "ViTLayer"})
    return _problem(
        Logits(model), blocks, resolution=resolution, batch_size=batch_size, held_out=held_out, jitter=jitter,
        label_smoothing=label_smoothing, clip=clip, autocast=autocast, data=data, device=device,
    )  # fmt: skip


_TASKS: dict[str, Task] = {one.name: one for one in (imagenet_resnet50, imagenet_vit)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Train a task of this file in the processes that torchrun has started; the first of them writes the record."""
    parser = argparse.ArgumentParser(prog="python -m waddington.bench.tasks.imagenet", description=__doc__)
    parser.add_argument("task", choices=sorted(_TASKS))
    parser.add_argument(
        "--optimizer", default="AdamW", help="a name that `waddington optimizers` shows, or module:Class"
    )
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of the task")
    parser.add_argument("--schedule", default="cosine", choices=COURSES)
    parser.add_argument("--warmup", type=float, default=0.0, help="share of the steps")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--size", choices=("full", "tiny"), default="full")
    parser.add_argument("--out", type=Path, required=True, help="folder for record.json and checkpoints")
    given = parser.parse_args(arguments)
    try:
        return _trained(_TASKS[given.task], given)
    except WaddingtonError as error:
        print(error, file=sys.stderr)
        return 2


def _trained(found: Task, given: argparse.Namespace) -> int:
    steps, parameters = sized(found, given.size)
    for text in given.set:
        name, _, value = text.partition("=")
        try:
            parameters[name] = json.loads(value)
        except ValueError:
            parameters[name] = value
    steps = given.steps or steps
    with together(str(parameters.get("device", found.parameters["device"]))) as device:
        problem = found.problem(given.seed, **{**parameters, "device": device})
        optimizer = registry.build(given.optimizer, problem.model.parameters(), lr=given.lr)
        schedule = Schedule(name=given.schedule, warmup=given.warmup)
        plan = Plan(
            steps=steps, seed=given.seed, evaluations=min(found.evaluations, steps), metric=found.metric, test=True
        )  # fmt: skip
        kept = given.out / f"rank{rank()}"
        trained = train(problem, optimizer, schedule, plan, folder=kept)
        if rank() == 0:
            record = {
                "task": found.name,
                "parameters": parameters,
                "optimizer": given.optimizer,
                "lr": given.lr,
                "processes": world(),
                "curve": [
                    {name: value if math.isfinite(value) else None for name, value in row.items()}
                    for row in trained.curve
                ],
                "test": trained.test,
                "diverged": trained.diverged,
                "seconds": trained.seconds,
            }
            given.out.mkdir(parents=True, exist_ok=True)
            write_text(given.out / "record.json", json.dumps(record, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
