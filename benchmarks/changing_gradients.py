"""What does it cost that not the same tensors have gradients at every step?

Run by hand: ``python benchmarks/changing_gradients.py [--optimizers ASGDAdam ...] [--side 64]``. A minute on two cores.
Each pair trains as many tensors per step, once the same ones at every step and once others; what is printed is the
median ratio of the two, with quartiles, for this project's optimizers and torch's own: what is not in cache any more is
slower for everybody.

*halves*: a hundred tensors, of which one half and then the other has gradients (two tasks, a GAN). *experts*: a trunk
of 16 tensors and two of so many experts of 4 tensors, drawn at random (sets that hardly ever come again), against the
trunk and two experts that are always the same; step counts are unlike in both.
"""

from __future__ import annotations

import argparse
import os
import random
from collections.abc import Callable, Iterator

os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # before torch is imported; see measuring.py

import torch

from measuring import interleaved, options_of, paired, quartiles, write
from waddington import optim

Make = Callable[[list[torch.nn.Parameter]], torch.optim.Optimizer]

EXPERTS = (4, 12, 64)
ACTIVE, PER_EXPERT, TRUNK = 2, 4, 16


class Training:
    """Steps of tensors, of which each step names those that have gradients."""

    def __init__(self, make: Make, tensors: int, side: int, sets: Iterator[list[int]]) -> None:
        generator = torch.Generator().manual_seed(0)
        self._params = [torch.nn.Parameter(torch.randn(side, side, generator=generator)) for _ in range(tensors)]
        self._grads = [torch.randn(side, side, generator=generator) for _ in range(tensors)]
        self._optimizer, self._sets = make(self._params), sets

    def prepare(self) -> None:
        """Give some of them gradients."""
        which = set(next(self._sets))
        for at, (param, grad) in enumerate(zip(self._params, self._grads, strict=True)):
            param.grad = grad if at in which else None

    def step(self) -> None:
        """Step."""
        self._optimizer.step()


def halves(tensors: int) -> Iterator[list[int]]:
    """Give every other tensor, and then the others."""
    while True:
        yield list(range(0, tensors, 2))
        yield list(range(1, tensors, 2))


def experts(count: int, *, fixed: bool) -> Iterator[list[int]]:
    """Give the trunk alone once, and then with two experts each time."""
    trunk, drawn = list(range(TRUNK)), random.Random(0)
    yield trunk
    while True:
        chosen = range(ACTIVE) if fixed else drawn.sample(range(count), ACTIVE)
        yield trunk + [TRUNK + PER_EXPERT * expert + at for expert in chosen for at in range(PER_EXPERT)]


def same(tensors: int) -> Iterator[list[int]]:
    """Give all tensors."""
    while True:
        yield list(range(tensors))


def pair(case: str, make: Make, side: int) -> dict[str, Training]:
    """Give the two trainings of a case."""
    if case == "halves":
        return {"same": Training(make, 50, side, same(50)), "others": Training(make, 100, side, halves(100))}
    count = int(case.split()[0])
    return {
        "same": Training(make, TRUNK + ACTIVE * PER_EXPERT, side, experts(ACTIVE, fixed=True)),
        "others": Training(make, TRUNK + count * PER_EXPERT, side, experts(count, fixed=False)),
    }


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--optimizers", nargs="+", default=["ASGDAdam", "AMVT"], help="names in waddington.optim")
    parser.add_argument("--side", type=int, default=64, help="tensors have side × side coordinates (%(default)s)")
    parser.add_argument("--rounds", type=int, default=40, help="rounds of 5 steps (default: %(default)s)")
    options = options_of(parser, "changing_gradients")
    contenders: dict[str, Make] = {name: getattr(optim, name) for name in options.optimizers}
    contenders |= {"torch AdamW, fused": lambda p: torch.optim.AdamW(p, fused=True), "torch AdamW": torch.optim.AdamW}
    rounds, warm = (3, 5) if options.quick else (options.rounds, 100)
    found: dict[str, dict[str, tuple[float, float, float]]] = {}
    cases = ["halves", *(f"{count} experts" for count in EXPERTS)]
    for case in cases:
        for label, make in contenders.items():
            trainings = pair(case, make, options.side)
            for training in trainings.values():
                for _ in range(warm):
                    training.prepare()
                    training.step()
            times = interleaved(trainings, rounds=rounds, inner=5)
            found.setdefault(label, {})[case] = quartiles(paired(times["others"], times["same"]))
    print(f"| changing / same gradients, {options.side} × {options.side} | {' | '.join(cases)} |")
    print(f"| --- |{' --- |' * len(cases)}")
    for label, ratios in found.items():
        entries = (f"{middle:.2f} ({low:.2f} to {high:.2f})" for low, middle, high in ratios.values())
        print(f"| {label} | {' | '.join(entries)} |")
    write(options.out, {"side": options.side, "ratios": found})


if __name__ == "__main__":
    main()
