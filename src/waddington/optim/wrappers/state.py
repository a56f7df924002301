"""The books of an optimizer around an optimizer: groups, state, saving and loading; no step.

Its groups and state *are* those of the optimizer that it wraps: schedulers turn the same ``lr``, and its own settings
and buffers are saved, loaded, copied and resharded with the rest.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, get_args

import torch

from waddington._checks import check_choice
from waddington.errors import ArgumentError, UnsupportedError
from waddington.optim._moved import with_new_names
from waddington.optim.engine.diagnostics import Recorded
from waddington.optim.engine.loading import load_and_place, place, with_present_names
from waddington.optim.engine.params import ParamSlot, compute_dtype, local_real, statistics_dtype
from waddington.optim.engine.settings import NonfiniteUnmasked, check_agreement
from waddington.optim.engine.state import SKIPPED, state_owner
from waddington.optim.engine.whole_model import refuse_partition, why_all_gradients
from waddington.optim.rule import RateControl, Settings, Tensors

__all__ = ["WrapperState"]


class WrapperState(Recorded, torch.optim.Optimizer):
    """Groups and state of an optimizer that has another one take its steps.

    Parameters
    ----------
    optimizer
        What is wrapped; from here on only the wrapper is to be used.
    settings
        The wrapper's settings; a parameter group that names one of them overrides it.
    nonfinite
        What a NaN or infinite gradient does where the wrapped optimizer has no policy of its own, as those of this
        package have. ``"skip"``: no step is taken, and ``diagnostics()["skipped_steps"]`` counts it; on a GPU the host
        waits for the answer, once a step. ``"raise"``: DataError before anything has changed. ``"propagate"``: no
        check.

    Attributes
    ----------
    optimizer
        The wrapped optimizer.
    _own
        Names of the settings in each group.
    _of_the_model
        Those that must be the same in all groups.
    _renamed
        Old names of settings, with the present ones.
    _is_outermost
        Whether it has methods that a component around it would hide.
    """

    _own: ClassVar[tuple[str, ...]] = ()
    _of_the_model: ClassVar[tuple[str, ...]] = ()
    _renamed: ClassVar[dict[str, str]] = {}
    _is_outermost: ClassVar[bool] = False
    optimizer: torch.optim.Optimizer
    _settings: dict[str, Any]
    _nonfinite: str
    _loose: Tensors

    def __init__(
        self, optimizer: torch.optim.Optimizer, settings: dict[str, Any], *, nonfinite: NonfiniteUnmasked = "skip"
    ) -> None:
        if not isinstance(optimizer, torch.optim.Optimizer):
            raise ArgumentError(
                f"cannot use optimizer={_brief(optimizer)}: it must be a torch.optim.Optimizer, already built over its"
                f" parameters, as in {type(self).__name__}(torch.optim.AdamW(params, lr=1e-3))"
            )
        check_choice("nonfinite", nonfinite, get_args(NonfiniteUnmasked))
        _refuse_closures(self, optimizer)
        # Where the optimizer at the bottom is this package's, its own policy holds, and it has been asked already.
        policy = "propagate" if isinstance(optimizer, Recorded) else nonfinite
        control: RateControl | None = getattr(self, "_control", None)
        refuse_partition(type(self), why_all_gradients(control, None, {"nonfinite": policy}))
        taken = [name for name in self._own if name in optimizer.defaults or name in _settings_of(optimizer)]
        if taken:
            raise UnsupportedError(
                f"cannot put {type(self).__name__} around {type(optimizer).__name__}: that has the setting {taken[0]!r}"
                " itself; accepted are optimizers that do not do the same already"
            )
        if getattr(optimizer, "_is_outermost", False):
            raise UnsupportedError(
                f"cannot put {type(self).__name__} around {type(optimizer).__name__}: its train() and eval() would be"
                f" hidden; put {type(optimizer).__name__} around {type(self).__name__} instead"
            )
        for group in optimizer.param_groups:
            for old, new in self._renamed.items():
                if old in group:
                    group[new] = group.pop(old)
        completed = [self._completed(group, settings, optimizer) for group in optimizer.param_groups]
        for group in completed:
            self._check_own(group)
            check_agreement(self._of_the_model, group, completed)
        for group, full in zip(optimizer.param_groups, completed, strict=True):
            group.update(full)
        # torch's own constructor would make groups and state anew; this is what it does besides.
        self.__setstate__({"optimizer": optimizer, "_settings": settings, "_nonfinite": nonfinite, "_loose": {}})

    def _check_own(self, settings: Settings) -> None:
        """Check the wrapper's settings of one group."""

    def _completed(self, group: dict[str, Any], settings: Settings, optimizer: torch.optim.Optimizer) -> dict[str, Any]:
        """Give a group with the wrapper's settings filled in."""
        return {**settings, **group}

    # -- what is the wrapped optimizer's own --

    @property
    def innermost(self) -> torch.optim.Optimizer:
        """The optimizer at the bottom of all wrappers."""
        inner = self.optimizer
        return inner.innermost if isinstance(inner, WrapperState) else inner

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Groups of the wrapped optimizer."""
        return self.optimizer.param_groups

    @param_groups.setter
    def param_groups(self, groups: list[dict[str, Any]]) -> None:
        self.optimizer.param_groups = groups

    @property
    def state(self) -> Any:
        """State of the wrapped optimizer."""
        return self.optimizer.state

    @state.setter
    def state(self, state: Any) -> None:
        self.optimizer.state = state

    @property
    def defaults(self) -> dict[str, Any]:  # type: ignore[override]
        """Defaults of the wrapped optimizer."""
        return self.optimizer.defaults

    def __getstate__(self) -> dict[str, Any]:
        return {name: self.__dict__[name] for name in ("optimizer", "_settings", "_nonfinite", "_loose")}

    def __repr__(self) -> str:
        return f"{type(self).__name__} around {self.optimizer!r}"

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group, which may override the wrapper's settings."""
        param_group = with_new_names(type(self).__name__, self._renamed, param_group)
        group = self._completed({"lr": self.defaults.get("lr"), **param_group}, self._settings, self.optimizer)
        self._check_own(group)
        check_agreement(self._of_the_model, group, self.param_groups)
        self.optimizer.add_param_group(group)

    def state_dict(self) -> dict[str, Any]:
        """Give the wrapped optimizer's state, which holds the wrapper's."""
        for before in self._optimizer_state_dict_pre_hooks.values():
            before(self)
        found: dict[str, Any] = self.optimizer.state_dict()
        for after in self._optimizer_state_dict_post_hooks.values():
            changed = after(self, found)
            found = found if changed is None else changed
        return found

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load a state of the same wrapper, or of the wrapped optimizer alone: the wrapper then starts afresh.

        Raises
        ------
        ValueError
            From torch: the groups or their sizes do not match.
        ArgumentError
            An entry of the wrapper's own has another shape than its parameter, or holds a number that is not finite.
        """
        given = with_present_names(state_dict, self._renamed)
        for before in self._optimizer_load_state_dict_pre_hooks.values():
            changed = before(self, given)
            given = given if changed is None else changed
        load_and_place(
            self.optimizer,
            lambda: self.optimizer.load_state_dict(given),
            self._put,
            self._shape,
            computed_with=lambda group: (*self._buffer_names(), *self._entries()),
        )
        self._loose = {}
        for after in self._optimizer_load_state_dict_post_hooks.values():
            after(self)

    def _shape(self, param: torch.Tensor, group: dict[str, Any], name: str) -> tuple[int, ...] | None:
        return tuple(param.shape) if name in self._buffer_names() else None

    def _put(self, param: torch.Tensor, group: dict[str, Any], name: str, value: Any) -> Any:
        if name in self._buffer_names() or name in self._entries():
            return place(param, name, value, is_buffer=name in self._buffer_names())
        kept = self.state[param][name]
        return kept.clone() if isinstance(kept, torch.Tensor) else kept

    # -- the wrapper's own state --

    def _held(self, param: torch.Tensor) -> str:
        """List what the wrapped optimizer itself keeps of a parameter, for messages."""
        found: set[str] = set(self.state.get(param, {}))
        inner: Any = self
        while isinstance(inner, WrapperState):
            found -= {*inner._buffer_names(), *inner._entries()}
            inner = inner.optimizer
        return ", ".join(sorted(found)) or "nothing"

    def _buffer_names(self) -> tuple[str, ...]:
        """Name the wrapper's buffers, which have the shape of their parameter."""
        return ()

    def _entries(self) -> dict[str, float]:
        """Name the wrapper's entries that belong to the whole model, with their first values."""
        return {f"{type(self).__name__.lower()}_{SKIPPED}": 0.0}

    def _model_state(self) -> Tensors:
        """Give those entries; they are kept loose until the wrapped optimizer has made its own state.

        torch's optimizers take a state that is not empty for one that they have made.
        """
        names = self._entries()
        carried: Tensors = next((s for s in self.state.values() if any(name in s for name in names)), {})
        device = self.param_groups[0]["params"][0].device
        for name, value in names.items():
            if name not in carried and name not in self._loose:
                self._loose[name] = torch.full((), value, dtype=statistics_dtype(device), device=device)
        return {name: carried[name] if name in carried else self._loose[name] for name in names}

    def _settle_down(self, slots: Sequence[ParamSlot]) -> None:
        """Move loose entries to where they are saved."""
        if self._loose:
            state = self.state[state_owner(self, self._entries(), [slot.param for slot in slots])]
            state.update(self._loose)
            self._loose = {}
            # torch.distributed.checkpoint wants state of all parameters or of none.
            for slot in slots:
                if not self.state.get(slot.param):
                    self.state[slot.param]["wrapped"] = torch.ones((), device=slot.param.device)

    def _buffer(self, slot: ParamSlot, name: str) -> torch.Tensor:
        """Give the local part of a buffer, made at its first use, in the dtype that its parameter asks for by now."""
        state, dtype = self.state[slot.param], compute_dtype(slot.param)
        if name not in state:
            state[name] = self._initial(slot.param)
        elif state[name].dtype != dtype:
            state[name] = state[name].to(dtype)
        return local_real(state[name])

    def _initial(self, param: torch.Tensor) -> torch.Tensor:
        """Give the first value of a parameter's buffers."""
        return torch.zeros_like(param, dtype=compute_dtype(param), requires_grad=False)

    def record(self, on: bool = True) -> None:
        """Take statistics, or stop, here and in what is wrapped; see :meth:`RuleOptimizer.record`."""
        super().record(on)
        if isinstance(self.optimizer, Recorded):
            self.optimizer.record(on)

    def tensor_diagnostics(self) -> dict[str, dict[str, float]]:
        """Read the figures of the last step for each tensor, the wrapped optimizer's among them."""
        found = self.optimizer.tensor_diagnostics() if isinstance(self.optimizer, Recorded) else {}
        return found | {name: found.get(name, {}) | own for name, own in super().tensor_diagnostics().items()}

    def _figures(self) -> dict[str, float]:
        inner = self.optimizer.diagnostics() if isinstance(self.optimizer, Recorded) else {}
        if not inner:
            inner = {"base_rate": float(self.param_groups[0]["lr"]), SKIPPED: 0.0}
        skipped = self._model_state()[f"{type(self).__name__.lower()}_{SKIPPED}"]
        return {**inner, SKIPPED: inner[SKIPPED] + float(skipped)}


def _brief(given: object) -> str:
    """Say what somebody gave instead of an optimizer, without printing a model."""
    return given.__name__ if isinstance(given, type) else f"a {type(given).__name__}"


def _settings_of(optimizer: torch.optim.Optimizer) -> set[str]:
    """Name the settings of all wrappers from here on downwards."""
    found: set[str] = set()
    inner: Any = optimizer
    while isinstance(inner, WrapperState):
        found |= set(inner._own)
        inner = inner.optimizer
    return found


def _refuse_closures(wrapper: Any, optimizer: torch.optim.Optimizer) -> None:
    closure = inspect.signature(type(optimizer).step).parameters.get("closure")
    if closure is not None and closure.default is inspect.Parameter.empty:
        raise UnsupportedError(
            f"cannot put {type(wrapper).__name__} around {type(optimizer).__name__}: that calls its closure many times"
            " in one step; accepted are optimizers that step on gradients"
        )
