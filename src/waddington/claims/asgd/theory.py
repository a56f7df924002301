"""What paper 000 says in algebra: the switch, three theorems, and their comparison with Adam."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

from waddington.analysis.bounds import asgd as theory
from waddington.claims.claim import Claim, Part
from waddington.claims.experiments import bounds
from waddington.claims.finding import Finding, found
from waddington.claims.measurement import measurements

__all__ = ["A3", "A5", "A6", "A7", "A8"]

_RATES = {"adam": "1e-4", "small": "1e-7", "large": "1e-4", "share": "0.6"}
"""Eq. 27."""
_SETTING = theory.Setting(dimension=100_000, gradient_bound=1.0, smoothness=1.0, gap=1.0, rate=1e-4)
"""A problem in units of its own: L, Z and Δg are 1, with as many coordinates as a small net."""


def _compared(numbers: Mapping[str, Any]) -> Finding:
    """Compare what the rule compares, on random second moments of a hundred tensors."""
    draw = np.random.default_rng(0)
    tensors = [draw.uniform(numbers["least"], 1.0, size=int(size)) for size in draw.integers(1, 1000, size=100)]
    apart = sum(float(np.abs(one).mean()) != float(one.mean()) for one in tensors)
    if numbers["least"] < 0.0:
        return found(apart > 0, f"of 100 arrays with entries below zero {apart} have two different means", apart=apart)
    history = [tensors[at : at + 10] for at in range(0, 100, 10)]
    changes, large = theory.literal_changes(history), sum(map(theory.literal_takes_large, history))
    words = (
        f"of 100 random second moments {apart} have a mean of |H| that is not the mean of H, to the last bit; a run"
        f" over them takes the large rate at {large} of {len(history)} steps, and changes it {changes} times"
    )
    return found(changes > 0, words, apart=apart, changes=changes)


def _assigned(numbers: Mapping[str, Any]) -> Finding:
    words = f"Eq. 5 takes α_max in {numbers['eq. 5']} regions, Eq. 25 in {numbers['eq. 25']} ones"
    return found(numbers["eq. 5"] == numbers["eq. 25"], words)


def _factor(numbers: Mapping[str, Any]) -> Finding:
    mean = theory.mean_rate(*(Fraction(numbers[name]) for name in ("small", "large", "share")))
    factor = theory.improvement_factor(Fraction(numbers["adam"]), mean)
    change = float(factor - 1)
    words = f"the leading term of Eq. 22 is {float(factor):.5f} times that of Eq. 23, {abs(change):.1%}"
    words += " less" if change < 0 else f" more; {float(1 - 1 / factor):.1%} less is the ratio turned over"
    return found(factor < 1, words, factor=float(factor), change=change)


def _net(numbers: Mapping[str, Any]) -> Finding:
    mean = float(theory.mean_rate(*(Fraction(numbers[name]) for name in ("small", "large", "share"))))
    condition = theory.net_condition(_SETTING, mean=mean)
    scale = condition.threshold * _SETTING.dimension**2
    grid = np.geomspace(1.0, 1e12, 200)
    agree = bool(((theory.net_difference(grid, _SETTING, mean=mean) < 0.0) == condition.holds(grid)).all())
    has_grown = {True: "grown", False: "shrunk"}
    leads = mean < _SETTING.rate  # the leading term is R8/(T ᾱ), the other one grows with ᾱ
    words = (
        f"with these rates the bound is the smaller one {condition.tighter} T* = {np.sqrt(scale):.3g}² (Δg/(L Z d))²"
        f" ({'as' if agree else 'NOT as'} the signs of Δ(T) on 200 values of T); the leading term has"
        f" {has_grown[leads]}, the variance term {has_grown[not leads]}"
    )
    return found(condition.tighter == "before", words, **{"root of T* in Δg/(L Z d)": float(np.sqrt(scale))})


def _limit(numbers: Mapping[str, Any]) -> Finding:
    form = numbers["form"]
    limits = {decay: theory.nonergodic_limit(_SETTING, decay=decay, form=form) for decay in numbers["decays"]}
    words = "; ".join(
        f"at rates {'that stay' if decay == 0 else f'like t^-{decay:g}'} the right side of Eq. 17 tends to {limit:.3g}"
        for decay, limit in limits.items()
    )
    return found(max(limits.values()) == 0.0, f"{words}, with L, Z and Δg of 1")


def _order(numbers: Mapping[str, Any]) -> Finding:
    grid = [(t, d) for t in (1e2, 1e4, 1e6) for d in (1e2, 1e4, 1e6)]
    ratios = [
        theory.compare_orders("ASGDAdam", numbers["other"], steps=t, dimension=d, psi=numbers["psi"]) for t, d in grid
    ]
    words = (
        f"with Ψ = {numbers['psi']:g} the order of ASGDAdam is {min(ratios):.3g} to {max(ratios):.3g} times that of"
        f" {numbers['other']}, for T and d from a hundred to a million"
    )
    return found(max(ratios) < 1.0, words, least=min(ratios), most=max(ratios))


def _printed_twice(numbers: Mapping[str, Any]) -> Finding:
    values = [theory.r10(_SETTING, reading=reading) for reading in numbers["readings"]]
    words = " and ".join(
        f"{value:.4g} L Z² with γ as {reading} has it"
        for value, reading in zip(values, numbers["readings"], strict=True)
    )
    return found(len(set(values)) == 1, f"R10 is {words}", **dict(zip(numbers["readings"], values, strict=True)))


_RUNS = tuple(
    one
    for problem in bounds.PROBLEMS
    for optimizer in ("ASGDAdam", "ASGDAMSGrad")
    for rate in (1e-4, 1e-2)
    for one in measurements(bounds.theorems, problem=problem, optimizer=optimizer, rate=rate, steps=400)
)
_REGRETS = tuple(
    one
    for problem in ("quadratic", "logistic")
    for optimizer in ("ASGDAdam", "ASGDAMSGrad")
    for one in measurements(bounds.regret, problem=problem, optimizer=optimizer, steps=300, momentum_decay=0.9)
)
_CONFIRMED = (
    "on every run the bound holds at all T, is below what bounded gradients give alone, and its assumptions hold"
)


A3 = Claim(
    id="A3",
    paper="000",
    title="the base rate switches",
    statement="The base rate switches between α_min and α_max by what the second moment says of curvature.",
    source="Eq. 2, Algorithms 1 and 2",
    parts=(
        Part(
            name="switches",
            statement="The rule of Algorithms 1 and 2 switches the base rate during a run.",
            source="Algorithms 1 and 2, lines 8-21",
            check=_compared,
            numbers={"least": 0.0},
            opposite={"least": -1.0},
            rule="the rate changes at least once over random second moments",
        ),
        Part(
            name="assignment",
            statement="The large rate has one place: regions of one kind of curvature.",
            source="Eqs. 5 and 25, III.H.3",
            check=_assigned,
            numbers={"eq. 5": "sharp", "eq. 25": "flat"},
            opposite={"eq. 5": "flat"},
            rule="the equations name the same kind",
        ),
    ),
    traps=("Both means must be summed in one order: an ulp between them would count as a switch.",),
)

A5 = Claim(
    id="A5",
    paper="000",
    title="the ergodic bound",
    statement="The mean square gradient is at most R8/(Tα) + R9 d/T + R10 α d/√T, which improves on Adam.",
    source="Theorem 2, Eqs. 12-16; Table I",
    parts=(
        Part(
            name="order",
            statement="The order of the bound improves on Adam's by a term Ψ.",
            source="III.F, Table I",
            check=_order,
            numbers={"other": "Adam", "psi": 1.0},
            opposite={"other": "ASGD2", "psi": 0.0},
            rule="the order is smaller than Adam's wherever it is looked at",
        ),
        Part(
            name="constant",
            statement="R10 is one constant.",
            source="Eqs. 15 and 56",
            check=_printed_twice,
            numbers={"readings": ("theorem-2", "appendix")},
            opposite={"readings": ("theorem-2", "theorem-2")},
            rule="its two printed forms are equal at the paper's betas",
        ),
        Part(
            name="real runs",
            statement="Theorem 2 bounds the mean square gradient of real runs.",
            source="Theorem 2, Eqs. 12-16",
            measurements=_RUNS,
            judge=bounds.ergodic,
            picture=bounds.picture_of("ergodic"),
            tier="minutes",
            rule=_CONFIRMED,
        ),
    ),
    traps=("ε stands inside the root in the theorem, and outside of it in torch.",),
)

A6 = Claim(
    id="A6",
    paper="000",
    title="the non-ergodic bound",
    statement="The smallest gradient is bounded by Eq. 17, and so goes to zero; the regret by Eq. 9.",
    source="Theorems 1 and 3",
    parts=(
        Part(
            name="limit",
            statement="Theorem 3 implies that the gradient goes to zero.",
            source="Eqs. 17 and 20",
            check=_limit,
            numbers={"form": "printed", "decays": (0.0, 0.5)},
            opposite={"form": "mended", "decays": (0.5,)},
            rule="the right side of Eq. 17 goes to zero as T grows",
        ),
        Part(
            name="real runs",
            statement="Theorem 3 bounds the smallest gradient of real runs.",
            source="Theorem 3, Eqs. 17-19",
            measurements=_RUNS,
            judge=bounds.nonergodic,
            picture=bounds.picture_of("nonergodic"),
            tier="minutes",
            rule=_CONFIRMED,
        ),
        Part(
            name="regret",
            statement="Theorem 1 bounds the regret on convex losses in a box.",
            source="Theorem 1, Eq. 9",
            measurements=_REGRETS,
            judge=bounds.convex,
            picture=bounds.picture_of("regret"),
            tier="minutes",
            rule=_CONFIRMED,
        ),
    ),
    traps=(
        "Theorem 1 needs a projection onto a box and a momentum that decays; both are there, though no algorithm has"
        " them.",
    ),
)


A7 = Claim(
    id="A7",
    paper="000",
    title="a 40 % smaller leading term",
    statement="With the rates of Eq. 27 the improvement factor is 1.67, a reduction of the leading term by about 40 %.",
    source="III.H.5, Eqs. 24-28",
    parts=(
        Part(
            name="reduction",
            statement="Switching reduces the leading term of the bound by about 40 %.",
            source="Eqs. 22, 23, 27, 28",
            check=_factor,
            numbers=_RATES,
            opposite={"adam": "1e-5"},
            rule="the leading term of Eq. 22 over that of Eq. 23 is below 1",
        ),
    ),
    traps=("α_T of Eq. 27 is a share of steps, 0.6, and no rate.",),
)

A8 = Claim(
    id="A8",
    paper="000",
    title="when the bound is tighter",
    statement="The bound is tighter than Adam's whenever the leading term loses more than the variance term gains.",
    source="III.H.4, Eq. 26",
    parts=(
        Part(
            name="leading term",
            statement="Where the bound is the tighter one, the leading term has been reduced.",
            source="Eqs. 26 and 27",
            check=_net,
            numbers=_RATES,
            opposite={"small": "2e-4", "large": "3e-4"},
            rule="with Eq. 27's rates Δ(T) is below zero at early T, where the leading term decides",
        ),
    ),
)
