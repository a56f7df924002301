"""What the calculators of AlphaAdam's theory find on real models: the figures of docs/analysis.md, "AlphaAdam".

Run by hand: ``python benchmarks/alphaadam_theory.py [--seeds 3] [--only blocks masks steps convergence momentum]``. Two
minutes on one core. The transformer is the bench's, with one block of width 8 on eight tokens, each of which says the
next but for one bit; the other runs are on scikit-learn's digits, in float64, with nets of one hidden layer. Seeds are
fixed.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from waddington import analysis
from waddington.analysis.bounds import alphaadam, judge
from waddington.bench.tasks._networks import TokenTransformer
from waddington.optim import AlphaAdam

LITERAL = {"strict_mask": True, "bias_correction": False}
ARMS: dict[str, dict[str, Any]] = {
    "analysed (neither α nor η̂)": {"compensation": "none"},
    "compensated, α at most 2": {"compensation": "full", "alpha_max": 2.0},
    "Algorithm 1": {"compensation": "full", "alpha_max": math.inf},
}


def blocks(seeds: int) -> None:
    """Eigenvalues and blocks of the Hessian (Theorem 3.3)."""
    for seed in range(seeds):
        torch.manual_seed(seed)
        model = TokenTransformer(8, width=8, layers=1, heads=2, context=4).double()
        generator = torch.Generator().manual_seed(seed)
        text = [torch.randint(0, 8, (64,), generator=generator)]
        for _ in range(4):
            text.append((3 * text[-1] + 1 + torch.randint(0, 2, (64,), generator=generator)) % 8)
        tokens = torch.stack(text, 1)

        def loss(model: nn.Module, tokens: torch.Tensor = tokens) -> torch.Tensor:
            return nn.functional.cross_entropy(model(tokens[:, :4]).flatten(0, 1), tokens[:, 1:].flatten())

        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        for step in range(201):
            if step in (0, 50, 200):
                found = alphaadam.measure_blocks(model, loss)
                print(
                    f"seed {seed} step {step}: loss {loss(model).item():.3f}, of {int(found.sizes.sum())} eigenvalues"
                    f" {found.negative} negative, {found.zero} zero; λ_min {found.lowest:.3g}, λ_max"
                    f" {found.highest:.3g}; ε {found.coupling:.2f}; blocks with a spread of 1 or more"
                    f" {int((found.spreads >= 1).sum())} of {len(found.names)}"
                )
            train(model, optimizer, loss)


def masks(seeds: int) -> None:
    """GC and DS of both masks on the same moments (Theorem 3.5), every tenth of 300 steps."""
    for compensation in ("none", "full"):
        found = []
        for seed in range(seeds):
            model, x, y = digits(seed, hidden=32)
            optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
            whole = loss_on(x, y)
            for step, batch in enumerate(drawn(x, y, seed, 300)):
                if step and step % 10 == 0:
                    found.append(
                        alphaadam.compare_masks(
                            model, batch, optimizer, full_loss=whole, compensation=compensation, alpha_max=2.0
                        )
                    )
                train(model, optimizer, batch)
        shares = alphaadam.mask_shares(found)
        print(f"compensation {compensation}: {shares.points} points of {seeds} runs; rows batch and full gradient,")
        print(f"  columns as it is and per length; GC_async > GC_sync {shares.correlation.round(2).tolist()},")
        print(f"  DS_async < DS_sync {shares.sharpness.round(2).tolist()}")
        if compensation == "none":
            off = max(abs(each.correlation[0, 0] - each.correlation[0, 1] - each.gap) for each in found)
            print(f"  least gap {min(each.gap for each in found):.3g}, the identity is off by {off:.1g} at most")


def steps(seeds: int) -> None:
    """The longest step of a coordinate over Lemma E.2's bound, in 300 steps at a rate of 0.001."""
    print(f"κ {alphaadam.step_factor():.3f}, attained {alphaadam.attained_step_factor():.3f}")
    for arm, settings in ARMS.items():
        for kind in ("batches", "all data"):
            worst = []
            for seed in range(seeds):
                model, x, y = digits(seed, hidden=32)
                optimizer = AlphaAdam(model.parameters(), lr=1e-3, **LITERAL, **settings)
                batches = drawn(x, y, seed, 300) if kind == "batches" else (loss_on(x, y) for _ in range(300))
                worst.append(max(longest(model, optimizer, batch) for batch in batches) / 1e-3)
            print(f"{arm}, {kind}: {max(worst) / alphaadam.step_factor():.3f}")


