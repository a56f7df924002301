from __future__ import annotations

import itertools

import pytest
import torch
from torch_geometric.nn import GATv2Conv

from waddington.errors import ArgumentError
from waddington.twin.embed.layers import GraphAttention, ModalityEncoder, joint_context
from waddington.twin.embed.losses import contrastive_loss
from waddington.twin.embed.module import Batch, TwinModule

SIZES = {"rna": 10, "atac": 12}


def make_module() -> TwinModule:
    torch.manual_seed(0)
    kinds = {"rna": "negative_binomial", "atac": "poisson"}
    return TwinModule(SIZES, likelihoods=kinds, hidden=8, embedding_dim=4, joint_dim=5, heads=2)


def make_batch(cells: int = 6, fanout: int = 3) -> Batch:
    generator = torch.Generator().manual_seed(1)
    wide = {"rna": 8, "atac": 8, "joint": 16}
    ones = {name: torch.ones(cells) for name in SIZES}
    return Batch(
        profiles={name: torch.randn(cells, size, generator=generator) for name, size in SIZES.items()},
        hide={name: torch.rand(cells, size, generator=generator) < 0.3 for name, size in SIZES.items()},
        present=ones,
        usable=ones,
        neighbors={name: torch.randn(cells, fanout, size, generator=generator) for name, size in wide.items()},
        edges={name: torch.ones(cells, fanout, dtype=torch.bool) for name in wide},
        counts={name: torch.randint(0, 5, (cells, size), generator=generator).float() for name, size in SIZES.items()},
    )


def test_the_layer_is_gatv2():
    """Eqs. 3, 4 and 7 of Brody et al., head by head and cell by cell, for cells with and without neighbours."""
    torch.manual_seed(0)
    layer = GraphAttention(6, heads=2, source=5).double()
    state, neighbors = torch.randn(4, 6).double(), torch.randn(4, 3, 5).double()
    mask = torch.tensor([[1, 1, 1], [0, 1, 1], [0, 0, 1], [0, 0, 0]]).bool()
    conv = layer.conv
    message, weights = conv.bias.repeat(4, 1), torch.zeros(4, 3).double()
    for i, head in itertools.product(range(4), range(2)):
        part = slice(3 * head, 3 * head + 3)
        near = mask[i].nonzero()[:, 0].tolist()
        if not near:
            continue
        heard = neighbors[i, near] @ conv.lin_l.weight[part].T + conv.lin_l.bias[part]
        own = conv.lin_r.weight[part] @ state[i] + conv.lin_r.bias[part]
        scores = torch.where(heard + own > 0, heard + own, 0.2 * (heard + own)) @ conv.att[0, head]
        alpha = torch.exp(scores) / torch.exp(scores).sum()
        message[i, part] += alpha @ heard
        weights[i, near] += alpha / 2
    torch.testing.assert_close(layer.weights(state, neighbors, mask), weights)
    expected = layer.norm(state + torch.nn.functional.gelu(message))
    torch.testing.assert_close(layer(state, neighbors, mask), expected)


