"""What is left of an optimizer's effect once every rate is tuned? Those of this package beside Adam, on digits.

Run by hand: ``python benchmarks/tuned_rates.py [--seeds 3] [--steps 300] [--only Adam ...]``. Four to seven minutes on
one core; ``--only`` without a name prints the table of the state and trains nothing. The task is scikit-learn's digits
(1,200 training images, a 64-48-10 net, batches of 64), clean and with 20% of the training labels replaced at random.
Every optimizer trains at the same five rates, from the same weights and on the same batches. "At 0.001" is the
comparison that does not tune; "best rate" is the rate with the lowest mean test loss at the end, chosen on the seeds
that are reported, so it flatters every optimizer alike. Then comes Adam at rates somewhat below 0.001, to which AMVT's
penalty amounts, and last the state that each keeps, in bytes per parameter.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is imported; see measuring.py

import torch

from measuring import threading
from small_tasks import Digits
from waddington.optim import registry

RATES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
UNTUNED = 1e-3
LOWER = (8e-4, 8.5e-4, 9e-4)
CONTENDERS: dict[str, tuple[str, dict[str, object]]] = {
    "Adam": ("Adam", {}),
    "AMVT (tracked)": ("AMVT", {"variance": "tracked"}),
    "AMVT (moments)": ("AMVT", {"variance": "moments"}),
    "AlphaAdam (full, squared)": ("AlphaAdam", {"compensation": "full", "alpha_form": "squared"}),
    "AlphaAdam (norm, root)": ("AlphaAdam", {"compensation": "norm", "alpha_form": "root"}),
    "CAdamW (no decay)": ("CAdamW", {"weight_decay": 0.0}),
    "AMGT (gamma=1)": ("AMGT", {"gamma": 1.0}),
    "AMGT (gamma=1000)": ("AMGT", {"gamma": 1000.0}),
    "MicroAdam (density 1%)": ("MicroAdam", {"density": 0.01}),
    "MicroAdam (density 10%)": ("MicroAdam", {"density": 0.1}),
    "LDAdam (rank 16)": ("LDAdam", {"rank": 16}),
    "LDAdam (rank 4)": ("LDAdam", {"rank": 4}),
    "LDAdam (rank 4, no debt)": ("LDAdam", {"rank": 4, "error_feedback": False}),
}

FURTHER: dict[str, tuple[str, dict[str, object]]] = {
    "ASGDAdam": ("ASGDAdam", {}),
    "ASGDAMSGrad": ("ASGDAMSGrad", {}),
    "Padam": ("Padam", {}),
    "ASGD2": ("ASGD2", {}),
    "AMGT (per coordinate)": ("AMGT", {"variance": "coordinate"}),
    "LDAdam (rank 16, no debt)": ("LDAdam", {"rank": 16, "error_feedback": False}),
}
"""Their state is measured too, and nothing else."""


def train(name: str, kwargs: dict[str, object], *, noise: float, steps: int, seed: int) -> dict[str, float]:
    task = Digits(noise, seed)
    optimizer = registry.build(name, task.model.parameters(), **kwargs)
    for _ in range(steps):
        optimizer.zero_grad()
        task.loss().backward()
        optimizer.step()
    return task.judge()


def state_bytes(name: str, kwargs: dict[str, object]) -> float:
    """Bytes of state per parameter after one step on a matrix of a million."""
    param = torch.nn.Parameter(torch.zeros(1000, 1000))
    param.grad = torch.ones_like(param)
    optimizer = registry.build(name, [param], **kwargs)
    optimizer.step()
    held = (value for state in optimizer.state.values() for value in state.values() if isinstance(value, torch.Tensor))
    return sum(value.numel() * value.element_size() for value in held) / param.numel()


def spread(runs: list[dict[str, float]], key: str) -> str:
    found = [run[key] for run in runs]
    return f"{statistics.fmean(found):.3f} ± {statistics.pstdev(found):.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--only", nargs="*", choices=CONTENDERS, default=list(CONTENDERS), help="trainings to do")
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    torch.set_num_threads(1)
    print(threading())
    rows = []
    for noise in (0.0, 0.2) if options.only else ():
        print(
            f"\ndigits, {noise:.0%} random labels, {options.steps} steps, test set, mean ± sd of {options.seeds} seeds"
        )
        print(f"{'':28s}{'loss at 0.001':>16s}{'best rate':>12s}{'loss at best':>16s}{'accuracy at best':>18s}")
        for label in options.only:
            name, kwargs = CONTENDERS[label]
            by_rate = {
                rate: [
                    train(name, {**kwargs, "lr": rate}, noise=noise, steps=options.steps, seed=seed)
                    for seed in range(options.seeds)
                ]
                for rate in RATES
            }
            best = min(by_rate, key=lambda rate: statistics.fmean(run["loss"] for run in by_rate[rate]))
            print(
                f"{label:28s}{spread(by_rate[UNTUNED], 'loss'):>16s}{best:>12g}"
                f"{spread(by_rate[best], 'loss'):>16s}{spread(by_rate[best], 'accuracy'):>18s}",
                flush=True,
            )
            rows.append({"noise": noise, "optimizer": label, "best": best, "runs": by_rate})
    lower = LOWER if "Adam" in options.only else ()
    if lower:
        print("\nAdam at lower rates, clean labels, loss")
    for rate in lower:
        runs = [train("Adam", {"lr": rate}, noise=0.0, steps=options.steps, seed=seed) for seed in range(options.seeds)]
        print(f"{rate:<28g}{spread(runs, 'loss'):>16s}", flush=True)
        rows.append({"noise": 0.0, "optimizer": "Adam", "best": rate, "runs": {rate: runs}})
    print("\nbytes of state per parameter (float32)")
    sizes = {label: state_bytes(name, kwargs) for label, (name, kwargs) in (CONTENDERS | FURTHER).items()}
    for label, size in sizes.items():
        print(f"{label:28s}{size:>16.2f}")
    if options.json:
        options.json.write_text(json.dumps({"rows": rows, "state_bytes": sizes}, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
