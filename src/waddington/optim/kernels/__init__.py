"""Kernels: functions of tensors, compiled for a processor or a GPU and kept on disk; they know no optimizer.

:func:`compile` makes a kernel of a :class:`KernelSpec`, and :meth:`Kernel.run` takes it over the tensors of a
:class:`Launch`. :func:`why_unavailable` says what stands in the way on a type of device.
"""

from __future__ import annotations

from waddington.optim.kernels.cache import compile, failures, forget, kernels_made, why_unavailable
from waddington.optim.kernels.spec import Kernel, KernelSpec, Launch

__all__ = ["Kernel", "KernelSpec", "Launch", "compile", "failures", "forget", "kernels_made", "why_unavailable"]
