"""Settings of the base-rate switch: which there are, which rule reads them, and what they may be.

The rules themselves are in :mod:`waddington.optim.switching`, which gives the public names of this module, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

from waddington._checks import check_choice, check_count, check_in_range
from waddington.errors import ArgumentError
from waddington.optim.alignment import ALIGNMENTS
from waddington.optim.rule import Settings

__all__ = [
    "FOLLOWING",
    "RATIO",
    "RENAMED",
    "SWITCHES",
    "LargeRateIn",
    "Switch",
    "check_is_read",
    "check_switch",
    "is_read",
    "small_rate",
]

RENAMED = {"adaptive": "count_ratio"}
"""Old names of arguments and settings, which work for one release more."""

Switch = Literal["relative", "linear", "mean", "coordinate", "momentum", "alignment"]
"""What chooses the rate."""
LargeRateIn = Literal["sharp", "flat"]
"""The region that gets the large rate."""
SWITCHES = get_args(Switch)
"""All values of `switch`."""
FOLLOWING = ("relative", "linear")
"""Rules that follow the curvature, and can give the large rate to either region."""
_BY_CURVATURE = (FOLLOWING, "switch='relative' or 'linear'")
_READERS: Mapping[str, tuple[Any, tuple[str, ...], str]] = {
    "large_rate_in": ("sharp", *_BY_CURVATURE),
    "switch_interval": (10, *_BY_CURVATURE),
    "hysteresis": (0.1, *_BY_CURVATURE),
    "memory": (10, *_BY_CURVATURE),
    "count_ratio": (1.0, ("coordinate",), "switch='coordinate'"),
    "alignment": ("clock", ALIGNMENTS, "switch='alignment'"),
    "tau": (50.0, ("clock",), "switch='alignment', alignment='clock'"),
}
"""Settings that not every rule reads: the usual value, the rules that do (of `switch` or `alignment`), and in words."""

RATIO = 10.0
"""Of the two rates, where nobody says otherwise: with a hundredth as the small one a run's mean accuracy was worse in
15 of 16 comparisons (``benchmarks/switch_direction.py``), and no constant fits every `lr`."""
_ROUNDING = 1e-6
"""By how much `alpha_min` may exceed an `lr` that it equals, where that is a tensor in single precision."""


def check_switch(settings: Settings) -> None:
    """Check the settings of a base-rate switch.

    Raises
    ------
    ArgumentError
        Names the argument, its value and the range.
    """
    check_choice("switch", settings["switch"], SWITCHES)
    check_choice("alignment", settings["alignment"], ALIGNMENTS)
    check_choice("large_rate_in", settings["large_rate_in"], get_args(LargeRateIn))
    check_in_range("count_ratio", settings["count_ratio"], 0.0, open_low=True, open_high=True)
    check_in_range("hysteresis", settings["hysteresis"], 0.0, open_low=True, open_high=True)
    check_in_range("tau", settings["tau"], 0.0, open_low=True, open_high=True)
    for name in ("switch_interval", "memory"):
        check_count(name, settings[name], 1)
    large, small = settings.get("base_lr", float(settings["lr"])), settings["alpha_min"]
    check_in_range("lr", large, 0.0, open_high=True)
    if small is None and large == 0.0:
        return
    check_in_range("alpha_min", small, 0.0, open_high=True)
    if small > large * (1.0 + _ROUNDING):
        raise ArgumentError(
            f"cannot use alpha_min={small!r} with lr={large!r}: lr is the large base rate, so alpha_min must be a"
            " number from 0 to lr"
        )


def check_is_read(settings: Settings) -> None:
    """Check that the rule reads every setting that is not at its usual value; the settings are in their ranges.

    Who makes an optimizer is told. A state that was saved before may hold such settings, and is loaded.

    Raises
    ------
    ArgumentError
        Names the setting, its value, the rule and the rules that do read it.
    """
    rule = _rule_of(settings)
    for name, (usual, _, accepted) in _READERS.items():
        if settings[name] != usual and not is_read(name, settings):
            given = f"{'alignment' if rule in ALIGNMENTS else 'switch'}={rule!r}"
            raise ArgumentError(
                f"cannot use {name}={settings[name]!r} with {given}, which does not read it; accepted beside {name}:"
                f" {accepted}"
            )


def is_read(name: str, settings: Settings) -> bool:
    """Tell whether the rule reads a setting; of the settings, `switch` and `alignment` count."""
    return name not in _READERS or _rule_of(settings) in _READERS[name][1]


def _rule_of(settings: Settings) -> str:
    """Give `switch`, or the reading of ``"alignment"``."""
    return str(settings["alignment"] if settings["switch"] == "alignment" else settings["switch"])


def small_rate(settings: Settings) -> float | None:
    """Give `alpha_min`, which is a tenth of the first `lr` where it is None; it stays None where that is 0.

    The clock and the ratchet of ``"alignment"`` have 0 instead, and fall as far as they will.
    """
    given: float | None = settings["alpha_min"]
    if given is None and settings["switch"] == "alignment" and settings["alignment"] != "dual":
        return 0.0
    return settings["base_lr"] / RATIO if given is None and settings["base_lr"] else given
