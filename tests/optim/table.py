"""The table of optimizers: adding an optimizer adds one row, and every contract in test_contract.py holds for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch

from reference.asgd import asgd
from reference.padam import padam
from waddington.optim import ASGDAdam, ASGDAMSGrad, Padam


@dataclass(frozen=True)
class Row:
    name: str
    cls: type[torch.optim.Optimizer]
    kwargs: dict[str, Any]
    reference: Callable[..., Any]
    reference_kwargs: dict[str, Any] = field(default_factory=dict)
    twin: tuple[type[torch.optim.Optimizer], dict[str, Any], dict[str, Any]] | None = (
        None  # torch's class, its kwargs, ours
    )

    def build(self, params: Any, **overrides: Any) -> Any:
        return self.cls(params, **{**self.kwargs, **overrides})


def _switched(name: str, cls: type[torch.optim.Optimizer], amsgrad: bool) -> list[Row]:
    twin = (torch.optim.Adam, {"amsgrad": amsgrad}, {"switch": "mean"})
    variants: dict[str, dict[str, Any]] = {
        "relative": {"switch_interval": 3},
        "relative-flat": {"switch_interval": 3, "large_rate_in": "flat"},
        "linear": {"switch": "linear", "switch_interval": 2},
        "linear-flat": {"switch": "linear", "switch_interval": 1, "large_rate_in": "flat", "hysteresis": 0.5},
        "faithful": {"switch": "mean", "bias_correction": False},
        "coordinate": {"switch": "coordinate", "adaptive": 0.5},
        "momentum": {"switch": "momentum"},
        "decay": {"weight_decay": 0.1, "switch_interval": 2, "memory": 4},
    }
    return [
        Row(f"{name}-{variant}", cls, {"lr": 1e-2, "alpha_min": 1e-3, **kwargs}, asgd, {"amsgrad": amsgrad}, twin)
        for variant, kwargs in variants.items()
    ]


ROWS = [
    *_switched("ASGDAdam", ASGDAdam, amsgrad=False),
    *_switched("ASGDAMSGrad", ASGDAMSGrad, amsgrad=True),
    Row("Padam", Padam, {"lr": 1e-1}, padam),
    Row(
        "Padam-half",
        Padam,
        {"lr": 1e-2, "p": 0.5, "bias_correction": True},
        padam,
        twin=(torch.optim.Adam, {"amsgrad": True}, {}),
    ),
    Row(
        "Padam-Adam",
        Padam,
        {"lr": 1e-2, "p": 0.5, "bias_correction": True, "amsgrad": False},
        padam,
        twin=(torch.optim.Adam, {"amsgrad": False}, {}),
    ),
    Row("Padam-ASGD2", Padam, {"lr": 1e-3, "p": 0.75, "amsgrad": False, "weight_decay": 0.01}, padam),
]
"""Every variant, for the references."""

BRIEF = [row for row in ROWS if row.name in ("ASGDAdam-relative", "ASGDAMSGrad-linear", "ASGDAdam-coordinate", "Padam")]
"""One of each kind, for contracts that do not depend on the variant."""
