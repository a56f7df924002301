"""``waddington evaluate``: what can be predicted in a file of cells, by which model, and how surely."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from waddington.cli import _reading as reading
from waddington.cli._screen import make_console, plain, table_or_list

if TYPE_CHECKING:
    from waddington.twin.run import EvaluationResult

__all__ = ["evaluate"]

_HOW = "Evaluation"
_NOTES = 4
"""How many notes the last screen has room for; the report has all."""


def evaluate(
    file: Annotated[
        Path | None,
        typer.Argument(help="A .h5mu, .h5ad, 10x .h5, .zarr or 10x mtx folder; without one, simulated cells."),
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("evaluation"),
    model: Annotated[
        list[str] | None,
        typer.Option(help="Response model to judge; repeat for several; all by default.", rich_help_panel=_HOW),
    ] = None,
    predictions: Annotated[
        list[Path] | None,
        typer.Option(
            help="A .h5ad with predictions of another tool (rows: conditions or cells); repeatable.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(
            help="Way of hiding, such as combo_seen2 or unseen_single; repeatable; all by default.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    group_key: Annotated[
        str | None,
        typer.Option(
            "--group-key",
            help="Column of obs with donor, cell type, line or batch: each group is hidden in turn.",
            rich_help_panel=_HOW,
        ),
    ] = None,
    repeats: Annotated[int, typer.Option(help="Random halvings of cells and controls.", rich_help_panel=_HOW)] = 10,
    null_repeats: Annotated[
        int, typer.Option("--null-repeats", help="Times that labels are permuted; 0: never.", rich_help_panel=_HOW)
    ] = 20,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.", rich_help_panel=_HOW)] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with the evaluation that was begun in --out.", rich_help_panel=_HOW)
    ] = False,
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
        typer.Option("--target-sum", help="Total that each cell's RNA is scaled to.", rich_help_panel=reading.DATA),
    ] = None,
    size_factor_key: Annotated[
        str | None,
        typer.Option(
            "--size-factor-key",
            help="Column of obs in the place of each cell's RNA total.",
            rich_help_panel=reading.DATA,
        ),
    ] = None,
    n_cells: Annotated[
        int, typer.Option("--cells", help="Cells to simulate without a file.", rich_help_panel=reading.DATA)
    ] = 2000,
) -> None:
    """Hide conditions, cells or groups, predict them with every model, and say what can be predicted and how surely.

    Predictions of other tools are scored in the same way. The same is done on permuted labels, where nothing may be
    found. An evaluation that was stopped goes on with --resume.
    """
    from waddington.twin.run import evaluate_file

    options = {
        "rna": rna, "atac": atac, "protein": protein, "perturbation_key": perturbation_key, "mode_key": mode_key,
        "dose_key": dose_key, "perturbation_mode": perturbation_mode, "control": control,
        "combination_separator": combination_separator, "time_key": time_key, "split_key": split_key,
        "batch_key": batch_key, "cell_type_key": cell_type_key, "counts_layer": counts_layer, "layer": layer,
        "normalization": normalization,
    }  # fmt: skip
    given: dict[str, Any] = {name: value for name, value in options.items() if value is not None}
    console = make_console()
    try:
        with _progress(console) as progress:
            task = progress.add_task("reading cells", total=1.0)
            result = evaluate_file(
                file,
                out,
                predictions=predictions or (),
                models=model or None,
                splits=split or None,
                group_key=group_key,
                n_cells=n_cells,
                target_sum=target_sum,
                size_factor_key=size_factor_key,
                repeats=repeats,
                null_repeats=null_repeats,
                seed=seed,
                resume=resume,
                callback=lambda done, what: progress.update(task, completed=done, description=what),
                **given,
            )
            progress.update(task, completed=1.0, description="done")
    except KeyboardInterrupt:
        console.print(plain(f"interrupted; the same command with --resume goes on from what is in {out}"))
        raise
    console.print(_last_screen(result, console))


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"), TimeElapsedColumn(),
        TimeRemainingColumn(), console=console,
    )  # fmt: skip


def _last_screen(result: EvaluationResult, console: Console) -> Group:
    """Say what was found, and where things are and what they mean."""
    from waddington.twin.evaluate.protocol import TABLES
    from waddington.twin.report.page import ANSWERS

    answers = Table.grid(padding=(0, 2))
    answers.add_column(style="bold", no_wrap=True)
    answers.add_column(overflow="fold")
    for verdict in result.verdicts:
        word, sign = ANSWERS[verdict.answer]
        said = Text("\n").join([plain(verdict.question), plain(verdict.sentence, style="dim")])
        answers.add_row(f"{sign} {word}", said)
    notes = [plain("• " + " ".join(note.split())) for note in result.notes[:_NOTES]]
    for line in notes:
        line.truncate(200, overflow="ellipsis")
    if len(result.notes) > _NOTES:
        notes.append(plain(f"… and {len(result.notes) - _NOTES} more in report.html", style="dim"))
    files = Table.grid(padding=(0, 0))
    meanings = {"report.html": "everything on one page; start here"}
    meanings |= {f"{name}.csv": meaning for name, meaning in TABLES.items()}
    for name, meaning in meanings.items():
        files.add_row(Text.assemble(plain(result.out / name, "bold"), "  ", (meaning, "dim")))
    return Group(
        Panel(answers, title="What can be predicted here", title_align="left"),
        *([Panel(Group(*notes), title="Before you believe it", title_align="left")] if notes else []),
        *_scores(result, console),
        Panel(files, title="Where things are", title_align="left"),
    )


def _scores(result: EvaluationResult, console: Console) -> list[RenderableType]:
    """Show Pearson r by model, a column for each split, mean of modalities, over the conditions of the verdicts."""
    from waddington.twin.evaluate.summary import headline

    rows = headline(result.evaluation.summary)
    rows = rows[rows["metric"] == "pearson"]
    if rows.empty:
        return []
    wide = rows.pivot_table(index="model", columns="split", values="value", sort=False)
    splits = [str(name).replace("_", " ") for name in wide.columns]
    cells = [
        (str(name), *("n/a" if value != value else f"{value:.2f}" for value in row))
        for name, row in zip(wide.index, wide.to_numpy(), strict=True)
    ]
    over = "measurable conditions" if (rows["conditions"] == "measurable").all() else "conditions, measurable or not"
    both = " and modalities" if rows["modality"].nunique() > 1 else ""
    title = f"Pearson r of the change (1: perfect), mean of {over}{both}"
    return [table_or_list(console, title, ("model", *splits), cells, numeric=splits)]
