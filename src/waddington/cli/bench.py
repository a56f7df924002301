"""``waddington bench``: compare optimizers by tuned, repeated runs, and see the page."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console, Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from waddington._text import counted
from waddington.cli._screen import make_console, plain, table_or_list
from waddington.cli._spelling import SpellingCommand, spellings
from waddington.cli._study import study_by_name, study_of_flags

if TYPE_CHECKING:
    from waddington.bench.comparison import Comparison

__all__ = ["app", "compare", "list_tasks", "pack", "report", "run", "tune"]

app = typer.Typer(help="Compare optimizers fairly.", no_args_is_help=True)

_STUDY, _WHERE = "Study", "Running"
_MEANINGS = {
    "report.html": "everything on one page; start here",
    "report.md": "the same as Markdown",
    "summary.csv": "what every arm came to on every task, and what was chosen",
    "contrasts.csv": "every test, with its interval, p-values and what it could have detected",
    "tuning.csv": "every point that was tried",
    "records.csv": "a line for every run",
    "store.sqlite": "the runs themselves; the same command goes on from here",
    "study.json": "the study as it was registered, with its hash",
}

Tasks = Annotated[list[str] | None, typer.Argument(help="Tasks: names of `bench list`, or files such as my_task.py.")]
Optimizers = Annotated[
    list[str] | None,
    typer.Option(
        "--optimizer",
        help="Optimizer; repeat for several, the first is the baseline. NAME,argument=value,name=… fixes arguments.",
        rich_help_panel=_STUDY,
    ),
]
Out = Annotated[Path, typer.Option(help="Folder of the study.")]
Trials = Annotated[int, typer.Option(help="Points that every optimizer tries on a task.", rich_help_panel=_STUDY)]
TuningSeeds = Annotated[
    int, typer.Option("--tuning-seeds", help="Seeds that a point is tried on.", rich_help_panel=_STUDY)
]
Search = Annotated[str, typer.Option(help="quasi-random, grid or bayes.", rich_help_panel=_STUDY)]
Horizons = Annotated[
    str,
    typer.Option(
        "--horizon",
        help="known (cosine, compared at the end), open (constant rate, compared all along) or both.",
        rich_help_panel=_STUDY,
    ),
]
Steps = Annotated[int | None, typer.Option(help="Steps of a run; the task's own without it.", rich_help_panel=_STUDY)]
Patience = Annotated[
    int | None,
    typer.Option(
        help="Evaluations without a better one after which a run stops and its best weights count; to the end"
        " without it.",
        rich_help_panel=_STUDY,
    ),
]
Course = Annotated[
    str | None,
    typer.Option(
        "--schedule",
        help="Course of the rate in the place of the horizon's: constant, cosine, inverse-sqrt or restarts, then"
        " fields of it, such as restarts,period=200,warmup=0.05.",
        rich_help_panel=_STUDY,
    ),
]
Tiny = Annotated[bool, typer.Option("--tiny", help="The tasks' smallest size: does it run?", rich_help_panel=_STUDY)]
Ranges = Annotated[
    list[str] | None,
    typer.Option(
        "--space",
        help="Search an argument: [OPTIMIZER.]name=1e-4:1e-1, 0..1 or 8,16,32; task.name is the task's, schedule.name"
        " the schedule's. Repeatable.",
        rich_help_panel=_STUDY,
    ),
]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        help="Fix an argument of all optimizers, task.name=value or schedule.name=value. Repeatable.",
        rich_help_panel=_STUDY,
    ),
]
Workers = Annotated[int, typer.Option(help="Runs at once; 0: one for each core.", rich_help_panel=_WHERE)]
Executor = Annotated[str, typer.Option(help="processes or ray.", rich_help_panel=_WHERE)]


@app.callback()
def _bench() -> None:
    """Compare optimizers fairly."""


@app.command("list")
def list_tasks(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the tasks: what they are, how long a run is, and which data they read; and this project's studies."""
    from waddington import bench
    from waddington.bench.studies import STUDIES

    tasks = [bench.get_task(name) for name in bench.task_names()]
    if as_json:
        fields = ("name", "tier", "steps", "metric", "larger_is_better", "needs", "about")
        rows = [{**{field: getattr(one, field) for field in fields}, "parameters": one.parameters} for one in tasks]
        typer.echo(json.dumps(rows, indent=2, default=str))
        return
    console = make_console()
    columns = ("task", "tier", "steps", "metric", "data", "what it is")
    lines = [(one.name, one.tier, one.steps, one.metric, ", ".join(one.needs) or "none", one.about) for one in tasks]
    console.print(table_or_list(console, "Tasks", columns, lines, numeric=("steps",)))
    told = [(name, " ".join((make.__doc__ or "").split("\n\n")[0].split())) for name, make in STUDIES.items()]
    console.print(table_or_list(console, "Studies (bench run --study NAME)", ("study", "asks"), told, numeric=()))


