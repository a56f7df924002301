from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression, RidgeCV

from waddington.errors import ArgumentError, DataError, OutputError
from waddington.twin.embed.encoder import TwinEncoder

SMALL = {"embedding_dim": 8, "joint_dim": 8, "hidden": 16, "heads": 2, "n_neighbors": 8, "fanout": 4}


class Stopped(Exception):
    """Raised from the progress callback, in place of a power cut."""


def train_mask(n: int = 240) -> np.ndarray:
    return np.arange(n) % 4 != 0


def fitted(toy, **settings) -> TwinEncoder:
    encoder = TwinEncoder(toy.sizes, **SMALL)
    settings = {"train": train_mask(), "epochs": 12, "batch_size": 32} | settings
    encoder.fit(toy.inputs, toy.counts, toy.spaces, **settings)
    return encoder


@pytest.fixture(scope="module")
def trained(toy) -> TwinEncoder:
    return fitted(toy, epochs=40)


@pytest.fixture(scope="module")
def untrained(toy) -> TwinEncoder:
    return fitted(toy, epochs=0)


def same_weights(a: TwinEncoder, b: TwinEncoder) -> bool:
    return all(
        torch.equal(x, y) for x, y in zip(a.module.state_dict().values(), b.module.state_dict().values(), strict=True)
    )


def test_training_improves_held_out_reconstruction_and_what_a_linear_probe_finds(toy, trained, untrained):
    held_out = toy.part(~train_mask())
    scores = [e.reconstruction(held_out.inputs, held_out.counts, held_out.spaces) for e in (trained, untrained)]
    for term in (f"{source}/{name}" for source in ("own", "joint") for name in toy.inputs):
        assert scores[0][term] < scores[1][term]
    train, probes = train_mask(), []
    for encoder in (trained, untrained):
        z = encoder.embed(toy.inputs, toy.spaces)["joint"]
        late = toy.time > 0.3  # before that there are no branches to tell apart
        branch = LogisticRegression(max_iter=500).fit(z[train & late], toy.branch[train & late])
        order = RidgeCV(np.logspace(-3, 3, 7)).fit(z[train], toy.time[train])
        probes.append(
            (branch.score(z[~train & late], toy.branch[~train & late]), order.score(z[~train], toy.time[~train]))
        )
    assert probes[0][0] >= probes[1][0]
    assert probes[0][1] > probes[1][1]


def test_history_falls_and_is_tidy(toy):
    news: list[dict] = []
    encoder = TwinEncoder(toy.sizes, **SMALL)
    history = encoder.fit(
        toy.inputs, toy.counts, toy.spaces, train=train_mask(), epochs=8, batch_size=32, progress=news.append
    )
    frame = history.to_frame()
    assert list(frame.columns) == ["epoch", "split", "term", "loss"]
    assert set(frame["split"]) == {"train", "validation"}
    total = frame[frame["term"] == "total"].pivot(index="epoch", columns="split", values="loss")
    assert len(total) == len(history) == 8
    assert (total.iloc[-1] < total.iloc[0]).all()
    assert [n["epoch"] for n in news] == list(range(1, 9))
    assert encoder.fitted


def test_the_same_seed_gives_the_same_bits_and_another_does_not(toy):
    one, again, other = fitted(toy, epochs=2), fitted(toy, epochs=2), fitted(toy, epochs=2, seed=1)
    assert same_weights(one, again)
    assert not same_weights(one, other)


def test_the_global_generators_are_left_alone(toy):
    torch.manual_seed(7)
    np_state = np.random.get_state()[1].copy()  # noqa: NPY002 - it is the global state that must not move
    before = torch.random.get_rng_state()
    fitted(toy, epochs=1)
    assert torch.equal(before, torch.random.get_rng_state())
    assert np.array_equal(np_state, np.random.get_state()[1])  # noqa: NPY002


