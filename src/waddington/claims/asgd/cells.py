"""What paper 000 says of cells: Tables II and III, their text, and what becomes of it with more perturbations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from waddington.claims.claim import Claim, Need, Part
from waddington.claims.experiments import perturbation
from waddington.claims.finding import Finding, found

__all__ = ["A1", "A2", "A9"]

_ROWS = tuple(name for group in perturbation.GROUPS for name in group)
_NEED = Need(
    kind="data",
    words="the paper's embeddings of blood cells (10x multiome) are not published; the data set is to be had from 10x"
    " Genomics",
    command="python benchmarks/paper_tables.py --out results/tables --name pbmc --file FILTERED_FEATURE_BC_MATRIX.h5",
)
_MET = "every figure is met within a tenth of it or two standard deviations over ten seeds, whichever is more"
_ORDER = (
    "on simulated cells, in both protocols, each row is better than each of the next group in accuracy and MSE, paired"
    " by seed, Holm's p at most 0.05"
)
_TRAPS = (
    "The final state is compared with the original one, as published, so that policies which nobody trained stand in"
    " both tables.",
    "The seed is the unit: 30 episodes of one agent are not 30 samples.",
    "RMSE is a mean of roots, and recall is accuracy.",
)


def _is_least(metric: str, who: str) -> Callable[[Mapping[str, Any]], Finding]:
    """Make a check that a row has the lowest printed value."""

    def check(numbers: Mapping[str, Any]) -> Finding:
        least = min(numbers, key=numbers.__getitem__)
        words = f"the lowest {metric} is {numbers[least]:g}, of {least}; {who} has {numbers[who]:g}"
        return found(least == who, words, **{f"{metric}, {name}": value for name, value in numbers.items()})

    return check


def _is_most(metric: str, who: str) -> Callable[[Mapping[str, Any]], Finding]:
    """Make a check that a row has the highest printed value."""

    def check(numbers: Mapping[str, Any]) -> Finding:
        most = max(numbers, key=numbers.__getitem__)
        words = f"the highest {metric} is {numbers[most]:g}, of {most}; {who} has {numbers[who]:g}"
        return found(most == who, words, **{f"{metric}, {name}": value for name, value in numbers.items()})

    return check


def _figures(regime: int, table: str) -> Part:
    return Part(
        name="figures",
        statement=f"Agents score as Table {table} has it.",
        source=f"Table {table}",
        measurements=perturbation.agents(_ROWS, regimes=(regime,), protocols=("paper",)),
        judge=perturbation.figures_agree,
        picture=perturbation.picture_of_order,
        tier="hours",
        need=_NEED,
        rule=_MET,
    )


def _order(regime: int, table: str) -> Part:
    return Part(
        name="order",
        statement="ASGD is ahead of Padam and SGD, and these of AMSGrad and Adam.",
        source=f"IV.B, Table {table}",
        measurements=perturbation.agents(_ROWS, regimes=(regime,)),
        judge=perturbation.is_in_order,
        picture=perturbation.picture_of_order,
        tier="hours",
        rule=_ORDER,
    )


A1 = Claim(
    id="A1",
    paper="000",
    title="Table II, one perturbation",
    statement="With one perturbation at once, agents that ASGD trains score best, by a wide margin.",
    source="IV.B, Table II",
    parts=(
        _figures(1, "II"),
        _order(1, "II"),
        Part(
            name="smallest MAE",
            statement="ASGD-Adam has the smallest MAE of Table II.",
            source="IV.B, Table II",
            check=_is_least("MAE", "ASGD-Adam"),
            numbers={
                "ASGD-Adam": 0.6844, "ASGD-AMSGrad": 0.6840, "Padam": 1.0988, "SGD": 1.0675, "AMSGrad": 2.1740,
                "Adam": 2.0544,
            },
            opposite={"ASGD-Adam": 0.6836},
            rule="no row of the printed table is lower",
        ),
    ),
    traps=_TRAPS,
)  # fmt: skip

A2 = Claim(
    id="A2",
    paper="000",
    title="Table III, two perturbations",
    statement="With two perturbations at once, agents that ASGD trains score best, by a wide margin.",
    source="IV.B, Table III",
    parts=(
        _figures(2, "III"),
        _order(2, "III"),
        Part(
            name="lowest RMSE",
            statement="SGD has the lowest RMSE of Table III.",
            source="IV.B, Table III",
            check=_is_least("RMSE", "SGD"),
            numbers={
                "ASGD-Adam": 0.903, "ASGD-AMSGrad": 1.102, "Padam": 1.417, "SGD": 1.395, "AMSGrad": 2.886,
                "Adam": 3.039,
            },
            opposite={"SGD": 0.895},
            rule="no row of the printed table is lower",
        ),
        Part(
            name="bold correlation",
            statement="Padam has the highest correlation, which is printed in bold.",
            source="Table III",
            check=_is_most("r", "Padam"),
            numbers={
                "ASGD-Adam": -0.015, "ASGD-AMSGrad": -0.009, "Padam": 0.098, "SGD": 0.203, "AMSGrad": -0.030,
                "Adam": -0.022,
            },
            opposite={"Padam": 0.298},
            rule="no row of the printed table is higher",
        ),
    ),
    traps=_TRAPS,
)  # fmt: skip

A9 = Claim(
    id="A9",
    paper="000",
    title="no benefit beyond two perturbations",
    statement="Beyond two perturbations at once the benefit vanishes, because curvature becomes isotropic.",
    source="IV.A",
    parts=(
        Part(
            name="vanishing",
            statement="The benefit is there at one and two, and gone from three on, where curvature is even.",
            source="IV.A",
            measurements=perturbation.agents(("ASGD-Adam", "Adam"), regimes=(1, 2, 3, 4, 8), protocols=("paper",)),
            judge=perturbation.benefit_vanishes,
            picture=perturbation.picture_of_anisotropy,
            tier="hours",
            rule="ASGD-Adam's accuracy is above Adam's at one and two by the interval, which holds 0 from three on, and"
            " Spearman's ρ of the Hessian's dominance and the number of perturbations is below 0 by its interval",
        ),
    ),
    traps=(
        "No benefit at three is no support where there is none at one.",
        "The second moment of a stochastic gradient measures noise; the Hessian is measured beside it.",
    ),
)
