"""Priors on genes: read as published, used where they help, and told apart from a permuted graph."""

from __future__ import annotations

import io
from pathlib import Path

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import torch

from waddington.errors import DataError, UnknownNameError, UnsupportedError
from waddington.twin.data.splits import Split
from waddington.twin.respond.base import Training
from waddington.twin.respond.hierarchical import HierarchicalAdditive
from waddington.twin.respond.priors import GenePrior, PriorInformed, prior_gain
from waddington.twin.respond.priors.kriging import fit, left_out_predictions

UP, DOWN = [f"U{i}" for i in range(6)], [f"D{i}" for i in range(6)]
PATHWAYS = pd.DataFrame(
    [(a, b, 1) for genes in (UP, DOWN) for a in [*genes, f"{genes[0][0]}9"] for b in genes if a != b],
    columns=["source", "target", "weight"],
)
"""Two pathways, within which all genes activate one another; U9 and D9 are never perturbed."""


def world(*, mode: str = "knockout") -> Training:
    """Give cells in which all genes of a pathway have one effect, of opposite sign in the two, on ten features."""
    rng = np.random.default_rng(0)
    effect = rng.normal(size=10)
    labels = np.repeat(["control", *(f"{gene}:{mode}" for gene in [*UP, *DOWN])], [60, *[20] * 12])
    sign = np.array([{"c": 0.0, "U": 1.0, "D": -1.0}[label[0]] for label in labels])
    x = 5 + sign[:, None] * effect + 0.5 * rng.standard_normal((len(labels), 10))
    split = Split(
        kind="perturbation", labels=labels, control="control", train=np.ones(len(labels), dtype=bool), split_of={}
    )
    return Training(values={"rna": x.astype(np.float32)}, split=split, names={"rna": np.array(list("abcdefghij"))})


def test_a_table_is_read_by_its_columns() -> None:
    table = pd.DataFrame({"TF": ["a", "A", "b", "c", "c", None], "target": ["B", "b", "b", "d", "d", "e"],
                          "mode": ["Activation", "Unknown", "Repression", "1", "-1", "1"]})  # fmt: skip
    prior = GenePrior.of(table)
    assert prior.edges.to_dict("records") == [{"source": "A", "target": "B", "weight": 1.0}]
    assert prior.notes == (
        "2 rows without two different genes left out",
        "1 row without a sign, which counts as activation",
        "1 pair of contradictory signs left out",
    )
    assert prior.holds(["a", "B", "z"]).tolist() == [True, True, False]


