"""The table of optimizers: one more optimizer is a few more rows, and every contract in test_contract.py holds."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch

from reference.alphaadam import alphaadam
from reference.amgt import amgt
from reference.amvt import amvt
from reference.asgd import asgd
from reference.ldadam import ldadam
from reference.microadam import microadam
from reference.padam import padam
from waddington.optim import (
    AMGT,
    AMVT,
    ASGD2,
    AlphaAdam,
    ASGDAdam,
    ASGDAMSGrad,
    Averaged,
    CAdamW,
    Compressed,
    LDAdam,
    Lookahead,
    Masked,
    MicroAdam,
    Padam,
    Projected,
    Switched,
)
from waddington.optim.projection import Ball

Wrap = Callable[..., torch.optim.Optimizer]
RATE = 1e-2


@dataclass(frozen=True)
class Row:
    """One optimizer with its settings.

    `reference` is a float64 transcription, called with `kwargs | reference_kwargs`; `twin` is the torch optimizer that
    it equals under further arguments: torch's class, its arguments, ours. `wrap` puts components around it.
    """

    name: str
    cls: Callable[..., torch.optim.Optimizer]
    kwargs: dict[str, Any]
    reference: Callable[..., Any] | None = None
    reference_kwargs: dict[str, Any] = field(default_factory=dict)
    twin: tuple[type[torch.optim.Optimizer], dict[str, Any], dict[str, Any]] | None = None
    wrap: tuple[Wrap, ...] = ()
    is_real: bool = False  # and refuses complex parameters
    steep: float = 0.1  # a rate for bowls and valleys
    flat: float = 0.1  # one for a well-conditioned matrix

    def build(self, params: Any, **overrides: Any) -> Any:
        # Where the optimizer at the bottom has no policy for non-finite gradients, the first wrapper has one.
        policy = {} if self.ours or "nonfinite" not in overrides else {"nonfinite": overrides.pop("nonfinite")}
        optimizer = self.cls(params, **{**self.kwargs, **overrides})
        for wrap in self.wrap:
            optimizer, policy = wrap(optimizer, **policy), {}
        return optimizer

    @property
    def ours(self) -> bool:
        """Whether the optimizer at the bottom is this package's."""
        return self.cls.__module__.startswith("waddington")

    @property
    def switches(self) -> bool:
        """Whether `alpha_min` is among the arguments of the optimizer at the bottom."""
        return "alpha_min" in self.kwargs

    @property
    def like_adam(self) -> bool:
        """Whether the state has Adam's moments and step."""
        return self.cls not in (torch.optim.SGD, MicroAdam, LDAdam)

    @property
    def shards(self) -> bool:
        """Whether sharded parameters are accepted."""
        return self.cls not in (MicroAdam, LDAdam)


_UNREAD = {
    **{"large_rate_in": "sharp", "switch_interval": 10, "hysteresis": 0.1, "memory": 10},
    **{"count_ratio": 1.0, "alignment": "clock", "tau": 50.0},
}
"""What the paper's rule does not read, as it may be given beside it."""


def _switched(name: str, cls: type[torch.optim.Optimizer], amsgrad: bool) -> list[Row]:
    twin = (
        torch.optim.Adam,
        {"amsgrad": amsgrad},
        {"switch": "mean", "bias_correction": True, **_UNREAD},
    )
    variants: dict[str, dict[str, Any]] = {
        "relative": {"switch": "relative", "switch_interval": 3},
        "relative-flat": {"switch": "relative", "switch_interval": 3, "large_rate_in": "flat"},
        "linear": {"switch": "linear", "switch_interval": 2},
        "linear-flat": {"switch": "linear", "switch_interval": 1, "large_rate_in": "flat", "hysteresis": 0.5},
        "faithful": {"switch": "mean", "bias_correction": False},
        "coordinate": {"switch": "coordinate", "count_ratio": 0.5},
        "momentum": {"switch": "momentum"},
        "decay": {"switch": "relative", "weight_decay": 0.1, "switch_interval": 2, "memory": 4},
    }
    return [
        Row(f"{name}-{variant}", cls, {"lr": RATE, "alpha_min": 1e-3, **kwargs}, asgd, {"amsgrad": amsgrad}, twin)
        for variant, kwargs in variants.items()
    ]


