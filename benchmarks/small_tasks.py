"""The two small tasks of these scripts, and trainings on them that write down what an optimizer says of itself.

Digits: scikit-learn's images (1,200 to train on, 597 to judge by), a 64-48-10 net, batches of 64. Sums: a transformer
of three layers that learns to continue sums written in characters. Nothing is downloaded, and seeds are fixed.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from sklearn.datasets import load_digits

TRAIN, BATCH, HIDDEN = 1200, 64, 48
STEPS, EVERY = 600, 4
Build = Callable[[Any], torch.optim.Optimizer]
Courses = dict[str, list[float]]


@dataclass
class Digits:
    """Images and labels in a random order, the training labels perhaps wrong; a net; batches in a fixed order."""

    noise: float
    seed: int

    def __post_init__(self) -> None:
        self.generator = torch.Generator().manual_seed(self.seed)
        images, labels = _load()
        order = torch.randperm(len(images), generator=self.generator)
        images, labels = images[order], labels[order]
        self.images, self.test_images = images[:TRAIN], images[TRAIN:]
        self.labels, self.test_labels = labels[:TRAIN].clone(), labels[TRAIN:]
        wrong = torch.rand(TRAIN, generator=self.generator) < self.noise
        self.labels[wrong] = torch.randint(10, (int(wrong.sum()),), generator=self.generator)
        torch.manual_seed(self.seed)
        self.model = torch.nn.Sequential(torch.nn.Linear(64, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, 10))

    def loss(self) -> torch.Tensor:
        """Loss on the next batch."""
        batch = torch.randint(TRAIN, (BATCH,), generator=self.generator)
        return torch.nn.functional.cross_entropy(self.model(self.images[batch]), self.labels[batch])

    @torch.no_grad()
    def judge(self) -> dict[str, float]:
        """Loss and accuracy on the images that were held out."""
        scores = self.model(self.test_images)
        right = (scores.argmax(1) == self.test_labels).double().mean()
        return {
            "loss": torch.nn.functional.cross_entropy(scores, self.test_labels).item(),
            "accuracy": right.item(),
        }


@functools.cache
def _load() -> tuple[torch.Tensor, torch.Tensor]:
    found = load_digits()
    return torch.tensor(found.data / 16, dtype=torch.float32), torch.tensor(found.target)


class Sums(torch.nn.Module):
    """A transformer of three layers over characters, and batches of sums such as ``27+65=92`` to continue."""

    letters = "0123456789+=\n"

    def __init__(self, seed: int = 0, width: int = 48, length: int = 48) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.generator = torch.Generator().manual_seed(seed)
        self.length = length
        self.token = torch.nn.Embedding(len(self.letters), width)
        self.place = torch.nn.Embedding(length, width)
        layer = torch.nn.TransformerEncoderLayer(
            width, 4, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = torch.nn.TransformerEncoder(layer, 3, enable_nested_tensor=False)
        self.norm = torch.nn.LayerNorm(width)
        self.head = torch.nn.Linear(width, len(self.letters))
        self.mask = torch.nn.Transformer.generate_square_subsequent_mask(length)

    def loss(self, batch: int = 16) -> torch.Tensor:
        """Loss on the next batch."""
        tokens = torch.stack([self._line() for _ in range(batch)])
        given, wanted = tokens[:, :-1], tokens[:, 1:]
        hidden = self.token(given) + self.place.weight
        scores = self.head(self.norm(self.layers(hidden, mask=self.mask, is_causal=True)))
        return torch.nn.functional.cross_entropy(scores.flatten(0, 1), wanted.flatten())

    def _line(self) -> torch.Tensor:
        pairs = torch.randint(100, (12, 2), generator=self.generator).tolist()
        text = "".join(f"{a}+{b}={a + b}\n" for a, b in pairs)[: self.length + 1]
        return torch.tensor([self.letters.index(letter) for letter in text])


def follow(build: Build, *, noise: float = 0.0, steps: int = STEPS, every: int = EVERY) -> Courses:
    """Train on digits; give the diagnostics of every so many steps, and the loss of the batch, as ``step -> value``."""
    task = Digits(noise, seed=0)
    optimizer: Any = build(task.model.named_parameters())
    optimizer.record()
    courses: Courses = {}
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        loss = task.loss()
        loss.backward()
        optimizer.step()
        if step % every == 0 or step == 1:
            for name, value in {"step": step, "loss": loss.item(), **optimizer.diagnostics()}.items():
                courses.setdefault(name, []).append(float(value))
    return courses


def follow_tensors(build: Build, *, steps: int = 300, every: int = 10) -> tuple[list[int], list[dict[str, Any]], Any]:
    """Train the transformer; give the diagnostics of its single tensors at every so many steps, and its sizes."""
    model = Sums()
    optimizer: Any = build(model.named_parameters())
    optimizer.record()
    seen, found = [], []
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        model.loss().backward()
        optimizer.step()
        if step % every == 0:
            seen.append(step)
            found.append(optimizer.tensor_diagnostics())
    return seen, found, model
