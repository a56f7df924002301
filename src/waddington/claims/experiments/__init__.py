"""What the ledger measures: one module a question, each with experiments and the judges of their records.

An experiment is a function of a seed and of arguments that JSON can hold; a judge is a pure function of records.
"""

from __future__ import annotations

__all__: list[str] = []
