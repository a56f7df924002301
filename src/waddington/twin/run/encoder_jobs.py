"""Jobs that train an encoder, and that score the representations it is compared with under the same response model."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA

from waddington.jobs import Context
from waddington.optim import registry
from waddington.twin.embed.encoder import TwinEncoder
from waddington.twin.embed.likelihoods import GAUSSIAN
from waddington.twin.evaluate.heldout import average, observe, replicate_scores, score
from waddington.twin.respond.base import ResponseModel, Training
from waddington.twin.respond.decoded import DecodedResponse
from waddington.twin.respond.registry import BASELINE_REPRESENTATIONS, MODELS
from waddington.twin.run.artifacts import CHECKPOINT, WEIGHTS, finite, save_arrays, save_state, score_rows
from waddington.twin.run.config import RunConfig
from waddington.twin.run.data import RunData
from waddington.twin.run.jobs import TwinJob, read_inputs
from waddington.twin.run.optimizers import OptimizerSetting
from waddington.twin.run.replicate_jobs import ReplicateJob, measurable_pairs
from waddington.twin.run.snapshots import keep_snapshot

__all__ = ["TRIAL", "VALIDATION", "BaselineJob", "EncoderJob", "make_encoder", "untrained"]

Float = npt.NDArray[np.float32]

TRIAL = "trial"
"""Variant of the encoder jobs that a rate is chosen on."""

RUN_MODELS = ("no change", "mean", "additive", "scaled additive", "hierarchical additive")
"""Response models of the features alone that a run scores."""

VALIDATION = 0.1
"""Share of the training cells on which an encoder's loss is watched."""


def make_encoder(prepared: RunData, config: RunConfig, seed: int, *, start: str = "components") -> TwinEncoder:
    """Build an encoder before training; its initial weights follow from the seed alone."""
    return TwinEncoder(
        {name: x.shape[1] for name, x in prepared.inputs.items()},
        embedding_dim=config.encoder.embedding_dim,
        joint_dim=config.encoder.embedding_dim,
        n_neighbors=config.preprocess.n_neighbors,
        likelihoods=dict.fromkeys(prepared.as_given, GAUSSIAN),
        start=start,
        seed=seed,
    )


@functools.lru_cache(maxsize=4)
def untrained(prepared: RunData, config: RunConfig, seed: int) -> dict[str, Float]:
    """Embed all cells with an encoder of random weights; kept for the other jobs of the same seed."""
    encoder = make_encoder(prepared, config, seed, start="random")
    encoder.fit(
        prepared.inputs, prepared.counts, prepared.spaces, train=prepared.design.train, epochs=0, seed=seed,
        batch_size=config.encoder.batch_size, device=config.encoder.device,
    )  # fmt: skip
    return encoder.embed(prepared.inputs, prepared.spaces)


