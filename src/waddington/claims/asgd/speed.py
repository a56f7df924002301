"""What paper 000 says of training: faster, of use to other methods, stable where gradients are rare."""

from __future__ import annotations

from typing import Any

from waddington.claims.claim import Claim, Part
from waddington.claims.experiments import speed, studies
from waddington.claims.measurement import measurements

__all__ = ["A4", "A10", "A11"]

_RULES = ("ASGDAdam, flat", "ASGDAdam, sharp", "ASGDAdam, linear")
_OPEN = studies.of_studies(
    {"AdamW": "switching", **dict.fromkeys(_RULES, "switching")}, [(rule, "AdamW") for rule in _RULES], horizon="open"
)
_BLIND = studies.of_studies(
    {**dict.fromkeys(_RULES[:2], "switching"), "random": "controls"},
    [(rule, "random") for rule in _RULES[:2]],
    horizon="open",
)
_OTHERS = {"AMSGrad": "rivals", "Padam": "moments", "SGD": "rivals"}
_AGAINST = {
    rule: studies.of_studies({rule: "switching", **_OTHERS}, [(rule, other) for other in _OTHERS], horizon="open")
    for rule in _RULES[:2]
}
_TASKS = {"digits": {"steps": 500}, "quadratic": {"steps": 1000}, "autoencoder": {"steps": 300}}
_NOISY = {
    "a9a": {"steps": 600, "batch_size": 2},
    "heavy-tailed-logistic": {"steps": 600, "batch_size": 2},
    "digits": {"steps": 500, "batch_size": 2},
}
_LITERAL = {"optimizer": "ASGDAdam", "switch": "mean", "bias_correction": False, "alpha_min": 1e-7}
_RIVALS: dict[str, dict[str, Any]] = {
    "AdamW": {"optimizer": "AdamW"},
    "AMSGrad": {"optimizer": "AMSGrad"},
    "Padam": {"optimizer": "Padam"},
    "SGD": {"optimizer": "SGD"},
}
_SWITCHED = "waddington.claims.experiments.speed:switched_"
_SEARCHED = ["lr", "alpha_min"]
_METHODS: dict[str, dict[str, Any]] = {
    "SGD": {"optimizer": "SGD", "momentum": 0.9, "rates": [1e-3, 1.0]},
    "Switched(SGD)": {"optimizer": f"{_SWITCHED}sgd", "search": _SEARCHED, "rates": [1e-3, 1.0]},
    "Lion": {"optimizer": "Lion"},
    "Switched(Lion)": {"optimizer": f"{_SWITCHED}lion", "search": _SEARCHED},
    "AMSGrad": {"optimizer": "AMSGrad"},
    "Switched(AMSGrad)": {"optimizer": f"{_SWITCHED}amsgrad", "search": _SEARCHED},
}
_BETTER = (
    "the interval of the pooled ratio is below 1, Holm's p at most 0.05, and no task is worse by more than detectable"
)

A4 = Claim(
    id="A4",
    paper="000",
    title="faster convergence",
    statement="Enhanced ASGD converges faster than Adam, AMSGrad, Padam and SGD.",
    source="abstract, IV.B",
    parts=(
        Part(
            name="loss all along",
            statement="With a rate that switches, the loss is lower all along than Adam's at its own best rate.",
            source="abstract",
            measurements=_OPEN,
            judge=studies.is_better_by_any,
            picture=studies.picture,
            rule=f"for one rule of the switch at least, at tuned rates on eight tasks, {_BETTER}",
        ),
        Part(
            name="steps",
            statement="With a rate that switches, fewer steps are needed to the loss at which Adam ends.",
            source="abstract",
            measurements=_OPEN,
            judge=studies.is_faster_by_any,
            picture=studies.picture_of_steps,
            rule="for one rule at least, over eight tasks, fewer steps by interval and Holm's p, and on no task more",
        ),
        *(
            Part(
                name=f"other rivals, large rate in {where} regions",
                statement=f"With the large rate in {where} regions the loss is lower all along than that of AMSGrad,"
                " Padam and SGD, each at its own best rate.",
                source="abstract",
                measurements=_AGAINST[f"ASGDAdam, {where}"],
                judge=studies.is_better,
                picture=studies.picture,
                rule=f"against each of the three, at tuned rates on eight tasks, {_BETTER}",
            )
            for where in ("sharp", "flat")
        ),
        Part(
            name="curvature",
            statement="It is curvature that says when to switch: a switch that knows nothing is not as good.",
            source="III, Eqs. 2-5",
            measurements=_BLIND,
            judge=studies.is_better_by_any,
            picture=studies.picture,
            rule=f"against a rate that is switched at random, for large rates in sharp or in flat regions, {_BETTER}",
        ),
        Part(
            name="to the letter",
            statement="Algorithm 1 to the letter is faster than Adam, AMSGrad, Padam and SGD.",
            source="Algorithm 1, abstract",
            measurements=measurements(
                speed.tuned,
                tasks=_TASKS,
                arms={**_RIVALS, "Algorithm 1": _LITERAL},
                contrasts=[["Algorithm 1", rival] for rival in _RIVALS],
            ),
            judge=studies.is_better,
            picture=studies.picture,
            tier="minutes",
            rule=f"against each of the four, at tuned rates on three tasks, {_BETTER}",
        ),
    ),
    traps=(
        "Algorithm 1 never switches, so it is Adam without bias correction, whose first steps are up to 3.2 times as"
        " long: a warm-up turned over.",
        "A second rate is a second thing to search: every arm has as many trials, and the small rate may be the large"
        " one.",
    ),
)

A10 = Claim(
    id="A10",
    paper="000",
    title="the switch improves other methods",
    statement="A base rate that switches improves the method that it is put around.",
    source="III.C, abstract",
    parts=(
        Part(
            name="three methods",
            statement="SGD with momentum, Lion and AMSGrad are each faster with a switch around them.",
            source="III.C, abstract",
            measurements=measurements(
                speed.tuned,
                tasks=_TASKS,
                arms=_METHODS,
                contrasts=[[f"Switched({name})", name] for name in ("SGD", "Lion", "AMSGrad")],
            ),
            judge=studies.is_better,
            picture=studies.picture,
            tier="minutes",
            rule=f"for each of the three, at tuned rates on three tasks, {_BETTER}",
        ),
    ),
    traps=("The small rate is searched up to the large one, at which there is no switch.",),
)

A11 = Claim(
    id="A11",
    paper="000",
    title="rare, noisy gradients",
    statement="Two rates exploit rare but informative gradients, where a fixed rate becomes unstable.",
    source="abstract, III.C",
    parts=(
        Part(
            name="batches of two",
            statement="On sparse features, heavy tails and batches of two a switched rate learns better.",
            source="abstract",
            measurements=measurements(
                speed.tuned,
                tasks=_NOISY,
                arms={
                    "AdamW": {"optimizer": "AdamW"},
                    "flat": {"optimizer": "ASGDAdam", "large_rate_in": "flat", "search": _SEARCHED},
                    "sharp": {"optimizer": "ASGDAdam", "large_rate_in": "sharp", "search": _SEARCHED},
                },
                contrasts=[["flat", "AdamW"], ["sharp", "AdamW"]],
            ),
            judge=studies.is_better_by_any,
            picture=studies.picture,
            tier="minutes",
            rule=f"for large rates in flat or in sharp regions, at tuned rates on three tasks, {_BETTER}",
        ),
    ),
)
