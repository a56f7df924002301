"""Sizes at which notebooks are run: every cell shows something, and nothing is learned."""

from __future__ import annotations

from tests.twin.run.tiny import TINY

SMALL = {name: value for name, value in TINY.items() if name not in ("preset", "optimizer", "workers")} | {
    "n_cells": 400
}