@pytest.mark.parametrize(
    ("text", "name"),
    [("source,target,weight\nA,B,-1\n", "x.csv"), ("A\tB\tRepression\t123\n", "x.tsv"), ("tf\tgene\nA\tB\n", "x.txt")],
)
def test_files_are_read_with_and_without_a_header(text: str, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    prior = GenePrior.of(tmp_path / name)
    assert prior.name == name
    assert prior.targets(["A"], ["b", "c"]).tolist() == [[1.0 if "gene" in text else -1.0, 0.0]]


@pytest.mark.parametrize(
    ("table", "says"),
    [
        (pd.DataFrame({"source": ["A"]}), "no column 'target' among 'source'"),
        (pd.DataFrame({"source": ["A"], "target": ["B"], "weight": ["up"]}), "1 weight such as 'up'"),
        (pd.DataFrame({"source": ["A"], "target": ["A"]}), "no link is left of 1 row"),
        ("nowhere.csv", "cannot read nowhere.csv"),
    ],
)
def test_what_is_no_table_of_links_is_refused_by_name(table: pd.DataFrame | str, says: str) -> None:
    with pytest.raises(DataError, match=says):
        GenePrior.of(table)


def test_genes_are_alike_by_their_neighbours_and_signs() -> None:
    prior = GenePrior.of(pd.DataFrame({"source": ["A", "A", "C"], "target": ["B", "X", "X"], "sign": [-1, 1, 1]}))
    alike = prior.similarity(["A", "B", "C", "Z"])
    np.testing.assert_allclose(np.diag(alike), 1.0)
    np.testing.assert_allclose(alike, alike.T)
    assert alike[0, 1] < 0 < alike[0, 2]  # A represses B; A and C share a target
    assert (alike[3, :3] == 0).all()


def test_leaving_one_out_is_what_leaving_it_out_is() -> None:
    rng = np.random.default_rng(0)
    root = rng.normal(size=(5, 5))
    effects, alike, none = rng.normal(size=(5, 4)), root @ root.T / 5, np.zeros((5, 4))
    found = left_out_predictions(effects, alike, none)
    whole = fit(effects, alike, none)
    for out in range(5):
        rest = np.arange(5) != out
        k = whole.alpha + whole.gamma * alike
        expected = k[out, rest] @ np.linalg.solve(k[np.ix_(rest, rest)] + np.eye(4), effects[rest])
        np.testing.assert_allclose(found[out], expected, atol=1e-9)


def test_targets_are_used_where_perturbations_move_them() -> None:
    rng = np.random.default_rng(0)
    targets = rng.choice([-1.0, 0, 1], size=(6, 30))
    found = fit(2 * targets + 0.1 * rng.normal(size=(6, 30)), np.eye(6), targets)
    assert found.beta == pytest.approx(2.0, abs=0.1)


def test_a_gene_never_perturbed_does_what_its_pathway_does() -> None:
    data = world()
    model = PriorInformed(data, GenePrior.of(PATHWAYS))
    shared = HierarchicalAdditive.fit(data)
    for new, known in (("U9:knockout", "U0:knockout"), ("D9:knockout", "D0:knockout")):
        one, other = model.predict(new)["rna"], shared.predict(known)["rna"]
        assert np.corrcoef(one, other)[0, 1] > 0.9
        assert 0.3 < np.linalg.norm(one) / np.linalg.norm(other) < 1.1
        assert model.support(new).flagged
        wide, narrow = (model.standard_deviation(label)["rna"] for label in (new, known))
        assert (wide > narrow).all(), "the prior does not make the answer surer than a guess"
    opposite = model.predict("U9:activation")["rna"]
    assert np.corrcoef(opposite, shared.predict("U0:knockout")["rna"])[0, 1] < -0.9
    both = model.predict("D9:knockout+U0:knockout")["rna"]
    np.testing.assert_allclose(both, model.predict("D9:knockout")["rna"] + model.predict("U0:knockout")["rna"])
    np.testing.assert_array_equal(model.predict("U0:knockout")["rna"], shared.predict("U0:knockout")["rna"])


def test_what_the_prior_does_not_know_is_refused_by_name_or_guessed() -> None:
    model = PriorInformed(world(), GenePrior.of(PATHWAYS, name="pathways"))
    with pytest.raises(UnsupportedError, match="no training cells with Z:knockout, and pathways says nothing"):
        model.predict("Z:knockout")
    assert np.isfinite(model.predict("Z:knockout", guess=True)["rna"]).all()
    with pytest.raises(UnsupportedError, match="without a prior on genes"):
        PriorInformed.fit(world())


def test_it_is_saved_and_loaded() -> None:
    model = PriorInformed(world(), GenePrior.of(PATHWAYS))
    file = io.BytesIO()
    torch.save(model.state_dict(), file)
    file.seek(0)
    loaded = PriorInformed.from_state_dict(torch.load(file, weights_only=True))
    for label in ("U9:knockout", "D9:knockout+U0:knockout"):
        np.testing.assert_array_equal(loaded.predict(label)["rna"], model.predict(label)["rna"])


def test_a_prior_that_knows_helps_and_says_so() -> None:
    found = prior_gain(world(), GenePrior.of(PATHWAYS, name="pathways"), n_permutations=39, n_halvings=1)
    assert found.helps
    assert found.r_graph > 0.9 > found.r_mean
    assert str(found).startswith("pathways: leave-one-out r 0.9")
    assert str(found).endswith("12 perturbations, 12 with links: it helps")


def test_a_permuted_prior_is_no_gain_and_says_so() -> None:
    swapped = dict(
        zip([*UP, *DOWN], ["U0", "D0", "U1", "D1", "U2", "D2", "U3", "D3", "U4", "D4", "U5", "D5"], strict=True)
    )
    wrong = PATHWAYS.assign(**{side: PATHWAYS[side].replace(swapped) for side in ("source", "target")})
    found = prior_gain(world(), GenePrior.of(wrong), n_permutations=39, n_halvings=1)
    assert not found.helps
    assert str(found).endswith("no gain over a permuted graph")


def test_too_few_perturbations_are_refused() -> None:
    prior = GenePrior.of(PATHWAYS)
    with pytest.raises(DataError, match="found 1 single perturbations"):
        prior_gain(world(), prior, conditions=["U0:knockout"])
    with pytest.raises(DataError, match="found 0 single perturbations of genes; accepted is at least 3"):
        PriorInformed(world(mode="drug"), prior)
    with pytest.raises(UnknownNameError, match="'protein'"):
        prior_gain(world(), prior, modality="protein")


@pytest.mark.data
@pytest.mark.slow
def test_published_priors_are_read_and_gain_nothing_on_a_measured_screen(data_dir: Path) -> None:
    screen = ad.read_h5ad(data_dir / "papalexi_thp1" / "rna_299genes.h5ad")
    screen = screen[screen.obs["grna_top_frac"] > 0.8]
    counts = screen.X.toarray()
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    genes = screen.obs["target_top"].astype(str).to_numpy()
    labels = np.where(genes == "non-targeting", "control", np.char.add(genes.astype(str), ":knockout"))
    split = Split(
        kind="perturbation", labels=labels, control="control", train=np.ones(len(labels), dtype=bool), split_of={}
    )
    names = screen.var_names.to_numpy().astype(str)
    values = np.log1p(counts / total * np.median(total)).astype(np.float32)
    data = Training(values={"rna": values}, split=split, names={"rna": names})
    for name in ("collectri_human.csv.gz", "trrust_human.tsv"):
        prior = GenePrior.of(data_dir / "grn_priors" / name)
        assert prior.targets(["STAT1"], ["icam1", "nothing"]).tolist() == [[1.0, 0.0]]
        found = prior_gain(data, prior, n_permutations=19, n_halvings=1)
        assert not found.helps
        assert str(found).endswith("no gain over a permuted graph")
