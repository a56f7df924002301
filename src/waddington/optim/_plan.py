"""How the tensors of a model are laid out for stepping, made at the first step and kept while nothing moves.

Tensors of one parameter group, device and dtype are a *family*. What a rule knows of each of its tensors, the step count
and a few numbers, stands in columns with one entry per tensor, so that a step turns all of them at once; the entries of
``state`` are views of the columns. A family's tensors are gone through as *units*: a large tensor is a unit of its own;
small ones, whose cost is that of calls and not of bytes, are laid end to end and stepped as one, their buffers being
views of one long buffer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from waddington.optim._noise import Frame, coordinates, frame_of, make_salt, places_of, random_bits
from waddington.optim._phases import Take, Want, Work, look, take
from waddington.optim._rule import Measured, Rule, Tensors
from waddington.optim._slots import (
    compute_dtype,
    gradient_of,
    is_sharded,
    local_real,
    real_size,
    statistics_dtype,
)
from waddington.optim.moments import Number, Numbers
