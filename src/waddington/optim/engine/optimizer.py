"""The engine: the only ``step()`` that runs rules; its own mathematics is ``θ -= α d`` and no more.

It lays the tensors of the model out (:mod:`.layout`), which holds as long as nothing moves, takes a
:class:`~.step.Step` over them, and says how that is done: :meth:`RuleOptimizer.execution`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from functools import cached_property
from itertools import compress
from typing import Any, NamedTuple

import torch
from torch._compile import _disable_dynamo

from waddington.errors import UnsupportedError
from waddington.optim.engine.backward import BackwardSteps, why_not_in_backward
from waddington.optim.engine.columns import ModelRow
from waddington.optim.engine.diagnostics import per_tensor
from waddington.optim.engine.dispatch import Execution, choose_paths, merged
from waddington.optim.engine.fit import check_gradient, check_parameter, check_state
from waddington.optim.engine.groups import TensorGroup
from waddington.optim.engine.layout import Layout, lay_out
from waddington.optim.engine.overlap import Apart
from waddington.optim.engine.params import HasGroup, ParamSlot, gradient_of
from waddington.optim.engine.state import RuleState
from waddington.optim.engine.step import Step

__all__ = ["RuleOptimizer", "is_noop_step", "loss_before"]


class RuleOptimizer(RuleState):
    """A torch optimizer that runs a rule; subclasses name the rule, perhaps a rate control, and their arguments.

    Parameters
    ----------
    params
        Parameters, groups or named parameters, as for every torch optimizer.
    defaults
        Settings of a group that does not say otherwise. Besides the rule's own these are ``lr`` (a number or a 0-d
        tensor), ``weight_decay``, ``decoupled_weight_decay`` (True: ``θ -= rate λ θ``; False: ``g += λ θ``),
        ``maximize``, ``nonfinite``, ``stochastic_rounding``, ``state_dtype`` and ``compile``.

        ``nonfinite`` says what a NaN or infinite gradient does, or one whose square is. ``"mask"``: the coordinate
        stays as it is, moments included, and counts as gradient 0 in all sums; the others step, and
        ``diagnostics()["masked_coordinates"]`` counts it. A tensor without any finite gradient takes no step, and if
        none has one, the step counts as skipped. ``"skip"``: one anywhere in the model, and the step is not taken:
        parameters, moments, step count and switch stay, on every rank, and ``diagnostics()["skipped_steps"]`` counts
        it; costs one pass over the gradients. ``"raise"``: DataError before anything has changed; costs one wait for
        the device per step besides. ``"propagate"``: no check, as torch. Those that need whole tensors (MicroAdam,
        LDAdam) have no ``"mask"``.

        ``stochastic_rounding`` rounds new values of bfloat16 parameters up or down at random so that their expectation
        is exact: without it updates below half a unit in the last place, 0.2 % of the parameter, are lost. The random
        numbers depend on coordinate and step alone: replicas agree, shards too, and a resumed run repeats them.

        ``state_dtype`` is ``"float32"``, or ``"bfloat16"``: buffers then take half the memory, and are rounded
        stochastically, without which a second moment, that changes by a thousandth a step, would stand still.

        ``compile`` says whether steps are taken by compiled kernels. ``"auto"``: on a processor where there is a C
        compiler, from 4,096 coordinates on, a number of sizes alone; elsewhere small tensors are laid end to end and
        stepped as one. True: for every tensor, or an error. False: never. The first step compiles, once for a machine:
        kernels are kept on disk, serve tensors of every number and size, and outlast every change of rate, decay or
        group. :meth:`execution` says what is done and why.

    Notes
    -----
    State is in float32 under parameters of lower precision, unless `state_dtype` says otherwise. A step with rate 0 and
    all gradients 0 on an optimizer without state is not counted: it is how ``torch.distributed.checkpoint`` asks for
    the state before loading.
    """

    _finite: torch.Tensor | None = None
    """Whether the last step was taken, 0-d and on the device; None where nobody asked."""
    _layout: Layout | None = None
    _in_backward: BackwardSteps | None = None
    _before: list[tuple[torch.Tensor, dict[str, Any] | None]] = []  # noqa: RUF012  (replaced before it is written to)
    """Parameters that are being laid out, and the entries that their states had; until something is written."""

    @_disable_dynamo  # traced, it would be compiled anew whenever gradients are; inside torch.compile it is eager
    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step.

        Parameters
        ----------
        closure
            Computes the loss anew and calls ``backward``; called once, with gradients on.

        Returns
        -------
        object
            What the closure gave, or None.

        Raises
        ------
        DataError
            A gradient is not finite and ``nonfinite="raise"``. Or a parameter, a gradient or an entry of the state was
            replaced, resized, tied or freed, and does not fit any more. Tied parameters are refused where two of one
            memory have gradients at once; where no more than one has, the memory is stepped as its own.
        UnsupportedError
            A gradient is sparse, or the call stands inside a transform of ``torch.func``, or ``compile=True`` and
            compiling failed.

        Notes
        -----
        An error leaves parameters, state and counts as they were. One that comes while new values are being written
        (there is no memory, a rule fails on its second tensor, the user interrupts) has a note that says what is
        changed.
        """
        loss = loss_before(self, closure)
        if self._in_backward is not None:
            self._in_backward.begin_anew()
        try:
            without_state = not self.state
            tensor_groups = self._laid_out()
            if not tensor_groups:
                return loss
            model = self._model_of_step()
            if without_state and all(
                is_noop_step(slot) for tensor_group in tensor_groups for slot in tensor_group.slots
            ):
                return loss
            self._step(tensor_groups, model)
        except BaseException:
            self._take_back()
            raise
        finally:
            self._before = []
        return loss

    def _model_of_step(self) -> ModelRow:
        """Give the entries of the whole model, perhaps made for a parameter that is not stepped and had no state."""
        known = self._known_model
        if known is not None and known.is_in(self.state):
            return known
        count = len(self.state)
        model = self._model()
        if len(self.state) > count:
            self._before.append((model.param, None))
        return model

    def _take_back(self) -> None:
        """Leave state as it was before a step that could not begin."""
        for param, entries in self._before:
            if entries is None:
                self.state.pop(param, None)
            else:
                state = self.state[param]
                state.clear()
                state.update(entries)
        if self._before:
            self._drop_layout(frozenset())

    def _drop_layout(self, staying: AbstractSet[int]) -> None:
        """Forget the layout; entries of states, but for those of some parameters by identity, lie alone again."""
        if self._layout is not None:
            self._layout.leave(staying)
        self._layout = None

    def _slot_of(self, param: torch.Tensor, group: dict[str, Any], group_index: int, index: int) -> ParamSlot:
        """Make the state of a parameter that has a gradient, where there is none."""
        found = self.state.get(param)
        self._before.append((param, None if found is None else dict(found)))
        return ParamSlot(param, group, group_index, index, self._state_of(param, group))

    def _lay_out(
        self, slots: Sequence[ParamSlot], executions: Sequence[Execution], stepped: AbstractSet[int]
    ) -> list[TensorGroup]:
        rule = self._rule
        for slot in slots:
            check_state(slot, self._layouts(slot.param, slot.group), rule)
        apart = self._apart
        apart.check(self, stepped)
        tensor_groups = lay_out(rule, slots, executions)
        apart.learn(self)  # what was moved lies in memory of its own
        return tensor_groups

    @cached_property
    def _apart(self) -> Apart:
        return Apart()

    def _step(self, tensor_groups: Sequence[TensorGroup], model: ModelRow) -> None:
        settings = self.param_groups[0]
        step = Step(self._rule, self._control, tensor_groups, settings, model, self._recording_on)
        try:
            step.run()
        finally:
            if step.is_begun:  # and cannot be taken back
                self._before = []
        self._finite = step.finite
        if self._recording_on and not step.is_left_out:
            self._record(step)

    def _record(self, step: Step) -> None:
        groups, names = step.groups, self._rule.reported
        slots = [slot for each in groups for slot in each.slots]
        counts = [len(each.slots) for each in groups]
        sums = [row for found, n in zip(step.sums, counts, strict=True) for row in per_tensor(found, n)]
        shown = [each.shown(names) for each in groups]
        reported = [row for found, n in zip(shown, counts, strict=True) for row in per_tensor(found, n)]
        order = sorted(range(len(slots)), key=lambda at: slots[at].index)
        rows = ([slots[at] for at in order], [sums[at] for at in order], [reported[at] for at in order])
        self._keep(*rows, step.finite, self._rule.ratios)

    def step_in_backward(self, on: bool = True) -> None:
        """Step each parameter inside ``backward()``, as soon as its gradient is there, and free the gradient; or stop.

        The gradients of the model then never exist all at once. ``step()`` is called as always, after ``backward()``:
        it only allows the next one. Where a gradient scaler is used, gradients are stepped on before it can undo its
        scale: do not use both. To be called when all groups have been added.

        Raises
        ------
        UnsupportedError
            The optimizer needs all gradients at once: a switched rate, a norm over the model, ``nonfinite="skip"`` or
            ``"raise"``, sharded parameters, diagnostics being recorded. Also raised from a second ``backward()``
            before ``step()``: what has been used cannot be accumulated.
        """
        if self._in_backward is not None:
            self._in_backward.remove()
            self._in_backward = None
        if not on:
            return
        self._refuse_in_backward()
        holders = [_Held(p, group) for group in self.param_groups for p in group["params"] if p.requires_grad]
        paths = choose_paths(self._rule, holders)
        executions = {id(held.param): path for held, path in zip(holders, paths, strict=True)}
        known: dict[int, TensorGroup] = {}

        @torch.no_grad()
        def step_one(param: torch.Tensor, group_index: int, index: int) -> None:
            gradient_of(param)
            tensor_group, group = known.get(index), self.param_groups[group_index]
            try:
                if (
                    tensor_group is None
                    or not tensor_group.still_fits(group)
                    or not tensor_group.is_in_place(self.state)
                ):
                    self._refuse_in_backward()  # a loaded state may have brought other settings
                    check_parameter(param, group, group_index)
                    check_gradient(param, group, group_index)
                    self._before = []
                    slot = self._slot_of(param, group, group_index, index)
                    (tensor_group,) = self._lay_out([slot], [executions[id(param)]], executions.keys())
                    known[index] = tensor_group
                self._step([tensor_group], self._model_of_step())
            except BaseException:
                self._take_back()
                raise
            finally:
                self._before = []

        self._in_backward = BackwardSteps(self, step_one)

    def _refuse_in_backward(self) -> None:
        reason = "diagnostics are being recorded" if self._recording_on else why_not_in_backward(self)
        if reason:
            raise UnsupportedError(f"cannot step {type(self).__name__} inside backward: {reason}")

    def record(self, on: bool = True) -> None:
        """Take the statistics that cost a pass over the tensors from the next step on, or stop.

        Raises
        ------
        UnsupportedError
            Steps are taken inside backward.
        """
        if on and self._in_backward is not None:
            raise UnsupportedError(f"cannot record {type(self).__name__}: steps are taken inside backward, one by one")
        super().record(on)

    # -- layout --

    def execution(self) -> list[Execution]:
        """Say how tensors are stepped, compiled or eagerly, and why; before the first step, how they will be.

        Counted are the tensors that have had a gradient; before the first step, all that require one.

        Returns
        -------
        list of Execution
            One entry for each path and reason, the largest first. It depends on sizes and settings alone, unless
            compiling has failed, which is then the reason.
        """
        tensor_groups = () if self._layout is None else self._layout.all_tensor_groups
        found = [unit.execution for tensor_group in tensor_groups for unit in tensor_group.all_units]
        if not found:
            holders = [_Held(p, group) for group in self.param_groups for p in group["params"] if p.requires_grad]
            found = choose_paths(self._rule, holders)
        return merged(found)

    def _laid_out(self) -> tuple[TensorGroup, ...]:
        """Give the tensor groups of the parameters that have gradients."""
        groups, layout = self.param_groups, self._layout
        params = [param for group in groups for param in group["params"]]
        have_gradients = [param.grad is not None for param in params]
        if not any(have_gradients):
            return ()
        if layout is not None and layout.holds(groups, self.state, have_gradients):
            if layout.is_another_set:
                self._check_apart(compress(params, have_gradients))
                layout.is_another_set = False
            return layout.tensor_groups
        takes_part = have_gradients
        if layout is not None:
            known = [index in layout.indices for index in range(len(params))]
            if layout.holds(groups, self.state, known):  # nothing was replaced: a gradient is the first of its tensor
                takes_part = list(map(operator.or_, have_gradients, known))
        return self._laid_out_anew(takes_part, frozenset(map(id, compress(params, have_gradients))))

    def _laid_out_anew(self, takes_part: Sequence[bool], stepped: AbstractSet[int]) -> tuple[TensorGroup, ...]:
        """Lay out some of the parameters, and give the tensor groups of those that are stepped, by identity."""
        groups = self.param_groups
        found: list[tuple[torch.Tensor, dict[str, Any], int, int]] = []
        index = -1
        for group_index, group in enumerate(groups):
            for param in group["params"]:
                index += 1
                if takes_part[index]:  # what cannot be stepped is refused before any state is made
                    check_parameter(param, group, group_index)
                    found.append((param, group, group_index, index))
                if id(param) in stepped:
                    check_gradient(param, group, group_index)
        self._before = []
        slots = [self._slot_of(*each) for each in found]
        model = [_Held(p, group) for group in groups for p in group["params"] if p.requires_grad]
        self._drop_layout({id(slot.param) for slot in slots})
        tensor_groups = self._lay_out(slots, choose_paths(self._rule, slots, model or slots), stepped)
        self._layout = Layout(tensor_groups, groups, self.state)
        self._layout.select([id(param) in stepped for group in groups for param in group["params"]])
        self._layout.is_another_set = False
        return self._layout.tensor_groups

    def _check_apart(self, params: Iterable[torch.Tensor]) -> None:
        """Check that parameters lie apart that have not been stepped together before."""
        stepped = frozenset(map(id, params))
        if self._apart.knows(stepped):
            return
        try:
            self._apart.check(self, stepped)
        except BaseException:
            self._drop_layout(frozenset())  # so that the next step asks again
            raise


class _Held(NamedTuple):
    param: torch.Tensor
    group: dict[str, Any]


def loss_before(optimizer: torch.optim.Optimizer, closure: Callable[[], Any] | None) -> Any:
    """Give what a step's closure gives, called once and with gradients on; None without one.

    Raises
    ------
    UnsupportedError
        Inside ``grad``, ``vmap``, ``jvp`` or another of ``torch.func``'s transforms no step is taken.
    """
    if torch._C._functorch.peek_interpreter_stack() is not None:
        raise UnsupportedError(
            f"cannot take a step of {type(optimizer).__name__} inside a torch.func transform: a step changes parameters"
            " and state in place, and a transform would lose or mix those changes; compute gradients inside, store them"
            " in .grad, and call step() outside"
        )
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


def is_noop_step(slot: HasGroup) -> bool:
    """Tell whether a step of a parameter can change nothing: rate 0 and gradient 0.

    Only ever asked of an optimizer without state, so its wait for the device happens once in a life, if at all.
    """
    assert slot.param.grad is not None
    return float(slot.group["lr"]) == 0.0 and not bool(slot.param.grad.any())
