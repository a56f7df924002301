"""The files that the experiment leaves: records, runs and tables as CSV, and a page of tables beside the published."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from waddington._files import write_text
from waddington._text import counted, visible
from waddington.twin.evaluate.metrics import PAPER, get_metric
from waddington.twin.evaluate.paper import AGAINST_TARGET, PUBLISHED
from waddington.twin.tables.agents import EVALUATIONS
from waddington.twin.tables.published import table_name
from waddington.twin.tables.summary import Tables

__all__ = ["FILES", "markdown", "write_tables"]

FILES = ("records.csv", "runs.csv", "tables.csv", "search.csv", "tables.md")
"""What :func:`write_tables` leaves; ``search.csv`` only where something was tuned."""

_RATES = {"given": "", "tuned": ", tuned", "none": "", "published": ", published"}


def write_tables(tables: Tables, folder: Path) -> None:
    """Write all files, each whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "records.csv", tables.records.to_csv(index=False))
    write_text(folder / "runs.csv", tables.runs.to_csv(index=False))
    if len(tables.tried):
        write_text(folder / "search.csv", tables.tried.to_csv(index=False))
    else:
        (folder / "search.csv").unlink(missing_ok=True)  # of other tables, which these take the place of
    every = [
        tables.table(scoring=scoring, evaluation=evaluation).assign(scoring=scoring, evaluation=evaluation)
        for scoring in (PUBLISHED, AGAINST_TARGET)
        for evaluation in EVALUATIONS
    ]
    write_text(folder / "tables.csv", pd.concat(every, ignore_index=True).to_csv(index=False))
    write_text(folder / "tables.md", markdown(tables))


def markdown(tables: Tables) -> str:
    """Give the tables as a page, ten metrics a row, mean ± standard deviation over seeds."""
    lines = [
        "Mean ± standard deviation over seeds. *Nearest* is the policy without training that a row is most like, over",
        "all metrics but recall (weighted over two classes, recall is accuracy) in units of each metric's standard",
        "deviation over the rows, with the root mean square distance. RMSE is a mean of roots over episodes, as",
        "published, and not the root of MSE.",
        "",
    ]
    lines += _runs(tables.runs)
    if tables.missing:
        lines.append(f"\nMissing so far: {counted(tables.missing, 'run')}.")
    for scoring in (PUBLISHED, AGAINST_TARGET):
        for evaluation in EVALUATIONS:
            table = tables.table(scoring=scoring, evaluation=evaluation)
            for (cells, protocol, _), part in table.groupby(["cells", "protocol", "regime"], sort=False):
                regime = table_name(int(part["regime"].iloc[0]))
                title = f"{regime}, {cells}, protocol {protocol}, {scoring}, {evaluation} agents"
                lines += ["", f"## {title[0].upper()}{title[1:]}", "", *_table(part)]
    return "\n".join(lines) + "\n"


def _table(part: pd.DataFrame) -> list[str]:
    labels = [get_metric(metric).label for metric in PAPER]
    lines = [
        f"| | rate | {' | '.join(labels)} | nearest | seeds |",
        f"| --- | --- | {' | '.join('---' for _ in labels)} | --- | --- |",
    ]
    for (rates, row), values in part.groupby(["rates", "row"], sort=False):
        first = values.iloc[0]
        rate = "" if rates in ("none", "published") else f"{float(first['lr']):g}"
        more = f" {first['searched']}" if first["searched"] else ""
        cells = [_cell(values, metric) for metric in PAPER]
        nearest = f"{first['nearest']} ({first['distance']:.2f})" if first["nearest"] else "none"
        seeds = "" if rates == "published" else str(int(values["n"].max()))
        lines.append(
            f"| {_in_table(str(row))}{_RATES[str(rates)]} | {rate}{more} | {' | '.join(cells)} | {nearest} | {seeds} |"
        )
    return lines


def _in_table(text: str) -> str:
    """Keep a name within its cell."""
    return visible(text).replace("|", r"\|")


def _cell(values: pd.DataFrame, metric: str) -> str:
    found = values[values["metric"] == metric]
    mean, sd = (float(found[name].iloc[0]) if len(found) else np.nan for name in ("mean", "sd"))
    if not np.isfinite(mean):
        return "not measurable"
    return f"{mean:.3f}" + (f" ± {sd:.3f}" if np.isfinite(sd) else "")


def _runs(runs: pd.DataFrame) -> list[str]:
    """Say how many runs there are, how long they took and where, and which have no score."""
    if runs.empty:
        return ["No run is recorded."]
    trained = runs[runs["rates"] != "none"]
    hosts = ", ".join(sorted(set(runs["host"].astype(str))))
    lines = [
        f"{counted(len(trained), 'trained run')}, {trained['seconds'].sum() / 60:.0f} minutes of one process in all, "
        f"on {hosts}; {counted(len(runs) - len(trained), 'run')} of policies without training."
    ]
    for what, part in (("diverged", runs[runs["diverged"]]), ("failed", runs[runs["status"] == "failed"])):
        for (cells, protocol, row), some in part.groupby(["cells", "protocol", "row"], sort=False):
            why = f" ({visible(some['error'].iloc[0])})" if what == "failed" else ""
            lines.append(f"\n{counted(len(some), 'run')} of {row} ({cells}, {protocol}) {what}{why} and has no score.")
    return lines
