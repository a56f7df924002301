"""Other libraries' optimizers behind the contract of the registry; each module imports the library that it adapts."""

from __future__ import annotations

__all__: list[str] = []
