"""Responses that depend on the state of the cell, where cells never seen are predicted better by it."""

from __future__ import annotations

from waddington.twin.respond.state.choosing import Choice, Comparison
from waddington.twin.respond.state.model import StateDependent

__all__ = ["Choice", "Comparison", "StateDependent"]