def _amgt(params: Any, gradients: Any, *, threshold: float = 0.0, **kwargs: Any) -> Any:
    return amgt(params, gradients, threshold_at=threshold, **kwargs)


def _plain(
    name: str,
    cls: type[torch.optim.Optimizer],
    reference: Any,
    rates: tuple[float, float] = (0.1, 0.1),
    **variants: dict[str, Any],
) -> list[Row]:
    steep, flat = rates
    return [
        Row(f"{name}-{variant}", cls, {"lr": RATE, **kwargs}, reference, steep=steep, flat=flat)
        for variant, kwargs in variants.items()
    ]


_ADAM = (torch.optim.Adam, {"amsgrad": False})
_ADAMW = (torch.optim.AdamW, {})
_CAUTIOUS = {"mask": "synchronous", "strict_mask": True, "compensation": "count"}

ROWS = [
    *_switched("ASGDAdam", ASGDAdam, amsgrad=False),
    *_switched("ASGDAMSGrad", ASGDAMSGrad, amsgrad=True),
    Row("ASGDAdam-default", ASGDAdam, {"lr": RATE}, asgd),
    Row(
        "ASGDAdam-dual",
        ASGDAdam,
        {"lr": RATE, "alpha_min": 1e-3, "alignment": "dual", "bias_correction": False},
        asgd,
    ),
    Row(
        "ASGDAMSGrad-clock",
        ASGDAMSGrad,
        {"lr": RATE, "alpha_min": 1e-3, "alignment": "clock", "weight_decay": 0.1},
        asgd,
        {"amsgrad": True},
    ),
    Row("Padam", Padam, {"lr": 1e-1}, padam),
    Row(
        "Padam-half",
        Padam,
        {"lr": RATE, "p": 0.5, "bias_correction": True},
        padam,
        twin=(torch.optim.Adam, {"amsgrad": True}, {}),
    ),
    Row(
        "Padam-Adam",
        Padam,
        {"lr": RATE, "p": 0.5, "bias_correction": True, "amsgrad": False},
        padam,
        twin=(torch.optim.Adam, {"amsgrad": False}, {}),
    ),
    Row("ASGD2", ASGD2, {"lr": 1e-3, "p": 0.75, "weight_decay": 0.01}, padam, {"amsgrad": False}),
    *_plain(
        "AMGT",
        AMGT,
        _amgt,
        default={},
        coordinate={"variance": "coordinate", "gamma": 0.3, "weight_decay": 0.1},
        hard={"threshold": 0.5, "gamma": 0.1, "correction": 0.05},
        soft={"threshold": 2.0, "threshold_mode": "soft", "variance": "coordinate"},
        clip={"threshold": 5.0, "threshold_mode": "clip"},
        inverse_time={"schedule": "inverse_time", "decay": 0.1, "weight_decay": 0.05},
        faithful={"schedule": "strongly_convex", "mu": 2.0, "threshold": 1.0, "eps_inside_root": True},
        window={"variance_window": 4, "gamma": 0.3},
        window_coordinate={"variance_window": 3, "variance": "coordinate", "gamma": 0.3, "weight_decay": 0.1},
    ),
    Row("AMGT-Adam", AMGT, {"lr": RATE, "gamma": 0.0}, _amgt, twin=(*_ADAM, {"decoupled_weight_decay": False})),
    Row("AMGT-AdamW", AMGT, {"lr": RATE, "gamma": 0.0, "variance": "coordinate"}, _amgt, twin=(*_ADAMW, {})),
    *_plain(
        "AlphaAdam",
        AlphaAdam,
        alphaadam,
        default={},
        faithful={"strict_mask": True, "alpha_max": math.inf, "bias_correction": False},
        norm={"compensation": "norm", "alpha_form": "root", "weight_decay": 0.1},
        count={"compensation": "count", "mask": "synchronous"},
        bare={"compensation": "none", "strict_mask": True},
    ),
    Row("AlphaAdam-AdamW", AlphaAdam, {"lr": RATE, "mask": "none"}, alphaadam, twin=(*_ADAMW, {})),
    Row("CAdamW", CAdamW, {"lr": RATE}, alphaadam, {**_CAUTIOUS, "weight_decay": 1e-2}),
    *_plain(
        "AMVT",
        AMVT,
        amvt,
        default={},
        faithful={"momentum_bias_correction": False, "decoupled": "literal", "weight_decay": 1e-3},
        moments={"variance": "moments", "weight_decay": 0.1},
        preprocessed={"clip_grad_norm": 2.0, "outlier_threshold": 1.5, "clip_update": 0.5},
        normalized={"normalize_grad": True, "outlier_threshold": 2.0, "variance": "moments"},
        curvature={"momentum": "curvature", "momentum_limits": (0.5, 0.98)},
        all_modules={
            **{"momentum": "curvature", "warmup_steps": 7, "clip_grad_norm": 2.0, "normalize_grad": True},
            **{"outlier_threshold": 1.5, "clip_update": 0.5, "variance": "moments", "weight_decay": 0.1},
        },
    ),
    *_plain(
        "MicroAdam",
        MicroAdam,
        microadam,
        (0.01, 0.01),
        sparse={"density": 0.3, "window": 4, "block_size": 5, "bucket_size": 4},
        dense={"density": 1.0, "value_dtype": "float32"},
    ),
    *_plain("LDAdam", LDAdam, ldadam, (0.1, 0.02), ranked={"rank": 2}, bare={"rank": 1, "error_feedback": False}),
]
"""Every variant of the package's own rules, for the references."""