def test_every_encoder_has_the_layer_and_every_parameter_learns():
    module = make_module()
    assert sum(isinstance(layer, GATv2Conv) for layer in module.modules()) == 3
    terms = module.losses(make_batch(), seen_weight=0.5, temperature=0.2)
    torch.stack(list(terms.values())).sum().backward()
    silent = [n for n, p in module.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert silent == []


def test_attention_does_not_depend_on_the_order_of_neighbors_nor_on_empty_places():
    torch.manual_seed(0)
    layer = GraphAttention(8, heads=2)
    state, neighbors = torch.randn(5, 8), torch.randn(5, 4, 8)
    edges = torch.ones(5, 4, dtype=torch.bool)
    edges[:, 3] = False
    out = layer(state, neighbors, edges)
    torch.testing.assert_close(out, layer(state, neighbors[:, [2, 0, 1, 3]], edges))
    neighbors[:, 3] = 99.0
    torch.testing.assert_close(out, layer(state, neighbors, edges))
    torch.testing.assert_close(out[:2], layer(state[:2], neighbors[:2, :3], edges[:2, :3]))


def test_a_cell_without_neighbors_is_embedded_from_itself():
    torch.manual_seed(0)
    layer = GraphAttention(8, heads=2)
    state = torch.randn(2, 8)
    alone = layer(state, torch.randn(2, 3, 8), torch.zeros(2, 3, dtype=torch.bool))
    assert torch.isfinite(alone).all()
    torch.testing.assert_close(alone, layer(state, torch.zeros(2, 0, 8), torch.zeros(2, 0, dtype=torch.bool)))


def test_hidden_entries_do_not_reach_the_hidden_state():
    torch.manual_seed(0)
    encoder = ModalityEncoder(10, hidden=8, embedding_dim=4, heads=2)
    profile, hide = torch.randn(3, 10), torch.zeros(3, 10, dtype=torch.bool)
    hide[:, :4] = True
    changed = profile.clone()
    changed[:, :4] += 5.0
    torch.testing.assert_close(encoder.standardize(profile, hide), encoder.standardize(changed, hide))
    everything = torch.ones(3, 10, dtype=torch.bool)
    assert torch.isfinite(encoder.project(encoder.standardize(profile, everything))).all()


def test_the_joint_embedding_ignores_a_modality_that_may_not_be_used():
    module, batch = make_module(), make_batch()
    batch.usable["atac"][:3] = 0.0
    before = module(batch)["joint"]
    batch.profiles["atac"].add_(3.0)
    after = module(batch)["joint"]
    torch.testing.assert_close(before[:3], after[:3])
    assert not torch.allclose(before[3:], after[3:])


def test_counts_of_a_missing_modality_do_not_enter_the_loss():
    module, batch = make_module(), make_batch()
    batch.present["atac"][:3] = 0.0
    before = module.losses(batch, seen_weight=0.5, temperature=0.2)
    batch.counts["atac"][:3] += 7.0
    after = module.losses(batch, seen_weight=0.5, temperature=0.2)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_context_holds_zeros_where_a_modality_is_missing():
    states = {"rna": torch.ones(2, 3), "atac": torch.ones(2, 3)}
    context = joint_context(states, {"rna": torch.ones(2), "atac": torch.tensor([0.0, 1.0])})
    assert context.tolist() == [[1, 1, 1, 0, 0, 0], [1, 1, 1, 1, 1, 1]]


def test_agreement_is_1_for_guessing_and_0_for_certainty():
    views = torch.eye(16)[None]
    both = torch.ones(1, 16)
    assert contrastive_loss(views, views, both, temperature=0.01).item() == pytest.approx(0.0, abs=1e-5)
    same = torch.ones(1, 16, 4) / 2.0
    assert contrastive_loss(same, same, both, temperature=0.2).item() == pytest.approx(1.0, abs=1e-5)
    assert contrastive_loss(views, views, both * 0.0, temperature=0.2).item() == 0.0


def test_agreement_looks_only_at_cells_that_have_both():
    generator = torch.Generator().manual_seed(0)
    a, b = torch.randn(1, 9, 4, generator=generator), torch.randn(1, 9, 4, generator=generator)
    both = torch.ones(1, 9)
    both[:, 6:] = 0.0
    alone = contrastive_loss(a[:, :6], b[:, :6], torch.ones(1, 6), temperature=0.5)
    torch.testing.assert_close(contrastive_loss(a, b, both, temperature=0.5), alone)


def test_a_batch_without_counts_has_no_loss():
    batch = make_batch()
    bare = Batch(
        profiles=batch.profiles, hide=None, present=batch.present, usable=batch.usable,
        neighbors=batch.neighbors, edges=batch.edges,
    )  # fmt: skip
    with pytest.raises(ArgumentError, match="without counts or masks"):
        make_module().losses(bare, seen_weight=0.5, temperature=0.2)
