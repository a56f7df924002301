"""Attacks move images by no more than they may, against the network; training on them makes it robust."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from waddington import bench
from waddington.bench.tasks.adversarial import attacked
from waddington.errors import ArgumentError

X = torch.rand(20, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(20) % 3


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return nn.Linear(6, 3)


@pytest.mark.parametrize("attack", ["fgsm", "pgd"])
def test_an_attack_stays_near_and_makes_the_loss_grow(model: nn.Module, attack: str) -> None:
    moved = attacked(model, X, Y, attack=attack, epsilon=0.1, iterations=5)
    assert (moved - X).abs().max() <= 0.1 + 1e-6
    assert 0.0 <= moved.min() <= moved.max() <= 1.0
    assert not moved.requires_grad
    with torch.no_grad():
        assert (
            F.cross_entropy(model(moved), Y, reduction="none") >= F.cross_entropy(model(X), Y, reduction="none")
        ).all()
    assert all(p.grad is None for p in model.parameters())


def test_fgsm_is_one_step_along_the_sign(model: nn.Module) -> None:
    x = X.clone().requires_grad_()
    (slope,) = torch.autograd.grad(F.cross_entropy(model(x), Y, reduction="sum"), x)
    expected = (X + 0.1 * slope.sign()).clamp(0, 1)
    assert torch.equal(attacked(model, X, Y, attack="fgsm", epsilon=0.1), expected)


def test_an_unknown_attack_is_refused(model: nn.Module) -> None:
    with pytest.raises(ArgumentError, match="'cw'"):
        attacked(model, X, Y, attack="cw", epsilon=0.1)
    with pytest.raises(ArgumentError, match="epsilon"):
        bench.get_task("digits-adversarial").problem(0, epsilon=0.0)


def robust(name: str, **parameters: object) -> float:
    judge = bench.get_task("digits-adversarial").problem(0, epsilon=0.15, iterations=3, evaluated=200)
    problem = bench.get_task(name).problem(0, **parameters)
    optimizer = torch.optim.AdamW(problem.model.parameters(), lr=5e-3)
    bench.train(problem, optimizer, bench.Schedule(), bench.Plan(steps=150, seed=0, evaluations=1))
    with torch.no_grad():
        return judge.evaluate(problem.model.eval(), "test")["robust_accuracy"]


def test_training_on_attacked_images_makes_robust() -> None:
    assert robust("digits-adversarial", epsilon=0.15, iterations=3) > robust("digits") + 0.1
