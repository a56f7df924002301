"""What the ledger says, for people and for programs: pages, pictures and tables, made from records alone."""

from __future__ import annotations

from waddington.claims.report.markdown import render_index, render_paper
from waddington.claims.report.page import render_page
from waddington.claims.report.writing import write_ledger

__all__ = ["render_index", "render_page", "render_paper", "write_ledger"]
