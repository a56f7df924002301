"""What is printed: text that users wrote is never markup, and tables become lists where the screen is narrow."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from waddington._text import visible

__all__ = ["make_console", "plain", "table_or_list"]


_WIDE = 80


def make_console(*, stderr: bool = False) -> Console:
    """Make a console that obeys no markup: ``[red]`` and ``:x:`` in a label are letters."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


def plain(text: object, style: str = "") -> Text:
    """Give a text that is shown as it is; control characters become visible."""
    return Text(visible(str(text)), style=style, overflow="fold")


def table_or_list(
    console: Console, title: str, columns: Sequence[str], rows: Sequence[Sequence[object]], *, numeric: Sequence[str]
) -> RenderableType:
    """Lay rows out as a table, or one below the other where the table would not fit the screen.

    Parameters
    ----------
    console
        Where they will be printed.
    title
        Above them.
    columns
        Headings; the first column names the row.
    rows
        Their texts.
    numeric
        Columns that stand on the right; a heading of several words has a line for each.
    """
    table = Table(title=plain(title), title_justify="left")
    for name in columns:
        heading = Text("\n").join(map(plain, name.split())) if name in numeric else plain(name)
        table.add_column(heading, justify="right" if name in numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(plain(value) for value in row))
    need = Measurement.get(console, console.options.update(width=10_000), table)
    # On a wide screen a long cell may run over several lines, as long as no word is broken.
    if need.maximum <= console.width or (need.minimum <= console.width and console.width >= _WIDE):
        return table
    listing = Table(title=plain(title), title_justify="left", show_header=False, box=None, padding=(0, 1, 0, 0))
    listing.add_column(overflow="fold")
    for row in rows:
        listing.add_row(plain(row[0], "bold"))
        for name, value in zip(columns[1:], row[1:], strict=True):
            listing.add_row(Text.assemble(("  " + name + "  ", "dim"), plain(value)))
    return listing
