"""C for what a function of tensors does: loops over chunks of coordinates, sums and the numbers between them.

A :class:`~.trace.Program` is cut at its sums. What needs none of them is one loop; what follows from
sums over the whole tensor is a second one, and so on; values that several loops need are computed in each, for that
costs less than keeping them. All that is written is written in the last loop. A loop goes through a chunk of
coordinates, which the C compiler vectorizes, and sums over it; sums of chunks are added up in double precision and in
one order, so that they do not depend on the number of threads.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

import torch

from waddington.errors import UnsupportedError
from waddington.optim.kernels.trace import COMPARED, Node, Program, below

__all__ = ["c_source"]

_TEMPLATE = files("waddington.optim.kernels").joinpath("step.c").read_text(encoding="utf-8")

_TYPES = {
    torch.float32: "float",
    torch.float64: "double",
    torch.bfloat16: "float",  # what has been rounded to it
    torch.float16: "float",
    torch.int64: "int64_t",
    torch.int32: "int32_t",
    torch.bool: "int32_t",  # as wide as a float, so that masks need no conversion
}
_STORED = _TYPES | {torch.bfloat16: "uint16_t", torch.float16: "_Float16", torch.bool: "uint8_t"}
_LOADED = {torch.bfloat16: "from_bfloat16({})"}
_KEPT = {torch.bfloat16: "to_bfloat16({})"}
_ROUNDED = {torch.bfloat16: "from_bfloat16(to_bfloat16({}))", torch.float16: "(float)(_Float16)({})"}

_ABREAST = 4
"""Chunks that are read at once where nothing is written: memory gives more to who asks at several places."""

_FORMS = {  # {f} is f for float and empty for double, {factor} a Python number that scales an argument
    "add": "{0} + {1}",
    "sub": "{0} - {1}",
    "rsub": "{1} - {0}",
    "mul": "{0} * {1}",
    "div": "{0} / {1}",
    "neg": "-{0}",
    "abs": "fabs{f}({0})",
    "sign": "(0 < {0}) - ({0} < 0)",
    "reciprocal": "1 / {0}",
    "sqrt": "sqrt{f}({0})",
    "rsqrt": "1 / sqrt{f}({0})",
    "pow": "pow{f}({0}, {1})",
    "exp": "exp{f}({0})",
    "expm1": "expm1{f}({0})",
    "log": "log{f}({0})",
    "log1p": "log1p{f}({0})",
    "tanh": "tanh{f}({0})",
    "floor": "floor{f}({0})",
    "ceil": "ceil{f}({0})",
    "round": "nearbyint{f}({0})",
    "maximum": "MAXIMUM({0}, {1})",
    "minimum": "MINIMUM({0}, {1})",
    "clamp_min": "MAXIMUM({0}, {1})",
    "clamp_max": "MINIMUM({0}, {1})",
    "lerp": "{2} < 0.5 ? {0} + {2} * ({1} - {0}) : {1} - ({1} - {0}) * (1 - {2})",
    "addcmul": "{0} + {factor} * {1} * {2}",
    "addcdiv": "{0} + {factor} * {1} / {2}",
    "eq": "{0} == {1}",
    "ne": "{0} != {1}",
    "lt": "{0} < {1}",
    "le": "{0} <= {1}",
    "gt": "{0} > {1}",
    "ge": "{0} >= {1}",
    "isnan": "{0} != {0}",
    "logical_not": "!{0}",
    "bitwise_not": "~{0}",
    "logical_and": "{0} && {1}",
    "logical_or": "{0} || {1}",
    "bitwise_and": "{0} & {1}",
    "bitwise_or": "{0} | {1}",
    "bitwise_xor": "{0} ^ {1}",
    "__rshift__": "{0} >> {1}",
    "__lshift__": "{0} << {1}",
}
_SCALED = {"add": "{0} + {factor} * {1}", "sub": "{0} - {factor} * {1}", "rsub": "{1} - {factor} * {0}"}
_OF_INTEGERS = {name for name, form in _FORMS.items() if "{f}" not in form} - {"div", "reciprocal"}
_UNDERSTOOD = {
    "alpha",
    "value",
    "rounding_mode",
    "min",
    "max",
    "dtype",
    "layout",
    "device",
    "pin_memory",
    "memory_format",
}
_FILLED = {"zeros_like": 0, "ones_like": 1, "new_zeros": 0, "new_ones": 1, "zeros": 0, "ones": 1}
_FILLED_WITH = {"full_like": 1, "full": 1, "new_full": 2, "scalar_tensor": 0}  # places of the arguments that say so


def c_source(program: Program, inputs: Sequence[str], scalars: Mapping[str, int], extra: Mapping[str, str]) -> str:
    """Write a program as C.

    Parameters
    ----------
    program
        What is to be done for one tensor.
    inputs
        Names of those inputs that have an entry for each coordinate, in the order of their addresses.
    scalars
        Places in a tensor's row of numbers, by name of the input.
    extra
        C for the inputs that are neither.

    Returns
    -------
    str
        A file without dependencies, with one function, ``waddington_step`` (see ``step.c``).

    Raises
    ------
    UnsupportedError
        It uses an operation that is not known here.
    """
    return _Writer(program, inputs, scalars, extra).source()


class _Writer:
    def __init__(
        self, program: Program, inputs: Sequence[str], scalars: Mapping[str, int], extra: Mapping[str, str]
    ) -> None:
        self.program, self.vectors, self.scalars, self.extra = program, inputs, scalars, extra
        self.pointers = {name: f"p{place}_{re.sub(r'[^a-zA-Z0-9]', '_', name)}" for place, name in enumerate(inputs)}
        self.sums = [node for node in below([*program.results.values(), *program.stores.values()]) if node.op == "sum"]
        self._loop_of: dict[Node, int] = {}
        self.loops = 1 + max(
            [*(self.loop_of(node.nodes[0]) for node in self.sums), *map(self.loop_of, program.stores.values())],
            default=0,
        )
        self._names: dict[Node, str] = {}
        work = {program.inputs[name].dtype for name in scalars}
        self.work = _TYPES[work.pop() if work else torch.float32]

    def loop_of(self, node: Node) -> int:
        """Give the first loop in which a value can be known."""
        if node not in self._loop_of:
            before = max((self.loop_of(arg) for arg in node.nodes), default=0)
            self._loop_of[node] = before + (node.op == "sum")
        return self._loop_of[node]

    def name(self, node: Node) -> str:
        return self._names.setdefault(node, f"t{len(self._names)}")

    @property
    def only_reads(self) -> bool:
        """Whether one loop reads and sums, and that is all."""
        return self.loops == 1 and bool(self.sums) and not self.program.stores

    # -- parts of the file --

    def source(self) -> str:
        """Write the file."""
        parts = {
            "HEAD": f"typedef {self.work} work_t;\n"
            f"enum {{ LOOPS = {self.loops}, WIDTH = {len(self.vectors)}, SUMS = {max(len(self.sums), 1)},"
            f" ABREAST = {_ABREAST if self.only_reads else 1} }};",
            "LOOPS": "\n\n".join(self.loop(number) for number in range(self.loops)),
            "NAMES": ", ".join(f"loop_{number}" for number in range(self.loops)),
            "SIGNATURE": _SIGNATURE,
            "ABREAST": self.abreast() if self.only_reads else "",
            "LOOP_OF_SUM": ", ".join(str(self.loop_of(node.nodes[0])) for node in self.sums) or "-1",
            "FINISH": self.finish(),
        }
        text = _TEMPLATE
        for mark, part in parts.items():
            text = text.replace(f"/*{mark}*/", part)
        return text

    def loop(self, number: int) -> str:
        """Write one loop."""
        before, inside, totals = self.parts_of(number)
        sums = [self.sums.index(node) for node in totals]
        return "\n".join(
            [
                f"static void loop_{number}({_SIGNATURE}, int64_t begin, int64_t end, double *restrict partial) {{",
                *before,
                *(f"  {_TYPES[node.dtype]} s{at} = 0;" for at, node in zip(sums, totals, strict=True)),
                f"  #pragma omp simd{_reduction([f's{at}' for at in sums])}",
                "  for (int64_t i = begin; i < end; ++i) {",
                *(f"    {line}" for line in inside),
                *(f"    s{at} += {self.summand(node)};" for at, node in zip(sums, totals, strict=True)),
                "  }",
                *(f"  partial[{at}] = (double)s{at};" for at in sums),
                "}",
            ]
        )

    def abreast(self) -> str:
        """Write the only loop for several chunks at once, each with sums of its own: the same to the bit."""
        before, inside, totals = self.parts_of(0)
        sums = {at: [f"s{at}_{lane}" for lane in range(_ABREAST)] for at in map(self.sums.index, totals)}
        lines = [*before]
        for names, node in zip(sums.values(), totals, strict=True):
            lines.append(f"  {_TYPES[node.dtype]} {', '.join(f'{name} = 0' for name in names)};")
        lines.append(f"  #pragma omp simd{_reduction([name for names in sums.values() for name in names])}")
        lines.append("  for (int64_t k = begin; k < begin + CHUNK; ++k) {")
        for lane in range(_ABREAST):
            added = [f"{sums[self.sums.index(node)][lane]} += {self.summand(node)};" for node in totals]
            lines.append(f"    {{ const int64_t i = k + {lane} * apart * CHUNK; {' '.join([*inside, *added])} }}")
        lines.append("  }")
        for at, names in sums.items():
            lines += [f"  partial[{lane} * apart * SUMS + {at}] = (double){name};" for lane, name in enumerate(names)]
        return "\n".join(lines)

    def parts_of(self, number: int) -> tuple[list[str], list[str], list[Node]]:
        """Give what stands before a loop and inside it, and what it sums."""
        totals = [node for node in self.sums if self.loop_of(node.nodes[0]) == number]
        stores = self.program.stores if number == self.loops - 1 else {}
        needed = below([*(node.nodes[0] for node in totals), *stores.values()], within=True)
        before = [
            f"  {'' if name in stores else 'const '}{_STORED[self.program.inputs[name].dtype]} *restrict"
            f" {self.pointers[name]} = at[{place}];"
            for place, name in enumerate(self.vectors)
            if self.program.inputs[name] in needed or name in stores
        ]
        before += [f"  {self.statement(node)}" for node in needed if not node.is_vector]
        inside = [self.statement(node) for node in needed if node.is_vector]
        for name, node in stores.items():
            dtype = self.program.inputs[name].dtype
            inside.append(f"{self.pointers[name]}[i] = {_KEPT.get(dtype, '{}').format(self.cast(node, dtype))};")
        return before, inside, totals

    def summand(self, node: Node) -> str:
        """Write what a sum is of."""
        return self.cast(node.nodes[0], node.dtype)

    def finish(self) -> str:
        """Write what becomes of the sums in the end."""
        results = list(self.program.results.values())
        lines = [self.statement(node) for node in below(results, within=True) if not node.is_vector]
        return "\n  ".join([*lines, *(f"out[{k}] = (double){self.name(node)};" for k, node in enumerate(results))])

    # -- values --

    def statement(self, node: Node) -> str:
        return f"const {_TYPES[node.dtype]} {self.name(node)} = {self.expression(node)};"

    def expression(self, node: Node) -> str:
        if node.op == "input":
            return self.read(node)
        if node.op == "sum":
            return f"({_TYPES[node.dtype]})sums[{self.sums.index(node)}]"
        if node.op in ("_to_copy", "to", "copy"):
            return self.cast(node.args[-1] if node.op == "copy" else node.args[0], node.dtype)
        text = self.computed(node)
        chosen = node.op in ("where", "maximum", "minimum") and all(arg.dtype == node.dtype for arg in node.nodes[-2:])
        return text if chosen else _ROUNDED.get(node.dtype, "{}").format(text)

    def read(self, node: Node) -> str:
        name = node.args[0]
        if name in self.scalars:
            return f"row[{self.scalars[name]}]"
        if name in self.extra:
            return self.extra[name]
        return _LOADED.get(node.dtype, "{}").format(f"{self.pointers[name]}[i]")

    def computed(self, node: Node) -> str:
        """Write an operation."""
        op, args = node.op, node.args
        for name in node.kwargs.keys() - _UNDERSTOOD:
            raise UnsupportedError(f"the rule uses torch's {op} with {name}, which is not compiled")
        common = node.common if node.dtype == torch.bool or op in COMPARED else node.dtype
        if op in _FILLED or op in _FILLED_WITH:
            return _literal(_FILLED[op] if op in _FILLED else args[_FILLED_WITH[op]], node.dtype)
        if op == "arange" and all(arg == 0 for arg in args[:-1]):
            return "i"
        if op == "view" and isinstance(args[1], torch.dtype):
            return f"bits_{_TYPES[args[0].dtype]}_{_TYPES[node.dtype]}({self.value(args[0])})"
        if op == "where":
            return f"{self.value(args[0])} ? {self.value(args[1], common)} : {self.value(args[2], common)}"
        if op == "clamp":
            return self.clamped(node, common)
        rounding = node.kwargs.get("rounding_mode")
        if rounding == "floor" and not common.is_floating_point:
            return f"floor_division({self.value(args[0], common)}, {self.value(args[1], common)})"
        if rounding is not None or op not in (_FORMS if common.is_floating_point else _OF_INTEGERS):
            way = "" if rounding is None else f" with rounding_mode={rounding!r}"
            raise UnsupportedError(f"the rule uses torch's {op}{way}, which is not compiled")
        factor = node.kwargs.get("alpha", node.kwargs.get("value", 1))
        form = _SCALED[op] if op in _SCALED and factor != 1 else _FORMS[op]
        if op == "bitwise_not" and common == torch.bool:
            form = _FORMS["logical_not"]
        if op == "pow" and args[1] in (2, 0.5):
            form = "{0} * {0}" if args[1] == 2 else _FORMS["sqrt"]
        values = [self.value(arg, common) for arg in args]
        suffix = "" if common == torch.float64 else "f"
        return form.format(*values, f=suffix, factor=_literal(factor, common))

    def clamped(self, node: Node, common: torch.dtype) -> str:
        low, high = (*node.args[1:], *node.kwargs.values(), None, None)[:2]
        text = self.value(node.args[0], common)
        if low is not None:
            text = f"MAXIMUM({text}, {self.value(low, common)})"
        return text if high is None else f"MINIMUM({text}, {self.value(high, common)})"

    def value(self, arg: Any, dtype: torch.dtype | None = None) -> str:
        """Write an argument in a dtype."""
        if isinstance(arg, Node):
            return self.name(arg) if dtype is None else self.cast(arg, dtype)
        if isinstance(arg, bool | int | float) and dtype is not None:
            return _literal(arg, dtype)
        raise UnsupportedError(f"the rule calls one of torch's operations with {arg!r}, which is not compiled")

    def cast(self, node: Node, dtype: torch.dtype) -> str:
        if node.dtype == dtype:
            return self.name(node)
        if dtype == torch.bool:
            return f"({self.name(node)} != 0)"
        return _ROUNDED.get(dtype, f"({_TYPES[dtype]}){{}}").format(self.name(node))


def _reduction(names: Sequence[str]) -> str:
    return f" reduction(+:{', '.join(names)})" if names else ""


_SIGNATURE = "void *const *at, const work_t *row, const int64_t *noise, const double *sums"


def _literal(value: float, dtype: torch.dtype) -> str:
    if not dtype.is_floating_point:
        number = int(value)
        is_short = -(1 << 31) < number < 1 << 31
        return f"({_TYPES[dtype]}){number if is_short else f'UINT64_C({number & (1 << 64) - 1:#x})'}"
    if not math.isfinite(value):
        return "NAN" if math.isnan(value) else "(-INFINITY)" if value < 0 else "INFINITY"
    return f"({float(value).hex()}{'' if dtype == torch.float64 else 'f'})"
