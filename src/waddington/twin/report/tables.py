"""The report's tables as plain records: metrics in blocks with the best marked, losses, settings, anything else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from waddington._text import counted
from waddington.twin.data.modalities import TITLES
from waddington.twin.evaluate.metrics import get_metric
from waddington.twin.evaluate.protocol import WAYS
from waddington.twin.evaluate.summary import BASELINES, headline, is_policy, summarize

__all__ = ["Block", "Cell", "Group", "Row", "Table", "flat_settings", "loss_table", "metric_blocks", "plain_table"]

_PROTOCOLS = {"held-out": "Held-out protocol", "paper": "Paper protocol"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Cell:
    """One value of a table: its text, its deviation's text ("" without), and whether it is the best."""

    text: str
    deviation: str = ""
    best: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One model's values, aligned with the block's metrics."""

    name: str
    baseline: bool
    cells: tuple[Cell, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Group:
    """The rows of one modality."""

    name: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """One table of metrics: its caption, the metrics with the direction that is better, and its groups."""

    caption: str
    metrics: tuple[tuple[str, str], ...]
    groups: tuple[Group, ...]


@dataclass(frozen=True, kw_only=True, slots=True)
class Table:
    """Any other table: caption, headings and rows of texts."""

    caption: str
    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numeric: tuple[bool, ...] = field(default=())


def metric_blocks(metrics: pd.DataFrame) -> list[Block]:
    """Make one block for every protocol and split of tidy metrics, models above baselines.

    Held-out policies have a block of their own: they are told the change that predictors must find. Where some
    conditions can be measured, only these are shown.

    Raises
    ------
    DataError
        A column of tidy metrics is missing.
    """
    metrics = headline(metrics)
    summary = summarize(metrics)
    seeds: Any = metrics.groupby(["protocol", "split"], sort=False, dropna=False)["seed"].nunique()
    apart = summary["predictor"].map(lambda name: is_policy(str(name))) & (summary["protocol"] == "held-out")
    blocks = []
    for (protocol, split, told), part in summary.groupby(
        ["protocol", "split", apart.rename("told")], sort=False, dropna=False
    ):
        rows = metrics[(metrics["protocol"] == protocol) & (metrics["split"] == split)]
        names = list(dict.fromkeys(part["metric"].astype(str)))
        groups = tuple(
            Group(name=TITLES.get(str(modality), str(modality)), rows=_rows(values, names))
            for modality, values in part.groupby("modality", sort=False, dropna=False)
        )
        n_seeds = int(seeds[protocol, split])
        # Response models fit without a seed; only what an optimizer trained has one.
        trained = "optimizer" in rows.columns and (rows["optimizer"].fillna("none") != "none").any()
        over = f"mean ± sd over {n_seeds} seeds" if n_seeds > 1 else "one seed" if trained else ""
        meaning = f" ({WAYS[str(split)]})" if split in WAYS else ""
        told_apart = ", policies, which are told the target" if bool(told) else ""
        said = ", ".join(part for part in (_counted(rows), over) if part)
        blocks.append(
            Block(
                caption=f"{_PROTOCOLS.get(str(protocol), str(protocol))}, {split}{meaning}{told_apart}"
                f"{': ' if said else ''}{said}",
                metrics=tuple((row.label, "↑" if row.better == "higher" else "↓") for row in map(get_metric, names)),
                groups=groups,
            )
        )
    return blocks


def _counted(rows: pd.DataFrame) -> str:
    """Say how many conditions a block's values are means of, by modality where they differ."""
    if "conditions" not in rows.columns or (rows["protocol"] != "held-out").all():
        return ""
    said = {
        str(modality): counted(int(part["n"].max()), "measurable condition")
        if kind == "measurable"
        else f"{counted(int(part['n'].max()), 'condition')}, none measurable"
        for (modality, kind), part in rows.groupby(["modality", "conditions"], sort=False)
    }
    if len(set(said.values())) == 1:
        return next(iter(said.values()))
    return "; ".join(f"{TITLES.get(name, name)} {text}" for name, text in said.items())


