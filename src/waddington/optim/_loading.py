"""Loading of optimizer state without torch's cast to the parameter's dtype."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import torch

from waddington.optim._slots import compute_dtype, statistics_dtype

__all__ = ["restored_state"]


def restored_state(optimizer: torch.optim.Optimizer, loaded: dict[str, Any]) -> defaultdict[torch.Tensor, Any]:
    """Build an optimizer's state from a state dictionary, each entry in the dtype and place that it belongs in.

    Parameters
    ----------
    optimizer
        Has the groups that the dictionary was checked against.
    loaded
        As torch's ``load_state_dict`` takes it, after the user's hooks.

    Returns
    -------
    defaultdict
        Copies: buffers of the parameter's shape in the dtype of the computation, ``step`` in float32 and other 0-d
        entries in float64, all on the parameter's device; anything that is no tensor as it is.
    """
    params = [param for group in optimizer.param_groups for param in group["params"]]
    keys = [key for group in loaded["param_groups"] for key in group["params"]]
    state: defaultdict[torch.Tensor, Any] = defaultdict(dict)
    for key, param in zip(keys, params, strict=True):
        if key in loaded["state"]:
            state[param] = {name: _placed(param, name, value) for name, value in loaded["state"][key].items()}
    return state


def _placed(param: torch.Tensor, name: str, value: Any) -> Any:
    if name == "step":
        return torch.as_tensor(value, dtype=torch.float32).to(param.device, copy=True)
    if not isinstance(value, torch.Tensor):
        return value
    is_buffer = value.shape == param.shape and (value.dim() > 0 or name.startswith(("exp_avg", "max_exp_avg")))
    dtype = compute_dtype(param) if is_buffer else statistics_dtype(param.device)
    return value.to(device=param.device, dtype=dtype, copy=True)
