"""The studies that this project's defaults and pages rest on, registered here before they were run.

Every one is a function that gives a :class:`~waddington.bench.Study`. Those that judge what is there share tasks,
baseline, budget and seeds, so that runs of one serve the others; those that judge what was made from such runs have
tasks and seeds of their own. ``waddington bench run --study NAME --out FOLDER`` runs one; with ``--records
FILE`` it skips what a file of ``waddington bench pack`` already holds.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from waddington._checks import check_known
from waddington.bench.arm import Arm, usual_space
from waddington.bench.entry import Entry
from waddington.bench.registered import from_json
from waddington.bench.space import Log
from waddington.bench.study import Study
from waddington.errors import ArgumentError

__all__ = [
    "MARGINS",
    "STUDIES",
    "alignment",
    "averaging",
    "controls",
    "get_study",
    "masking",
    "moments",
    "moving",
    "rivals",
    "switching",
]

_TASKS: Mapping[str, dict[str, Any]] = {
    "quadratic": {},
    "a9a": {},
    "digits": {},
    "mnist-cnn": {},
    "autoencoder": {},
    "char-lstm": {},
    "cifar-resnet8": {},
    "char-transformer": {},
}
"""The eight tasks, at their usual sizes."""
_PLAN: Mapping[str, Any] = {
    "seeds": 10,
    "trials": 20,
    "tuning_seeds": 1,
    "horizons": ("known", "open"),
    "widenings": 1,
}


def _study(name: str, arms: list[Arm], **settings: Any) -> Study:
    entries = [Entry.of(task, **parameters) for task, parameters in _TASKS.items()]
    return Study.of(entries, [Arm.of("AdamW"), *arms], **{**_PLAN, "name": name, **settings})


def switching() -> Study:
    """Does a base rate that switches with curvature beat one that does not?

    Arms: AdamW; ASGDAdam by its ``relative`` rule with the large rate in sharp and in flat regions, and by ``linear``.
    """
    return _study(
        "Switched base rates",
        [
            Arm.of("ASGDAdam", name="ASGDAdam, sharp", switch="relative", large_rate_in="sharp"),
            Arm.of("ASGDAdam", name="ASGDAdam, flat", switch="relative", large_rate_in="flat"),
            Arm.of("ASGDAdam", name="ASGDAdam, linear", switch="linear"),
        ],
    )


def controls() -> Study:
    """Is it the curvature? Switches between two rates that know nothing of it.

    Arms: AdamW, which is any constant mean of two rates; AdamW whose rate is switched every ten steps, and at random on
    half of the steps. Their small rate is searched as ASGDAdam's is.
    """
    space = {**usual_space("AdamW"), "schedule.low": Log(1e-2, 1.0, closed="high")}
    arms = [Arm.of("AdamW", name=name, space=space) for name in ("periodic", "random")]
    return _study(
        "Blind switches", [replace(arm, arguments={**arm.arguments, "schedule.control": arm.name}) for arm in arms]
    )


def masking() -> Study:
    """Do masks beat no mask, where what they leave out is made up for?

    Arms: AdamW; AlphaAdam with each of its three compensations; CAdamW.
    """
    return _study(
        "Masks",
        [
            *(Arm.of("AlphaAdam", name=f"AlphaAdam, {word}", compensation=word) for word in ("full", "norm", "count")),
            Arm.of("CAdamW"),
        ],
    )


def moments() -> Study:
    """Do other moments beat Adam's?

    Arms: AdamW; AMVT, AMGT and Padam.
    """
    return _study("Moments", [Arm.of("AMVT"), Arm.of("AMGT"), Arm.of("Padam")])


def rivals() -> Study:
    """How do the rivals that people use compare?

    Arms: AdamW; NAdamW, AMSGrad, Schedule-Free AdamW and SGD.
    """
    return _study(
        "Rivals",
        [
            Arm.of("NAdam", name="NAdamW", decoupled_weight_decay=True),
            Arm.of("AMSGrad"),
            Arm.of("ScheduleFreeAdamW"),
            Arm.of("SGD"),
        ],
    )


# --- what is ours, tried anew: on tasks and seeds that did not suggest it ---

_STILL: Mapping[str, dict[str, Any]] = {
    "heavy-tailed-logistic": {},
    "lenet": {},
    "mnist-autoencoder": {},
    "digits-adversarial": {},
    "glue-bert": {},
    "cifar-resnet8": {"label_noise": 0.2},
    "twin-encoder": {},
    "twin-ppo": {},
}
"""Tasks whose data stay what they are."""
_MOVING: tuple[tuple[str, dict[str, Any]], ...] = tuple(
    (task, {"rename_every": every, **clip})
    for task, every in (("lenet", 100), ("cifar-resnet8", 50))
    for clip in ({}, {"clip": 1.0})
)
"""Tasks whose classes are renamed at times that no optimizer knows; free and clipped."""
_ANEW: Mapping[str, Any] = {
    "seeds": tuple(range(200, 210)),
    "trials": 20,
    "tuning_seeds": (20,),
    "horizons": ("open",),
    "widenings": 1,
}


def _rate(optimizer: str, name: str, *more: str, **arguments: Any) -> Arm:
    """Give an arm whose rate is searched, and what else is named of its usual space: all others keep their defaults."""
    space = usual_space(optimizer)
    return Arm.of(optimizer, name=name, space={key: space[key] for key in ("lr", *more)}, **arguments)


def alignment() -> Study:
    """Does a switch by the cosine of gradient and previous update beat the constant rate, and `relative`?

    Arms: AdamW; ASGDAdam with the rule that was its default, `relative`, and with `alignment` in its three readings:
    two rates, clock, ratchet. The two rates of a switch are searched, of the others the rate alone.
    """
    return _named_study(
        "Switching by alignment",
        _STILL.items(),
        [
            _rate("AdamW", "AdamW"),
            _rate("ASGDAdam", "relative", "alpha_min", switch="relative"),
            _rate("ASGDAdam", "two rates", "alpha_min", switch="alignment", alignment="dual"),
            _rate("ASGDAdam", "clock", switch="alignment", alignment="clock"),
            _rate("ASGDAdam", "ratchet", switch="alignment", alignment="ratchet"),
        ],
        [("two rates", "AdamW"), ("clock", "AdamW"), ("ratchet", "AdamW"), ("two rates", "relative")],
    )


def averaging() -> Study:
    """Do averaged weights with a clock lose anything, on still data, against averages that know no alarm?

    Arms: AdamW; its weights averaged as polynomials, and exponentially; ASGDAdam's clock with averaged weights;
    Schedule-Free AdamW. The rate alone is searched.
    """
    return _named_study("Averages on still data", _STILL.items(), _averaged(), _AVERAGED)


def moving() -> Study:
    """Does an alarm save averaged weights where the data change at unknown times?

    Arms: those of the study of averages on still data. The primary figure is the worst task.
    """
    return _named_study("Averages on data that change", _MOVING, _averaged(), _AVERAGED)


_AVERAGED = [("clock, averaged", against) for against in ("polynomial", "AdamW", "exponential", "Schedule-Free")]


def _averaged() -> list[Arm]:
    return [
        _rate("AdamW", "AdamW"),
        _rate("AveragedAdamW", "polynomial"),
        _rate("AveragedAdamW", "exponential", ema_decay=0.99, eta=0.0),
        _rate("AveragedASGDAdam", "clock, averaged"),
        _rate("ScheduleFreeAdamW", "Schedule-Free"),
    ]


def _named_study(
    name: str, tasks: Iterable[tuple[str, dict[str, Any]]], arms: list[Arm], contrasts: list[tuple[str, str]]
) -> Study:
    entries = [Entry.of(task, **parameters) for task, parameters in tasks]
    return Study.of(entries, arms, contrasts=contrasts, name=name, **_ANEW)


STUDIES: Mapping[str, Callable[[], Study]] = {
    "switching": switching,
    "controls": controls,
    "masking": masking,
    "moments": moments,
    "rivals": rivals,
    "alignment": alignment,
    "averaging": averaging,
    "moving": moving,
}
"""Studies by name."""

MARGINS: Mapping[str, Mapping[tuple[str, str], float]] = {"averaging": {("clock, averaged", "polynomial"): 0.02}}
"""What counts as no worse, of contrasts that ask for it: the upper end of the interval of the loss ratio over tasks,
less 1, is below. Written down, as the studies were, before their first run."""


def get_study(name: str) -> Study:
    """Give a registered study: by its name, or from the ``study.json`` that somebody else's folder has.

    Raises
    ------
    UnknownNameError
        No such study.
    ArgumentError
        The file cannot be read, or was changed since its study was registered.
    """
    if name.endswith(".json"):
        try:
            return from_json(Path(name).read_text(encoding="utf-8"))
        except OSError as error:
            raise ArgumentError(f"cannot read the study {name!r}: {error.strerror or error}") from error
    return STUDIES[check_known("study", name, STUDIES)]()