def convergence(seeds: int) -> None:
    """Theorem 3.8 on 200 digits, all of them at each step, over 1,000 steps with a rate of 0.02/√t."""
    for seed in range(seeds):
        model, x, y = digits(seed, hidden=8, count=200)
        loss = loss_on(x, y)
        optimizer = AlphaAdam(model.parameters(), lr=0.02, **LITERAL, **ARMS["analysed (neither α nor η̂)"])
        norms, losses, sharpest = [], [], 0.0
        for step in range(1, 1001):
            optimizer.param_groups[0]["lr"] = 0.02 / math.sqrt(step)
            optimizer.zero_grad()
            value = loss(model)
            value.backward()
            losses.append(value.item())
            if step > 1:
                norms.append(alphaadam.masked_gradient_norm(model, optimizer))
            if step in (1, 14, 100, 1000):
                sharpest = max(sharpest, analysis.sharpness(model, loss))
            optimizer.step()
        at, curve = np.arange(2, 1001), np.array([each.masked for each in norms])
        size = sum(param.numel() for param in model.parameters())
        descent = alphaadam.Descent(dimension=size, smoothness=sharpest, lr=0.02)
        bound = alphaadam.convergence_bound(descent, losses[descent.start - 1], full_batch=True, eps=1e-8)
        late = slice(descent.start - 2, None)
        fitted = judge(alphaadam.fitted_bound(at, curve, until=20), at, np.minimum.accumulate(curve))
        slope = np.polyfit(np.log(at[98:]), np.log(np.minimum.accumulate(curve)[98:]), 1)[0]
        print(judge(bound, at[late], np.minimum.accumulate(curve[late])).sentence)
        print(f"  {fitted.sentence}; slope from T = 100 on {slope:.2f}; kept {np.mean([n.kept for n in norms]):.2f}")


def momentum(seeds: int) -> None:
    """Corollary 3.4 by simulation."""
    for beta, count in ((0.9, 300), (0.99, 2000)):
        found = alphaadam.simulate_momentum(beta, steps=count, seed=seeds)
        print(
            f"β {beta}: variance {found.variance:.5f} ± {found.variance_error:.5f}"
            f" ({alphaadam.variance_factor(beta):.5f}), off-diagonal {found.off_diagonal:.5f} ±"
            f" {found.off_diagonal_error:.5f} (printed {alphaadam.printed_off_diagonal_factor(beta):.5f}),"
            f" displacement {found.displacement:.3f} ± {found.displacement_error:.3f}"
            f" ({alphaadam.displacement_factor(beta, count, start='rest'):.3f}; in a long run"
            f" {alphaadam.displacement_factor(beta, count):.3f})"
        )


def digits(seed: int, *, hidden: int, count: int | None = None) -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    table = load_digits()
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(64, hidden), nn.Tanh(), nn.Linear(hidden, 10)).double()
    return model, torch.as_tensor(table.data[:count] / 16.0), torch.as_tensor(table.target[:count])


def loss_on(x: torch.Tensor, y: torch.Tensor) -> Callable[[nn.Module], torch.Tensor]:
    return lambda model: nn.functional.cross_entropy(model(x), y)


def drawn(x: torch.Tensor, y: torch.Tensor, seed: int, count: int) -> Iterator[Callable[[nn.Module], torch.Tensor]]:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(count):
        at = torch.randint(len(x), (64,), generator=generator)
        yield loss_on(x[at], y[at])


def train(model: nn.Module, optimizer: torch.optim.Optimizer, loss: Callable[[nn.Module], torch.Tensor]) -> None:
    optimizer.zero_grad()
    loss(model).backward()
    optimizer.step()


def longest(model: nn.Module, optimizer: torch.optim.Optimizer, loss: Callable[[nn.Module], torch.Tensor]) -> float:
    before = analysis.parameter_vector(model)
    train(model, optimizer, loss)
    return float((analysis.parameter_vector(model) - before).abs().max())


PARTS = {part.__name__: part for part in (momentum, blocks, masks, steps, convergence)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    given = parser.parse_args()
    if given.seeds < 1:
        parser.error(f"cannot use --seeds {given.seeds}; accepted: a whole number from 1")
    for name in given.only:
        print(f"\n{PARTS[name].__doc__}")
        PARTS[name](given.seeds)
