"""The bench's own tasks, a file for each domain."""

from __future__ import annotations

__all__: list[str] = []