def _rows(part: pd.DataFrame, names: list[str]) -> tuple[Row, ...]:
    """Return a modality's rows, models as they come, then baselines in their fixed order."""
    rows = []
    for contestant, values in part.groupby("contestant", sort=False):
        records: list[dict[Any, Any]] = values.to_dict("records")
        by_metric = {str(record["metric"]): record for record in records}
        model = str(values["predictor"].iloc[0])
        rank = 1 + BASELINES.index(model) if model in BASELINES else 0
        cells = tuple(_cell(by_metric.get(name)) for name in names)
        rows.append((rank, Row(name=str(contestant), baseline=rank > 0, cells=cells)))
    return tuple(row for _, row in sorted(rows, key=lambda pair: pair[0]))


def _cell(record: dict[Any, Any] | None) -> Cell:
    """Return the cell of one summary row."""
    if record is None or not _finite(record["mean"]):
        return Cell(text="n/a")
    deviation = _number(record["sd"], 3) if _finite(record["sd"]) else ""
    return Cell(text=_number(record["mean"], 3), deviation=deviation, best=bool(record["best"]))


def loss_table(history: pd.DataFrame) -> Table:
    """Tabulate the loss of the last epoch of every optimizer, mean ± sd where there are seeds, one column a split."""
    frame = history.assign(loss=pd.to_numeric(history["loss"], errors="coerce").replace([np.inf, -np.inf], np.nan))
    last = frame.sort_values("epoch").groupby(["optimizer", "seed", "split"], sort=False).tail(1)
    splits = [name for name in ("train", "validation") if (last["split"] == name).any()]
    rows = []
    for optimizer in dict.fromkeys(frame["optimizer"].astype(str)):
        row = [optimizer]
        for split in splits:
            losses = last[(last["optimizer"] == optimizer) & (last["split"] == split)]["loss"].dropna()
            deviation = f" ± {_number(losses.std(), 4)}" if len(losses) > 1 else ""
            row.append(f"{_number(losses.mean(), 4)}{deviation}" if len(losses) else "diverged")
        rows.append(tuple(row))
    headings = ("Optimizer", *(f"{split.capitalize()} loss" for split in splits))
    over = "mean ± sd over seeds" if frame["seed"].nunique() > 1 else "one seed"
    return Table(
        caption=f"Loss of the last epoch ({int(frame['epoch'].max())}), {over}",
        headings=headings,
        rows=tuple(rows),
        numeric=(False, *(True for _ in splits)),
    )


def plain_table(caption: str, frame: pd.DataFrame) -> Table:
    """Turn any data frame into a table; a named index becomes its first columns."""
    named = frame.reset_index() if any(name is not None for name in frame.index.names) else frame
    numeric = tuple(bool(pd.api.types.is_numeric_dtype(kind)) for kind in named.dtypes)
    return Table(
        caption=caption,
        headings=tuple(str(name) for name in named.columns),
        rows=tuple(tuple(_text(value) for value in row) for row in named.itertuples(index=False)),
        numeric=numeric,
    )


def flat_settings(settings: Mapping[str, object]) -> list[tuple[str, str]]:
    """Flatten nested settings to dotted names and texts."""
    rows: list[tuple[str, str]] = []
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            rows += [(f"{name}.{inner}", text) for inner, text in flat_settings(value)]
        else:
            rows.append((str(name), _text(value)))
    return rows


def _finite(value: object) -> bool:
    return isinstance(value, (int, float, np.number)) and math.isfinite(float(value))


def _number(value: object, digits: int) -> str:
    """Write a number with a real minus sign, and few digits when it is large."""
    number = float(value)  # type: ignore[arg-type]
    text = f"{number:.{digits}f}" if abs(number) < 100 else f"{number:.4g}"
    return text.replace("-", "−")


def _text(value: object) -> str:
    """Write any value for a reader."""
    if value is None:
        return "none"
    if isinstance(value, (bool, np.bool_)):
        return "yes" if value else "no"
    if isinstance(value, (float, np.floating)):
        return "n/a" if math.isnan(value) else f"{value:.6g}"
    if isinstance(value, (list, tuple, set, frozenset)):
        return ", ".join(_text(item) for item in value) or "none"
    return str(value)
