"""Kernels: functions of tensors, compiled for a processor or a GPU and kept on disk; they know no optimizer."""

from __future__ import annotations

__all__: list[str] = []
