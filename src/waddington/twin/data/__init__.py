"""Cells and what is known of them: files, perturbations, modalities, splits, devices."""

from __future__ import annotations

from waddington.twin.data import conditions, device, io, modalities, splits

__all__ = [
    "conditions",
    "device",
    "io",
    "modalities",
    "splits",
]