_RELATIVE = {"lr": RATE, "alpha_min": 1e-3, "switch": "relative"}
_switch = partial(Switched, alpha_min=1e-3, switch_interval=3)
WRAPPED = [
    Row("Masked-AdamW", torch.optim.AdamW, {"lr": RATE}, wrap=(Masked,)),
    Row("Masked-SGD", torch.optim.SGD, {"lr": RATE, "momentum": 0.9}, wrap=(Masked,), steep=0.005),
    Row("Masked-ASGDAdam", ASGDAdam, {**_RELATIVE, "switch_interval": 3}, wrap=(Masked,)),
    Row("Switched-Adam", torch.optim.Adam, {"lr": RATE}, wrap=(_switch,)),
    Row("Switched-SGD", torch.optim.SGD, {"lr": RATE}, wrap=(_switch,), steep=0.02),
    Row("Switched-AMVT", AMVT, {"lr": RATE}, wrap=(_switch,)),
    Row("Compressed-AMGT", AMGT, {"lr": RATE}, wrap=(partial(Compressed, fraction=0.3),), steep=0.03),
    Row(
        "Compressed-AdamW",
        torch.optim.AdamW,
        {"lr": RATE},
        wrap=(partial(Compressed, method="quantize", levels=15),),
    ),
    Row("Lookahead-AMVT", AMVT, {"lr": RATE}, wrap=(partial(Lookahead, k=3),)),
    Row(
        "Projected-ASGDAdam",
        ASGDAdam,
        {**_RELATIVE, "switch_interval": 3},
        wrap=(partial(Projected, onto=Ball(20.0), metric="denominator"),),
        is_real=True,
    ),
    Row(
        "Averaged-Switched-AdamW",
        torch.optim.AdamW,
        {"lr": RATE},
        wrap=(partial(Switched, switch="alignment", alignment="clock"), partial(Averaged, since="noise")),
    ),
    Row("Lookahead-Masked-Switched-AdamW", torch.optim.AdamW, {"lr": RATE}, wrap=(_switch, Masked, Lookahead)),
]
"""Components around optimizers, of the package and of torch."""

_KINDS = (
    "ASGDAdam-relative",
    "ASGDAMSGrad-clock",
    "ASGDAdam-coordinate",
    "Padam",
    "ASGD2",
    "AMGT-hard",
    "AMGT-coordinate",
    "AMGT-window",
    "AlphaAdam-default",
    "CAdamW",
    "AMVT-default",
    "AMVT-preprocessed",
    "AMVT-curvature",
    "MicroAdam-sparse",
    "LDAdam-ranked",
)
OWN = [row for row in ROWS if row.name in _KINDS]
"""One of each kind of rule."""

BRIEF = [*OWN, *WRAPPED]
"""One of each kind, and the wrappers, for contracts that do not depend on the variant."""
