"""Paper 004 on the minima that it finds and the way to them (V8)."""

from __future__ import annotations

from waddington.claims.amvt.accuracy import MATCHED
from waddington.claims.amvt.figures import cifar
from waddington.claims.claim import Claim, Part, Tier
from waddington.claims.contests import Contest, beside, by_seed, chained
from waddington.claims.experiments.matched import SLOWED, at_equal_loss, paths
from waddington.claims.measurement import Measurement, measurements

__all__ = ["V8"]

_CIFAR_AT = measurements(
    at_equal_loss,
    seeds=10,
    task="cifar-resnet8",
    target=1.2,
    every=40,
    parameters={"cases": 2_000},
    curved_cases=250,
    max_products=80,
)


def _contest(measure: str, words: str, where: str) -> Contest:
    is_plain = measure == "sharpness"
    return Contest(
        first="AMVT",
        others=("Adam",) if is_plain else ("Adam", SLOWED),
        read=by_seed(measure),
        measure=words,
        better="lower",
        is_ratio=True,
        claimed={"Adam": 0.6} if is_plain else {},
        must_reach=("Adam",) if is_plain else (),
        where=where,
    )


def _sharpness(where: str, jobs: tuple[Measurement, ...], tier: Tier) -> Part:
    main = _contest("sharpness", "largest eigenvalue of the Hessian at equal training loss", where)
    slowed = Contest(
        first="AMVT", others=(SLOWED,), read=by_seed("sharpness"), measure="the same", better="lower", is_ratio=True
    )
    met = _contest("preconditioned", "the eigenvalue that the steps meet", "")
    relative = _contest("relative", "the eigenvalue times the squared norm", "")
    return Part(
        name=f"sharpness, {where}",
        statement=f"The largest eigenvalue of the Hessian is 40 % lower than Adam's (here {where}).",
        source="5.8",
        measurements=jobs,
        judge=beside(main, slowed, met, relative),
        tier=tier,
        rule="at equal rate and training loss the interval of the ratio to Adam's is below 1, and it is at most 0.6",
        picture=main.picture,
    )


def _path(measure: str, words: str) -> Contest:
    return Contest(
        first="AMVT",
        others=("Adam", SLOWED),
        read=by_seed(measure),
        measure=words,
        better="lower",
        is_ratio=True,
        where="digits",
    )


_DIRECT, _DIRECT_PICTURE = chained(
    (
        _path("tortuosity", "length of the path over its displacement"),
        _path("mean_turn", "mean angle between a step and the next"),
        _path("oscillation", "share of the batches' loss that goes upwards"),
    )
)

V8 = Claim(
    id="V8",
    paper="004",
    title="flatter minima, straighter ways",
    statement="Minima are flatter, with a largest eigenvalue of the Hessian 40 % below Adam's, and paths more direct.",
    source="5.8",
    parts=(
        Part(
            name="CIFAR-10",
            statement="On CIFAR-10 the largest eigenvalue of the Hessian is 40 % below Adam's.",
            source="5.8",
            need=cifar("hours", arms=("AMVT", "AdamW")),
        ),
        *(_sharpness(where, jobs, "minutes") for where, jobs in MATCHED),
        _sharpness("CIFAR-10 at half resolution", _CIFAR_AT, "hours"),
        Part(
            name="direct paths",
            statement="Paths to the minimum are more direct, with less oscillation.",
            source="5.8",
            measurements=measurements(paths, seeds=10, task="digits"),
            judge=_DIRECT,
            tier="minutes",
            rule="path over displacement, turning angle and oscillation are lower than Adam's and than Adam's at the"
            " same effective rate",
            picture=_DIRECT_PICTURE,
        ),
    ),
    traps=(
        "Sharpness falls with the loss and with a higher rate, and changes with the norm: arms are compared at equal"
        " loss, and the eigenvalue is given as the steps meet it and times the squared norm, too.",
        "Normalization stands in evaluation mode while the Hessian is taken.",
    ),
)
