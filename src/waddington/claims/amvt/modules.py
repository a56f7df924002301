"""Paper 004 on its modules (V7) and on other recent methods (V9)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from waddington.claims.amvt.figures import CIFAR, DIGITS, MNIST, cifar, searched
from waddington.claims.amvt.robustness import SENSITIVE
from waddington.claims.claim import Claim, Need, Part
from waddington.claims.contests import Contest, by_arm, chained
from waddington.claims.experiments.grids import is_wider, rates_picture
from waddington.claims.experiments.tuned import steps_to

__all__ = ["V7", "V9"]

_LADDER = ("Adam", "AMVT, variance unused", "AMVT", "AMVT, all modules")
_PRINTED = (93.4, 94.2, 95.1, 95.8)


def _steps(where: str) -> tuple[Contest, ...]:
    """Compare every rung of the ablation with the one before."""
    return tuple(
        Contest(
            first=second,
            others=(first,),
            read=by_arm("test_accuracy"),
            measure="test accuracy",
            scale=100.0,
            claimed={first: after - before},
            where=where,
        )
        for (first, before), (second, after) in zip(
            list(zip(_LADDER, _PRINTED, strict=True))[:-1], list(zip(_LADDER, _PRINTED, strict=True))[1:], strict=True
        )
    )


def _ablation(name: str, said: str, where: Mapping[str, Any], words: str, **settings: Any) -> Part:
    judge, picture = chained(_steps(words))
    return Part(
        name=name,
        statement=said,
        source="5.7",
        measurements=searched(where, _LADDER),
        judge=judge,
        rule="each arm, at a tuned rate of its own, is better than the one before: Adam; AMVT that tracks the variance"
        " and does not use it; AMVT; AMVT with all four modules",
        picture=picture,
        **settings,
    )


_RISES = "Variance tracking, its use and all modules each raise the accuracy"

V7 = Claim(
    id="V7",
    paper="004",
    title="every module helps",
    statement="On CIFAR-10 accuracy rises from Adam's 93.4 % by variance tracking (94.2), the adaptive rate (95.1) and"
    " all components (95.8).",
    source="5.7",
    parts=(
        _ablation(
            "CIFAR-10", f"{_RISES} on CIFAR-10: 93.4, 94.2, 95.1, 95.8 %.", CIFAR, "ResNet-8 at half resolution",
            tier="hours", need=cifar("hours", arms=("AdamW", "AMVT")),
        ),
        _ablation("digits", f"{_RISES} (here digits).", DIGITS, "digits", tier="minutes"),
        _ablation("MNIST", f"{_RISES} (here MNIST).", MNIST, "a small network on a part of MNIST", tier="minutes"),
    ),
    traps=(
        "A variance that is tracked and not used changes no step: that arm is Adam with ε inside the root,"
        " where 1e-8 does what 1e-4 does outside.",
        "The paper names no values of its modules; clipping at 1, outliers at 6 deviations and momentum by curvature"
        " are ours.",
        "An order of ablation is not the only one.",
    ),
)  # fmt: skip


def _lookahead(where: str) -> Contest:
    return Contest(
        first="Lookahead(AMVT)",
        others=("Lookahead(Adam)", "AMVT"),
        read=by_arm("test_accuracy"),
        measure="test accuracy",
        scale=100.0,
        claimed={"AMVT": 0.3},
        where=where,
    )


_AHEAD = ("Lookahead(AMVT)", "Lookahead(Adam)", "AMVT")
_RADAM = Contest(
    first="AMVT",
    others=("RAdam",),
    read=by_arm("test_accuracy"),
    measure="test accuracy",
    scale=100.0,
    claimed={"RAdam": 1.2},
    must_reach=("RAdam",),
    where="a small network on a part of MNIST",
)
_FASTER = Contest(
    first="AMVT",
    others=("RAdam",),
    read=steps_to(share=1.05),
    measure="steps to a training loss that both reach",
    better="lower",
    is_ratio=True,
    claimed={"RAdam": 1 / 1.15},
    must_reach=("RAdam",),
    where="a small network on a part of MNIST",
)
_CIFAR_100 = Need(
    kind="hardware",
    words="a GPU for days, and CIFAR-100 on disk.",
    command="waddington bench run cifar-resnet --set task.depth=101 --set task.classes=100 --optimizer AMVT"
    " --optimizer RAdam --seeds 5",
)
_WITH_LOOKAHEAD = cifar(
    "hours",
    arms=(
        "AMVT",
        "waddington.bench.tasks.recipes:lookahead_amvt",
        "waddington.bench.tasks.recipes:lookahead_adam",
    ),
)

V9 = Claim(
    id="V9",
    paper="004",
    title="against recent methods",
    statement="Lookahead around AMVT reaches 96.1 % on CIFAR-10; AMVT is better and faster than RAdam, and steadier"
    " than AdaBound.",
    source="5.9",
    parts=(
        Part(
            name="CIFAR-10",
            statement="Lookahead around AMVT reaches 96.1 % on CIFAR-10, AMVT 95.8 %.",
            source="5.9",
            need=_WITH_LOOKAHEAD,
        ),
        *(
            Part(
                name=f"Lookahead, {name}",
                statement=f"Lookahead and AMVT complement each other (here {name}).",
                source="5.9",
                measurements=searched(where, _AHEAD),
                judge=_lookahead(words).judge,
                tier="minutes",
                rule="Lookahead(AMVT) is better than AMVT and than Lookahead(Adam), all at tuned rates",
                picture=_lookahead(words).picture,
            )
            for name, where, words in (
                ("digits", DIGITS, "digits"),
                ("MNIST", MNIST, "a small network on a part of MNIST"),
            )
        ),
        Part(
            name="RAdam",
            statement="On CIFAR-100 AMVT is 1.2 points more accurate than RAdam.",
            source="5.9",
            need=_CIFAR_100,
            measurements=searched(MNIST, ("AMVT", "RAdam")),
            judge=_RADAM.judge,
            tier="minutes",
            rule="the interval of the difference to RAdam, both at tuned rates, is above zero, and it is at least 1.2",
            picture=_RADAM.picture,
        ),
        Part(
            name="RAdam, speed",
            statement="On CIFAR-100 AMVT converges 15 % faster than RAdam.",
            source="5.9",
            need=_CIFAR_100,
            measurements=searched(MNIST, ("AMVT", "RAdam")),
            judge=_FASTER.judge,
            tier="minutes",
            rule="the interval of the ratio of steps to the same training loss is below 1, and it is at most 1/1.15",
            picture=_FASTER.picture,
        ),
        Part(
            name="AdaBound",
            statement="AMVT is less sensitive to hyperparameters than AdaBound.",
            source="5.9",
            measurements=tuple(job for arm in ("AMVT", "AdaBound") for job in SENSITIVE[arm]),
            judge=is_wider("AMVT", "AdaBound"),
            tier="minutes",
            rule="more decades of rates stay within a point of the best accuracy than with AdaBound: interval above"
            " zero",
            picture=rates_picture(1e-4, 1e-2),
        ),
    ),
    traps=("The control of Lookahead(AMVT) is Lookahead(Adam), which the paper does not have.",),
)
