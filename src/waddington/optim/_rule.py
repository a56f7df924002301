"""The old address of :mod:`waddington.optim.rule`, and the old names of what a rule is made of."""

from __future__ import annotations

from typing import Any

from waddington.optim._moved import moved

_NAMES = ("Layouts", "Measured", "RateControl", "Rule", "Settings", "Stage", "Tensors")
_FIELDS = {
    "Measured": {"carry": "saved"},
    "Rule": {
        "coefficients": "scalars",
        "scalars": "tensor_scalars",
        "scalars_after": "tensor_scalars_after",
        "measure": "update_moments",
        "settle": "from_sums",
        "settles_for_later": "sums_for_next_step",
        "adopt": "init_missing",
        "needs_whole": "whole_tensor_reason",
    },
}
_give = moved(__name__, dict.fromkeys(_NAMES, "waddington.optim.rule"))


def __getattr__(name: str) -> Any:
    found, fields = _give(name), _FIELDS.get(name)
    if fields is None:
        return found

    def make(*args: Any, **kwargs: Any) -> Any:
        return found(*args, **{fields.get(field, field): value for field, value in kwargs.items()})

    return make
