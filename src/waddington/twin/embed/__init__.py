"""Embeddings of cells: an inductive graph encoder over several modalities, and its training."""

from __future__ import annotations

from waddington.twin.embed.config import EncoderConfig
from waddington.twin.embed.encoder import TwinEncoder
from waddington.twin.embed.history import History

__all__ = [
    "EncoderConfig",
    "History",
    "TwinEncoder",
]