@dataclass(frozen=True, kw_only=True)
class EncoderJob(TwinJob):
    """Trains an encoder with one optimizer, and scores what its joint embedding predicts on held-out cells."""

    kind: ClassVar[str] = "encoder"
    version: ClassVar[int] = 2

    replicates: tuple[ReplicateJob, ...] = ()
    """Which conditions can be measured; a trial, which is not scored, needs none."""

    def run(self, context: Context) -> dict[str, Any]:
        """Train and score; embeddings and weights lie in the job's folder."""
        prepared, config = read_inputs(context)
        encoder = make_encoder(prepared, config, self.seed)
        checkpoint = context.folder / CHECKPOINT
        is_drawn = self.variant != TRIAL and self.seed == config.evaluation_seeds[0]

        def advance(news: dict[str, Any]) -> None:
            if is_drawn:
                keep_snapshot(context.folder, encoder.module, news["epoch"], news["epochs"])
            context.progress(0.95 * news["epoch"] / news["epochs"])

        history = encoder.fit(
            prepared.inputs,
            prepared.counts,
            prepared.spaces,
            train=prepared.design.train,
            optimizer=lambda params: registry.build(
                OptimizerSetting.of(self.optimizer).optimizer,
                params,
                **config.arguments(self.optimizer, self.lr, dict(self.searched)),
            ),
            epochs=config.encoder.tune_epochs if self.variant == TRIAL else config.encoder.epochs,
            batch_size=config.encoder.batch_size,
            validation=VALIDATION,
            seed=self.seed,
            checkpoint=checkpoint,
            progress=advance,
            device=config.encoder.device,
        )
        frame = history.to_frame()
        losses = frame[frame["term"] == "total"][["epoch", "split", "loss"]]
        loss = float(losses[losses["split"] == "validation"]["loss"].iloc[-1])
        scores: list[dict[str, Any]] = []
        if math.isfinite(loss) and self.variant != TRIAL:
            embeddings = encoder.embed(prepared.inputs, prepared.spaces)
            design = prepared.design
            model = DecodedResponse(embeddings["joint"], prepared.inputs, design)
            found = score(observe(prepared.inputs, prepared.names, design), model)
            scores = score_rows(average(found, measurable_pairs(context, self.replicates)))
            save_arrays(context.folder, embeddings)
            save_state(context.folder / WEIGHTS, encoder.state_dict())
        checkpoint.unlink(missing_ok=True)
        known = losses.replace([np.inf, -np.inf], np.nan).astype(object).where(losses.notna(), None)
        return {"objective": finite(-loss), "scores": scores, "history": known.to_dict("list")}


@dataclass(frozen=True, kw_only=True)
class BaselineJob(TwinJob):
    """Scores what needs no training: models of the features alone, other representations under the encoder's model."""

    kind: ClassVar[str] = "baseline"

    replicates: tuple[ReplicateJob, ...] = ()
    """Which conditions can be measured."""

    def run(self, context: Context) -> dict[str, Any]:
        """Score them all; each row names its ``predictor``."""
        prepared, config = read_inputs(context)
        values, design = prepared.inputs, prepared.design
        truth = observe(values, prepared.names, design)
        data = Training(values=values, split=design, names=prepared.names)
        pca = _principal_components(prepared, config.encoder.embedding_dim)
        rng = np.random.default_rng(self.seed)
        together = np.concatenate([np.nan_to_num(x) for x in prepared.spaces.values()], axis=1)
        projection = rng.standard_normal((together.shape[1], config.encoder.embedding_dim)) / np.sqrt(together.shape[1])
        representations: dict[str, Callable[[], Float]] = {
            "pca": lambda: pca,
            "random projection": lambda: (together @ projection).astype(np.float32),
            "untrained": lambda: untrained(prepared, config, self.seed)["joint"],
        }
        assert set(representations) == set(BASELINE_REPRESENTATIONS)
        models: dict[str, Callable[[], ResponseModel]] = {
            name: functools.partial(MODELS[name].fit, data) for name in RUN_MODELS
        } | {
            name: lambda make=make: DecodedResponse(make(), values, design)  # type: ignore[misc]
            for name, make in representations.items()
        }
        measurable = measurable_pairs(context, self.replicates)
        rows: list[dict[str, Any]] = []
        for done, (name, make) in enumerate(models.items()):
            rows += score_rows(average(score(truth, make()), measurable).assign(predictor=name))
            context.progress((done + 1) / (len(models) + 1))
        replicate = replicate_scores(values, prepared.names, design, seed=self.seed)
        rows += score_rows(average(replicate, measurable).assign(predictor="replicate"))
        return {"objective": None, "scores": rows, "history": {}}


def _principal_components(prepared: RunData, n_components: int) -> Float:
    """Reduce all modalities together: each one's components at equal variance, then PCA, fitted on training cells."""
    train = prepared.design.train
    blocks = [x / np.sqrt(np.nanvar(x[train], axis=0).sum() + 1e-12) for x in prepared.spaces.values()]
    together = np.nan_to_num(np.concatenate(blocks, axis=1))
    fitted = PCA(min(n_components, *together[train].shape), svd_solver="full").fit(together[train])
    return np.asarray(fitted.transform(together), dtype=np.float32)
