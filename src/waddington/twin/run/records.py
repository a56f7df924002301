"""What all jobs of a run found, as tables; and the one rule for which optimizer is best."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from waddington.twin._moved import names_moved_from
from waddington.twin.evaluate.summary import FIXED_POLICIES
from waddington.twin.run.agent_jobs import AgentJob
from waddington.twin.run.encoder_jobs import EncoderJob
from waddington.twin.run.jobs import TwinJob, as_text
from waddington.twin.run.prediction_jobs import PredictionJob

__all__ = ["RunRecords", "best_optimizer", "tabulate_trials"]

__getattr__ = names_moved_from(__name__)

COLUMNS = ("protocol", "predictor", "optimizer", "seed", "modality", "split", "conditions", "n", "metric", "value")
"""Columns of `metrics.csv`."""


@dataclass(frozen=True, kw_only=True)
class RunRecords:
    """What all jobs of a run found."""

    records: dict[TwinJob, Mapping[str, Any]]
    """Results of evaluated jobs only; those of tuning are in `tuned`."""
    protocols: tuple[str, ...]
    """Protocols that were asked for; an encoder that only pictures need is not scored."""
    tuned: pd.DataFrame
    """Every point tried: kind, protocol, optimizer, lr, searched, objective, chosen."""
    measurability: pd.DataFrame
    """Which conditions can be measured: the columns of `measurability.csv`."""
    encoders: dict[tuple[str, int], EncoderJob]
    """Encoder job by optimizer and seed."""
    agents: dict[tuple[str, str, str, int], AgentJob]
    """Agent job by protocol, variant, optimizer and seed."""
    judged: PredictionJob | None = None
    """The job that judged models of responses, where there was anything to judge."""

    def best(self) -> dict[str, str]:
        """Name the best optimizer of encoders (``response``) and of held-out agents (``agent``), where there are any.

        See :func:`best_optimizer`.
        """
        found = {
            "response": best_optimizer(self.records, kind="encoder", protocol="held-out"),
            "agent": best_optimizer(self.records, kind="agent", protocol="held-out"),
        }
        return {name: optimizer for name, optimizer in found.items() if optimizer is not None}

    def metrics(self) -> pd.DataFrame:
        """Give tidy metrics, one row a measurement."""
        rows = []
        for job, record in self.records.items():
            if job.protocol not in self.protocols:
                continue
            predictor = {"encoder": "response", "agent": "agent", "baseline": job.variant}[type(job).kind]
            trained = job.optimizer not in (*FIXED_POLICIES, "none")
            about = {
                "protocol": job.protocol,
                "predictor": predictor if trained or type(job).kind == "baseline" else job.optimizer,
                "optimizer": job.optimizer if trained else "none",
                "seed": job.seed,
            }
            for score in record["scores"]:
                about_baseline = {"predictor": score["predictor"]} if "predictor" in score else {}
                rows.append({**about, **score, **about_baseline})
        return pd.DataFrame(rows, columns=list(COLUMNS)).astype({"value": "float64"})

    def history(self) -> pd.DataFrame:
        """Give tidy losses of the encoders: optimizer, seed, epoch, split, loss."""
        rows = [
            {"optimizer": optimizer, "seed": seed, "epoch": epoch, "split": split, "loss": loss}
            for (optimizer, seed), job in self.encoders.items()
            if job in self.records
            for epoch, split, loss in zip(
                *(self.records[job]["history"][name] for name in ("epoch", "split", "loss")), strict=True
            )
        ]
        return pd.DataFrame(rows, columns=["optimizer", "seed", "epoch", "split", "loss"]).astype({"loss": "float64"})


def best_optimizer(records: Mapping[TwinJob, Mapping[str, Any]], *, kind: str, protocol: str) -> str | None:
    """Name the optimizer of greatest mean objective over seeds (and variants): the one rule for "best" of a run.

    The objective of an encoder is minus its validation loss, of an agent its return in the training world; no test cell
    takes part. A diverged training is worse than any other, so the fewest of them come first. None where nothing was
    trained; the first optimizer on a tie.
    """
    seen: dict[str, list[float | None]] = {}
    for job, record in records.items():
        if type(job).kind == kind and job.protocol == protocol and job.optimizer not in FIXED_POLICIES:
            seen.setdefault(job.optimizer, []).append(record["objective"])

    def merit(optimizer: str) -> tuple[float, float]:
        known = [objective for objective in seen[optimizer] if objective is not None]
        return -(1.0 - len(known) / len(seen[optimizer])), float(np.mean(known)) if known else -np.inf

    return max(seen, key=merit) if seen else None


def tabulate_trials(found: dict[TwinJob, Mapping[str, Any]]) -> pd.DataFrame:
    """Table the points that were tried; the best objective of each optimizer is chosen, the smaller rate on a tie."""
    table = pd.DataFrame(
        [
            {
                "kind": type(job).kind,
                "protocol": job.protocol,
                "optimizer": job.optimizer,
                "lr": job.lr,
                "searched": as_text(job.searched),
                "objective": float("-inf") if record["objective"] is None else record["objective"],
            }
            for job, record in found.items()
        ],
        columns=["kind", "protocol", "optimizer", "lr", "searched", "objective"],
    ).sort_values(["kind", "protocol", "optimizer", "lr", "searched"], ignore_index=True)
    best = (
        table.groupby(["kind", "protocol", "optimizer"])["objective"].transform("idxmax") if len(table) else table.index
    )
    return table.assign(chosen=table.index == best)
