"""The books of an optimizer that runs a rule: its groups, its state, saving and loading; no step.

Everything lives in torch's own places. Settings are in ``param_groups``; buffers and 0-d steps are in ``state`` under
torch's names; the 0-d entries that belong to the whole model are in the state of the first trainable parameter. That is
where ``torch.save``, ``deepcopy``, pickling and ``torch.distributed.checkpoint`` (flattened and resharded too) keep
them: entries of ``param_groups`` would stay on the device that they were saved from, and attributes would be lost.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from waddington._checks import check_choice, check_in_range
from waddington._errors import ArgumentError, UnsupportedError
from waddington.optim._rule import RateControl, Rule, Settings, Tensors
from waddington.optim._slots import compute_dtype, statistics_dtype

__all__ = ["SKIPPED", "RuleState", "check_common"]

SKIPPED = "skipped_steps"


def check_common(group: Settings) -> None:
    """Check the settings that every optimizer of the package has.

    Raises
    ------
    ArgumentError
        Names the argument, its value and the range.
    UnsupportedError
        ``compile=True``.
    """
    check_in_range("lr", float(group["lr"]), 0.0, open_high=True)
    check_in_range("eps", group["eps"], 0.0, open_high=True)
    check_in_range("weight_decay", group["weight_decay"], 0.0, open_high=True)
    if len(group["betas"]) != 2:
        raise ArgumentError(f"cannot use betas={group['betas']!r}: betas must be two numbers in [0, 1)")
    for index, beta in enumerate(group["betas"]):
        check_in_range(f"betas[{index}]", beta, 0.0, 1.0, open_high=True)
    check_choice("nonfinite", group["nonfinite"], ("skip", "raise", "propagate"))
    check_choice("compile", group["compile"], ("auto", False, True))
    if group["compile"] is True:
        raise UnsupportedError(
            "cannot use compile=True: this version runs rules eagerly; accepted are 'auto' (what is fastest) and False"
        )


class RuleState(torch.optim.Optimizer):
    """Groups and state of a rule and perhaps a rate control; :class:`~waddington.optim._engine.RuleOptimizer` steps.

    Attributes
    ----------
    _rule, _control
        The mathematics, and what sets the rate; None leaves the rate at ``lr``.
    _fixed
        Settings that make the class what it is and that no group and no loaded state may change.
    """

    _rule: ClassVar[Rule]
    _control: ClassVar[RateControl | None] = None
    _fixed: ClassVar[dict[str, Any]] = {}

    @classmethod
    def _check_group(cls, group: dict[str, Any]) -> None:
        """Check the settings of one group; raise before anything is kept."""
        check_common(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; it takes part in the whole-model statistics from its first gradient on.

        Raises
        ------
        ArgumentError
            A setting outside its range, or one that holds for the whole model and differs from the other groups'.
        """
        settings = {**self.defaults, **param_group, **self._fixed}
        self._check_group(settings)
        for name in ("nonfinite", *(() if self._control is None else self._control.settings)):
            if self.param_groups and settings[name] != self.param_groups[0][name]:
                raise ArgumentError(
                    f"cannot use {name}={settings[name]!r} in one group and {self.param_groups[0][name]!r} in another:"
                    f" {name} holds for the whole model"
                )
        # Schedulers and Stable-Baselines3 overwrite lr; a rate stated relative to it needs the value it was stated at.
        # torch's initial_lr will not do, for some schedulers change it.
        base = {"base_lr": settings.get("base_lr", float(settings["lr"]))}
        super().add_param_group({**param_group, **self._fixed, **base})

    def init_state(self) -> None:
        """Make the state of every trainable parameter now instead of at its first gradient."""
        for group in self.param_groups:
            for param in group["params"]:
                if param.requires_grad:
                    self._state_of(param, group)
        self._model_state()

    def _state_of(self, param: torch.Tensor, group: dict[str, Any]) -> dict[str, Any]:
        state: dict[str, Any] = self.state[param]
        if "step" not in state:
            # On the parameter's device, so that a skipped step need not be known on the host.
            state["step"] = torch.zeros((), dtype=torch.float32, device=param.device)
        for name in self._rule.buffers(group):
            if name not in state:
                state[name] = torch.zeros_like(param, dtype=compute_dtype(param), requires_grad=False)
        return state

    def _model_state(self) -> Tensors:
        """Give the 0-d entries that belong to the whole model, made at their first use."""
        entries = {SKIPPED: 0.0, **({} if self._control is None else self._control.initial(self.param_groups[0]))}
        params = [param for group in self.param_groups for param in group["params"]]
        # Parameters may be regrouped between saving and loading, so the entries are looked for, not assumed.
        carrier = next((param for param in params if SKIPPED in self.state.get(param, ())), None)
        if carrier is None:
            # The first trainable parameter is the same before and after a restart, whichever gradients came first, and
            # torch.distributed.checkpoint loads the state of trainable parameters only.
            carrier = next((param for param in params if param.requires_grad), params[0])
        state = self.state[carrier]
        for name, value in entries.items():
            if name not in state:
                state[name] = torch.full((), value, dtype=statistics_dtype(carrier.device), device=carrier.device)
        return {name: state[name] for name in entries}

    def diagnostics(self) -> dict[str, float]:
        """Read what the optimizer is doing; waits for the device, once for all figures.

        Returns
        -------
        dict
            ``base_rate`` (of the first group, at the last step), ``skipped_steps`` (left out for a non-finite
            gradient) and, under a base-rate switch, ``statistic``, ``large_rate_fraction`` and ``mean_rate`` (over all
            steps taken).
        """
        entries = self._model_state()
        values = dict(zip(entries, torch.stack(list(entries.values())).tolist(), strict=True))
        skipped = values.pop(SKIPPED)
        if self._control is None:
            return {"base_rate": float(self.param_groups[0]["lr"]), SKIPPED: skipped}
        return {**self._control.describe(values), SKIPPED: skipped}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state, also one of torch's Adam or AdamW; settings that it lacks keep their present value.

        Unlike torch's own this keeps the state's precision where the parameters have less, puts the steps on the
        device of their parameters, and copies, so that the loaded state shares no memory with `state_dict`.

        Raises
        ------
        ValueError
            From torch: the groups or their sizes do not match.
        """
        present = [dict(group) for group in self.param_groups]
        captured: list[dict[str, Any]] = []
        # Registered last, it sees what the user's own hooks have made of the state.
        handle = self.register_load_state_dict_pre_hook(lambda _, loaded: captured.append(loaded))
        try:
            super().load_state_dict(state_dict)
        finally:
            handle.remove()
        loaded = captured[-1]
        for group, before, saved in zip(self.param_groups, present, loaded["param_groups"], strict=True):
            for name, value in before.items():
                group.setdefault(name, value)
            group.update(self._fixed)
            for key, param in zip(saved["params"], group["params"], strict=True):
                if key in loaded["state"]:
                    buffers = self._rule.buffers(group)
                    self.state[param] = {
                        name: _placed(param, name, value, name in buffers)
                        for name, value in loaded["state"][key].items()
                    }


def _placed(param: torch.Tensor, name: str, value: Any, is_buffer: bool) -> Any:
    """Copy a loaded entry to where it belongs; torch would cast it to the parameter's dtype instead."""
    if name == "step":
        return torch.as_tensor(value, dtype=torch.float32).to(param.device, copy=True)
    if not isinstance(value, torch.Tensor):
        return value
    is_like_param = is_buffer or (value.dim() > 0 and value.shape == param.shape)
    dtype = compute_dtype(param) if is_like_param else statistics_dtype(param.device)
    return value.to(device=param.device, dtype=dtype, copy=True)
