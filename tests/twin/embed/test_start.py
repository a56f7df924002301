"""Embeddings begin at components, modalities are balanced by their gains, and old encoders load as they were."""

from __future__ import annotations

import numpy as np
import pytest

from waddington.errors import ArgumentError
from waddington.twin.embed import TwinEncoder, training
from waddington.twin.embed.training import modality_weights

RNG = np.random.default_rng(0)
COUNTS = {name: RNG.poisson(3.0, (60, n)).astype(np.float32) for name, n in (("rna", 12), ("atac", 9))}
INPUTS = {name: np.log1p(counts) for name, counts in COUNTS.items()}
SIZES = {"rna": 12, "atac": 9}
SMALL = {"embedding_dim": 5, "joint_dim": 4, "hidden": 8, "heads": 2, "n_neighbors": 5}


def components(x: np.ndarray, n: int) -> np.ndarray:
    centred = x - x.mean(axis=0)
    left, size, _ = np.linalg.svd(centred, full_matrices=False)
    return (left * size)[:, :n]


def same_up_to_signs_and_one_factor(a: np.ndarray, b: np.ndarray) -> None:
    a, b = a / np.sqrt((a**2).mean()), b / np.sqrt((b**2).mean())
    np.testing.assert_allclose(a * np.sign((a * b).sum(axis=0)), b, atol=2e-3)


def test_before_training_embeddings_are_components_of_each_modality_and_of_all() -> None:
    encoder = TwinEncoder(SIZES, **SMALL)
    encoder.fit(INPUTS, COUNTS, epochs=0, validation=0.0)
    found = encoder.embed(INPUTS)
    own = {name: components(x.astype(np.float64), 5) for name, x in INPUTS.items()}
    for name, expected in own.items():
        same_up_to_signs_and_one_factor(found[name], expected)
    equal = [x / np.sqrt((x**2).mean()) for x in own.values()]
    same_up_to_signs_and_one_factor(found["joint"], components(np.concatenate(equal, axis=1), 4))


def test_random_weights_are_not_components() -> None:
    encoder = TwinEncoder(SIZES, **SMALL, start="random")
    encoder.fit(INPUTS, COUNTS, epochs=0, validation=0.0)
    with pytest.raises(AssertionError):
        same_up_to_signs_and_one_factor(encoder.embed(INPUTS)["rna"], components(INPUTS["rna"], 5))
    with pytest.raises(ArgumentError, match="start"):
        TwinEncoder(SIZES, start="pca")


def test_a_modality_weighs_the_inverse_of_its_gain_within_bounds() -> None:
    first = {"joint/rna": 1.0, "joint/atac": 2.0, "own/rna": 9.0, "agreement": 1.0, "total": 9.0}
    last = {"joint/rna": 0.9, "joint/atac": 1.7, "own/rna": 1.0, "agreement": 0.0, "total": 1.0}
    assert modality_weights(first, last) == pytest.approx({"rna": 1.5, "atac": 0.5})
    bounded = modality_weights(first, last | {"joint/rna": 1.1})  # it got worse
    assert bounded["rna"] / bounded["atac"] == pytest.approx(20.0)
    assert modality_weights(first, first) == {"rna": 1.0, "atac": 1.0}
    assert modality_weights(first, last | {"joint/rna": float("nan")}) == {"rna": 1.0, "atac": 1.0}


def test_what_is_gained_is_measured_on_cells_of_the_whole_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first cells of a file may be one batch: here those without chromatin, on which nothing could be gained."""
    seen = []

    def weights(first: dict[str, float], last: dict[str, float]) -> dict[str, float]:
        seen.append(first)
        return modality_weights(first, last)

    monkeypatch.setattr(training, "_FIRST_CELLS", 12)
    monkeypatch.setattr(training, "modality_weights", weights)
    atac = INPUTS["atac"].copy()
    atac[:30] = np.nan
    counts = COUNTS["atac"].copy()
    counts[:30] = np.nan
    encoder = TwinEncoder(SIZES, **SMALL)
    encoder.fit({**INPUTS, "atac": atac}, {**COUNTS, "atac": counts}, epochs=2, validation=0.0)
    assert seen[0]["joint/atac"] > 0.0


def test_balance_is_resumed_to_the_bit(tmp_path) -> None:
    def stop(news: dict) -> None:
        if news["epoch"] == 2:
            raise KeyboardInterrupt

    whole, parts = TwinEncoder(SIZES, **SMALL), TwinEncoder(SIZES, **SMALL)
    whole.fit(INPUTS, COUNTS, epochs=4, batch_size=32)
    with pytest.raises(KeyboardInterrupt):
        parts.fit(INPUTS, COUNTS, epochs=4, batch_size=32, checkpoint=tmp_path / "c.pt", progress=stop)
    parts = TwinEncoder(SIZES, **SMALL)
    parts.fit(INPUTS, COUNTS, epochs=4, batch_size=32, checkpoint=tmp_path / "c.pt")
    assert (whole.embed(INPUTS)["joint"] == parts.embed(INPUTS)["joint"]).all()


def test_an_encoder_saved_before_there_were_axes_loads_as_it_was() -> None:
    encoder = TwinEncoder(SIZES, **SMALL, start="random")
    encoder.fit(INPUTS, COUNTS, epochs=1)
    state = encoder.state_dict()
    state["format"] = 1
    state["config"] = {name: value for name, value in state["config"].items() if name not in ("start", "balanced")}
    state["module"] = {name: value for name, value in state["module"].items() if "axes" not in name}
    loaded = TwinEncoder.from_state_dict(state)
    np.testing.assert_array_equal(loaded.embed(INPUTS)["joint"], encoder.embed(INPUTS)["joint"])
    assert TwinEncoder.from_state_dict(loaded.state_dict()).config.start == "random"
