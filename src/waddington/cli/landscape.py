"""``waddington landscape``: the loss surface of a model, its sharpness, and the rates that it allows."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from waddington._checks import check_choice, check_count, check_in_range
from waddington.cli._screen import make_console, plain
from waddington.cli._subject import Subject, find_subject
from waddington.errors import ArgumentError, OutputError, UnsupportedError

if TYPE_CHECKING:
    from waddington.analysis import Landscape, SuggestedRate

__all__ = ["landscape"]

_FILES = ("landscape.png", "landscape.html", "landscape.npz")


def landscape(
    target: Annotated[
        str,
        typer.Argument(
            help="A task of the bench; or `module:function` or `file.py:function`: takes nothing, returns "
            "`(model, loss)` with `loss(model)`, `(model, loss, optimizer)`, or a dictionary with these names and "
            "`paths`."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="Folder to write to.")] = Path("landscape"),
    optimizer: Annotated[
        list[str] | None,
        typer.Option("--optimizer", help="What trains a task, such as ASGDAdam or AdamW,lr=0.01. Repeatable."),
    ] = None,
    steps: Annotated[int | None, typer.Option("--steps", help="Of training a task; its own without it.")] = None,
    directions: Annotated[int, typer.Option("--directions", help="1, 2 or 3.")] = 2,
    points: Annotated[int, typer.Option("--points", help="Points along each direction.")] = 25,
    span: Annotated[float, typer.Option("--span", help="From -span to span; 1 is as long as the weights.")] = 1.0,
    normalize: Annotated[
        str,
        typer.Option("--normalize", help="Scale of random directions: by the weights' filter or layer, or none."),
    ] = "filter",
    mode: Annotated[
        str, typer.Option("--mode", help="Mode of the model while it is evaluated: eval, train or as-is.")
    ] = "eval",
    scale: Annotated[str, typer.Option("--scale", help="Scale of the loss: auto, log or linear.")] = "auto",
    seed: Annotated[int, typer.Option("--seed", help="Of the random directions and of dropout.")] = 0,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
) -> None:
    """Draw the loss around a model's parameters; print its sharpness and the learning rates that it allows.

    Writes `landscape.png`, `landscape.html` (turns under the pointer) and `landscape.npz`. Directions are random and
    filter-normalized (Li et al. 2018); of a task, or where the function gives `paths`, they are the paths' principal
    components.
    """
    from waddington import analysis
    from waddington.analysis import plots
    from waddington.cli._progress import make_listener

    _check(directions, points, span, mode, scale, normalize, seed)
    _check_place(out, force=force)
    console = make_console()
    settings: dict[str, Any] = {"mode": mode, "seed": seed}
    with make_listener(console) as listener:
        listener.stage("Preparing", 1)
        subject = find_subject(target, optimizer or (), seed=seed, steps=steps)
        listener.advance()
        rows, shares, names = _directions(subject, directions, normalize, seed)
        listener.stage("Evaluating the loss", points**directions)
        found = analysis.loss_landscape(
            subject.model,
            subject.loss,
            rows,
            span=span,
            points=points,
            paths=subject.paths,
            shares=shares,
            names=names,
            progress=lambda done, total: listener.advance(),
            **settings,
        )
        facts = [f"loss: {found.center_loss:.6g}"]
        if subject.left_out:
            facts.append(f"left out: {', '.join(subject.left_out)}, whose runs diverged")
        density = None
        try:
            listener.stage("Measuring curvature", 2)
            rates = analysis.suggest_lr(subject.model, subject.loss, subject.optimizer, **settings)
            listener.advance()
            density = analysis.spectral_density(subject.model, subject.loss, probes=4, **settings)
            listener.advance()
            facts += _told(rates)
        except (ArgumentError, UnsupportedError) as error:  # a surface needs neither derivatives nor the optimizer
            facts.append(f"curvature: {error}")
    drawn: dict[str, Any] = {"title": f"Loss around {target}", "scale": scale}
    picture = _picture(found)(found, **drawn)  # what cannot be drawn is not written, either
    out.mkdir(parents=True, exist_ok=True)
    found.save(out / "landscape.npz")
    plots.save(picture, out / "landscape.png")
    plots.write_page(out / "landscape.html", found, density, facts=tuple(facts[1:]), **drawn)
    _say(console, [*facts, f"wrote {', '.join(_FILES)} to {out}"])


def _check(directions: int, points: int, span: float, mode: str, scale: str, normalize: str, seed: int) -> None:
    """Refuse what would be refused only after long work."""
    check_choice("directions", directions, (1, 2, 3))
    check_count("points", points, 2)
    check_in_range("span", span, 0.0, open_low=True, open_high=True)
    check_choice("mode", mode, ("eval", "train", "as-is"))
    check_choice("scale", scale, ("auto", "log", "linear"))
    check_choice("normalize", normalize, ("filter", "layer", "none"))
    check_count("seed", seed, 0, 2**32 - 1)


def _check_place(out: Path, *, force: bool) -> None:
    """Refuse a folder that holds other results or cannot be written, before anything runs."""
    taken = [name for name in _FILES if (out / name).exists()]
    if taken and not force:
        raise OutputError(f"cannot write {str(out / taken[0])!r}: the file exists; accepted: another --out, or --force")
    there = next(place for place in (out, *out.absolute().parents) if place.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise OutputError(
            f"cannot write to {str(out)!r}: {error.strerror or error}; accepted: a folder that can be written"
        ) from error


def _directions(subject: Subject, count: int, normalize: Any, seed: int) -> tuple[Any, Any, Any]:
    """Give directions, their shares of the paths and their names."""
    import torch

    from waddington import analysis
    from waddington.analysis.vectors import real_points

    if not subject.paths:
        return analysis.random_directions(subject.model, count, normalize=normalize, seed=seed), None, None
    size = analysis.parameter_vector(subject.model).numel()
    paths = [real_points(f"paths[{name!r}]", path, size) for name, path in subject.paths.items()]
    plane = analysis.path_directions(torch.cat(paths), count)
    return plane.directions, plane.shares, [f"component {at + 1}" for at in range(count)]


def _picture(found: Landscape) -> Any:
    """Choose what draws so many directions."""
    from waddington.analysis import plots

    return {1: plots.line, 2: plots.contour if found.paths else plots.surface, 3: plots.slices}[len(found.axes)]


def _told(rates: SuggestedRate) -> list[str]:
    """Say what the curvature is and which rates it allows."""
    of = " of P^-1/2 H P^-1/2" if rates.preconditioned else ""
    found = [f"sharpness (largest eigenvalue{of}): {rates.largest:.4g}; smallest: {rates.smallest:.4g}"]
    if rates.stable is not None:
        now = "" if rates.present is None else f"; it is {rates.present:.4g} now"
        found.append(f"largest stable rate: {rates.stable:.4g} ({rates.factor:.3g} / sharpness){now}")
    if rates.fastest is not None:
        found.append(f"fastest rate of plain descent: {rates.fastest:.4g} (2 / (smallest + largest))")
    return [*found, *(f"note: {note}" for note in rates.notes)]


def _say(console: Console, lines: list[str]) -> None:
    for line in lines:
        console.print(plain(line), soft_wrap=True)
