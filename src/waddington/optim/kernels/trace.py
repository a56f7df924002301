"""What a function of tensors does, written down as a list of operations on coordinates, sums and single numbers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from waddington.errors import UnsupportedError

__all__ = ["COMPARED", "Node", "Program", "below", "trace", "written"]

COMPARED = {"eq", "ne", "lt", "le", "gt", "ge"}
"""Operations that compare two values."""

_SAME = {"alias", "detach", "expand", "view", "reshape", "_unsafe_view", "lift_fresh", "clone", "contiguous"}
_PLAIN = (bool, int, float, str, torch.dtype, torch.device, torch.layout, torch.memory_format)


@dataclass(frozen=True, eq=False)
class Node:
    """A value.

    Attributes
    ----------
    op
        ``"input"``, or the name of one of torch's operations, without what tells its overloads apart.
    args, kwargs
        Nodes, Python numbers, and what else the operation was called with; of an input its name.
    dtype
        Of the value.
    common
        Dtype that the operation's arguments are brought to.
    is_vector
        Whether there is one for each coordinate.
    """

    op: str
    args: tuple[Any, ...]
    kwargs: Mapping[str, Any]
    dtype: torch.dtype
    common: torch.dtype
    is_vector: bool

    @property
    def nodes(self) -> list[Node]:
        """The values that it is computed from."""
        return [arg for arg in (*self.args, *self.kwargs.values()) if isinstance(arg, Node)]


@dataclass(frozen=True)
class Program:
    """What a function does.

    Attributes
    ----------
    inputs
        What it was given, by name.
    stores
        Inputs that it writes to, by name, and the values that they have in the end.
    results
        What it returned, by name, single numbers.
    """

    inputs: Mapping[str, Node]
    stores: Mapping[str, Node]
    results: Mapping[str, Node]


def trace(function: Callable[..., Mapping[str, torch.Tensor]], inputs: Mapping[str, torch.Tensor]) -> Program:
    """Write down what a function does.

    Parameters
    ----------
    function
        Called with the inputs by name; may write to them, and returns 0-d tensors by name.
    inputs
        By name, each 0-d or of one length.

    Raises
    ------
    UnsupportedError
        It uses a tensor that it was not given, or tensors of other shapes.
    """
    recorder = _Recorder(inputs)
    with torch.no_grad(), recorder:
        found = function(**inputs)
    results = {name: recorder.node(value) for name, value in found.items()}
    return Program(recorder.inputs, recorder.stores, results)


def below(roots: Iterable[Node], *, within: bool = False) -> list[Node]:
    """Give all values that some are computed from, and these, in the order of computation.

    With `within`, sums are taken as known.
    """
    found: dict[Node, None] = {}
    stack = [(root, False) for root in reversed(list(roots))]
    while stack:
        node, ready = stack.pop()
        if ready:
            found.setdefault(node)
        elif node not in found:
            stack.append((node, True))
            if not (within and node.op == "sum"):
                stack += [(arg, False) for arg in reversed(node.nodes)]
    return list(found)


def written(program: Program) -> str:
    """Write a program down as text: that of another is the same only if it does the same.

    Raises
    ------
    UnsupportedError
        An operation is called with what cannot be told from its description.
    """
    places: dict[Node, str] = {}

    def told(arg: Any) -> str:
        if isinstance(arg, Node):
            return places[arg]
        if isinstance(arg, list | tuple):
            return f"[{', '.join(map(told, arg))}]"
        if arg is None or isinstance(arg, _PLAIN):
            return repr(arg)
        raise UnsupportedError(f"the rule calls one of torch's operations with {arg!r}, which is not compiled")

    lines = [f"{name}: {node.dtype} {node.is_vector}" for name, node in program.inputs.items()]
    for node in below([*program.inputs.values(), *program.stores.values(), *program.results.values()]):
        named = [f"{name}={told(arg)}" for name, arg in sorted(node.kwargs.items())]
        places[node] = f"%{len(places)}"
        call = ", ".join([*map(told, node.args), *named])
        lines.append(f"{places[node]} = {node.op}({call}): {node.dtype} {node.common} {node.is_vector}")
    ends = {"store": program.stores, "result": program.results}
    lines += [f"{what} {name} {places[node]}" for what, values in ends.items() for name, node in values.items()]
    return "\n".join(lines)


class _Recorder(TorchDispatchMode):  # type: ignore[no-untyped-call]
    def __init__(self, inputs: Mapping[str, torch.Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.inputs = {
            name: Node("input", (name,), {}, value.dtype, value.dtype, value.dim() > 0)
            for name, value in inputs.items()
        }
        self.stores: dict[str, Node] = {}
        self._names = {id(value): name for name, value in inputs.items()}
        self._known = {id(value): self.inputs[name] for name, value in inputs.items()}
        self._shapes = {value.shape for value in inputs.values()} | {torch.Size()}
        self._alive: list[Any] = [*inputs.values()]  # so that no other tensor gets one's identity

    def node(self, tensor: torch.Tensor) -> Node:
        """Give the value that a tensor has by now."""
        if id(tensor) not in self._known:
            raise UnsupportedError("the rule uses a tensor that it was not given")
        return self._known[id(tensor)]

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        op = func._schema.name.removeprefix("aten::")
        out = kwargs.pop("out", None)
        target = out if out is not None else args[0] if op.endswith("_") and not op.endswith("__") else None
        nodes = tuple(self.node(arg) if isinstance(arg, torch.Tensor) else arg for arg in args)
        named = {k: self.node(arg) if isinstance(arg, torch.Tensor) else arg for k, arg in kwargs.items()}
        common = _common(op, args)
        found = func(*args, **kwargs) if out is None else func(*args, **kwargs, out=out)
        self._alive.append(found)
        if not isinstance(found, torch.Tensor):
            raise UnsupportedError(f"the rule uses torch's {op}, which is not compiled")
        if found.shape not in self._shapes:
            raise UnsupportedError(
                f"the rule makes a tensor of shape {tuple(found.shape)} by torch's {op}, which is not the parameter's"
            )
        base = op.removesuffix("_") if target is not None else op
        node = Node(base, nodes, named, found.dtype, common or found.dtype, found.dim() > 0)
        if base in _SAME and node.nodes and node.nodes[0].dtype == found.dtype:
            node = node.nodes[0]
        self._known[id(found)] = node
        if target is not None:
            self._write(target, node)
        return found

    def _write(self, target: torch.Tensor, node: Node) -> None:
        """Take note that a tensor was written to, and with it all that lie in the same memory."""
        for tensor in self._alive:
            if isinstance(tensor, torch.Tensor) and tensor.data_ptr() == target.data_ptr():
                self._known[id(tensor)] = node
                if id(tensor) in self._names:
                    self.stores[self._names[id(tensor)]] = node


def _common(op: str, args: Sequence[Any]) -> torch.dtype | None:
    """Give the dtype in which two values are compared, whose result has another."""
    if op.rstrip("_") in COMPARED:
        return torch.result_type(args[0], args[1])
    return args[0].dtype if args and isinstance(args[0], torch.Tensor) else None
