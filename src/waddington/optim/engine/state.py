"""The books of an optimizer that runs a rule: its groups, its state, saving and loading; no step.

Everything lives in torch's own places. Settings are in ``param_groups``; buffers, 0-d steps and the numbers that a rule
remembers for a tensor are in ``state`` under torch's names; the 0-d entries that belong to the whole model are in the
state of one parameter. That is where ``torch.save``, ``deepcopy``, pickling and ``torch.distributed.checkpoint``
(flattened and resharded too) keep them: entries of ``param_groups`` would stay on the device that they were saved from,
and attributes would be lost.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any, ClassVar, Self

import torch
from torch.optim.optimizer import ParamsT

from waddington._checks import check_in_range
from waddington.errors import ArgumentError, UnsupportedError
from waddington.optim._moved import with_new_names
from waddington.optim.engine.columns import ModelRow
from waddington.optim.engine.diagnostics import Recorded
from waddington.optim.engine.fit import may_be_cast
from waddington.optim.engine.loading import load_and_place, place, with_present_names
from waddington.optim.engine.params import compute_dtype, is_sharded, statistics_dtype
from waddington.optim.engine.rehearsal import check_rule
from waddington.optim.engine.settings import EngineSettings, check_agreement, check_common, check_keys, complete
from waddington.optim.engine.torch_options import TORCH_OPTIONS, check_torch_options
from waddington.optim.engine.whole_model import refuse_partition, why_all_gradients
from waddington.optim.rule import Layouts, RateControl, Rule, Settings, Tensors

__all__ = ["MASKED", "SKIPPED", "RuleState", "state_owner"]

SKIPPED = "skipped_steps"
MASKED = "masked_coordinates"


def state_owner(
    optimizer: torch.optim.Optimizer, names: Iterable[str], candidates: Iterable[torch.Tensor]
) -> torch.Tensor:
    """Find the parameter whose state carries the entries of the whole model.

    Parameters
    ----------
    optimizer
        Whose state.
    names
        Entries that belong to the whole model; one of them is enough to know the place by.
    candidates
        Parameters to carry them where none does yet, best first.
    """
    update = list(names)
    params = [param for group in optimizer.param_groups for param in group["params"]]
    # Parameters may be regrouped between saving and loading, so the entries are looked for, not assumed.
    for param in params:
        if any(name in optimizer.state.get(param, ()) for name in update):
            return param  # type: ignore[no-any-return]
    return next(iter(candidates), params[0])


def _listed(group: dict[str, Any], groups: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Give a new group with its parameters in a list, in which none is twice, nor in another group.

    Raises
    ------
    ArgumentError
        Names the places of a parameter that is.
    """
    given = group["params"]
    params = [given] if isinstance(given, torch.Tensor) else given if isinstance(given, set) else list(given)
    whole = [*groups, {"params": [param[1] if isinstance(param, tuple) else param for param in params]}]
    seen: dict[int, str] = {}
    for group_index, each in enumerate(whole):
        for at, param in enumerate(each["params"]):
            place = f"parameter {at} of group {group_index}"
            if isinstance(param, torch.Tensor) and seen.setdefault(id(param), place) != place:
                raise ArgumentError(
                    f"cannot add one parameter twice: {place} is also {seen[id(param)]} (shape {tuple(param.shape)});"
                    " accepted is each parameter once"
                )
    return {**group, "params": params}


