"""Tables II and III of the ASGDAdam paper, whole: every row, both regimes, as published and as it should be.

::

    from waddington.twin import tables

    config = tables.TablesConfig(cells=(tables.CellSource.simulated(),), seeds=10)
    found = tables.run_tables(config, "results/tables", workers=2)
    tables.write_tables(found, "results/tables")

Two protocols are of the same task, in which an agent pushes a cell's embedding towards another, later cell. ``paper``
is as published: untrained embeddings, the row number as time. ``held-out`` has a trained encoder and diffusion
pseudotime. In both, agents act on test cells, and their final state is compared with the original one, as published,
and with the target that was asked for. Beside every optimizer stand policies that are not trained.
"""

from __future__ import annotations

from waddington.twin.tables.config import TablesConfig
from waddington.twin.tables.published import PUBLISHED_TABLES, published_table
from waddington.twin.tables.rows import PAPER_ROWS, ROWS, Row
from waddington.twin.tables.schedule import read_tables, run_tables
from waddington.twin.tables.sources import CellSource
from waddington.twin.tables.summary import Tables, nearest_policies
from waddington.twin.tables.writing import write_tables

__all__ = [
    "PAPER_ROWS",
    "PUBLISHED_TABLES",
    "ROWS",
    "CellSource",
    "Row",
    "Tables",
    "TablesConfig",
    "nearest_policies",
    "published_table",
    "read_tables",
    "run_tables",
    "write_tables",
]
