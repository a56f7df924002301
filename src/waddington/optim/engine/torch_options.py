"""Arguments that torch's optimizers have besides, so that a line of code changes by its class only.

What asks for nothing, ``foreach=False`` or ``fused=None``, is accepted and kept nowhere. What these optimizers cannot
do is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypedDict

from waddington.errors import ArgumentError

__all__ = ["TORCH_OPTIONS", "TorchOptions", "check_torch_options"]

_ONE_WAY = "how tensors are gone through is decided by compile, in one place for all"
_WHY_NOT = {
    "foreach": _ONE_WAY,
    "fused": _ONE_WAY,
    "capturable": "it says nothing, as steps read no value on the host unless the docstring says so",
    "differentiable": "steps are taken in place and without a graph; for gradients through an optimizer use"
    " torch.optim.Adam(differentiable=True)",
}

TORCH_OPTIONS = tuple(_WHY_NOT)
"""Their names."""


class TorchOptions(TypedDict, total=False):
    """Those arguments, as a constructor takes them in: ``**torch_options: Unpack[TorchOptions]``.

    They are not named in its signature, which hosts search for ``fused`` to set it.
    """

    foreach: Literal[False] | None
    fused: Literal[False] | None
    capturable: Literal[False] | None
    differentiable: Literal[False] | None


def check_torch_options(cls: type, given: Mapping[str, Any]) -> None:
    """Refuse what a constructor or a parameter group asks for and the optimizers of this package cannot do.

    Raises
    ------
    ArgumentError
        Names the argument, its value and the reason.
    """
    for name, reason in _WHY_NOT.items():
        value = given.get(name)
        if value is not None and value is not False:
            raise ArgumentError(
                f"cannot use {name}={value!r} with {cls.__name__}: {reason}; accepted are {name}=False and None"
            )
