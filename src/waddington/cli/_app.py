"""The typer application, and the one place where an error becomes a line and an exit code."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from waddington._errors import WaddingtonError
from waddington._version import __version__
from waddington.cli import data, optimizers, run, simulate

__all__ = ["app", "run_app"]

app = typer.Typer(
    name="waddington",
    help="Adaptive optimizers for non-convex training, and a digital twin of cell differentiation.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=True,
)
app.command("run")(run.run)
app.command("simulate")(simulate.simulate)
app.command("optimizers")(optimizers.optimizers)
app.add_typer(data.app, name="data")


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"waddington {__version__}")
        raise typer.Exit


@app.callback()
def _common(
    _: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Adaptive optimizers for non-convex training, and a digital twin of cell differentiation."""


def run_app(arguments: list[str] | None = None) -> int:
    """Run the application; give the exit code: 0 done, 2 refused input, 130 interrupted."""
    try:
        app(args=sys.argv[1:] if arguments is None else arguments)
    except SystemExit as end:
        return int(end.code or 0)
    except WaddingtonError as error:
        Console(stderr=True).print(f"[bold red]error:[/] {_plain(error)}", highlight=False, soft_wrap=True)
        return 2
    return 0


def _plain(error: WaddingtonError) -> str:
    """Escape what rich would read as markup."""
    return str(error).replace("[", r"\[")
