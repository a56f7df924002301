"""What the AlphaAdam paper prints: its tables, and the sizes of the sets that their figures were measured on.

Numbers alone, kept in one place; :mod:`.arithmetic` and :mod:`.architectures` compute with them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

__all__ = [
    "ABLATION",
    "ABLATION_MEANS",
    "ABLATION_PERCENT",
    "COLA_ACCEPTABLE",
    "GLUE",
    "GLUE_DEVELOPMENT",
    "GLUE_MEANS",
    "GLUE_TASKS",
    "GPT2_PARAMETERS",
    "GSM8K",
    "GSM8K_QUESTIONS",
    "PARAMETER_GROUPS",
]

GLUE_TASKS: Final = ("MRPC", "STS-B", "CoLA", "RTE", "SST-2", "QNLI", "QQP")
"""Tasks of Table 1, in its order. STS-B's metric is a correlation, CoLA's is Matthews', the others are shares."""

GLUE: Final[Mapping[str, tuple[float, ...]]] = MappingProxyType({
    "AdamW": (89.17, 89.65, 58.04, 68.23, 94.24, 92.4, 90.97),
    "Adam-mini": (87.01, 88.15, 55.30, 56.32, 93.35, 92.02, 89.79),
    "GaLore": (86.19, 88.97, 55.12, 69.45, 94.15, 92.01, 89.86),
    "LDAdam": (88.32, 90.03, 60.60, 67.58, 94.49, 92.82, 91.23),
    "CAdamW": (88.48, 89.65, 54.60, 70.12, 90.98, 92.04, 91.13),
    "AlphaAdam": (88.97, 90.42, 57.25, 71.49, 93.35, 92.18, 91.76),
})  # fmt: skip
"""Table 1: RoBERTa-base on GLUE, in percent, by method in the order of :data:`GLUE_TASKS`."""

GLUE_MEANS: Final[Mapping[str, float]] = MappingProxyType({
    "AdamW": 83.24, "Adam-mini": 80.28, "GaLore": 82.25, "LDAdam": 83.58, "CAdamW": 82.42, "AlphaAdam": 83.63,
})  # fmt: skip
"""The last column of Table 1."""

GLUE_DEVELOPMENT: Final[Mapping[str, int]] = MappingProxyType({
    "MRPC": 408, "STS-B": 1500, "CoLA": 1043, "RTE": 277, "SST-2": 872, "QNLI": 5463, "QQP": 40430,
})  # fmt: skip
"""Examples of each development set, which is not the paper's but the benchmark's (Wang et al. 2019)."""

COLA_ACCEPTABLE: Final = 721
"""How many of CoLA's 1,043 development sentences are acceptable."""

GSM8K: Final[Mapping[str, tuple[float, float]]] = MappingProxyType({
    "Adam": (34.53, 0.064),
    "Adam-8bit": (34.42, 0.069),
    "LDAdam": (34.88, 0.073),
    "GaLore": (34.62, 0.070),
    "CAdam": (34.68, 0.081),
    "MicroAdam": (34.58, 0.057),
    "AlphaAdam": (34.94, 0.048),
})  # fmt: skip
"""Table 2: accuracy in percent and training loss of Llama-2-7B on GSM8K, by method."""

GSM8K_QUESTIONS: Final = 1319
"""Questions of GSM8K's test set (Cobbe et al. 2021)."""

ABLATION_PERCENT: Final = (20, 40, 60, 100)
"""Columns of Table 3: percent of 10,000 steps."""

ABLATION: Final[Mapping[str, tuple[float, ...]]] = MappingProxyType({
    "AdamW": (3.799, 3.420, 3.288, 3.198),
    "synchronous": (3.850, 3.442, 3.310, 3.227),
    "asynchronous": (3.717, 3.391, 3.282, 3.213),
    "asynchronous, α": (3.658, 3.374, 3.271, 3.203),
})  # fmt: skip
"""Table 3: validation loss of GPT-2 125M, by arm; the last arm is AlphaAdam."""

ABLATION_MEANS: Final[Mapping[str, tuple[float, float]]] = MappingProxyType({
    "AdamW": (3.610, 3.243),
    "synchronous": (3.646, 3.269),
    "asynchronous": (3.554, 3.247),
    "asynchronous, α": (3.523, 3.237),
})  # fmt: skip
"""Table 3: the mean of the first two columns, "early", and of the last two, "late", as printed there and in 4.4."""

GPT2_PARAMETERS: Final[Mapping[str, tuple[int, int]]] = MappingProxyType({
    "small": (125, 125), "medium": (355, 355), "large": (744, 770),
})  # fmt: skip
"""Millions of parameters of the three GPT-2s, as Section 4.2 and as Table 5 have them."""

PARAMETER_GROUPS: Final[Mapping[str, int]] = MappingProxyType({"GPT-2 small": 108, "Llama-2-7B": 161})
"""F.4: how many parameter groups the two models consist of."""
