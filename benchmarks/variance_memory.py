"""Does AMVT need its third buffer? The variance tracked, or taken from the two moments of Adam, on three tasks.

Run by hand: ``python benchmarks/variance_memory.py [--seeds 10] [--threads 1]``; some ten minutes on one core. Tasks:
digits, clean and with 20% of the training labels replaced at random (300 steps, test loss), and a transformer that
learns to continue sums (200 steps, loss on fresh batches). Every optimizer has the same five rates; the best is the
one with the lowest mean loss over seeds 0, 1, 2. It is then trained on further seeds, from 100 on, from the same
weights and on the same batches as the others, and compared seed by seed: mean difference with a 95% interval (Student's
t). The state that each keeps is counted from ``optimizer.state``. Writes benchmarks/out/variance_memory.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is imported; see measuring.py

import torch
from scipy import stats

from measuring import threading
from small_tasks import Digits, Sums
from tuned_rates import state_bytes
from waddington.optim import registry

RATES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
TUNING, FRESH = (0, 1, 2), 100
CONTENDERS: dict[str, tuple[str, dict[str, Any]]] = {
    "AMVT, moments": ("AMVT", {"variance": "moments"}),
    "AMVT, tracked": ("AMVT", {"variance": "tracked"}),
    "Adam": ("Adam", {}),
}


def digits(name: str, kwargs: dict[str, Any], seed: int, *, noise: float) -> float:
    task = Digits(noise, seed)
    _train(task.model, task.loss, name, kwargs, steps=300)
    return task.judge()["loss"]


def sums(name: str, kwargs: dict[str, Any], seed: int) -> float:
    model = Sums(seed)
    _train(model, model.loss, name, kwargs, steps=200)
    with torch.no_grad():
        return statistics.fmean(model.loss().item() for _ in range(10))


def _train(
    model: torch.nn.Module, loss: Callable[[], torch.Tensor], name: str, kwargs: dict[str, Any], *, steps: int
) -> None:
    optimizer = registry.build(name, model.parameters(), **kwargs)
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()


TASKS: dict[str, Callable[[str, dict[str, Any], int], float]] = {
    "digits": lambda name, kwargs, seed: digits(name, kwargs, seed, noise=0.0),
    "digits, 20% random labels": lambda name, kwargs, seed: digits(name, kwargs, seed, noise=0.2),
    "sums": sums,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10, help="fresh seeds for the comparison")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "out" / "variance_memory.json")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(threading())

    state = {label: state_bytes(name, kwargs) for label, (name, kwargs) in CONTENDERS.items()}
    for label, found in state.items():
        print(f"{label:14s} {found:5.2f} bytes of state a parameter, {found / state['Adam'] - 1.0:+.2%} of Adam's")
    record: dict[str, Any] = {"state_bytes": state, "tasks": {}}
    for task, train in TASKS.items():
        losses, rates = {}, {}
        for label, (name, kwargs) in CONTENDERS.items():
            tuned = {
                rate: statistics.fmean(train(name, {**kwargs, "lr": rate}, seed) for seed in TUNING) for rate in RATES
            }
            rates[label] = min(tuned, key=lambda rate: tuned[rate])
            best = {**kwargs, "lr": rates[label]}
            losses[label] = [train(name, best, FRESH + seed) for seed in range(arguments.seeds)]
            print(f"{task}: {label} done", file=sys.stderr)
        print(f"\n{task} ({arguments.seeds} fresh seeds)")
        record["tasks"][task] = {"rates": rates, "losses": losses, "against tracked": {}}
        for label, found in losses.items():
            apart = [mine - other for mine, other in zip(found, losses["AMVT, tracked"], strict=True)]
            middle = statistics.fmean(apart)
            half = float(stats.t.ppf(0.975, len(apart) - 1)) * statistics.stdev(apart) / len(apart) ** 0.5
            record["tasks"][task]["against tracked"][label] = [middle, half]
            scatter = f"{statistics.fmean(found):.4f} ± {statistics.stdev(found):.4f}"
            print(f"  {label:14s} lr {rates[label]:<6g} loss {scatter}   less tracked: {middle:+.4f} ± {half:.4f}")
    arguments.out.parent.mkdir(exist_ok=True)
    arguments.out.write_text(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
