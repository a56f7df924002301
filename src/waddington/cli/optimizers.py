"""``waddington optimizers``: what there is, where it comes from, its defaults."""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

__all__ = ["optimizers"]


def optimizers(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the optimizers: name, paper, defaults."""
    from waddington.optim import registry

    specs = [registry.get(name) for name in registry.names()]
    if as_json:
        rows = [
            {"name": spec.name, "class": spec.path, "package": spec.package, "extra": spec.extra, "paper": spec.paper,
             "switching": spec.switching, "needs": spec.needs, "defaults": spec.defaults}
            for spec in specs
        ]  # fmt: skip
        typer.echo(json.dumps(rows, indent=2, default=str))
        return
    table = Table(title="Optimizers", title_justify="left", show_lines=True)
    table.add_column("name", style="bold", no_wrap=True)
    table.add_column("paper")
    table.add_column("defaults")
    for spec in specs:
        origin = spec.paper if spec.extra is None else f"{spec.paper} (from {spec.package})"
        table.add_row(spec.name, origin, ", ".join(f"{k}={v}" for k, v in spec.defaults.items()))
    Console().print(table)