@app.command("run", cls=SpellingCommand)
def run(
    context: typer.Context,
    tasks: Tasks = None,
    optimizer: Optimizers = None,
    out: Out = Path("bench"),
    study: Annotated[
        str | None,
        typer.Option(
            help="A study of `bench list`, or a study.json, in the place of tasks, optimizers and budgets.",
            rich_help_panel=_STUDY,
        ),
    ] = None,
    records: Annotated[
        list[Path] | None,
        typer.Option(
            help="A file of `bench pack`: what it holds is not run again. Repeatable.", rich_help_panel=_WHERE
        ),
    ] = None,
    seeds: Annotated[
        int, typer.Option(help="Seeds that the chosen points are evaluated on.", rich_help_panel=_STUDY)
    ] = 10,
    trials: Trials = 20,
    tuning_seeds: TuningSeeds = 3,
    search: Search = "quasi-random",
    finalists: Annotated[
        int,
        typer.Option(
            help="Best points that are run again on seeds of their own, to choose one.", rich_help_panel=_STUDY
        ),
    ] = 1,
    horizon: Horizons = "known",
    steps: Steps = None,
    patience: Patience = None,
    schedule: Course = None,
    tiny: Tiny = False,
    space: Ranges = None,
    setting: Settings = None,
    contrast: Annotated[
        list[str] | None,
        typer.Option(
            help="ARM:AGAINST, at most four; every optimizer against the first without it.", rich_help_panel=_STUDY
        ),
    ] = None,
    workers: Workers = 0,
    executor: Executor = "processes",
    tracker: Annotated[
        list[str] | None,
        typer.Option(
            help="tensorboard, mlflow or wandb (offline): curves while runs run, in OUT; repeatable.",
            rich_help_panel=_WHERE,
        ),
    ] = None,
    costs: Annotated[bool, typer.Option(help="Time the optimizers' steps, too.", rich_help_panel=_WHERE)] = True,
) -> None:
    """Tune optimizers on tasks at equal budgets, compare them on fresh seeds, and write a page.

    The study is written down before its first run. The same command goes on with one that was stopped.
    """
    from waddington import bench
    from waddington.cli._progress import make_listener

    if study is None:
        wanted = study_of_flags(
            tasks, optimizer, seeds=seeds, trials=trials, tuning_seeds=tuning_seeds, search=search,
            finalists=finalists, horizon=horizon, steps=steps, patience=patience, schedule=schedule, tiny=tiny,
            space=space, setting=setting, contrast=contrast,
        )  # fmt: skip
    else:
        wanted = study_by_name(study, _given(context))
    console = make_console()
    command = _command()
    try:
        with make_listener(console) as listener, bench.make_executor(workers, executor) as where:  # type: ignore[arg-type]
            found = bench.run_study(
                wanted,
                out,
                records=records or (),
                executor=where,
                listener=listener,
                costs=costs,
                trackers=tuple(tracker or ()),
                command=command,
            )
    except KeyboardInterrupt:
        console.print(plain(f"interrupted; the same command goes on from what is in {out}"))
        raise
    console.print(_screen(found, out, console))


@app.command("pack")
def pack(
    folders: Annotated[list[Path], typer.Argument(help="Folders of studies.")],
    out: Annotated[Path, typer.Option(help="The file of records.")] = Path("records.jsonl.xz"),
) -> None:
    """Write the records of studies into one small file, from which `bench run --records` goes on."""
    from waddington import bench
    from waddington.cli._progress import LineListener

    make_console().print(plain(f"{bench.pack_folders(folders, out, listener=LineListener()):,} records in {out}"))


@app.command("tune", cls=SpellingCommand)
def tune(
    tasks: Tasks = None,
    optimizer: Optimizers = None,
    out: Out = Path("tuning"),
    trials: Trials = 20,
    tuning_seeds: TuningSeeds = 3,
    search: Search = "quasi-random",
    horizon: Horizons = "known",
    steps: Steps = None,
    patience: Patience = None,
    schedule: Course = None,
    tiny: Tiny = False,
    space: Ranges = None,
    setting: Settings = None,
    workers: Workers = 0,
    executor: Executor = "processes",
) -> None:
    """Search the arguments of optimizers on tasks, and say what is best; nothing is compared."""
    from waddington import bench
    from waddington.cli._progress import make_listener

    study = study_of_flags(
        tasks, optimizer, seeds=1, trials=trials, tuning_seeds=tuning_seeds, search=search, finalists=1,
        horizon=horizon, steps=steps, patience=patience, schedule=schedule, tiny=tiny, space=space, setting=setting,
        contrast=[],
    )  # fmt: skip
    console = make_console()
    with make_listener(console) as listener, bench.make_executor(workers, executor) as where:  # type: ignore[arg-type]
        cells = bench.tune_study(study, out, executor=where, listener=listener)
    columns = ("task", "horizon", "optimizer", "value", "best arguments", "at a boundary")
    rows = [
        (
            *cell.key,
            f"{(-1.0 if cell.entry.larger_is_better else 1.0) * cell.trials[cell.chosen].value:.4g}",
            _arguments(cell.trials[cell.chosen].arguments),
            ", ".join(f"{name} ({end})" for name, end in cell.boundary.items()) or "no",
        )
        for cell in cells
    ]
    console.print(table_or_list(console, "Best points", columns, rows, numeric=("value",)))
    console.print(_files(out))


