"""The hierarchical additive model of responses, the default: docs/responses.md says beside what it was measured."""

from __future__ import annotations

from waddington.twin.respond.hierarchical.fitting import Course
from waddington.twin.respond.hierarchical.model import HierarchicalAdditive

__all__ = ["Course", "HierarchicalAdditive"]