def test_every_optimizer_sees_the_same_start_and_the_same_batches(toy, monkeypatch):
    from waddington.twin.embed import training

    seen: list[list[np.ndarray]] = []
    make_batch = training.make_batch

    def spy(cells, rows, near, *args, **kwargs):
        batch = make_batch(cells, rows, near, *args, **kwargs)
        seen[-1].append(np.concatenate([rows, *(t.ravel() for t in near.values()), batch.hide["rna"].numpy().ravel()]))
        return batch

    monkeypatch.setattr(training, "make_batch", spy)
    for rate in (1e-3, 1e-1):
        seen.append([])
        fitted(toy, epochs=2, optimizer=lambda parameters, rate=rate: torch.optim.SGD(parameters, lr=rate))
    assert len(seen[0]) == len(seen[1]) > 4
    assert all(np.array_equal(a, b) for a, b in zip(*seen, strict=True))


@pytest.mark.parametrize("optimizer", [None, lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9)])
def test_an_interrupted_training_goes_on_to_the_bit(toy, tmp_path, optimizer):
    whole = fitted(toy, epochs=6, optimizer=optimizer)

    def stop(news):
        if news["epoch"] == 3:
            raise Stopped

    path = tmp_path / "encoder.ckpt"
    with pytest.raises(Stopped):
        fitted(toy, epochs=6, optimizer=optimizer, checkpoint=path, progress=stop)
    told: list[int] = []
    resumed = fitted(
        toy, epochs=6, optimizer=optimizer, checkpoint=path, progress=lambda news: told.append(news["epoch"])
    )
    assert told == [3, 4, 5, 6], "the last one again: who was killed may have kept nothing of it"
    assert same_weights(whole, resumed)
    a, b = whole.embed(toy.inputs, toy.spaces), resumed.embed(toy.inputs, toy.spaces)
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert [p.name for p in tmp_path.iterdir()] == ["encoder.ckpt"]


def test_a_checkpoint_of_something_else_is_refused_and_kept(toy, tmp_path):
    path = tmp_path / "encoder.ckpt"
    fitted(toy, epochs=1, checkpoint=path)
    written = path.read_bytes()
    with pytest.raises(OutputError, match="another epochs"):
        fitted(toy, epochs=2, checkpoint=path)
    with pytest.raises(OutputError, match="another optimizer"):
        fitted(toy, epochs=1, checkpoint=path, optimizer=lambda p: torch.optim.SGD(p, lr=0.1))
    other = toy.counts["rna"].copy()
    other.data[0] += 1
    encoder = TwinEncoder(toy.sizes, **SMALL)
    with pytest.raises(OutputError, match="another data"):
        encoder.fit(
            toy.inputs,
            toy.counts | {"rna": other},
            toy.spaces,
            train=train_mask(),
            epochs=1,
            batch_size=32,
            checkpoint=path,
        )
    assert path.read_bytes() == written
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(OutputError, match="no checkpoint of an encoder"):
        fitted(toy, epochs=1, checkpoint=path)


def test_a_checkpoint_that_cannot_be_written_says_so(toy, tmp_path):
    with pytest.raises(OutputError, match="cannot write"):
        fitted(toy, epochs=1, checkpoint=tmp_path / "missing" / "encoder.ckpt")


def test_a_cell_is_embedded_the_same_in_whatever_company(toy, trained):
    together = trained.embed(toy.inputs, toy.spaces)
    for rows in (np.array([0]), np.array([1, 8, 4])):
        part = toy.part(rows)
        alone = trained.embed(part.inputs, part.spaces)
        for name, value in alone.items():
            np.testing.assert_allclose(value, together[name][rows], atol=1e-4)


def test_cells_outside_training_do_not_shape_the_encoder(toy, trained):
    part = toy.part(train_mask())
    encoder = TwinEncoder(toy.sizes, **SMALL)
    encoder.fit(part.inputs, part.counts, part.spaces, epochs=2, batch_size=32)
    changed = {name: x.copy() for name, x in toy.inputs.items()}
    for x in changed.values():
        x[~train_mask()] = 50.0
    one, other = TwinEncoder(toy.sizes, **SMALL), TwinEncoder(toy.sizes, **SMALL)
    for e, inputs in ((one, toy.inputs), (other, changed)):
        e.fit(inputs, toy.counts, toy.spaces, train=train_mask(), epochs=2, batch_size=32)
    assert same_weights(one, other)


