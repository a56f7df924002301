"""Boolean gene networks, and their continuous extension.

A network is a set of rules such as ``Fli1 = Gata1 and not EKLF``. The extension to concentrations in [0, 1] is the
unique multilinear one (Wittmann et al. 2009, "HillCubes"): *not* is ``1 - a``, *and* a product, *or* ``a + b - ab``,
which is exact because no rule here names a gene twice. Hill functions that pass through (0, 0) and (1, 1) sharpen the
inputs first, so that every Boolean fixed point stays a fixed point.

The myeloid network is that of Krumsiek et al. 2011, Table 1 (PLoS ONE 6:e22649), in the spelling that scanpy bundles.
"""

from __future__ import annotations

import ast
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce

import numpy as np
import numpy.typing as npt

from waddington.errors import ArgumentError

__all__ = ["MYELOID", "TOGGLE", "Network", "Rule"]

_DOT = "__dot__"
"""Stands for the dot of a name such as ``Pu.1`` while a rule is parsed as a Python expression."""


@dataclass(frozen=True, slots=True)
class Rule:
    """A node of a parsed rule.

    Attributes
    ----------
    kind
        ``"gene"``, ``"not"``, ``"and"`` or ``"or"``.
    gene
        Row of the gene in the network; -1 unless ``kind`` is ``"gene"``.
    parts
        Operands, in the order written; empty for a gene.
    """

    kind: str
    gene: int = -1
    parts: tuple[Rule, ...] = ()

    def __call__(self, activity: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Evaluate the multilinear extension at activities of shape (genes, cells); returns shape (cells,)."""
        if self.kind == "gene":
            row: npt.NDArray[np.float32] = activity[self.gene]
            return row
        values = [part(activity) for part in self.parts]
        if self.kind == "not":
            return np.float32(1.0) - values[0]
        if self.kind == "and":
            return reduce(np.multiply, values)
        return reduce(lambda a, b: a + b - a * b, values)

    def inputs(self, *, inverted: bool = False) -> tuple[tuple[int, int], ...]:
        """List ``(gene, sign)`` for every gene that the rule reads, the sign being +1 (activates) or -1 (represses)."""
        if self.kind == "gene":
            return ((self.gene, -1 if inverted else 1),)
        flipped = inverted != (self.kind == "not")
        return tuple(itertools.chain.from_iterable(part.inputs(inverted=flipped) for part in self.parts))


def _build(node: ast.expr, row: Mapping[str, int], gene: str) -> Rule:
    if isinstance(node, ast.BoolOp):
        kind = "and" if isinstance(node.op, ast.And) else "or"
        return Rule(kind, parts=tuple(_build(value, row, gene) for value in node.values))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        return Rule("not", parts=(_build(node.operand, row, gene),))
    if isinstance(node, ast.Name):
        name = node.id.replace(_DOT, ".")
        if name in row:
            return Rule("gene", gene=row[name])
        raise ArgumentError(f"cannot use the rule of {gene}: found {name!r}; accepted genes are {', '.join(row)}")
    raise ArgumentError(
        f"cannot use the rule of {gene}: found {ast.unparse(node)!r}; accepted are names, and, or, not, parentheses"
    )


@dataclass(frozen=True, slots=True)
class Network:
    """A Boolean gene network.

    Attributes
    ----------
    genes
        Names, in the order of the rows of every state array.
    rules
        One rule for each gene, in the same order.
    """

    genes: tuple[str, ...]
    rules: tuple[Rule, ...]

    @classmethod
    def parse(cls, rules: Mapping[str, str]) -> Network:
        """Read a network from ``{gene: rule}``.

        Parameters
        ----------
        rules
            Right-hand sides in Python's spelling: names of genes, ``and``, ``or``, ``not``, parentheses.

        Raises
        ------
        ArgumentError
            When a rule does not parse, names an unknown gene, or names one gene twice (its extension would not be
            multilinear).
        """
        row = {gene: index for index, gene in enumerate(rules)}
        parsed = []
        for gene, text in rules.items():
            try:
                tree = ast.parse(text.replace(".", _DOT).strip(), mode="eval").body
            except SyntaxError as error:
                raise ArgumentError(f"cannot use the rule of {gene}: {text!r} does not parse ({error.msg})") from error
            rule = _build(tree, row, gene)
            read = [index for index, _ in rule.inputs()]
            if len(read) != len(set(read)):
                raise ArgumentError(
                    f"cannot use the rule of {gene}: {text!r} names a gene twice; accepted is once each"
                )
            parsed.append(rule)
        return cls(tuple(rules), tuple(parsed))

    def __len__(self) -> int:
        return len(self.genes)

    def index(self, gene: str) -> int:
        """Give the row of a gene."""
        return self.genes.index(gene)

    def state(self, *on: str) -> npt.NDArray[np.float32]:
        """Give the Boolean state (genes,) in which the named genes are 1 and all others 0."""
        return np.array([gene in on for gene in self.genes], dtype=np.float32)

    def production(self, activity: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Evaluate every rule.

        Parameters
        ----------
        activity
            Activities in [0, 1], shape (genes, cells); 0 and 1 give the Boolean update.

        Returns
        -------
        numpy.ndarray
            Productions in [0, 1], shape (genes, cells).
        """
        out = np.empty_like(activity)
        for index, rule in enumerate(self.rules):
            out[index] = rule(activity)
        return out

    def boolean_fixed_points(self) -> npt.NDArray[np.float32]:
        """Find every Boolean state that the rules map to itself, by looking at all of them.

        Returns
        -------
        numpy.ndarray
            Shape (fixed points, genes), in counting order with the first gene as the highest bit.
        """
        states = np.array(list(itertools.product((0.0, 1.0), repeat=len(self))), dtype=np.float32)
        kept: npt.NDArray[np.float32] = states[(states == self.production(states.T.copy()).T).all(axis=1)]
        return kept


MYELOID = Network.parse(
    {
        "Gata2": "Gata2 and not (Gata1 and Fog1) and not Pu.1",
        "Gata1": "(Gata1 or Gata2 or Fli1) and not Pu.1",
        "Fog1": "Gata1",
        "EKLF": "Gata1 and not Fli1",
        "Fli1": "Gata1 and not EKLF",
        "SCL": "Gata1 and not Pu.1",
        "Cebpa": "Cebpa and not (Gata1 and Fog1 and SCL)",
        "Pu.1": "(Cebpa or Pu.1) and not (Gata1 or Gata2)",
        "cJun": "Pu.1 and not Gfi1",
        "EgrNab": "(Pu.1 and cJun) and not Gfi1",
        "Gfi1": "Cebpa and not EgrNab",
    }
)
"""The eleven regulators of myeloid differentiation (Krumsiek et al. 2011, Table 1)."""

TOGGLE = Network.parse({"A": "not B", "B": "not A"})
"""Two genes that repress each other: the smallest landscape with two valleys."""
