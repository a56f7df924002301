"""Numbers of tensors, from shapes, against the models themselves."""

from __future__ import annotations

import pytest
import torch

from waddington.analysis.bounds import alphaadam
from waddington.analysis.bounds.alphaadam import (
    count_tensors,
    gpt2_shapes,
    llama_shapes,
    printed_as_layers,
    roberta_shapes,
    tables,
)
from waddington.errors import ArgumentError


def test_counts_of_the_paper_models() -> None:
    plain, bare = count_tensors(gpt2_shapes()), count_tensors(gpt2_shapes(vocabulary=50304, bias=False))
    assert (plain.tensors, plain.per_layer, plain.outside) == (148, 12, 4)
    assert (bare.tensors, bare.per_layer, bare.outside) == (75, 6, 3)
    assert plain.coordinates == 124_439_808
    llama = count_tensors(llama_shapes())
    assert (llama.tensors, llama.per_layer, llama.outside, llama.layers) == (291, 9, 3, 32)
    assert llama.coordinates == 6_738_415_616
    assert count_tensors(roberta_shapes()).tensors == 201
    assert count_tensors(roberta_shapes(labels=None)).tensors == 197
    assert {plain.tensors, bare.tensors}.isdisjoint({tables.PARAMETER_GROUPS["GPT-2 small"]})
    assert llama.tensors != tables.PARAMETER_GROUPS["Llama-2-7B"]


def test_what_the_printed_numbers_would_mean() -> None:
    assert printed_as_layers(108, 12) == (9, 0)
    assert printed_as_layers(161, 32) == (5, 1)
    assert printed_as_layers(291, 32) == (9, 3)


def test_the_large_model_has_neither_printed_size() -> None:
    sizes = {"small": (768, 12), "medium": (1024, 24), "large": (1280, 36)}
    millions = {name: count_tensors(gpt2_shapes(*size)).coordinates / 1e6 for name, size in sizes.items()}
    assert millions == pytest.approx({"small": 124.44, "medium": 354.82, "large": 774.03}, abs=0.01)
    assert tables.GPT2_PARAMETERS["large"] == (744, 770)


def test_layers_that_differ_are_refused() -> None:
    with pytest.raises(ArgumentError, match=r"layers have \[1, 2\]"):
        count_tensors({"h.0.a": (1,), "h.1.a": (1,), "h.1.b": (1,)})
    assert count_tensors({"a": (2, 3)}).per_layer == 0


@pytest.mark.slow
def test_the_models_of_transformers_have_these_tensors() -> None:
    library = pytest.importorskip("transformers")

    def of(model: torch.nn.Module) -> list[tuple[int, ...]]:
        return sorted(tuple(param.shape) for param in model.parameters())

    with torch.device("meta"):
        assert of(library.GPT2LMHeadModel(library.GPT2Config())) == sorted(gpt2_shapes().values())
        llama = library.LlamaConfig(
            vocab_size=32000, hidden_size=4096, intermediate_size=11008, num_hidden_layers=32, num_attention_heads=32
        )
        assert of(library.LlamaForCausalLM(llama)) == sorted(llama_shapes().values())
        roberta = library.RobertaConfig(vocab_size=50265, max_position_embeddings=514, type_vocab_size=1, num_labels=2)
        assert of(library.RobertaForSequenceClassification(roberta)) == sorted(roberta_shapes().values())


@pytest.mark.parametrize("number", [-1, 0, 1.5, True])
def test_sizes_are_whole_numbers(number: float) -> None:
    for shapes in (alphaadam.gpt2_shapes, alphaadam.llama_shapes, alphaadam.roberta_shapes):
        for name in ("width", "layers", "vocabulary"):
            with pytest.raises(ArgumentError, match=f"cannot use {name}=.* must be a whole number from 1"):
                shapes(**{name: number})  # type: ignore[arg-type]
