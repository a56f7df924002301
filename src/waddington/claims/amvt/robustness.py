"""Paper 004 on what may be chosen badly: rates, batches, betas, schedules (V5), and where it fails (V11)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from waddington.claims.amvt.figures import DIGITS, searched
from waddington.claims.claim import Claim, Part
from waddington.claims.contests import Contest, by_arm, within
from waddington.claims.experiments import grids
from waddington.claims.experiments.sensitivity import betas, rates
from waddington.claims.experiments.tuned import upward_share
from waddington.claims.measurement import Measurement, measurements

__all__ = ["SENSITIVE", "V5", "V11"]

_SEEDS = 8
_RATES = (1e-5, 3e-5, 1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1)
_SIZES = (64, 128, 256, 512)
_SMALL_SIZES = (2, 4, 8, 16, 32)
_SMALL_RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2)
_ALL_RATES = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0)


def _grid(arm: str, lrs: Sequence[float], sizes: Sequence[int], **length: int) -> tuple[Measurement, ...]:
    return tuple(
        job
        for size in sizes
        for job in measurements(rates, seeds=_SEEDS, task="digits", arm=arm, lrs=list(lrs), batch_size=size, **length)
    )


SENSITIVE: Mapping[str, tuple[Measurement, ...]] = {
    arm: _grid(arm, _RATES, _SIZES, steps=200) for arm in ("AMVT", "Adam", "AdaBound")
}
"""Rates by batch sizes on digits, in equal steps, by arm."""
_BOTH = (*SENSITIVE["AMVT"], *SENSITIVE["Adam"])
_EQUAL_EXAMPLES = tuple(job for arm in ("AMVT", "Adam") for job in _grid(arm, _RATES, _SIZES, examples=20_000))
_TINY = tuple(job for arm in ("AMVT", "Adam", "SGD") for job in _grid(arm, _SMALL_RATES, _SMALL_SIZES, steps=400))
_TINY_EXAMPLES = tuple(
    job for arm in ("AMVT", "Adam") for job in _grid(arm, _SMALL_RATES, _SMALL_SIZES, examples=4_000)
)
_FAR = tuple(job for arm in ("AMVT", "Adam") for job in _grid(arm, _ALL_RATES, (32,), steps=400))
_SCHEDULES = ("cosine with warm-up", "cosine", "constant with warm-up", "step decay")
_SCHEDULED = Contest(
    first="AMVT, cosine with warm-up",
    others=("AMVT", "AMVT, constant with warm-up", "AMVT, step decay"),
    read=by_arm("test_accuracy"),
    measure="test accuracy",
    scale=100.0,
    where="digits",
)
_PICTURE = grids.rates_picture(1e-4, 1e-2)


def _part(
    name: str, statement: str, source: str, jobs: tuple[Measurement, ...], judge: Any, rule: str, picture: Any
) -> Part:
    return Part(
        name=name, statement=statement, source=source, measurements=jobs, judge=judge, tier="minutes", rule=rule,
        picture=picture,
    )  # fmt: skip


V5 = Claim(
    id="V5",
    paper="004",
    title="forgives hyperparameters",
    statement="Performance is good for rates from 0.0001 to 0.01 and batches of 64 to 512, where Adam loses 8 %; betas"
    " change it by less than a point.",
    source="5.5, 4.4",
    parts=(
        _part(
            "two decades", "Two decades of rates serve AMVT.", "5.5", SENSITIVE["AMVT"], grids.is_wide("AMVT"),
            "at least two decades of rates, all of the interval, stay within a point of the best accuracy, equal steps",
            _PICTURE,
        ),
        _part(
            "two decades, equal examples", "Two decades of rates serve AMVT (here at equal numbers of examples).",
            "5.5", _EQUAL_EXAMPLES, grids.is_wide("AMVT"),
            "at least two decades of rates, all of the interval, stay within a point of the best accuracy", _PICTURE,
        ),
        _part(
            "wider than Adam", "AMVT is good over more rates than Adam.", "5.5", _BOTH, grids.is_wider("AMVT", "Adam"),
            "more decades of rates stay within a point of the best accuracy than with Adam: interval above zero",
            _PICTURE,
        ),
        _part(
            "Adam's drop", "Between rates of 0.0001 and 0.01 Adam loses 8 points, AMVT none.", "5.5", _BOTH,
            grids.drops("Adam", "AMVT", low=1e-4, high=1e-2),
            "between these rates Adam falls at least 8 points below its best, and AMVT less than one", _PICTURE,
        ),
        _part(
            "batches", "Performance is stable for batches of 64 to 512.", "5.5", SENSITIVE["AMVT"],
            grids.is_stable("AMVT", sizes=_SIZES),
            "best accuracies at these batch sizes, each at its own rate, span less than a point, all of the interval",
            grids.sizes_picture,
        ),
        _part(
            "batches below 32", "Batches below 32 are worse for all optimizers.", "5.5", _TINY,
            grids.degrades(("AMVT", "Adam", "SGD"), sizes=(2, 4, 8, 16), against=32),
            "each smaller batch is worse than 32 for AMVT, Adam and SGD, at its own best rate, equal steps, after Holm",
            grids.sizes_picture,
        ),
        _part(
            "betas", "β1 from 0.85 to 0.95 and β2 from 0.99 to 0.999 change accuracy by less than a point.", "5.5",
            measurements(
                betas, seeds=10, task="digits", lr=3e-3, steps=400, beta1=[0.85, 0.9, 0.95], beta2=[0.99, 0.999],
                beta3=[0.9, 0.99],
            ),
            grids.is_flat_in_betas,
            "the means of all combinations span less than a point, all of the interval",
            grids.betas_picture,
        ),
        _part(
            "schedule", "Cosine annealing with warm-up is the best of three schedules.", "4.4",
            tuple(job for name in _SCHEDULES for job in searched(DIGITS, ("AMVT",), schedule=name)),
            _SCHEDULED.judge,
            "it is better than cosine without warm-up, a constant rate with warm-up and step decay, all at tuned rates",
            _SCHEDULED.picture,
        ),
    ),
    traps=(
        "Noise alone makes the best of a grid better than the worst: intervals are of whole grids, drawn by seed.",
        "Equal steps and equal numbers of examples are two questions where batches differ; both are asked.",
    ),
)  # fmt: skip

_ATTACKED_PATHS = Contest(
    first="AMVT",
    others=("Adam",),
    read=upward_share(),
    measure="share of the validation loss's movement that goes upwards late in adversarial training",
    better="lower",
    scale=100.0,
    where="digits",
)
_ATTACKED = {"task": "digits-adversarial", "steps": 400, "cases": 0}

V11 = Claim(
    id="V11",
    paper="004",
    title="where it fails",
    statement="It degrades with batches below 16, with rates below 0.000001 or above 0.1, and in adversarial training"
    " as Adam does.",
    source="5.11",
    parts=(
        _part(
            "batches below 16", "Batches below 16 are worse.", "5.11", _TINY,
            grids.degrades(("AMVT",), sizes=(2, 4, 8), against=32),
            "each smaller batch is worse than 32, at its own best rate, in equal steps, after Holm",
            grids.sizes_picture,
        ),
        _part(
            "batches below 16, equal examples", "Batches below 16 are worse (here at equal numbers of examples).",
            "5.11", _TINY_EXAMPLES, grids.degrades(("AMVT",), sizes=(2, 4, 8), against=32),
            "each smaller batch is worse than 32, at its own best rate, in equal numbers of examples, after Holm",
            grids.sizes_picture,
        ),
        _part(
            "rates", "Rates below 0.000001 and above 0.1 cause issues.", "5.11", _FAR,
            grids.outside(("AMVT", "Adam"), lrs=(1e-7, 1.0)),
            "at 0.0000001 and at 1 AMVT and Adam lose at least a point against their best rate, all of the interval",
            grids.rates_picture(1e-6, 1e-1),
        ),
        _part(
            "adversarial", "In adversarial training AMVT is about as unstable as Adam.", "5.11",
            searched(_ATTACKED, ("AMVT", "Adam")), within(_ATTACKED_PATHS, 15.0),
            "the interval of the difference in the share of movement that goes upwards lies within 15 points of zero",
            _ATTACKED_PATHS.picture,
        ),
    ),
    traps=("Below 16 a batch wants another rate: each batch size has its own, chosen on validation data.",),
)  # fmt: skip