def test_embeddings_are_centred_and_of_unit_size_over_the_reference(toy, trained):
    z = trained.embed(toy.inputs, toy.spaces)
    assert set(z) == {"rna", "atac", "protein", "joint"}
    for value in z.values():
        assert value.shape == (240, 8)
        assert value.dtype == np.float32
        assert np.abs(value[train_mask()].mean(axis=0)).max() < 0.2
        assert np.mean(value[train_mask()] ** 2) == pytest.approx(1.0, abs=0.15)


def test_a_modality_may_be_left_out_or_missing_in_some_cells(toy, trained):
    without = trained.embed({n: x for n, x in toy.inputs.items() if n != "atac"}, toy.spaces)
    assert set(without) == {"rna", "protein", "joint"}
    inputs = {name: x.copy() for name, x in toy.inputs.items()}
    inputs["atac"][:50] = np.nan
    some = trained.embed(inputs, toy.spaces)
    assert np.isnan(some["atac"][:50]).all()
    assert np.isfinite(some["atac"][50:]).all()
    assert np.isfinite(some["joint"]).all()
    np.testing.assert_allclose(some["joint"][:50], without["joint"][:50], atol=1e-3)
    # What is left still tells where the cell stands.
    whole = trained.embed(toy.inputs, toy.spaces)["joint"]
    order = RidgeCV(np.logspace(-3, 3, 7)).fit(whole, toy.time)
    assert order.score(without["joint"], toy.time) > 0.5


def test_training_with_missing_modalities_works(toy):
    inputs = {name: x.copy() for name, x in toy.inputs.items()}
    inputs["atac"][::3] = np.nan
    inputs["rna"][1::3] = np.nan
    encoder = TwinEncoder(toy.sizes, **SMALL)
    history = encoder.fit(inputs, toy.counts, toy.spaces, epochs=3, batch_size=32)
    assert history.train[-1]["total"] < history.train[0]["total"]
    z = encoder.embed(inputs, toy.spaces)
    assert np.isfinite(z["joint"]).all()
    assert np.isnan(z["rna"][1::3]).all()


def test_one_modality_alone_works(toy):
    one = {"rna": toy.inputs["rna"]}
    encoder = TwinEncoder({"rna": 40}, **SMALL, likelihoods={"rna": "poisson"})
    history = encoder.fit(one, {"rna": toy.counts["rna"]}, epochs=2, batch_size=64, validation=0.0, schedule="constant")
    assert history.validation == [{}, {}]
    assert history.train[-1]["agreement"] == 0.0
    assert encoder.embed(one)["joint"].shape == (240, 8)


def test_a_bounded_reference_still_embeds_everyone(toy):
    encoder = TwinEncoder(toy.sizes, **SMALL, max_reference=30)
    encoder.fit(toy.inputs, toy.counts, toy.spaces, train=train_mask(), epochs=1, batch_size=32)
    assert np.isfinite(encoder.embed(toy.inputs, toy.spaces)["joint"]).all()
    assert encoder.state_dict()["reference"]["states"]["rna"].shape == (30, 16)


def test_decoding_gives_shares_near_the_observed_ones(toy, trained):
    z = trained.embed(toy.inputs, toy.spaces)
    for source, key in (("joint", "joint"), ("own", "rna")):
        share = trained.decode(z[key], "rna", source=source)
        assert share.shape == (240, 40)
        np.testing.assert_allclose(share.sum(axis=1), 1.0, atol=1e-4)
        observed = toy.counts["rna"].toarray()
        observed /= observed.sum(axis=1, keepdims=True)
        residual = np.mean((observed - share) ** 2) / np.mean((observed - observed.mean(axis=0)) ** 2)
        assert residual < 0.7


