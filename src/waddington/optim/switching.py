"""v1"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from waddington._checks import check_choice, check_in_range
from waddington._errors import ArgumentError
from waddington.optim._rule import Settings, Stage, Tensors

__all__ = ["SWITCHES", "BaseRateSwitch", "check_switch"]

SWITCHES = ("relative", "linear", "mean", "coordinate", "momentum")
_TINY = 1e-300


def check_switch(group: Settings) -> None:
    """Check the settings of a base-rate switch."""
    check_choice("switch", group["switch"], SWITCHES)
    check_choice("large_rate_in", group["large_rate_in"], ("flat", "sharp"))
    check_in_range("lr", float(group["lr"]), 0.0, open_low=True, open_high=True)
    check_in_range("alpha_min", group["alpha_min"], 0.0, open_high=True)
    check_in_range("adaptive", group["adaptive"], 0.0, open_low=True, open_high=True)
    check_in_range("switch_interval", group["switch_interval"], 1)
    if group["alpha_min"] > float(group["lr"]):
        raise ArgumentError(
            f"cannot use alpha_min={group['alpha_min']!r} with lr={float(group['lr'])!r}: the small base rate must be at"
            " most the large one, which is lr"
        )


class BaseRateSwitch:
    settings = ("switch", "large_rate_in", "adaptive", "switch_interval")
    reference_beta = 0.99
    hysteresis = 0.1

    def initial(self, settings: Settings) -> dict[str, float]:
        return {
            "switch_steps": 0.0,
            "switch_looks": 0.0,
            "switch_reference": 0.0,
            "switch_statistic": 0.0,
            "switch_sharp": 1.0,
            "switch_large": 1.0,
            "switch_rate": 0.0,
            "switch_large_fraction": 0.0,
            "switch_mean_rate": 0.0,
        }

    def stages(self, settings: Settings) -> tuple[Stage, ...]:
        switch = settings["switch"]
        if switch == "mean":
            return (
                lambda b, c, n, t: {
                    "absolute": b["exp_avg_sq"].abs().sum() / max(n, 1),
                    "plain": b["exp_avg_sq"].sum() / max(n, 1),
                },
            )
        if switch == "momentum":
            return (
                lambda b, c, n, t: {
                    "absolute": b["exp_avg"].abs().sum() / max(n, 1),
                    "plain": b["exp_avg"].sum() / max(n, 1),
                },
            )
        if switch == "coordinate":
            return (
                lambda b, c, n, t: {"mean": b["exp_avg_sq"].sum() / max(n, 1)},
                lambda b, c, n, t: {
                    "above": (b["exp_avg_sq"] >= t["mean"]).sum(),
                    "below": (b["exp_avg_sq"] <= t["mean"]).sum(),
                },
            )
        return (lambda b, c, n, t: {"curvature": b["exp_avg_sq"].sum() / c["exp_avg_sq_weight"]},)

    def decide(self, totals: Tensors, count: int, state: Tensors, settings: Settings) -> Tensors:
        new = dict(state)
        switch = settings["switch"]
        if switch in ("mean", "momentum"):
            fmin = (torch.sign(totals["absolute"] - totals["plain"]) + 1) / 2
            fmax = (torch.sign(totals["plain"] - totals["absolute"]) + 1) / 2
            new["switch_statistic"] = (fmax.count_nonzero() - fmin.count_nonzero()).to(torch.float64)
            new["switch_large"] = (new["switch_statistic"] >= 0).double()
        elif switch == "coordinate":
            new["switch_statistic"] = totals["above"].sum() - settings["adaptive"] * totals["below"].sum()
            new["switch_large"] = (new["switch_statistic"] >= 0).double()
        else:
            level = torch.log(totals["curvature"].sum() / max(count, 1) + _TINY)
            look = torch.remainder(state["switch_steps"], settings["switch_interval"]) == 0
            first = state["switch_looks"] == 0
            beta = self.reference_beta
            deviation = torch.where(first, 0.0, level - state["switch_reference"])
            looks = state["switch_looks"] + 1
            # exact running mean at first
            w = torch.clamp(1 / looks, min=1 - beta)
            reference = torch.where(first, level, state["switch_reference"] + w * deviation)
            h = self.hysteresis
            if switch == "relative":
                sharp = torch.where(deviation > h, 1.0, torch.where(deviation < -h, 0.0, state["switch_sharp"]))
            else:
                sharp = torch.sigmoid(deviation / h)
            large = sharp if settings["large_rate_in"] == "sharp" else 1 - sharp
            upd = {
                "switch_statistic": deviation,
                "switch_reference": reference,
                "switch_sharp": sharp,
                "switch_large": large,
                "switch_looks": looks,
            }
            for k, v in upd.items():
                new[k] = torch.where(look, v, state[k])
        n = state["switch_steps"] + 1
        new["switch_steps"] = n
        new["switch_rate"] = self.rate(new, settings)
        new["switch_large_fraction"] = (
            state["switch_large_fraction"] + ((new["switch_large"] > 0.5).double() - state["switch_large_fraction"]) / n
        )
        new["switch_mean_rate"] = state["switch_mean_rate"] + (new["switch_rate"] - state["switch_mean_rate"]) / n
        return new

    def rate(self, state: Tensors, settings: Settings) -> torch.Tensor:
        large = state["switch_large"]
        lr = settings["lr"]
        return large * lr + (1 - large) * (lr * (settings["alpha_min"] / settings["base_lr"]))

    def describe(self, state: Mapping[str, float]) -> dict[str, float]:
        return {
            "base_rate": state["switch_rate"],
            "statistic": state["switch_statistic"],
            "large_rate_fraction": state["switch_large_fraction"],
            "mean_rate": state["switch_mean_rate"],
        }
