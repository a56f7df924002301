"""G1 to G4: the two worked examples of the paper, decided in exact arithmetic."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from waddington.analysis.bounds import amgt as theory
from waddington.claims.checks import agrees, is_as_printed
from waddington.claims.claim import Claim, Part
from waddington.claims.finding import Finding, found

__all__ = ["G1", "G2", "G3", "G4"]

_FIRST, _SECOND = theory.APPLICATION_1, theory.APPLICATION_2


def _kind(application: theory.Application, numbers: Mapping[str, Any]) -> str:
    """Say what gradient descent does at the rate, from the start if one is given."""
    return application.function.behaviour(numbers["rate"], numbers.get("start")).kind


def _eigenvalue(application: theory.Application, at: int) -> Any:
    return lambda numbers: application.function.eigenvalues[at]


def _fastest() -> tuple[str, ...]:
    return tuple(str(float(rate)) for rate in _FIRST.fastest)


def _edge(numbers: Mapping[str, Any]) -> Finding:
    limit, apart = Fraction(numbers["limit"]), Fraction(1, 1000)
    kinds = [_FIRST.function.behaviour(limit + side).kind for side in (-apart, apart)]
    holds = kinds[0] in ("converges", "overshoots") and kinds[1] == "diverges"
    return found(holds, f"0.001 below {limit} gradient descent {kinds[0]}, 0.001 above it {kinds[1]}")


def _nearer(numbers: Mapping[str, Any]) -> Finding:
    far, near = (_FIRST.function.contraction(numbers[name]) for name in ("far", "near"))
    words = (
        f"the error shrinks by {far:.3f} a step at η = {numbers['far']}, by {near:.3f} at {numbers['near']}; every rate"
        f" above {_FIRST.function.equally_fast(numbers['far']):.3f} is slower than {numbers['far']}"
    )
    return found(near < far, words, far=far, near=near)


def _rapid(numbers: Mapping[str, Any]) -> Finding:
    kinds = {rate: _SECOND.function.behaviour(rate).kind for rate in numbers["rates"]}
    words = ", ".join(f"{rate} {kind}" for rate, kind in kinds.items())
    limit = _SECOND.function.stability_limit
    return found("diverges" not in kinds.values(), f"{words}; the limit is {limit:.3f}", limit=limit)


def _diverge(application: theory.Application) -> Any:
    def compute(numbers: Mapping[str, Any]) -> Finding:
        kinds = {rate: application.function.behaviour(rate).kind for rate in numbers["rates"]}
        words = ", ".join(f"{rate} {kind}" for rate, kind in kinds.items())
        return found(all(kind in numbers["kinds"] for kind in kinds.values()), words)

    return compute


def _thousands(numbers: Mapping[str, Any]) -> Finding:
    behaviour = _SECOND.function.behaviour(numbers["rate"])
    steps = [behaviour.steps_to(tolerance) for tolerance in (1e-2, 1e-6)]
    words = (
        f"at α = {numbers['rate']} the error is a hundredth after {steps[0]:,.0f} steps, a millionth after"
        f" {steps[1]:,.0f}"
    )
    return found(min(steps) >= 1000, words, **{"to 1e-2": steps[0], "to 1e-6": steps[1]})


G1 = Claim(
    id="G1",
    paper="002",
    title="eigenvalues and limit of application 1",
    statement="The Hessian of 2x² + 2y² - 2xy + 2 has eigenvalues 2 and 6, so κ = 3, and gradient descent converges"
    " exactly for η < 1/3.",
    source="Application 1",
    parts=(
        Part(
            name="smallest eigenvalue",
            statement="The smallest eigenvalue of application 1 is 2.",
            source="Application 1",
            check=agrees("the smallest eigenvalue", _eigenvalue(_FIRST, 0), within=1e-9),
            numbers={"printed": 2},
            opposite={"printed": 3},
        ),
        Part(
            name="largest eigenvalue",
            statement="The largest eigenvalue of application 1 is 6.",
            source="Application 1",
            check=agrees("the largest eigenvalue", _eigenvalue(_FIRST, -1), within=1e-9),
            numbers={"printed": 6},
            opposite={"printed": 4},
        ),
        Part(
            name="condition",
            statement="The condition number of application 1 is 3.",
            source="Application 1",
            check=agrees("κ", lambda numbers: _FIRST.function.condition_number, within=1e-9),
            numbers={"printed": 3},
            opposite={"printed": 2},
        ),
        Part(
            name="limit",
            statement="On application 1 gradient descent converges below 1/3 and not above.",
            source="Application 1",
            check=_edge,
            numbers={"limit": "1/3"},
            opposite={"limit": "1/2"},
            rule="it converges 0.001 below the limit, and diverges 0.001 above, in exact arithmetic",
        ),
    ),
    traps=("The paper prints the Hessian with +2 and -2 off the diagonal; the right one is symmetric.",),
)

G2 = Claim(
    id="G2",
    paper="002",
    title="the fastest rate of application 1",
    statement="Of the rates 0.01, 0.1, 0.3, 0.4 and 1 the rate 0.3 is the fastest; 0.4 oscillates or diverges, 1"
    " diverges; from 1/6 to 1/3 it is faster, and faster nearer the bound.",
    source="Application 1, Table 1",
    parts=(
        Part(
            name="fastest",
            statement="0.3 is the fastest of the listed rates of application 1.",
            source="Table 1",
            check=is_as_printed("the fastest from almost any start", lambda numbers: _fastest()),
            numbers={"printed": ("0.3",)},
            opposite={"printed": ("0.1", "0.3")},
            rule="it alone has the smallest contraction",
        ),
        Part(
            name="too large",
            statement="On application 1 the rate 0.4 oscillates or diverges, and 1 diverges.",
            source="Table 1",
            check=_diverge(_FIRST),
            numbers={"rates": ("0.4", "1"), "kinds": ("oscillates", "diverges")},
            opposite={"rates": ("0.3", "1")},
        ),
        Part(
            name="near the bound",
            statement="On application 1, between 1/6 and 1/3, rates nearer to the bound are faster.",
            source="Application 1",
            check=_nearer,
            numbers={"far": "1/6", "near": "0.32"},
            opposite={"near": "0.24"},
        ),
    ),
    traps=("From (1, 1) alone, an eigenvector, 0.3 does beat 0.1: by 0.4 a step against 0.8.",),
)

G3 = Claim(
    id="G3",
    paper="002",
    title="what rates do from (1, 1)",
    statement="From (1, 1) gradient descent is smooth at η = 0.1, faster at 0.3, overshoots at 0.5 and diverges at 1.",
    source="Application 1",
    parts=tuple(
        Part(
            name=f"η = {rate}",
            statement=f"On application 1, from (1, 1), gradient descent {said}.",
            source="Application 1",
            check=is_as_printed(f"at {rate} from (1, 1) it", lambda numbers: _kind(_FIRST, numbers)),
            numbers={"rate": rate, "start": (1, 1), "printed": kind},
            opposite=opposite,
            rule="what exact arithmetic says of it, in a word",
        )
        for rate, said, kind, opposite in (
            ("0.1", "converges smoothly at 0.1", "converges", {"rate": "1"}),
            ("0.3", "converges at 0.3", "converges", {"rate": "1"}),
            ("0.5", "overshoots at 0.5", "overshoots", {"printed": "lands"}),
            ("1", "diverges at 1", "diverges", {"start": (1, 0)}),
        )
    ),
    traps=(
        "(1, 1) is the eigenvector of eigenvalue 2: at 0.5 the first step lands on the minimum, at 1 it goes to and fro"
        " without growing. In floating point the other eigenvector wins after some fifty steps; this is exact.",
    ),
)

G4 = Claim(
    id="G4",
    paper="002",
    title="eigenvalues and rates of application 2",
    statement="The Hessian of x² + 2y² - 2xy + 2 has eigenvalues 1.17 and 4.83, the best rate is about 0.33, rates from"
    " 0.3 to 0.4 are rapid, above 1 all diverges, and 0.001 takes thousands of steps.",
    source="Application 2",
    parts=(
        Part(
            name="smallest eigenvalue",
            statement="The smallest eigenvalue of application 2 is 1.17.",
            source="Application 2",
            check=agrees("the smallest eigenvalue", _eigenvalue(_SECOND, 0), within=0.005),
            numbers={"printed": 1.17},
            opposite={"printed": 0.764},
        ),
        Part(
            name="largest eigenvalue",
            statement="The largest eigenvalue of application 2 is 4.83.",
            source="Application 2",
            check=agrees("the largest eigenvalue", _eigenvalue(_SECOND, -1), within=0.005),
            numbers={"printed": 4.83},
            opposite={"printed": 5.236},
        ),
        Part(
            name="best rate",
            statement="The best rate of application 2 is about 0.33.",
            source="Application 2",
            check=agrees("the best rate", lambda numbers: _SECOND.function.best_rate, within=0.005),
            numbers={"printed": 0.33},
            opposite={"printed": 0.4},
        ),
        Part(
            name="rapid",
            statement="On application 2 rates from 0.3 to 0.4 converge rapidly.",
            source="Application 2",
            check=_rapid,
            numbers={"rates": ("0.3", "0.33", "0.4")},
            opposite={"rates": ("0.3", "0.33", "0.38")},
        ),
        Part(
            name="above 1",
            statement="On application 2 rates above 1 diverge.",
            source="Application 2",
            check=_diverge(_SECOND),
            numbers={"rates": ("1.001", "2"), "kinds": ("diverges",)},
            opposite={"rates": ("0.3", "2")},
        ),
        Part(
            name="thousands of steps",
            statement="On application 2 a rate of 0.001 takes thousands of steps.",
            source="Application 2",
            check=_thousands,
            numbers={"rate": "0.001"},
            opposite={"rate": "0.1"},
        ),
    ),
    traps=("The best rate is right because the trace, 6, is: 1.17 × 4.83 is 5.65, and the determinant is 4.",),
)
