"""``waddington optimizers``: what there is, where it comes from, its defaults."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from waddington.cli._screen import make_console, table_or_list

__all__ = ["optimizers"]


def optimizers(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the optimizers: name, paper, defaults."""
    from waddington.optim import registry

    specs = [registry.get(name) for name in registry.names()]
    if as_json:
        records = [
            {"name": spec.name, "class": spec.path, "package": spec.package, "extra": spec.extra, "paper": spec.paper,
             "switching": spec.switching, "needs": spec.needs, "defaults": spec.defaults}
            for spec in specs
        ]  # fmt: skip
        typer.echo(json.dumps(records, indent=2, default=str))
        return
    rows = [
        (
            spec.name,
            spec.paper if spec.extra is None else f"{spec.paper} (from {spec.package})",
            ", ".join(f"{name}={value}" for name, value in spec.defaults.items()),
        )
        for spec in specs
    ]
    console = make_console()
    console.print(table_or_list(console, "Optimizers", ("name", "paper", "defaults"), rows, numeric=()))