@app.command("compare")
def compare(
    folder: Annotated[Path, typer.Argument(help="Folder of a study that was run.")] = Path("bench"),
) -> None:
    """Say what a study comes to, from its records."""
    from waddington import bench
    from waddington.cli._progress import LineListener

    console = make_console()
    console.print(_screen(bench.compare_folder(folder, listener=LineListener()), folder, console))


@app.command("report")
def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a study that was run.")] = Path("bench"),
    out: Annotated[Path | None, typer.Option(help="Where to write; the study's folder without it.")] = None,
) -> None:
    """Write a study's page and tables anew, from its records."""
    from waddington import bench
    from waddington.cli._progress import LineListener

    found = bench.compare_folder(folder, listener=LineListener())
    bench.write_results(found, out or folder, command=_command())
    make_console().print(_files(out or folder))


def _given(context: typer.Context) -> list[str]:
    """Name what of a study stands on the command line beside --study."""
    asked = [str(one.name) for one in context.command.params if one.name == "tasks" or _panel(one) == _STUDY]
    said = {name: context.get_parameter_source(name) for name in asked if name != "study"}
    spelled = spellings(context.command)
    return [spelled[name] for name, source in said.items() if source is not None and source.name == "COMMANDLINE"]


def _panel(parameter: Any) -> str | None:
    return getattr(parameter, "rich_help_panel", None)


def _command() -> str:
    import shlex

    return shlex.join(["waddington", *sys.argv[1:]])


def _screen(found: Comparison, folder: Path, console: Console) -> Group:
    """Say what was found, what it rests on, and where things are."""
    words: dict[str, str] = {"first": "yes", "second": "no", "no difference": "no difference", "cannot be told": "?"}
    answers = Table.grid(padding=(0, 2))
    answers.add_column(style="bold", no_wrap=True)
    answers.add_column(overflow="fold")
    for horizon in found.study.horizons:
        for one in found.over_tasks(horizon):
            asked = f"Is {one.first} better than {one.second}? ({horizon.name} length)"
            said = Text("\n").join([plain(asked), plain(one.verdict.sentence, style="dim")])
            answers.add_row(words.get(one.verdict.answer, one.verdict.answer), said)
    summary = found.summary()
    raised = ("raised",) if any(row["raised"] for row in summary) else ()
    columns = ("task", "length", "optimizer", "metric", "median", "range", "diverged", *raised, "step cost", "chosen")
    rows = [
        (
            row["task"], row["horizon"], row["arm"], row["metric"], f"{row['median']:.4g}",
            f"{row['least']:.4g} to {row['most']:.4g}",
            *(f"{row[lost]} of {row['n']}" for lost in ("diverged", *raised)),
            "n/a" if row["step_cost"] is None else f"{row['step_cost']:.2f}×", _arguments(row["chosen"]),
        )
        for row in summary
    ]  # fmt: skip
    seeds = counted(len(found.study.evaluation_seeds), "fresh seed")
    shown: list[RenderableType] = [
        table_or_list(console, f"Evaluated on {seeds}", columns, rows,
                      numeric=("median", "diverged", "raised", "step cost")),
    ]  # fmt: skip
    if found.notes:
        shown.append(Panel(plain("\n".join(found.notes)), title="Before you believe it", title_align="left"))
    if found.study.contrasts:
        shown.insert(0, Panel(answers, title="What this study says", title_align="left"))
    return Group(*shown, _files(folder))


def _files(folder: Path) -> Panel:
    files = Table.grid(padding=(0, 0))
    for name, meaning in _MEANINGS.items():
        if (folder / name).exists():
            files.add_row(Text.assemble(plain(folder / name, "bold"), "  ", (meaning, "dim")))
    return Panel(files, title="Where things are", title_align="left")


def _arguments(given: Any) -> str:
    return ", ".join(
        f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}" for name, value in given.items()
    )
