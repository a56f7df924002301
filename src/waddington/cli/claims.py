"""``waddington claims``: what the papers claim, and what measuring it has shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.panel import Panel
from rich.text import Text

from waddington.cli._screen import make_console, plain, table_or_list

if TYPE_CHECKING:
    from waddington import claims

__all__ = ["app", "list_claims", "pack", "report", "run"]

app = typer.Typer(help="What the papers claim, measured.", no_args_is_help=True)

Ids = Annotated[list[str] | None, typer.Argument(help="Claims, such as A3 G2; all of them without.")]
Out = Annotated[Path, typer.Option(help="Folder of the measurements.")]
Measured = Annotated[
    Path | None, typer.Option("--out", help="Folder of measurements of your own; claims, if it is there, without.")
]
Records = Annotated[
    list[Path] | None,
    typer.Option(help="A file of `claims pack`, or of `bench pack` for claims that read studies. Repeatable."),
]
_FOLDER = Path("claims")
_STYLES = {
    "contradicted": "bold red",
    "not reproduced": "yellow",
    "needs hardware": "cyan",
    "needs data": "cyan",
    "reproduced": "green",
}


@app.callback()
def _claims() -> None:
    """What the papers claim, measured."""


@app.command("list")
def list_claims(
    ids: Ids = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    out: Measured = None,
    records: Records = None,
) -> None:
    """List the claims with their verdicts, from records alone: those of the package, and of OUT."""
    from waddington import claims

    if out is None and (_FOLDER / "store.sqlite").exists():
        out = _FOLDER
    entries = claims.ledger_of(claims.get_claims(ids or ()), out, records=records or ())
    if as_json:
        typer.echo(json.dumps([entry.as_json() for entry in entries], indent=2, allow_nan=False))
        return
    _print(entries)


@app.command("run")
def run(
    ids: Ids = None,
    tier: Annotated[
        str, typer.Option(help="seconds, minutes (and seconds) or hours (everything): what is measured at most.")
    ] = "seconds",
    out: Out = _FOLDER,
    records: Records = None,
    workers: Annotated[int, typer.Option(help="Measurements at once; 0: one for each core.")] = 0,
    executor: Annotated[str, typer.Option(help="processes or ray.")] = "processes",
    anew: Annotated[bool, typer.Option("--anew", help="Measure also what the package has records of.")] = False,
) -> None:
    """Measure what has no record yet, in OUT or in the package, and say what it comes to.

    The same command goes on with one that was stopped.
    """
    from waddington import bench, claims
    from waddington._checks import check_choice
    from waddington.cli._progress import make_listener

    wanted = claims.get_claims(ids or ())
    check_choice("tier", tier, claims.TIERS)
    console = make_console()
    try:
        with make_listener(console) as listener, bench.make_executor(workers, executor) as where:  # type: ignore[arg-type]
            entries = claims.run_claims(
                wanted,
                out,
                tier=tier,  # type: ignore[arg-type]
                records=records or (),
                anew=anew,
                executor=where,
                listener=listener,
            )
    except KeyboardInterrupt:
        console.print(plain(f"interrupted; the same command goes on from what is in {out}"))
        raise
    _print(entries)


@app.command("pack")
def pack(
    out: Out = _FOLDER,
    file: Annotated[Path, typer.Option(help="The file of records.")] = Path("claims.jsonl.xz"),
) -> None:
    """Write the records of the claims into one small file, from which `claims run --records` goes on."""
    from waddington import claims

    make_console().print(plain(f"{claims.pack_claims(claims.get_claims(), out, file):,} records in {file}"))


@app.command("report")
def report(
    out: Annotated[Path, typer.Option("--out", help="Folder of the pages.")] = Path("claims-report"),
    measured: Annotated[Path | None, typer.Option("--from", help="Folder of measurements of your own.")] = None,
    records: Records = None,
) -> None:
    """Write the ledger's pages, pictures and tables, from records alone: those of the package, and of FROM."""
    from waddington import claims
    from waddington.claims.ledger import all_papers
    from waddington.claims.report import write_ledger

    entries = claims.ledger_of(claims.get_claims(), measured, records=records or ())
    page = write_ledger(out, all_papers(), entries)
    make_console().print(plain(f"{page}  everything on one page; index.md beside it, claims.csv and claims.json"))


def _print(entries: list[claims.ClaimEntry]) -> None:
    """Say what every claim comes to; of a single one, all of its parts."""
    console = make_console()
    rows = [(one.claim.id, _verdict(one.verdict), one.claim.title, _parts(one)) for one in entries]
    console.print(table_or_list(console, "Claims", ("id", "verdict", "claim", "parts"), rows, numeric=()))
    if len(entries) == 1:
        entry = entries[0]
        lines = [plain(entry.claim.statement), plain(entry.claim.source, style="dim"), Text("")]
        for part in entry.parts:
            lines.append(Text.assemble((f"{part.part.name}: ", "bold"), _verdict(part.verdict)))
            lines.append(plain(part.part.statement))
            lines += [plain(f"  {finding.words}") for finding in part.findings]
            if part.part.need is not None:
                lines.append(plain(f"  needs {part.part.need.kind}: {part.part.need.words}"))
                lines.append(plain(f"  {part.part.need.command}", style="dim"))
            if part.missing:
                lines.append(plain(f"  {part.missing} of {len(part.part.measurements)} measurements have no record"))
        console.print(Panel(Text("\n").join(lines), title=f"{entry.claim.id}: {entry.claim.title}", title_align="left"))


def _verdict(verdict: str | None) -> Text:
    return Text("not measured yet", "dim") if verdict is None else Text(verdict, _STYLES[verdict])


def _parts(entry: claims.ClaimEntry) -> str:
    from waddington.claims.report.sentences import verdict_words

    return ", ".join(f"{part.part.name} {verdict_words(part.verdict)[0]}" for part in entry.parts)
