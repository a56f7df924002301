"""The studies that this project's defaults and pages rest on, registered here before they were run.

Every one is a function that gives a :class:`~waddington.bench.Study`; they share tasks, baseline, budget and seeds, so
that runs of one serve the others. ``waddington bench run --study NAME --out FOLDER`` runs one, and skips what the
records beside the code already hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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

__all__ = ["STUDIES", "controls", "get_study", "masking", "moments", "rivals", "switching"]

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
            Arm.of("ASGDAdam", name="ASGDAdam, sharp", large_rate_in="sharp"),
            Arm.of("ASGDAdam", name="ASGDAdam, flat", large_rate_in="flat"),
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
            *(Arm.of("AlphaAdam", name=f"AlphaAdam, {word}", compensation=word) for word in ("full", "norm", "none")),
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


STUDIES: Mapping[str, Callable[[], Study]] = {
    "switching": switching,
    "controls": controls,
    "masking": masking,
    "moments": moments,
    "rivals": rivals,
}
"""Studies by name."""


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
