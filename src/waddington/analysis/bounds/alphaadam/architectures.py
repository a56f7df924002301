"""F.4: how many parameter tensors the models have, from their architecture.

The paper shows "the specific alpha values for each parameter", of 108 groups for GPT-2 small and 161 for Llama-2-7B,
and calls them all trainable parameters. AlphaAdam has an α for every tensor. The shapes here are those of the public
implementations, by their names of the tensors.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from waddington._checks import check_count
from waddington.errors import ArgumentError

__all__ = ["TensorCount", "count_tensors", "gpt2_shapes", "llama_shapes", "printed_as_layers", "roberta_shapes"]

Shapes = Mapping[str, tuple[int, ...]]
"""Shapes of parameters by name."""
_OPTIONAL = ("key_width", "labels")
_LAYER = re.compile(r"\.(\d+)\.")


@dataclass(frozen=True)
class TensorCount:
    """How many tensors a model has.

    Attributes
    ----------
    tensors
        All of them.
    coordinates
        Numbers in them.
    layers
        Layers that are repeated.
    per_layer, outside
        Tensors of each layer, and those of none.
    """

    tensors: int
    coordinates: int
    layers: int
    per_layer: int
    outside: int


def count_tensors(shapes: Shapes) -> TensorCount:
    """Count tensors and coordinates.

    Parameters
    ----------
    shapes
        Shape of each parameter by name; a number between dots says of which layer it is.

    Raises
    ------
    ArgumentError
        The layers do not have the same number of tensors.
    """
    places = [int(found[1]) if (found := _LAYER.search(name)) else None for name in shapes]
    layers = sorted({place for place in places if place is not None})
    each = {places.count(layer) for layer in layers}
    if len(each) > 1:
        raise ArgumentError(f"cannot count tensors per layer: layers have {sorted(each)}; accepted: all the same")
    return TensorCount(
        tensors=len(shapes),
        coordinates=sum(math.prod(shape) for shape in shapes.values()),
        layers=len(layers),
        per_layer=each.pop() if each else 0,
        outside=places.count(None),
    )


def printed_as_layers(tensors: int, layers: int) -> tuple[int, int]:
    """Write a number of tensors as so many in each layer and so many besides.

    108 is 9 in each of 12 layers; GPT-2 has 12 or 6, and 4 or 3 besides. 161 is 5 in each of 32 layers and 1; Llama has
    9, and 3 besides.

    Parameters
    ----------
    tensors
        The number.
    layers
        How many layers the model has, at least 1.
    """
    check_count("tensors", tensors, 0)
    check_count("layers", layers, 1)
    return divmod(tensors, layers)


def gpt2_shapes(
    width: int = 768, layers: int = 12, *, vocabulary: int = 50257, context: int = 1024, bias: bool = True
) -> Shapes:
    """Give the tensors of GPT-2, whose output layer is its table of tokens: 148, or 75 without biases for the small.

    Parameters
    ----------
    width, layers
        768 and 12 for the small, 1024 and 24 for the medium, 1280 and 36 for the large one.
    vocabulary, context
        Rows of the two tables; nanoGPT, which the paper trains with, has 50,304 tokens.
    bias
        Whether linear layers and LayerNorms have one; nanoGPT's pretraining has none.
    """
    _check_sizes(width=width, layers=layers, vocabulary=vocabulary, context=context)
    found: dict[str, tuple[int, ...]] = {"wte.weight": (vocabulary, width), "wpe.weight": (context, width)}

    def add(name: str, shape: tuple[int, ...]) -> None:
        found[f"{name}.weight"] = shape
        if bias:
            found[f"{name}.bias"] = shape[-1:]

    for layer in range(layers):
        add(f"h.{layer}.ln_1", (width,))
        add(f"h.{layer}.attn.c_attn", (width, 3 * width))
        add(f"h.{layer}.attn.c_proj", (width, width))
        add(f"h.{layer}.ln_2", (width,))
        add(f"h.{layer}.mlp.c_fc", (width, 4 * width))
        add(f"h.{layer}.mlp.c_proj", (4 * width, width))
    add("ln_f", (width,))
    return found


def llama_shapes(
    width: int = 4096, layers: int = 32, *, hidden: int = 11008, vocabulary: int = 32000, key_width: int | None = None
) -> Shapes:
    """Give the tensors of Llama 2, whose output layer is its own: 291 for the model of 7 billion parameters.

    Parameters
    ----------
    width, layers, hidden, vocabulary
        Of the model with 7 billion parameters.
    key_width
        Width of keys and values; None is `width`.
    """
    _check_sizes(width=width, layers=layers, hidden=hidden, vocabulary=vocabulary, key_width=key_width)
    narrow = width if key_width is None else key_width
    found: dict[str, tuple[int, ...]] = {"embed_tokens.weight": (vocabulary, width)}
    for layer in range(layers):
        start = f"layers.{layer}"
        found |= {
            f"{start}.self_attn.q_proj.weight": (width, width),
            f"{start}.self_attn.k_proj.weight": (narrow, width),
            f"{start}.self_attn.v_proj.weight": (narrow, width),
            f"{start}.self_attn.o_proj.weight": (width, width),
            f"{start}.mlp.gate_proj.weight": (hidden, width),
            f"{start}.mlp.up_proj.weight": (hidden, width),
            f"{start}.mlp.down_proj.weight": (width, hidden),
            f"{start}.input_layernorm.weight": (width,),
            f"{start}.post_attention_layernorm.weight": (width,),
        }
    return found | {"norm.weight": (width,), "lm_head.weight": (vocabulary, width)}


def roberta_shapes(
    width: int = 768,
    layers: int = 12,
    *,
    hidden: int = 3072,
    vocabulary: int = 50265,
    context: int = 514,
    labels: int | None = 2,
) -> Shapes:
    """Give the tensors of RoBERTa: 201 for the base model with a head that classifies, 197 without.

    Parameters
    ----------
    width, layers, hidden, vocabulary, context
        Of the base model.
    labels
        Outputs of the head; None leaves it out.
    """
    _check_sizes(width=width, layers=layers, hidden=hidden, vocabulary=vocabulary, context=context, labels=labels)
    found: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (vocabulary, width),
        "embeddings.position_embeddings.weight": (context, width),
        "embeddings.token_type_embeddings.weight": (1, width),
        "embeddings.LayerNorm.weight": (width,),
        "embeddings.LayerNorm.bias": (width,),
    }

    def linear(name: str, outputs: int, inputs: int) -> dict[str, tuple[int, ...]]:
        return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}

    for layer in range(layers):
        start = f"encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            found |= linear(f"{start}.attention.self.{part}", width, width)
        found |= linear(f"{start}.attention.output.dense", width, width)
        found |= linear(f"{start}.intermediate.dense", hidden, width)
        found |= linear(f"{start}.output.dense", width, hidden)
        for part in ("attention.output", "output"):
            found |= {
                f"{start}.{part}.LayerNorm.weight": (width,),
                f"{start}.{part}.LayerNorm.bias": (width,),
            }
    if labels is not None:
        found |= linear("classifier.dense", width, width) | linear("classifier.out_proj", labels, width)
    return found


def _check_sizes(**sizes: int | None) -> None:
    for name, size in sizes.items():
        if size is not None or name not in _OPTIONAL:
            check_count(name, size, 1)
