"""A model and its loss as a function of all parameters: the same number for the same parameters, every time."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

import torch
from torch import nn

from waddington._checks import check_choice, check_count
from waddington.analysis._surroundings import Buffers, fixed_randomness, quiet, refusing_half_precision
from waddington.analysis.batches import WITHOUT_BATCHES, BatchLoss, Loss
from waddington.analysis.vectors import joined, parts_of, trainable, widest
from waddington.errors import ArgumentError, UnsupportedError

__all__ = ["Mode", "Objective", "evaluating"]

Mode = Literal["eval", "train", "as-is"]
"""Mode in which the model is evaluated; ``"as-is"`` leaves every module in its own."""

_UNREACHED = (
    "cannot differentiate the loss: it depends on no parameter of the model that requires grad; accepted is a loss of"
    " the model that it is given, without detach() or no_grad() on the way"
)
_ONCE_ONLY = (
    "not implemented",
    "double backward",
    "differentiate twice",
    "once_differentiable",
    "not compatible with .grad",
)
_SILENT = {
    "Error": "it runs an autograd.Function that is marked as once_differentiable; accepted are operations with a second"
    " derivative",
    "CheckpointFunctionBackward": "it runs a reentrant checkpoint; accepted is checkpoint(use_reentrant=False)",
}
"""Nodes of a graph behind which autograd would give 0 without a word."""


class Objective:
    """The loss as a function of one vector; made by :func:`evaluating`, and of use inside its block alone.

    Attributes
    ----------
    model
        The model.
    params
        Its parameters that require grad, each once.
    names
        Their names.
    size
        Their number of coordinates n.
    dtype, device
        Of the vectors: the widest dtype, and the device of the first parameter.
    """

    def __init__(self, model: nn.Module, loss: Loss, *, seed: int, order: int) -> None:
        named = trainable(model, order)
        self.model, self._loss, self._seed = model, loss, seed
        self.names = [name for name, _ in named]
        self.params = [param for _, param in named]
        self.size = sum(param.numel() for param in self.params)
        self.dtype, self.device = widest(self.params), self.params[0].device
        self._buffers = Buffers(model)
        self._before = [param.detach().clone() for param in self.params]
        self._grads = [(param, param.grad) for param in model.parameters()]
        self._required = [(param, param.requires_grad) for param in model.parameters()]
        self._graph: Sequence[torch.Tensor] | None = None
        self._held: Mapping[str, torch.Tensor] = {}
        self._frozen: dict[str, tuple[nn.Parameter, torch.Tensor]] = {}
        self._checked: set[str] = set()
        self._differentiates = False

    def value(self) -> float:
        """Compute the loss; NaN and infinity are values like others."""
        try:
            values = self._values()
        except RuntimeError as error:
            if self._differentiates or "does not require grad" not in str(error):
                raise
            self._differentiates = True  # inside, as losses of differential equations and penalties of gradients do
            values = self._values()
        return math.fsum(values) / len(values) if all(map(math.isfinite, values)) else sum(values) / len(values)

    def _values(self) -> list[float]:
        with torch.set_grad_enabled(self._differentiates), self._evaluation():
            return [self._scalar(piece).item() for piece in self._pieces()]

    def gradient(self) -> torch.Tensor:
        """Compute the gradient, of shape (n,)."""
        with torch.enable_grad(), self._evaluation():
            total, count = torch.zeros(self.size, dtype=self.dtype, device=self.device), 0
            for piece in self._pieces():
                total += self.flat(self._first(piece, create_graph=False))
                count += 1
        return total / count

    def piece_gradients(self) -> Iterator[torch.Tensor]:
        """Compute the gradient of each batch, of shape (n,), one after the other."""
        with torch.enable_grad(), self._evaluation():
            for piece in self._pieces():
                yield self.flat(self._first(piece, create_graph=False))

    def hvp(self, vector: torch.Tensor) -> torch.Tensor:
        """Multiply the Hessian with a vector of shape (n,)."""
        parts = self.split(vector)
        with torch.enable_grad():
            if not isinstance(self._loss, BatchLoss):
                if self._graph is None:  # one graph serves every product
                    with self._evaluation():
                        self._graph = self._first(self._loss, create_graph=True)
                return self.flat(self._second(self._graph, parts, keep=True))
            total, count = torch.zeros(self.size, dtype=self.dtype, device=self.device), 0
            with self._evaluation():
                for piece in self._pieces():
                    total += self.flat(self._second(self._first(piece, create_graph=True), parts, keep=False))
                    count += 1
            return total / count

    def split(self, vector: torch.Tensor) -> list[torch.Tensor]:
        """Cut a vector of shape (n,) into parts that are shaped, typed and placed as the parameters."""
        return parts_of(vector, self.params)

    def flat(self, parts: Sequence[torch.Tensor]) -> torch.Tensor:
        """Join parts that are shaped as the parameters into one vector of shape (n,)."""
        return joined([part.detach() for part in parts], self.dtype, self.device)

    def place(self, vector: torch.Tensor) -> None:
        """Write a vector of shape (n,) into the parameters, which get their own values back when the block ends."""
        parts = self.split(vector)
        self._graph = None
        for param, part in zip(self.params, parts, strict=True):
            param.data.copy_(part)

    def hold(self, values: Mapping[str, torch.Tensor]) -> None:
        """Evaluate with other values of buffers and frozen parameters, by name, from now on."""
        frozen = dict(self.model.named_parameters())
        for name, value in values.items():
            if name in frozen:
                self._frozen.setdefault(name, (frozen[name], frozen[name].detach().clone()))
                frozen[name].data.copy_(value)
        self._held = values

    def restore(self) -> None:
        """Put back parameters, what they require, their ``.grad`` and buffers, to the bit; a loss may change them."""
        self._graph = None
        self._buffers.restore()
        for param, before in [*zip(self.params, self._before, strict=True), *self._frozen.values()]:
            param.data.copy_(before)
        for param, grad in self._grads:
            param.grad = grad
        for param, required in self._required:
            param.requires_grad_(required)

    @contextlib.contextmanager
    def _evaluation(self) -> Iterator[None]:
        self._buffers.restore(self._held)
        for param, _ in self._grads:
            param.grad = None  # a loss that calls backward() adds to nothing that is there
        generators = self._loss.generators() if isinstance(self._loss, BatchLoss) else ()
        with fixed_randomness(self._seed, generators):
            yield

    def _pieces(self) -> Iterator[Loss]:
        if not isinstance(self._loss, BatchLoss):
            yield self._loss
            return
        is_empty = True
        for piece in self._loss.pieces():
            is_empty = False
            yield piece
        if is_empty:
            raise ArgumentError(WITHOUT_BATCHES)

    def _scalar(self, piece: Loss) -> torch.Tensor:
        value: Any = piece(self.model)
        if not isinstance(value, torch.Tensor) or value.numel() != 1 or not value.is_floating_point():
            found = (
                f"shape {tuple(value.shape)}, {value.dtype}"
                if isinstance(value, torch.Tensor)
                else type(value).__name__
            )
            raise ArgumentError(f"cannot use a loss that gives {found}; accepted is a real tensor of one number")
        return value.reshape(())

    def _first(self, piece: Loss, *, create_graph: bool) -> Sequence[torch.Tensor]:
        value = self._scalar(piece)
        if not value.requires_grad:
            raise ArgumentError(_UNREACHED)
        if "first" not in self._checked:
            _check_graph([value])
            self._checked.add("first")
        with _twice():
            grads: Sequence[torch.Tensor | None] = torch.autograd.grad(
                value, self.params, create_graph=create_graph, allow_unused=True
            )
        if all(grad is None for grad in grads):
            raise ArgumentError(_UNREACHED)
        return [
            torch.zeros_like(param) if grad is None else grad.to_dense() if grad.is_sparse else grad
            for param, grad in zip(self.params, grads, strict=True)
        ]

    def _second(
        self, grads: Sequence[torch.Tensor], parts: Sequence[torch.Tensor], *, keep: bool
    ) -> Sequence[torch.Tensor]:
        live = [(grad, part) for grad, part in zip(grads, parts, strict=True) if grad.requires_grad]
        if not live:  # linear in every parameter
            return [torch.zeros_like(param) for param in self.params]
        outputs, weights = zip(*live, strict=True)
        if "second" not in self._checked:  # asked once; every piece of a loss runs the same operations
            _check_graph(outputs)
            self._checked.add("second")
        with _twice():
            found = torch.autograd.grad(outputs, self.params, weights, retain_graph=keep, materialize_grads=True)
        return [part.to_dense() if part.is_sparse else part for part in found]


@contextlib.contextmanager
def evaluating(
    model: nn.Module, loss: Loss, *, mode: Mode = "eval", seed: int = 0, order: int = 0
) -> Iterator[Objective]:
    """Make a model and its loss one deterministic function while the block runs, and leave the model as it was.

    Random numbers (dropout, noise, shuffling) are the same at every evaluation. Modes, buffers such as BatchNorm's
    running statistics, parameters and the states of all generators are put back at the end, also after an error. A
    surrounding autocast is switched off.

    Parameters
    ----------
    model
        The model.
    loss
        ``loss(model)``, or what :func:`over_batches` gave.
    mode
        Mode of the model while it is evaluated.
    seed
        Of the random numbers.
    order
        How many derivatives are wanted. At 2 attention runs on its plain kernel, which can be differentiated twice.

    Raises
    ------
    ArgumentError
        No parameter requires grad; the loss is no scalar, or gives two values at the same parameters.
    UnsupportedError
        A parameter is complex or sharded; of second order also: half precision, or an operation that can be
        differentiated once alone.
    """
    check_choice("mode", mode, ("eval", "train", "as-is"))
    check_count("seed", seed, 0, 2**32 - 1)  # as far as numpy's generator goes
    if not callable(loss):
        raise ArgumentError(f"cannot use loss={type(loss).__name__}: accepted is a function of the model, loss(model)")
    objective = Objective(model, loss, seed=seed, order=order)
    modes = [(module, module.training) for module in model.modules()]
    try:
        if mode != "as-is":
            model.train(mode == "train")
        with quiet(model, order=order):
            _check_repeats(objective, order)
            yield objective
    finally:
        for module, training in modes:
            module.training = training
        objective.restore()


def _check_repeats(objective: Objective, order: int) -> None:
    """Refuse what is no function of the parameters, and half precision where it spoils second derivatives."""
    with refusing_half_precision() if order == 2 else contextlib.nullcontext():
        first = objective.value()
    second = objective.value()
    # On a processor one function gives one number. A device adds up in any order, so a loss near 0 moves.
    rounding = 0.0 if objective.device.type == "cpu" else 1e-7
    if not math.isclose(first, second, rel_tol=1e-4, abs_tol=rounding) and math.isfinite(first + second):
        raise ArgumentError(
            f"cannot use a loss that gives {first:.6g} and then {second:.6g} at the same parameters; accepted is a loss"
            " on fixed data (one batch, or a list of them by over_batches)"
        )


def _check_graph(tensors: Sequence[torch.Tensor]) -> None:
    """Find operations behind which autograd would give 0 without a word."""
    nodes: list[Any] = [tensor.grad_fn for tensor in tensors]
    seen = set(nodes)
    while nodes:
        node = nodes.pop()
        reason = _SILENT.get(type(node).__name__)
        if reason is not None:
            raise UnsupportedError(f"cannot differentiate the loss: {reason}")
        following = {below for below, _ in getattr(node, "next_functions", ()) if below is not None} - seen
        seen |= following
        nodes += following


@contextlib.contextmanager
def _twice() -> Iterator[None]:
    """Say plainly which operation has no second derivative."""
    try:
        yield
    except RuntimeError as error:
        if not any(part in str(error) for part in _ONCE_ONLY):
            raise
        reason = str(error).splitlines()[0]
        raise UnsupportedError(
            f"cannot differentiate the loss: {reason}; accepted are operations with a second derivative, without"
            " reentrant checkpoints and fused kernels"
        ) from error
