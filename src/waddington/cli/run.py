"""``waddington run``: the main job, with progress, and a last screen that says where things are and what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from waddington.cli import _reading as reading
from waddington.cli._screen import make_console, plain, table_or_list
from waddington.cli._spelling import Written

if TYPE_CHECKING:
    import pandas as pd

    from waddington.twin.run import RunResult

__all__ = ["run"]

_DATA, _GUIDE, _COMPARE, _WHERE = reading.DATA, "Optimizer (the guide's parameters)", "Comparison", "Running"

_NOTES = 4
"""How many notes the last screen has room for; the report has all."""
_MEANINGS = {
    "report.html": "everything on one page; start here",
    "metrics.csv": "every measurement: a row for each predictor, optimizer, seed, modality, split, metric",
    "measurability.csv": "which conditions can be measured, and why others cannot",
    "scores.csv": "what can be predicted: a row for each condition, model, modality, metric",
    "cells.h5mu": "your cells with embeddings, pseudotime, stage and split of each",
    "model": "preprocessor, encoder, response, dynamics and policy: twin.Twin.load(…)",
    "predictions.h5mu": "predicted and observed change of each scored condition, with its spread",
    "landscape.png": "Waddington's landscape of these cells, with the ways the agent led them",
    "loss_landscape.png": "the encoder's loss over its weights, with the path of each optimizer",
    "trajectories.png": "features along pseudotime, with up and down calls",
    "loss_curves.png": "training and validation loss of each optimizer",
    "final_model.pt": "the model's weights of encoder and policy: torch.load(…, weights_only=True)",
    "config.json": "settings, seeds, versions and chosen rates",
}


def run(
    context: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(help="A .h5mu, .h5ad, 10x .h5, .zarr or 10x mtx folder; without one, simulated cells."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("results"),
    rna: reading.Rna = None,
    atac: reading.Atac = None,
    protein: reading.Protein = None,
    perturbation_key: reading.PerturbationKey = None,
    mode_key: reading.ModeKey = None,
    dose_key: reading.DoseKey = None,
    perturbation_mode: reading.PerturbationMode = None,
    control: reading.Control = None,
    combination_separator: reading.CombinationSeparator = None,
    time_key: reading.TimeKey = None,
    split_key: reading.SplitKey = None,
    batch_key: reading.BatchKey = None,
    cell_type_key: reading.CellTypeKey = None,
    counts_layer: reading.CountsLayer = None,
    normalization: reading.Normalization = None,
    layer: reading.Layer = None,
    target_sum: Annotated[
        float | None,
        typer.Option(
            "--target-sum",
            help="Total that each cell's RNA is scaled to; the median of training cells without it.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    size_factor_key: Annotated[
        str | None,
        typer.Option(
            "--size-factor-key", help="Column of obs in the place of each cell's RNA total.", rich_help_panel=_DATA
        ),
    ] = None,
    root: Annotated[
        str | None,
        typer.Option(
            help="Where the order of cells begins: a cell, a value of cell_type, a marker gene, time or control.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    parts: Annotated[
        str | None,
        typer.Option(
            help="Cells that no path joins to the root: main (no order), each (one of their own) or refuse.",
            rich_help_panel=_DATA,
        ),
    ] = None,
    n_cells: Annotated[
        int | None, typer.Option("--cells", help="Cells to simulate without a file.", rich_help_panel=_DATA)
    ] = None,
    optimizer: Annotated[
        list[str] | None,
        typer.Option(
            help="Optimizer to compare (see `waddington optimizers`), with arguments of its own where it has any: "
            "ASGDAdam,switch=mean. Repeat for several.",
            rich_help_panel=_GUIDE,
        ),
    ] = None,
    lr: Annotated[
        float | None, typer.Option(help="Rate of one-rate optimizers where not tuned.", rich_help_panel=_GUIDE)
    ] = None,
    beta1: Annotated[float | None, typer.Option(help="Decay of the first moment.", rich_help_panel=_GUIDE)] = None,
    beta2: Annotated[float | None, typer.Option(help="Decay of the second moment.", rich_help_panel=_GUIDE)] = None,
    eps: Annotated[
        float | None, typer.Option(help="Added to the denominator, of all alike.", rich_help_panel=_GUIDE)
    ] = None,
    switch_interval: Annotated[
        int | None,
        typer.Option(
            "--switch-interval",
            "--switch_interval",
            help="Steps between looks of the rules relative and linear.",
            rich_help_panel=_GUIDE,
        ),
    ] = None,
    alpha_min: Annotated[
        float | None,
        typer.Option("--alpha-min", "--alpha_min", help="Small base rate.", rich_help_panel=_GUIDE),
    ] = None,
    alpha_max: Annotated[
        float | None,
        typer.Option(
            "--alpha-max",
            "--alpha_max",
            help="Large base rate, the lr of the switching optimizers, where not tuned.",
            rich_help_panel=_GUIDE,
        ),
    ] = None,
    batch_size: Annotated[
        int | None,
        typer.Option("--batch-size", "--batch_size", help="Size of a mini-batch.", rich_help_panel=_GUIDE),
    ] = None,
    epochs: Annotated[int | None, typer.Option(help="Epochs of encoder training.", rich_help_panel=_GUIDE)] = None,
    preset: Annotated[
        str | None, typer.Option(help="smoke (does it run?), default, or paper (its Section IV.A).")
    ] = None,
    protocol: Annotated[str | None, typer.Option(help="paper, held-out or both.", rich_help_panel=_COMPARE)] = None,
    seeds: Annotated[int | None, typer.Option(help="Repetitions.", rich_help_panel=_COMPARE)] = None,
    lr_grid: Annotated[
        str | None,
        typer.Option(
            "--lr-grid", help="Rates to tune over, e.g. 1e-4,1e-3,1e-2; 'none': no tuning.", rich_help_panel=_COMPARE
        ),
    ] = None,
    ppo_steps: Annotated[
        int | None, typer.Option("--ppo-steps", help="Transitions of agent training.", rich_help_panel=_COMPARE)
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="A TOML file of fields; flags win over it.", rich_help_panel=_WHERE)
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option("--set", help="Any other field, as name=value; repeatable.", rich_help_panel=_WHERE),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run that is in --out.")] = False,
    device: Annotated[str | None, typer.Option(help="Device of the encoder.", rich_help_panel=_WHERE)] = None,
    workers: Annotated[int | None, typer.Option(help="Processes; 0: one a core.", rich_help_panel=_WHERE)] = None,
) -> None:
    """Embed cells, order them, train agents with several optimizers, and judge all of it on cells never seen.

    Without a file the cells are simulated. A run that was stopped goes on with --resume.
    """
    from waddington.twin.run import RunConfig, load_toml
    from waddington.twin.run import run as run_twin
    from waddington.twin.run.config import flatten

    flags = {
        "rna": rna, "atac": atac, "protein": protein, "perturbation_key": perturbation_key, "mode_key": mode_key,
        "dose_key": dose_key, "perturbation_mode": perturbation_mode, "control": control,
        "combination_separator": combination_separator, "time_key": time_key, "split_key": split_key,
        "batch_key": batch_key, "cell_type_key": cell_type_key, "counts_layer": counts_layer, "layer": layer,
        "normalization": normalization, "target_sum": target_sum, "size_factor_key": size_factor_key,
        "root": root, "parts": parts, "n_cells": n_cells,
        "optimizer": optimizer or None, "lr": lr, "beta1": beta1,
        "beta2": beta2, "eps": eps, "switch_interval": switch_interval, "alpha_min": alpha_min, "alpha_max": alpha_max,
        "batch_size": batch_size, "epochs": epochs, "protocol": protocol, "seeds": seeds, "ppo_steps": ppo_steps,
        "device": device, "workers": workers, "lr_grid": _grid(lr_grid),
    }  # fmt: skip
    in_file: dict[str, Any] = load_toml(config) if config is not None else {}
    context.obj = Written(file=config, in_file=in_file)
    in_file = flatten(in_file)
    by_set = flatten(dict(_setting(text) for text in setting or ()))
    by_flag = {name: value for name, value in {"file": file, **flags}.items() if value is not None}
    context.obj = Written(
        file=config,
        in_file={name: value for name, value in in_file.items() if name not in by_set | by_flag},
        by_set=frozenset(by_set.keys() - by_flag),
        by_flag=frozenset(by_flag),
    )
    fields: dict[str, Any] = in_file | by_set | by_flag
    chosen = str(preset or fields.pop("preset", "default"))
    fields.pop("preset", None)
    RunConfig.of(chosen, **fields)  # A name such as `out` is no field, wherever it was written.

    from waddington.cli._progress import make_listener

    console = make_console()
    try:
        with make_listener(console) as listener:
            result = run_twin(out=out, resume=resume, preset=chosen, listener=listener, **fields)
    except KeyboardInterrupt:
        console.print(plain(f"interrupted; the same command with --resume goes on from what is in {out}"))
        raise
    console.print(_last_screen(result, console))


def _grid(text: str | None) -> tuple[str, ...] | None:
    if text is None:
        return None
    return () if text.strip().casefold() in ("", "none") else tuple(text.split(","))


def _setting(text: str) -> tuple[str, str]:
    from waddington.errors import ArgumentError

    name, equals, value = text.partition("=")
    if not equals or not name:
        raise ArgumentError(f"cannot use --set {text!r}: accepted: name=value, such as horizon=12")
    return name.strip().replace("-", "_"), value.strip()


def _last_screen(result: RunResult, console: Console) -> Group:
    """Say what was found, and where things are and what they mean."""
    from waddington.twin.report.page import ANSWERS

    answers = Table.grid(padding=(0, 2))
    answers.add_column(style="bold", no_wrap=True)
    answers.add_column(overflow="fold")
    questions: dict[tuple[str, str], list[str]] = {}
    for verdict in result.verdicts:
        questions.setdefault((verdict.answer, verdict.sentence), []).append(verdict.question)
    for (answer, sentence), asked in questions.items():  # one reason for several answers is said once
        word, sign = ANSWERS[answer]
        answers.add_row(
            f"{sign} {word}", Text("\n").join([*(plain(question) for question in asked), plain(sentence, style="dim")])
        )
    notes = [plain("• " + " ".join(note.split())) for note in result.notes[:_NOTES]]
    for line in notes:
        line.truncate(200, overflow="ellipsis")  # inside a word too: a path may be longer
    if len(result.notes) > _NOTES:
        more = len(result.notes) - _NOTES
        notes.append(plain(f"… and {more} more in report.html", style="dim"))
    files = Table.grid(padding=(0, 0))
    for name, meaning in _MEANINGS.items():
        if (result.out / name).exists():
            files.add_row(Text.assemble(plain(result.out / name, "bold"), "  ", (meaning, "dim")))
    return Group(
        *([Panel(answers, title="What this run says", title_align="left")] if result.verdicts else []),
        *([Panel(Group(*notes), title="Before you believe it", title_align="left")] if notes else []),
        *_scores(result.metrics, console),
        Panel(files, title="Where things are", title_align="left"),
    )


def _scores(metrics: pd.DataFrame, console: Console) -> list[RenderableType]:
    """Show Pearson r of the change, mean of modalities ± sd over seeds, a column for each way of being held out."""
    from waddington.twin.evaluate.summary import headline, model_name

    metrics = headline(metrics)
    rows = metrics[(metrics["protocol"] == "held-out") & (metrics["metric"] == "pearson")]
    if rows.empty:
        return []
    splits = list(dict.fromkeys(rows["split"]))
    by_seed = rows.groupby(["predictor", "optimizer", "split", "seed"], sort=False)["value"].mean()
    levels = ["predictor", "optimizer", "split"]
    mean, spread = by_seed.groupby(level=levels, sort=False).mean(), by_seed.groupby(level=levels, sort=False).std()
    cells = [
        (model_name(predictor, optimizer), *(_cell(mean.get(k), spread.get(k)) for k in keys))
        for predictor, optimizer in dict.fromkeys((p, o) for p, o, _ in mean.index)
        if (keys := [(predictor, optimizer, split) for split in splits])
    ]
    over = "± sd over seeds" if rows["seed"].nunique() > 1 else "(one seed)"
    title = f"Pearson r of held-out change, mean of modalities {over}"
    return [table_or_list(console, title, ("predictor", *splits), cells, numeric=splits)]


def _cell(mean: float | None, spread: float | None) -> str:
    if mean is None or mean != mean:
        return "n/a"
    return f"{mean:.2f}" + (f" ± {spread:.2f}" if spread is not None and spread == spread else "")
