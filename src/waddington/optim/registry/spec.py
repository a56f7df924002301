"""What is known of one optimizer; its class is imported when somebody asks for it, not before."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from waddington._checks import require_extra
from waddington.optim.engine import RuleOptimizer
from waddington.optim.engine.torch_options import TORCH_OPTIONS

__all__ = ["BETA2", "RATES", "OptimizerSpec"]

RATES = (1e-7, 1e-1)
"""Where a learning rate is searched unless an optimizer lives elsewhere."""
BETA2 = (0.9, 0.999)
"""Where the decay of a second moment is searched."""


_BASELINES = ("pytorch_optimizer", "schedulefree", "torchao")


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerSpec:
    """What the package knows of one optimizer.

    Attributes
    ----------
    name
        Its name in tables, files and on the command line.
    source
        The class, or ``"module:Class"`` where importing it now would load a library that few need; or a factory.
    package
        Import name of the library that implements it.
    kwargs
        Arguments that make it what its name says and cannot be overridden.
    defaults
        Every other argument worth knowing, with the value used where nobody says otherwise.
    paper
        Where it was defined.
    switching
        Whether a base-rate switch chooses its rate.
    modes
        Whether it has ``train()`` and ``eval()``, because it evaluates and saves other weights than it trains. It is
        built in training mode.
    needs
        What a caller has to know beyond the contract of :class:`torch.optim.Optimizer`; empty for most.
    tunable
        Ranges to search, by argument (`beta2` is the last of `betas`); all rates are to be searched on a log scale.
    """

    name: str
    source: Callable[..., torch.optim.Optimizer] | str
    package: str = "waddington"
    kwargs: dict[str, Any] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    paper: str
    switching: bool = False
    modes: bool = False
    needs: str = ""
    tunable: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def extra(self) -> str | None:
        """Name of the extra of this package that installs the library; None where torch is enough."""
        return "baselines" if self.package in _BASELINES else None

    @property
    def path(self) -> str:
        """Dotted path of the class, known without importing it."""
        if isinstance(self.source, str):
            return self.source.replace(":", ".")
        return f"{self.source.__module__}.{getattr(self.source, '__qualname__', self.name)}"

    @property
    def cls(self) -> Callable[..., torch.optim.Optimizer]:
        """The class, imported on demand, or the factory.

        Raises
        ------
        MissingExtraError
            When its library is not installed; names the extra.
        """
        if not isinstance(self.source, str):
            return self.source
        if self.extra is not None:
            require_extra(self.package, self.extra)
        module, _, name = self.source.partition(":")
        found: Callable[..., torch.optim.Optimizer] = getattr(importlib.import_module(module), name)
        return found

    @property
    def arguments(self) -> tuple[str, ...]:
        """Names of the arguments that may be overridden.

        Only those that the signature names, and torch's options with this package's: what another class takes in
        through ``**kwargs`` it may as well ignore.

        Raises
        ------
        MissingExtraError
            When its library is not installed.
        """
        cls = self.cls
        if isinstance(cls, type) and issubclass(cls, RuleOptimizer):
            named = (*cls.arguments()[1:], *TORCH_OPTIONS)
        else:
            parameters = list(inspect.signature(cls).parameters.values())[1:]
            named = tuple(p.name for p in parameters if p.kind in (p.KEYWORD_ONLY, p.POSITIONAL_OR_KEYWORD))
        return tuple(name for name in named if name not in self.kwargs)

    @property
    def usual(self) -> dict[str, Any]:
        """Values that arguments have where nobody says otherwise: those of the signature, and of the registry."""
        parameters = inspect.signature(self.cls).parameters.values()
        return {p.name: p.default for p in parameters if p.default is not p.empty} | self.defaults
