"""Settings that every optimizer has, whatever its rule: their types, their defaults, and who may write a group's keys.

A closed set of words is a ``Literal``, so that a type checker refuses one that is misspelt; its arguments are what is
checked, and named, at run time.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Literal, get_args

from waddington._checks import check_choice, check_in_range
from waddington.errors import ArgumentError
from waddington.optim.engine.torch_options import TORCH_OPTIONS, TorchOptions

__all__ = [
    "DEFAULTS",
    "Compile",
    "EngineSettings",
    "Nonfinite",
    "NonfiniteUnmasked",
    "StateDtype",
    "check_agreement",
    "check_common",
    "check_keys",
    "complete",
    "settings_of",
]

Nonfinite = Literal["mask", "skip", "raise", "propagate"]
"""What a NaN or infinite gradient does."""
NonfiniteUnmasked = Literal["skip", "raise", "propagate"]
"""The same, where no coordinate can be left out."""
StateDtype = Literal["float32", "bfloat16"]
"""Dtype of the buffers."""
Compile = Literal["auto"] | bool
"""Whether steps are taken by compiled kernels."""


class EngineSettings(TorchOptions, total=False):
    """Settings that the engine supplies for every rule, as a constructor takes them in.

    ``def __init__(self, params, lr=1e-4, **settings: Unpack[EngineSettings])`` gives an optimizer of one's own all of
    them, with the defaults and the meaning of :class:`~waddington.optim.RuleOptimizer`.
    """

    weight_decay: float
    decoupled_weight_decay: bool
    maximize: bool
    nonfinite: Nonfinite
    stochastic_rounding: bool
    state_dtype: StateDtype
    compile: Compile


DEFAULTS: Mapping[str, Any] = {
    "lr": 1e-3,
    "weight_decay": 0.0,
    "decoupled_weight_decay": True,
    "maximize": False,
    "nonfinite": "mask",
    "stochastic_rounding": False,
    "state_dtype": "float32",
    "compile": "auto",
}
"""What a rule's optimizer has where its constructor says nothing else."""

_OF_GROUPS = ("params", "param_names", "base_lr", "initial_lr")
"""Keys that are no settings; torch and the engine write them."""
_OF_HOSTS = (
    *("name", "lr_scale", "lr_mult", "swa_lr", "max_lr", "min_lr"),
    *("base_momentum", "max_momentum", "step_size_up", "step_size_down", "total_steps"),
)
"""Keys that schedulers and trainers write into groups, and read."""
_OF_TORCH = ("amsgrad", "nesterov", "centered")
"""Keys of groups of torch's optimizers that ask for nothing where they are False."""


def settings_of(arguments: Mapping[str, Any], *others: str) -> dict[str, Any]:
    """Give the settings among a constructor's ``locals()``, which hold `others` too; none has to be named thrice."""
    without = {"self", "params", "__class__", "torch_options", *others}
    return {name: value for name, value in arguments.items() if name not in without}


def check_agreement(names: Iterable[str], settings: Mapping[str, Any], groups: list[dict[str, Any]]) -> None:
    """Refuse a group whose whole-model settings differ from those of the first.

    Raises
    ------
    ArgumentError
        Names the setting and both values.
    """
    for name in names:
        if groups and settings[name] != groups[0][name]:
            raise ArgumentError(
                f"cannot use {name}={settings[name]!r} in one group and {groups[0][name]!r} in another:"
                f" {name} holds for the whole model"
            )


def complete(defaults: Mapping[str, Any], *, whole: bool, own_layouts: bool) -> dict[str, Any]:
    """Give a rule's settings with those of the engine filled in.

    Parameters
    ----------
    defaults
        What the constructor says; torch's options among it are left out.
    whole
        Whether the rule needs whole tensors, so that no coordinate can be left out of a step.
    own_layouts
        Whether its buffers have a form of their own, so that ``state_dtype`` says nothing.

    Raises
    ------
    ArgumentError
        A setting has the name of another key of groups, is no identifier, or is all but that of an engine's setting.
    """
    given = {name: value for name, value in defaults.items() if name not in TORCH_OPTIONS}
    for name in given:
        close = difflib.get_close_matches(name, DEFAULTS, n=1, cutoff=0.85)
        if name in _OF_GROUPS or not name.isidentifier():
            raise ArgumentError(
                f"cannot name a setting {name!r}: accepted are identifiers, other than {', '.join(_OF_GROUPS)}, which"
                " parameter groups have besides"
            )
        if close and close[0] != name:
            raise ArgumentError(
                f"cannot use the setting {name!r}: it is all but {close[0]!r}; the engine's own are"
                f" {', '.join(DEFAULTS)}"
            )
    found = {**DEFAULTS, **({"nonfinite": "skip"} if whole else {}), **given}
    if own_layouts and "state_dtype" not in given:
        del found["state_dtype"]
    return found


def check_keys(group: Mapping[str, Any], known: Collection[str], owner: str) -> None:
    """Refuse a key of a parameter group that nobody reads.

    Parameters
    ----------
    group
        What the group holds.
    known
        The settings of the optimizer, and what its other groups hold.
    owner
        The optimizer's name.

    Raises
    ------
    ArgumentError
        Names the key, the closest that there is, and all of them.
    """
    accepted = {*known, *DEFAULTS, *_OF_GROUPS, *_OF_HOSTS, *TORCH_OPTIONS}
    for name, value in group.items():
        if name not in accepted and not (name in _OF_TORCH and value is False):
            close = difflib.get_close_matches(name, known, n=1)
            hint = f" Did you mean {close[0]!r}?" if close else ""
            settings = ", ".join(sorted(set(known) - {*_OF_GROUPS, *_OF_HOSTS}))
            raise ArgumentError(
                f"cannot use the key {name!r} in a parameter group of {owner}.{hint} Accepted are params, {settings},"
                " and for marks of your own name"
            )


def check_common(group: Mapping[str, Any], *, betas: Literal[2] | None = 2) -> None:
    """Check the settings that every optimizer of the package has, and ``betas`` and ``eps``, which many have.

    Parameters
    ----------
    group
        Its settings.
    betas
        How many decays there are; None: any number.

    Raises
    ------
    ArgumentError
        Names the argument, its value and the range.
    """
    for name in ("lr", "eps", "weight_decay"):
        if name in group:
            check_in_range(name, group[name], 0.0, open_high=True)
    if "betas" in group:
        if not isinstance(group["betas"], tuple | list) or len(group["betas"]) != (betas or len(group["betas"])):
            wanted = "numbers" if betas is None else "two numbers"
            raise ArgumentError(f"cannot use betas={group['betas']!r}: betas must be {wanted} in [0, 1)")
        for index, beta in enumerate(group["betas"]):
            check_in_range(f"betas[{index}]", beta, 0.0, 1.0, open_high=True)
    check_choice("nonfinite", group["nonfinite"], get_args(Nonfinite))
    for name in ("stochastic_rounding", "maximize", "decoupled_weight_decay"):
        if name in group:
            check_choice(name, group[name], (False, True))
    check_choice("compile", group["compile"], ("auto", False, True))
    if "state_dtype" in group:
        check_choice("state_dtype", group["state_dtype"], get_args(StateDtype))
