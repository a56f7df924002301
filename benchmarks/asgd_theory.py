"""What the calculators of ASGDAdam's theory find on real runs: the figures of docs/analysis.md, "ASGDAdam".

Run by hand: ``python benchmarks/asgd_theory.py [--steps 400] [--runs 2]``; a minute or two on one core. The runs are
those of claims A5 and A6 (``waddington claims run A5 A6 --tier minutes``): Algorithms 1 and 2 to the letter at two
rates, on a noisy bowl, a logistic regression on scikit-learn's digits and a net of 193 parameters, in float64.
"""

from __future__ import annotations

import argparse
import itertools
from collections import defaultdict
from typing import Any

from waddington.claims.experiments.bounds import PROBLEMS, regret, theorems

OPTIMIZERS = ("ASGDAdam", "ASGDAMSGrad")
RATES = (1e-4, 1e-2)


def about(found: dict[str, Any]) -> str:
    """Say which run it is, and what it met."""
    return (
        f"{found['problem']}, {found['optimizer']}, rate {found['rate']:g}: d {found['dimension']}, L"
        f" {found['smoothness']:.3g}, Z {found['gradient_bound']:.3g}, Δg {found['gap']:.3g}; effective rates that rose"
        f" {found['widened']:.0%}"
    )


def judged(one: dict[str, Any]) -> str:
    """Say what was found of a theorem."""
    return (
        f"{one['theorem']}, {one['form']}, ε {one['eps']}: holds {one['holds']}, vacuous {one['vacuous']}, at least"
        f" {one['tightest']:.2g} times the curve, useful from T = {one['useful_from']:.2g}; violated:"
        f" {', '.join(one['violated']) or 'none'}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--runs", type=int, default=2)
    options = parser.parse_args()
    if options.steps < 2 or options.runs < 1:
        parser.error(f"cannot use --steps {options.steps} --runs {options.runs}; accepted: from 2, and from 1")
    least: dict[tuple[str, ...], list[float]] = defaultdict(list)
    widened: dict[str, list[float]] = defaultdict(list)
    for problem, optimizer, rate in itertools.product(PROBLEMS, OPTIMIZERS, RATES):
        found: dict[str, Any] = dict(
            theorems(0, problem=problem, optimizer=optimizer, rate=rate, steps=options.steps, runs=options.runs)
        )
        print(about(found), flush=True)
        widened[optimizer].append(found["widened"])
        for one in found["judged"]:
            print(f"  {judged(one)}")
            least[one["theorem"], one["form"], one["eps"]].append(one["tightest"])
    for problem, optimizer, decay in itertools.product(("quadratic", "logistic"), OPTIMIZERS, (None, 0.9)):
        found = dict(regret(0, problem=problem, optimizer=optimizer, steps=300, momentum_decay=decay))
        print(f"{problem}, {optimizer}, λ {decay}", flush=True)
        for one in found["judged"]:
            print(f"  {judged(one)}")
            least[one["theorem"], one["form"], one["eps"], f"λ {decay}"].append(one["tightest"])
    print("\nleast ratio of bound and curve over all runs")
    for key, ratios in least.items():
        print(f"  {', '.join(key)}: {min(ratios):.2g}")
    for optimizer, shares in widened.items():
        print(
            f"effective rates that rose, {optimizer}: {min(shares):.0%} to {max(shares):.0%} of coordinates and steps"
        )


if __name__ == "__main__":
    main()
