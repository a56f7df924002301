"""Arms with the settings that papers state for these tasks, at the rates that are tried there."""

from __future__ import annotations

from typing import Any

import torch
from torch.optim.optimizer import ParamsT

from waddington._checks import check_choice
from waddington.bench.arm import Arm
from waddington.bench.schedule import Schedule
from waddington.bench.space import Choice
from waddington.optim import AMVT, Lookahead

__all__ = ["amvt_arms", "glue_arms", "gpt2_arms", "gsm8k_arms", "lookahead_adam", "lookahead_amvt"]

_GLUE_RATES = Choice(1e-5, 2e-5, 3e-5, 4e-5, 5e-5)
_GSM8K_RATES = Choice(1e-5, 5e-5, 1e-4, 5e-4)
_GPT2_RATES = {"125M": 6e-4, "355M": 3e-4, "770M": 2e-4}
_GRID_004 = Choice(1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
_LOW_RANK = {"beta1": 0.9, "beta2": 0.99}


def glue_arms() -> tuple[Arm, ...]:
    """Give the arms of the AlphaAdam paper's Table 1: RoBERTa-base on GLUE (F.1).

    Weight decay .01; β are .9 and .999, but .9 and .99 for LDAdam and GaLore, whose rank is 8; rates from 1e-5 to 5e-5
    are searched. The schedule, which the paper does not state, is transformers' linear one's nearest here: cosine.
    """
    return tuple(
        Arm.of(
            optimizer, space={"lr": _GLUE_RATES}, schedule=Schedule(name="cosine"), weight_decay=0.01, **extra
        )
        for optimizer, extra in _table(rank=8).items()
        if optimizer not in ("MicroAdam", "Adam8bit")
    )  # fmt: skip


def gsm8k_arms() -> tuple[Arm, ...]:
    """Give the arms of the AlphaAdam paper's Table 2: Llama-2-7B on GSM8K (F.3).

    Rates from 1e-5 to 5e-4 are searched, as in section 4.3.2; LDAdam and GaLore have rank 512, MicroAdam a window of
    10 gradients; 20 of 702 steps warm up.
    """
    schedule = Schedule(name="cosine", warmup=20 / 702)
    return tuple(
        Arm.of(optimizer, space={"lr": _GSM8K_RATES}, schedule=schedule, weight_decay=0.0, **extra)
        for optimizer, extra in _table(rank=512).items()
        if optimizer != "AdamMini"
    )


def gpt2_arms(size: str = "125M") -> tuple[Arm, ...]:
    """Give the arms of the AlphaAdam paper's Figure 2: GPT-2 on OpenWebText (F.2).

    β .9 and .95, ε 1e-8, weight decay .1; the size's rate of Table 5, and the two others, are searched. The schedule is
    nanoGPT's: 2 % of the steps warm up, cosine to a tenth.

    Parameters
    ----------
    size
        ``"125M"``, ``"355M"`` or ``"770M"``.
    """
    check_choice("size", size, _GPT2_RATES)
    own = _GPT2_RATES[size]
    rates = Choice(own, *(rate for rate in _GPT2_RATES.values() if rate != own))
    settings: dict[str, Any] = {"beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay": 0.1}
    schedule = Schedule(name="cosine", warmup=0.02, end=0.1)
    return tuple(
        Arm.of(optimizer, space={"lr": rates}, schedule=schedule, **settings)
        for optimizer in ("AdamW", "AdamMini", "CAdamW", "AlphaAdam")
    )


def amvt_arms(period: int) -> tuple[Arm, ...]:
    """Give the arms of the AMVT paper's comparison: its baselines' settings, its grid of rates, cosine with restarts.

    The paper's grid also holds weight decay and β, which a study searches by its own `space`. Lookahead has the
    defaults of its paper, around Adam and, as in section 5.9, around AMVT.

    Parameters
    ----------
    period
        Steps of a cycle of the schedule, which the paper does not state.
    """
    schedule = Schedule(name="restarts", period=period)
    arms: dict[str, dict[str, Any]] = {
        "AMVT": {"betas": (0.9, 0.999, 0.99), "weight_decay": 0.0},
        "Adam": {"betas": (0.9, 0.999), "weight_decay": 0.0},
        "AdamW": {"betas": (0.9, 0.999), "weight_decay": 0.01},
        "RAdam": {"betas": (0.9, 0.999), "weight_decay": 0.0},
        "SGD": {"momentum": 0.9, "weight_decay": 0.0},
    }
    single = [Arm.of(name, space={"lr": _GRID_004}, schedule=schedule, **found) for name, found in arms.items()]
    around = [
        Arm.of(optimizer, space={"lr": _GRID_004}, schedule=schedule) for optimizer in (lookahead_adam, lookahead_amvt)
    ]
    return (*single, *around)


def lookahead_adam(params: ParamsT, lr: float = 1e-3) -> torch.optim.Optimizer:
    """Build Lookahead around Adam, as an arm that other processes find."""
    return Lookahead(torch.optim.Adam(params, lr=lr))


def lookahead_amvt(params: ParamsT, lr: float = 1e-3) -> torch.optim.Optimizer:
    """Build Lookahead around AMVT, as an arm that other processes find."""
    return Lookahead(AMVT(params, lr=lr))


def _table(rank: int) -> dict[str, dict[str, Any]]:
    """Give the optimizers of Tables 1 and 2, and what of each differs."""
    usual = {"beta1": 0.9, "beta2": 0.999}
    return {
        "AdamW": usual,
        "AdamMini": usual,
        "Adam8bit": usual,
        "GaLore": {**_LOW_RANK, "rank": rank},
        "LDAdam": {**_LOW_RANK, "rank": rank},
        "CAdamW": usual,
        "MicroAdam": {**usual, "window": 10},
        "AlphaAdam": usual,
    }
