"""The typer application, and the one place where an error becomes a line and an exit code."""

from __future__ import annotations

import signal
import sys
import threading
from types import FrameType
from typing import Annotated

import typer
from rich.text import Text

from waddington._checks import missing_extra
from waddington._version import __version__
from waddington.cli import bench, claims, data, evaluate, landscape, optimizers, run, simulate
from waddington.cli._screen import make_console, plain
from waddington.cli._spelling import SpellingCommand
from waddington.errors import UnsupportedError, WaddingtonError

__all__ = ["app", "run_app"]

app = typer.Typer(
    name="waddington",
    help="Adaptive optimizers for non-convex training, and a digital twin of cell differentiation.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    add_completion=True,
)
app.command("run", cls=SpellingCommand)(run.run)
app.command("evaluate", cls=SpellingCommand)(evaluate.evaluate)
app.command("simulate", cls=SpellingCommand)(simulate.simulate)
app.command("landscape", cls=SpellingCommand)(landscape.landscape)
app.command("optimizers")(optimizers.optimizers)
app.add_typer(bench.app, name="bench")
app.add_typer(claims.app, name="claims")
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
    """Run the application; give the exit code: 0 done, 2 refused input, 130 interrupted, 143 terminated."""
    signals: list[int] = []

    def terminate(number: int, _: FrameType | None) -> None:
        signals.append(number)
        raise KeyboardInterrupt  # what runs ends as after Ctrl-C

    is_main = threading.current_thread() is threading.main_thread()  # no other may set a handler
    before = signal.signal(signal.SIGTERM, terminate) if is_main else None
    try:
        app(args=sys.argv[1:] if arguments is None else arguments)
    except SystemExit as end:
        return 128 + signals[0] if signals else int(end.code or 0)
    except WaddingtonError as error:
        return _refuse(error)
    except MemoryError:
        return _refuse(UnsupportedError("out of memory: accepted are fewer cells, features or workers, or more memory"))
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "waddington":
            raise
        return _refuse(missing_extra(error))
    finally:
        if before is not None:
            signal.signal(signal.SIGTERM, before)
    return 0


def _refuse(error: WaddingtonError) -> int:
    """Say what was refused, as text and never as markup; give the exit code."""
    make_console(stderr=True).print(Text.assemble(("error: ", "bold red"), plain(error)), soft_wrap=True)
    return 2
