"""What the records of the experiment say: tables over seeds beside the published ones, and whom each row resembles."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from waddington.jobs import Record
from waddington.twin.evaluate.metrics import PAPER
from waddington.twin.evaluate.paper import PUBLISHED
from waddington.twin.evaluate.summary import FIXED_POLICIES
from waddington.twin.run.jobs import as_text
from waddington.twin.run.sections import Evaluation
from waddington.twin.tables.published import published_table

__all__ = ["COLUMNS", "MEASURED", "RUNS", "About", "Tables", "nearest_policies"]

_WHERE = ["cells", "protocol", "regime"]
_WHO = ["rates", "row", "optimizer", "lr", "searched"]
COLUMNS = (*_WHERE, *_WHO, "seed", "evaluation", "scoring", "modality", "metric", "value", "n")
"""Columns of the records, one row a measurement: a mean over ``n`` episodes of one run."""
RUNS = (*_WHERE, *_WHO, "seed", "status", "error", "diverged", "objective", "seconds", "host", "key")
"""Columns of the runs, one row a run; what of :data:`MEASURED` was measured and the optimizer's diagnostics follow."""
MEASURED = (
    *("second_moment_spread", "gradient_dimensions"),
    *("hessian_largest", "hessian_smallest", "hessian_trace", "hessian_dominance"),
)
"""What is measured of a training with ``anisotropy``, at its end."""

COMPARED = tuple(metric for metric in PAPER if metric != "recall")
"""Metrics that rows are compared by: recall, weighted over two classes, is accuracy, and would count twice."""


@dataclass(frozen=True, kw_only=True, slots=True)
class About:
    """What tells a run apart."""

    cells: str
    protocol: str
    regime: int
    rates: str
    """``given``, ``tuned``, or ``none`` of a policy that is not trained."""
    row: str
    optimizer: str
    """Optimizer and arguments at given rates."""
    lr: float
    searched: tuple[tuple[str, float], ...]
    seed: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Tables:
    """Tables II and III as measured."""

    records: pd.DataFrame
    """Every measurement; :data:`COLUMNS`."""
    runs: pd.DataFrame
    """Every run; :data:`RUNS`."""
    tried: pd.DataFrame
    """Every point of the search: cells, protocol, row, lr, searched, objective; empty where nothing was tuned."""
    missing: int = 0
    """Runs that are planned and not recorded yet."""

    @classmethod
    def of(cls, found: Iterable[tuple[About, Record]], *, tried: pd.DataFrame, missing: int = 0) -> Tables:
        """Collect the records of jobs, each with what tells it apart."""
        records: list[dict[str, Any]] = []
        runs: list[dict[str, Any]] = []
        for about, record in found:
            told = dataclasses.asdict(about) | {"searched": as_text(about.searched)}
            result = record.result or {}
            records += [{**told, **score} for score in result.get("scores", ())]
            known = {
                "status": record.status,
                "error": record.error or "",
                "diverged": bool(result.get("diverged", False)),
                "objective": result.get("objective"),
                "seconds": record.seconds,
                "host": record.machine.get("host", ""),
                "key": record.key,
            }
            history = result.get("history", {})
            measured = {name: history[name][-1] for name in MEASURED if history.get(name)}
            runs.append({**told, **known, **measured, **result.get("diagnostics", {})})
        columns = list(dict.fromkeys([*RUNS, *(name for run in runs for name in run)]))
        return cls(
            records=pd.DataFrame(records, columns=list(COLUMNS)).astype({"value": "float64"}),
            runs=pd.DataFrame(runs, columns=columns),
            tried=tried,
            missing=missing,
        )

    def table(
        self, *, scoring: str = PUBLISHED, evaluation: Evaluation = "deterministic", modality: str = "all"
    ) -> pd.DataFrame:
        """Average over seeds; one row for each contestant and metric, the published ones among them.

        Parameters
        ----------
        scoring
            ``"as published"`` (the final state against the original one) or ``"against the target"``.
        evaluation
            How trained agents act; policies that are not trained act as they do.
        modality
            Which part of the state is scored.

        Returns
        -------
        DataFrame
            Columns cells, protocol, regime, rates (``given``, ``tuned``, ``none`` of policies that are not trained,
            ``published``), row, lr, searched, metric, mean, sd, n (seeds with a value), nearest (the policy without
            training that is most like the row) and distance (to it, in standard deviations a metric).
        """
        chosen = self.records[(self.records["scoring"] == scoring) & (self.records["modality"] == modality)]
        chosen = chosen[(chosen["evaluation"] == evaluation) | (chosen["rates"] == "none")]
        keys = [*_WHERE, "rates", "row", "lr", "searched", "metric"]
        grouped = chosen.groupby(keys, sort=False)["value"]
        ours = grouped.agg(mean="mean", sd="std", n="count").reset_index()
        parts = []
        for _, part in ours.groupby(_WHERE, sort=False):
            whole = pd.concat([part, _published(part)], ignore_index=True) if scoring == PUBLISHED else part
            parts.append(whole.merge(nearest_policies(whole), on=["rates", "row"], how="left"))
        return pd.concat(parts, ignore_index=True) if parts else ours.assign(nearest="", distance=np.nan)


def _published(part: pd.DataFrame) -> pd.DataFrame:
    """Give the published rows of one table in the columns of ours; none for a regime that was not published."""
    theirs = published_table(int(part["regime"].iloc[0])).rename_axis("row").reset_index()
    melted = theirs.melt("row", var_name="metric", value_name="mean")
    place = {name: part[name].iloc[0] for name in _WHERE}
    return melted.assign(**place, rates="published", lr=np.nan, searched="", sd=np.nan, n=0)


def nearest_policies(table: pd.DataFrame, *, metrics: Sequence[str] = COMPARED) -> pd.DataFrame:
    """Say which policy without training each row is most like.

    Every metric is put into units of its standard deviation over all rows of the table; the distance is the root mean
    square difference over the metrics in which both have a value.

    Parameters
    ----------
    table
        Columns rates, row, metric, mean, of one table.
    metrics
        Which count.

    Returns
    -------
    DataFrame
        Columns rates, row, nearest, distance; policies without training have the nearest other one. A row that shares
        no metric with any policy has none.
    """
    wide = table[table["metric"].isin(metrics)].pivot_table(index=["rates", "row"], columns="metric", values="mean")
    spread = wide.std(ddof=0)
    scaled = ((wide - wide.mean()) / spread.where(spread > 0)).dropna(axis=1, how="all")
    fixed = [key for key in scaled.index if key[0] == "none" and key[1] in FIXED_POLICIES]
    rows = []
    for key in scaled.index:
        apart = {policy: scaled.loc[key] - scaled.loc[policy] for policy in fixed if policy != key}
        squares = {policy: float((one**2).mean(skipna=True)) for policy, one in apart.items()}
        known = {policy: square for policy, square in squares.items() if np.isfinite(square)}
        best = min(known, key=known.__getitem__) if known else None
        rates, row = key
        distance = np.nan if best is None else known[best] ** 0.5
        rows.append({"rates": rates, "row": row, "nearest": "" if best is None else best[1], "distance": distance})
    return pd.DataFrame(rows, columns=["rates", "row", "nearest", "distance"])
