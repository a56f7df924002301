"""The optimizer under examination: how it is built, and which arguments it has."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

import torch

__all__ = ["Subject"]


class Subject:
    """A class or factory called as ``make(params, **kwargs)``.

    Parameters
    ----------
    make
        The class, or a function that gives an optimizer.
    kwargs
        Arguments of every optimizer that is built.
    """

    def __init__(self, make: Callable[..., torch.optim.Optimizer], kwargs: Mapping[str, Any] | None = None) -> None:
        self.make = make
        self.kwargs = dict(kwargs or {})

    @property
    def name(self) -> str:
        """Name of the class or function."""
        function = getattr(self.make, "func", self.make)
        return str(getattr(function, "__name__", type(function).__name__))

    def build(self, params: Iterable[Any], **overrides: Any) -> torch.optim.Optimizer:
        """Build an optimizer over parameters, groups or named parameters."""
        torch.manual_seed(5)  # for optimizers that draw random numbers to start from
        return self.make(params, **{**self.kwargs, **overrides})

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Settings of a group of a freshly built optimizer, without its parameters."""
        group = self.build([torch.nn.Parameter(torch.ones(2, 2))]).param_groups[0]
        return {name: value for name, value in group.items() if name != "params"}

    def takes(self, name: str) -> bool:
        """Tell whether an argument of this name has an effect, as far as signature and groups show."""
        parameters = inspect.signature(self.make).parameters
        named = parameters.get(name)
        if named is not None and named.kind in (named.KEYWORD_ONLY, named.POSITIONAL_OR_KEYWORD):
            return True
        # A factory that hands its keywords on is judged by what arrives in the group.
        passes_on = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
        return passes_on and name in self.settings

    @property
    def rate(self) -> float | None:
        """The learning rate that a group starts with; None where it is not a number."""
        rate = self.settings.get("lr")
        return float(rate) if isinstance(rate, int | float | torch.Tensor) else None