class RuleState(Recorded, torch.optim.Optimizer):
    """Groups and state of a rule and perhaps a rate control; :class:`~.optimizer.RuleOptimizer` steps.

    Attributes
    ----------
    _rule, _control
        The mathematics, and what sets the rate; None leaves the rate at ``lr``.
    _fixed
        Settings that make the class what it is and that no group and no loaded state may change.
    _of_the_model
        Names of further settings that hold for the whole model.
    _renamed
        Old names of settings, with the present ones.
    _extra_keys
        Keys that groups have besides the settings.
    """

    _rule: ClassVar[Rule]
    _control: ClassVar[RateControl | None] = None
    _fixed: ClassVar[dict[str, Any]] = {}
    _of_the_model: ClassVar[tuple[str, ...]] = ()
    _renamed: ClassVar[dict[str, str]] = {}
    _extra_keys: ClassVar[tuple[str, ...]] = ()
    _known_model: ModelRow | None = None
    """The 0-d entries of the whole model in one piece, so that they are read and written at once."""

    def __init_subclass__(cls, *, rule: Rule | None = None, control: RateControl | None = None, **kwargs: Any) -> None:
        """Name a subclass's rule, and perhaps its rate control: ``class Lion(RuleOptimizer, rule=LION)``."""
        super().__init_subclass__(**kwargs)
        if rule is not None:
            cls._rule = rule
        if control is not None:
            cls._control = control

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """Refuse unknown keywords, and what only torch's optimizers can be asked for, before anything is built."""
        if not isinstance(getattr(cls, "_rule", None), Rule):
            raise ArgumentError(
                f"cannot make a {cls.__name__}: it names no rule; accepted is a subclass with one, as in"
                " class Lion(RuleOptimizer, rule=LION), where LION is a waddington.optim.rule.Rule"
            )
        accepted = cls.arguments()
        for name in kwargs:
            if name not in (*accepted, *TORCH_OPTIONS, *cls._renamed):
                raise TypeError(f"{cls.__name__} has no argument {name!r}: accepted are {', '.join(accepted)}")
        check_torch_options(cls, kwargs)
        return super().__new__(cls)

    def __init__(self, params: ParamsT, defaults: Mapping[str, Any]) -> None:
        """Make the groups; see :class:`~.optimizer.RuleOptimizer`."""
        rule = self._rule
        whole, own_layouts = bool(rule.whole_tensor_reason), rule.layouts is not None
        super().__init__(params, complete(defaults, whole=whole, own_layouts=own_layouts))

    @cached_property
    def _kinds_of_groups(self) -> set[Any]:
        """Kinds of groups that the rule was found to be in order with (:func:`~.rehearsal.check_rule`)."""
        return set()

    @classmethod
    def arguments(cls) -> tuple[str, ...]:
        """Name the arguments of the constructor, with those of the engine where it passes them on."""
        named, passes_on = [], False
        for parameter in list(inspect.signature(cls.__init__).parameters.values())[1:]:
            if parameter.kind is not parameter.VAR_KEYWORD:
                named.append(parameter.name)
            else:
                passes_on = passes_on or parameter.name != "torch_options"
        engines = [name for name in EngineSettings.__annotations__ if name not in (*named, *TORCH_OPTIONS)]
        return (*named, *engines) if passes_on else tuple(named)

    @classmethod
    def _check_group(cls, group: dict[str, Any]) -> None:
        """Check the settings of one group; raise before anything is kept."""
        check_common(group, betas=None)

    @classmethod
    def _completed(cls, settings: Settings) -> dict[str, Any]:
        """Give the settings of a group that follow from its others."""
        # Schedulers and Stable-Baselines3 overwrite lr; a rate stated relative to it needs the value it was stated at.
        # torch's initial_lr will not do, for some schedulers change it.
        check_in_range("lr", settings["lr"], 0.0, open_high=True)
        return {"base_lr": settings.get("base_lr", float(settings["lr"]))}

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group; it takes part in the whole-model statistics from its first gradient on.

        Raises
        ------
        ArgumentError
            A setting outside its range, or one that holds for the whole model and differs from the other groups'; a
            parameter that is listed twice, here or in another group; a key that no setting has; a rule that cannot be
            run, see :func:`~.rehearsal.check_rule`.
        UnsupportedError
            ``compile=True`` and a rule that is not compiled; or the optimizer is part of a ``ZeroRedundancyOptimizer``
            and needs the gradients of the whole model.
        """
        check_torch_options(type(self), param_group)
        param_group = with_new_names(type(self).__name__, self._renamed, param_group)
        others = {key for group in self.param_groups for key in group}
        check_keys(param_group, {*self.defaults, *self._fixed, *self._extra_keys, *others}, type(self).__name__)
        param_group = _listed(param_group, self.param_groups)
        settings = {**self.defaults, **param_group, **self._fixed}
        completed = self._completed(settings)
        settings |= completed
        self._check_group(settings)
        if settings["nonfinite"] == "mask" and self._rule.whole_tensor_reason:
            raise UnsupportedError(
                f"cannot use nonfinite='mask' with {type(self).__name__}: it {self._rule.whole_tensor_reason}, so a"
                " coordinate cannot be left out; accepted are 'skip', 'raise' and 'propagate'"
            )
        if settings["compile"] is True and self._rule.whole_tensor_reason:
            raise UnsupportedError(
                f"cannot use compile=True with {type(self).__name__}: it {self._rule.whole_tensor_reason}, and kernels"
                " are for tensors of any length; accepted are 'auto' and False, which run it eagerly"
            )
        self._refuse_state_dtype(settings)
        check_rule(self._rule, self._control, settings, self._kinds_of_groups)
        control = () if self._control is None else self._control.settings
        check_agreement(("nonfinite", *self._of_the_model, *control), settings, self.param_groups)
        refuse_partition(type(self), why_all_gradients(self._control, self._rule, settings))
        super().add_param_group({**param_group, **self._fixed, **completed})

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
        layouts = self._layouts(param, group)
        for name in self._rule.buffers(group):
            dtype = layouts[name][1] if name in layouts else self._buffer_dtype(param, group)
            if name in state:
                if may_be_cast(state[name], dtype):  # model.double() has been called
                    state[name] = state[name].to(dtype)
            elif name in layouts:
                state[name] = torch.zeros(layouts[name][0], dtype=dtype, device=param.device)
            else:
                state[name] = torch.zeros_like(param, dtype=dtype, requires_grad=False)
        missing = [name for name in self._rule.tensor_scalars(group) if name not in state]
        if missing:
            first = self._rule.tensor_scalars_after(state["step"].to(statistics_dtype(param.device)), group)
            state |= {name: first[name] for name in missing}
        return state

    def _buffer_dtype(self, param: torch.Tensor, group: Settings) -> torch.dtype:
        if group.get("state_dtype") != "bfloat16":
            return compute_dtype(param)
        if param.is_complex():
            raise UnsupportedError(
                f"cannot use state_dtype='bfloat16' for a complex parameter of shape {tuple(param.shape)}: there are no"
                " complex bfloat16 tensors; accepted is state_dtype='float32'"
            )
        return torch.bfloat16

    def _refuse_state_dtype(self, group: Settings) -> None:
        given = group.get("state_dtype", "float32")
        if "state_dtype" not in self.defaults and given != "float32":
            raise ArgumentError(
                f"cannot use state_dtype={given!r} with {type(self).__name__}: it has no such setting, for its"
                " state has a form of its own; accepted are groups without state_dtype"
            )

    def _layouts(self, param: torch.Tensor, group: Settings) -> Layouts:
        self._refuse_state_dtype(group)
        if self._rule.whole_tensor_reason and is_sharded(param):
            raise UnsupportedError(
                f"cannot use {type(self).__name__} on a sharded parameter (DTensor) of shape {tuple(param.shape)}: it"
                f" {self._rule.whole_tensor_reason}; accepted are whole parameters, on one process or under"
                " DistributedDataParallel"
            )
        return {} if self._rule.layouts is None else self._rule.layouts(param, group)

    def _entries(self) -> dict[str, float]:
        """Name the entries that belong to the whole model, with their first values."""
        entries = {SKIPPED: 0.0} | ({} if self._rule.whole_tensor_reason else {MASKED: 0.0})
        return entries if self._control is None else entries | self._control.initial(self.param_groups[0])

    def _model_state(self) -> Tensors:
        """Give the 0-d entries that belong to the whole model, made at their first use."""
        return self._model().entries

    def _model(self) -> ModelRow:
        known = self._known_model
        if known is not None and known.is_in(self.state):
            return known
        entries = self._entries()
        # The first trainable parameter is the same before and after a restart, whichever gradients came first, and
        # torch.distributed.checkpoint loads the state of trainable parameters only.
        trainable = (p for group in self.param_groups for p in group["params"] if p.requires_grad)
        param = state_owner(self, entries, trainable)
        state = self.state[param]
        device = self.param_groups[0]["params"][0].device
        dtype = statistics_dtype(device)
        values = {
            name: torch.as_tensor(state.get(name, value), dtype=dtype, device=device) for name, value in entries.items()
        }
        of_control = 0 if self._control is None else len(self._control.initial(self.param_groups[0]))
        self._known_model = ModelRow(param, state, values, of_control)
        return self._known_model

    def _rate(self, group: Settings) -> float | torch.Tensor:
        """Give a group's rate as of the last step."""
        rate: float | torch.Tensor = group["lr"]
        return rate if self._control is None else self._control.rate(self._model_state(), group)

    def _decay_rate(self, param: torch.Tensor, group: Settings) -> float | torch.Tensor:
        """Give what decoupled decay of a parameter is multiplied by, as of the last step."""
        if not self._rule.decays_by_rate(group):
            return 1.0
        rate = self._rate(group)
        if self._rule.rate_factor is None:
            return rate
        return rate * self._rule.rate_factor(self.state[param]["step"], group)

    def _figures(self) -> dict[str, float]:
        entries = self._model_state()
        values = dict(zip(entries, torch.stack(list(entries.values())).tolist(), strict=True))
        counts = {name: values.pop(name) for name in (SKIPPED, MASKED) if name in values}
        if self._control is None:
            return {"base_rate": float(self.param_groups[0]["lr"]), **counts}
        return {**self._control.describe(values), **counts}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Load a state, also one of torch's Adam or AdamW; settings that it lacks keep their present value.

        Unlike torch's own this keeps the state's precision where the parameters have less, puts the steps on the
        device of their parameters, and copies, so that the loaded state shares no memory with `state_dict`.

        Raises
        ------
        ValueError
            From torch: the groups or their sizes do not match.
        ArgumentError
            A buffer has another shape than its parameter asks for, a setting is outside its range, or the state is
            another optimizer's and of no use, as are steps without their moments. Or an entry holds what no step leaves
            behind: a count that is no whole number from 0, a number that is not finite, an average of squares below 0.
            Nothing has been changed.
        UnsupportedError
            The saved ``state_dtype`` is one that a parameter cannot have. Nothing has been changed.
        """

        def put(param: torch.Tensor, group: dict[str, Any], name: str, value: Any) -> Any:
            layouts = self._layouts(param, group)
            if name in layouts:
                return value.to(device=param.device, dtype=layouts[name][1], copy=True)
            if name in self._rule.buffers(group) and isinstance(value, torch.Tensor):
                return value.to(device=param.device, dtype=self._buffer_dtype(param, group), copy=True)
            return place(param, name, value, is_buffer=False)

        def shape_of(param: torch.Tensor, group: dict[str, Any], name: str) -> tuple[int, ...] | None:
            if name not in self._rule.buffers({**group, **self._fixed}):
                return None
            layouts = self._layouts(param, group)
            if name not in layouts:
                self._buffer_dtype(param, group)  # may be one that there is not
            return layouts.get(name, (tuple(param.shape), param.dtype))[0]

        def needed(group: dict[str, Any]) -> tuple[str, ...]:
            buffers = self._rule.buffers(group)
            return tuple(name for name in self._rule.required(group) if name in buffers)

        def check(group: dict[str, Any]) -> None:
            settings = {**group, **self._fixed}
            self._check_group(settings)
            self._refuse_state_dtype(group)
            check_rule(self._rule, self._control, settings, self._kinds_of_groups)

        def computed_with(group: dict[str, Any]) -> tuple[str, ...]:
            settings = {**group, **self._fixed}
            return ("step", *self._rule.buffers(settings), *self._rule.tensor_scalars(settings), *self._entries())

        def load() -> None:
            super(RuleState, self).load_state_dict(with_present_names(state_dict, self._renamed))

        load_and_place(self, load, put, shape_of, needed, check, computed_with)
        for group in self.param_groups:
            group.update(self._fixed)
            for param in group["params"]:
                self._init_missing(self.state.get(param, {}), group)

    def _init_missing(self, state: dict[str, Any], group: Settings) -> None:
        """Complete the loaded state of another optimizer."""
        names = self._rule.buffers(group)
        if self._rule.init_missing is not None and "step" in state and not all(name in state for name in names):
            known = {name: state[name] for name in names if name in state}
            is_complex = any(value.is_complex() for value in known.values())
            if is_complex:
                known = {name: torch.view_as_real(value) for name, value in known.items()}
            step = state["step"].to(statistics_dtype(state["step"].device))
            for name, value in self._rule.init_missing(known, step, group).items():
                if name not in state:
                    state[name] = torch.view_as_complex(value) if is_complex else value
