"""Which region should get the large base rate? A small real training, switched either way, beside constant-rate Adam.

Run by hand: ``python benchmarks/switch_direction.py [--seeds 3] [--steps 600 1200]``. About ten minutes on one core.
The task is scikit-learn's digits (1,200 training images, a 64-48-10 net, batches of 64), clean and with 20% of the
training labels replaced at random. Every optimizer starts from the same weights and sees the same batches in one order.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Iterator

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is imported; see measuring.py

import torch
from sklearn.datasets import load_digits

from measuring import threading
from waddington.optim import registry

TRAIN, BATCH, HIDDEN = 1200, 64, 48
RATES = (1e-3, 3e-3, 1e-2, 3e-2)
RATIOS = (10, 100)


def contenders() -> Iterator[tuple[str, str, dict[str, object]]]:
    for lr in RATES:
        yield f"Adam lr={lr:g}", "Adam", {"lr": lr}
    switched = [("relative", lr, ratio) for lr in RATES[2:] for ratio in RATIOS] + [("linear", RATES[2], RATIOS[0])]
    for switch, lr, ratio in switched:
        for direction in ("sharp", "flat"):
            label = f"ASGDAdam {switch:8s} {direction:5s} lr={lr:g} alpha_min=lr/{ratio}"
            yield (
                label,
                "ASGDAdam",
                {"lr": lr, "alpha_min": lr / ratio, "switch": switch, "large_rate_in": direction},
            )


def train(name: str, kwargs: dict[str, object], *, noise: float, steps: int, seed: int) -> dict[str, float]:
    generator = torch.Generator().manual_seed(seed)
    digits = load_digits()
    order = torch.randperm(len(digits.data), generator=generator)
    inputs = torch.tensor(digits.data / 16, dtype=torch.float32)[order]
    labels = torch.tensor(digits.target)[order]
    targets = labels[:TRAIN].clone()
    wrong = torch.rand(TRAIN, generator=generator) < noise
    targets[wrong] = torch.randint(10, (int(wrong.sum()),), generator=generator)
    torch.manual_seed(seed)
    model = torch.nn.Sequential(torch.nn.Linear(64, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, 10))
    optimizer = registry.build(name, model.parameters(), **kwargs)
    accuracies, losses = [], []
    for step in range(1, steps + 1):
        batch = torch.randint(TRAIN, (BATCH,), generator=generator)
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(inputs[batch]), targets[batch]).backward()
        optimizer.step()
        if step % (steps // 20) == 0:
            with torch.no_grad():
                scores = model(inputs[TRAIN:])
            accuracies.append((scores.argmax(1) == labels[TRAIN:]).double().mean().item())
            losses.append(torch.nn.functional.cross_entropy(scores, labels[TRAIN:]).item())
    figures = optimizer.diagnostics() if hasattr(optimizer, "diagnostics") else {"large_rate_fraction": 1.0}
    return {
        "accuracy": accuracies[-1],
        "loss": losses[-1],
        "anytime accuracy": statistics.fmean(accuracies),
        "large": figures.get("large_rate_fraction", 1.0),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, nargs="+", default=[600, 1200])
    parser.add_argument("--json", help="also write the figures here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(threading())
    rows = []
    for noise in (0.0, 0.2):
        for steps in options.steps:
            print(f"\ndigits, {noise:.0%} random labels, {steps} steps, mean ± sd of {options.seeds} seeds, test set")
            print(f"{'':52s}{'accuracy':>16s}{'loss':>16s}{'anytime acc.':>16s}{'large rate':>12s}")
            for label, name, kwargs in contenders():
                runs = [train(name, kwargs, noise=noise, steps=steps, seed=seed) for seed in range(options.seeds)]
                cells = []
                for key in ("accuracy", "loss", "anytime accuracy"):
                    found = [run[key] for run in runs]
                    cells.append(f"{statistics.fmean(found):.3f} ± {statistics.pstdev(found):.3f}")
                large = statistics.fmean(run["large"] for run in runs)
                print(f"{label:52s}" + "".join(f"{cell:>16s}" for cell in cells) + f"{large:>12.0%}", flush=True)
                rows.append({"noise": noise, "steps": steps, "optimizer": label, "runs": runs})
    if options.json:
        with open(options.json, "w", encoding="utf-8") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
