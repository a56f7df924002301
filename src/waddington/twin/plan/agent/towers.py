"""Nets of linear layers run forwards and backwards by matrix products, without a graph.

For a layer with weights W (outputs, inputs), bias b and n rows of inputs X, and a loss whose gradient with respect to
the layer's outputs is D (n, outputs)::

    Y = X Wᵀ + b        ∂W = Dᵀ X        ∂b = 1ᵀ D        ∂X = D W

and through an activation H = σ(Y) the gradient is multiplied by σ' as a function of H: 1 - H² for tanh, 1[H > 0] for
relu. This is what backpropagation computes; written out, it needs no nodes, no new arrays, and no gradient of the
inputs. tanh(y) is taken as 2 sigmoid(2 y) - 1, in half the time and with errors of rounding alone (1e-7 in float32).
Gradients of all parameters lie in one array, so that clipping their norm is two passes over it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from torch import nn

__all__ = ["Activation", "FlatGradients", "Tower"]

Activation = Literal["tanh", "relu"]
"""What stands between two layers."""

_MINUS_ONE = torch.tensor(-1.0)


class FlatGradients:
    """Gradients of parameters as parts of one array.

    Parameters
    ----------
    parameters
        Of one dtype, on the CPU. Their ``grad`` is replaced by :meth:`attach`.

    Attributes
    ----------
    flat
        All gradients, shape (elements,).
    """

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        self.parameters = list(parameters)
        sizes = [parameter.numel() for parameter in self.parameters]
        self.flat = torch.zeros(sum(sizes), dtype=self.parameters[0].dtype)
        pieces: Sequence[torch.Tensor] = torch.split(self.flat, sizes)
        self._views = [piece.view_as(p) for piece, p in zip(pieces, self.parameters, strict=True)]
        self._of: dict[int, torch.Tensor] = {id(p): view for p, view in zip(self.parameters, self._views, strict=True)}

    def of(self, parameter: torch.Tensor) -> torch.Tensor:
        """Give the part that is the gradient of a parameter."""
        return self._of[id(parameter)]

    def attach(self) -> None:
        """Make the parts the ``grad`` of their parameters: an optimizer's ``zero_grad`` takes them away."""
        for parameter, view in zip(self.parameters, self._views, strict=True):
            parameter.grad = view

    def clip(self, max_norm: float) -> None:
        """Scale all gradients so that their norm is at most `max_norm`, as ``clip_grad_norm_`` of torch does."""
        factor = max_norm / (torch.linalg.vector_norm(self.flat).item() + 1e-6)
        if not factor >= 1.0:  # A norm that is not a number makes all gradients so, as there.
            self.flat.mul_(factor)


class Tower:
    """A net of linear layers with one activation between them, and none behind the last.

    Parameters
    ----------
    layers
        The layers, first to last. Their parameters are read at each pass, so an optimizer may change them in between.
    activation
        ``"tanh"`` or ``"relu"``.
    gradients
        Where :meth:`backward` writes the gradients of the layers' parameters; None where it is not called.
    """

    def __init__(
        self, layers: Sequence[nn.Linear], activation: Activation, gradients: FlatGradients | None = None
    ) -> None:
        self._layers = list(layers)
        self._gradients = [(gradients.of(one.weight), gradients.of(one.bias)) for one in layers] if gradients else []
        self._activation = activation
        self._inputs: list[torch.Tensor] = []
        self._arrays: dict[int, list[tuple[torch.Tensor, torch.Tensor]]] = {}

    @torch.no_grad()
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Give the outputs for inputs of shape (n, inputs), in an array that the next pass of n rows overwrites."""
        arrays = self._arrays_for(len(x))
        last = len(arrays) - 1
        self._inputs = []
        for index, (layer, (out, _)) in enumerate(zip(self._layers, arrays, strict=True)):
            self._inputs.append(x)
            if index < last and self._activation == "tanh":
                x = torch.addmm(layer.bias, x, layer.weight.t(), beta=2, alpha=2, out=out)
                torch.add(_MINUS_ONE, x.sigmoid_(), alpha=2, out=x)
            else:
                x = torch.addmm(layer.bias, x, layer.weight.t(), out=out)
                x = x.relu_() if index < last else x
        return x

    @torch.no_grad()
    def backward(self, grad: torch.Tensor) -> None:
        """Write the gradients of all parameters, from the loss's gradient by the last outputs, (n, outputs)."""
        arrays = self._arrays_for(len(grad))
        for index in range(len(self._layers) - 1, -1, -1):
            x = self._inputs[index]
            weight_grad, bias_grad = self._gradients[index]
            torch.mm(grad.t(), x, out=weight_grad)
            torch.sum(grad, 0, out=bias_grad)
            if index == 0:
                return
            grad = torch.mm(grad, self._layers[index].weight, out=arrays[index - 1][1])
            if self._activation == "tanh":
                torch.ops.aten.tanh_backward.grad_input(grad, x, grad_input=grad)
            else:
                torch.ops.aten.threshold_backward.grad_input(grad, x, 0, grad_input=grad)

    def _arrays_for(self, n: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Give each layer's array of outputs and of their gradient, made once for n rows."""
        if n not in self._arrays:
            shapes = [(layer.weight, (n, layer.out_features)) for layer in self._layers]
            self._arrays[n] = [(weight.new_empty(shape), weight.new_empty(shape)) for weight, shape in shapes]
        return self._arrays[n]
