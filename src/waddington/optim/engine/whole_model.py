"""What an optimizer needs the gradients of the whole model for, and where it would be given those of a part."""

from __future__ import annotations

import sys

from waddington.errors import UnsupportedError
from waddington.optim.rule import RateControl, Rule, Settings

__all__ = ["refuse_partition", "why_all_gradients"]

_ZERO = "torch.distributed.optim.zero_redundancy_optimizer"


def why_all_gradients(control: RateControl | None, rule: Rule | None, settings: Settings) -> str:
    """Say what asks for all gradients at once; empty where nothing does.

    Parameters
    ----------
    control, rule
        What sets the rate, and the mathematics; None where there is none.
    settings
        Settings of the whole model, ``nonfinite`` among them.
    """
    if control is not None:
        return "its rate is chosen from the gradients of the whole model"
    if rule is not None and (asked_by := rule.needs_norm(settings)):
        return f"it needs the norm of all gradients ({asked_by})"
    if settings["nonfinite"] not in ("mask", "propagate"):
        accepted = "'propagate'" if rule is None or rule.whole_tensor_reason else "'mask' or 'propagate'"
        return f"nonfinite={settings['nonfinite']!r} asks of all gradients whether they are finite; use {accepted}"
    return ""


def refuse_partition(cls: type, reason: str) -> None:
    """Refuse to be built by torch's ``ZeroRedundancyOptimizer``, which hands each process a part of the parameters.

    The processes would choose different rates, norms or steps to leave out, and say nothing. What is built cannot be
    told by its arguments from a model of that part, so it is looked for among the callers.

    Raises
    ------
    UnsupportedError
        There is a `reason`, and the caller is one, with more than one process.
    """
    module = sys.modules.get(_ZERO)
    if not reason or module is None:
        return
    frame = sys._getframe(1)
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, module.ZeroRedundancyOptimizer) and caller.world_size > 1:
            raise UnsupportedError(
                f"cannot build {cls.__name__} inside ZeroRedundancyOptimizer: {reason}, and each of its"
                f" {caller.world_size} processes has those of a part of the parameters; accepted is fully_shard"
                " (FSDP2), which shards states too and whose processes are asked together"
            )
        frame = frame.f_back  # type: ignore[assignment]