def test_a_saved_encoder_is_the_same_encoder(toy, trained, tmp_path):
    path = tmp_path / "encoder.pt"
    trained.save(path)
    assert torch.load(path, weights_only=True)["fitted"] is True
    loaded = TwinEncoder.load(path)
    a, b = trained.embed(toy.inputs, toy.spaces), loaded.embed(toy.inputs, toy.spaces)
    assert all(np.array_equal(a[name], b[name]) for name in a)
    assert loaded.config == trained.config
    with pytest.raises(DataError, match="format None"):
        TwinEncoder.from_state_dict({})


def test_an_encoder_that_was_never_fitted_embeds_cells_among_themselves(toy):
    encoder = TwinEncoder(toy.sizes, **SMALL)
    z = encoder.embed(toy.inputs, toy.spaces)
    assert np.isfinite(z["joint"]).all()
    assert not encoder.fitted
    with pytest.raises(DataError, match="without cells"):
        encoder.decode(z["joint"], "rna")
    with pytest.raises(DataError, match="without cells"):
        encoder.reconstruction(toy.inputs, toy.counts, toy.spaces)


def test_a_diverging_optimizer_ends_in_nan_and_not_in_an_error(toy):
    encoder = TwinEncoder(toy.sizes, **SMALL)
    history = encoder.fit(
        toy.inputs, toy.counts, toy.spaces, epochs=2, batch_size=32, optimizer=lambda p: torch.optim.SGD(p, lr=1e12)
    )
    assert not np.isfinite(history.validation[-1]["total"])
    assert np.isnan(encoder.embed(toy.inputs, toy.spaces)["joint"]).any()


def test_values_as_given_are_learnt_with_gaussian_noise_and_decoded_as_values(toy):
    values = {"rna": toy.inputs["rna"] * 50 - 20}
    encoder = TwinEncoder({"rna": toy.sizes["rna"]}, likelihoods={"rna": "gaussian"}, **SMALL)
    history = encoder.fit(values, values, train=train_mask(), epochs=12, batch_size=32)
    frame = history.to_frame()
    loss = frame[(frame["term"] == "own/rna") & (frame["split"] == "validation")]["loss"]
    assert loss.iloc[-1] < loss.iloc[0]
    unseen = values["rna"][~train_mask()]
    decoded = encoder.decode(encoder.embed({"rna": unseen})["joint"], "rna")
    by_mean = ((unseen - values["rna"][train_mask()].mean(axis=0)) ** 2).mean()
    assert ((decoded - unseen) ** 2).mean() < 0.9 * by_mean
    loaded = TwinEncoder.from_state_dict(encoder.state_dict())
    np.testing.assert_array_equal(loaded.embed({"rna": unseen})["joint"], encoder.embed({"rna": unseen})["joint"])


def test_bad_arguments_are_refused_before_any_work(toy):
    with pytest.raises(ArgumentError, match="heads=3"):
        TwinEncoder(toy.sizes, hidden=16, heads=3)
    with pytest.raises(ArgumentError, match=r"mask_fraction=1\.0"):
        TwinEncoder(toy.sizes, mask_fraction=1.0)
    with pytest.raises(ArgumentError, match="student"):
        TwinEncoder(toy.sizes, likelihoods={"rna": "student"})
    with pytest.raises(ArgumentError, match="no modality"):
        TwinEncoder({})
    encoder = TwinEncoder(toy.sizes, **SMALL)
    with pytest.raises(ArgumentError, match="schedule='step'"):
        encoder.fit(toy.inputs, toy.counts, toy.spaces, schedule="step")
    with pytest.raises(DataError, match="cannot train: 1 cell besides"):
        encoder.fit(toy.inputs, toy.counts, toy.spaces, train=np.arange(240) == 3)
    with pytest.raises(DataError, match=r"shape \(3,\)"):
        encoder.fit(toy.inputs, toy.counts, toy.spaces, train=np.ones(3, dtype=bool))
    with pytest.raises(DataError, match=r"without \['atac'\]"):
        encoder.fit({n: x for n, x in toy.inputs.items() if n != "atac"}, toy.counts, toy.spaces)
    with pytest.raises(DataError, match=r"representations\['rna'\]: found 3 cells"):
        encoder.fit(toy.inputs, toy.counts, toy.spaces | {"rna": toy.spaces["rna"][:3]})
