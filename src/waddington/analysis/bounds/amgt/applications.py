"""The two applications of the paper: what it prints about them, and what each of its rates does."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from waddington.analysis.bounds.amgt._exact import Number
from waddington.analysis.bounds.amgt.quadratic import Behaviour, Quadratic
from waddington.errors import ArgumentError

__all__ = ["APPLICATION_1", "APPLICATION_2", "Application"]


@dataclass(frozen=True, kw_only=True)
class Application:
    """A function of the paper, with what is printed about it.

    Attributes
    ----------
    name
        As the paper calls it.
    formula
        The function, in plain text.
    function
        The same, whose figures are computed.
    start
        Where the paper lets gradient descent begin.
    rates
        The rates that it speaks of, ascending.
    printed_matrix
        The Hessian as it is printed first; it is not symmetric.
    printed_eigenvalues
        The smallest and the largest, as printed.
    """

    name: str
    formula: str
    function: Quadratic
    start: tuple[Number, ...]
    rates: tuple[Fraction, ...]
    printed_matrix: tuple[tuple[Number, ...], ...]
    printed_eigenvalues: tuple[Number, Number]

    def behaviours(self, start: tuple[Number, ...] | None = None) -> tuple[Behaviour, ...]:
        """Say of each rate of the paper what it does; without a start, from almost everywhere."""
        return tuple(self.function.behaviour(rate, start) for rate in self.rates)

    @property
    def fastest(self) -> tuple[Fraction, ...]:
        """Give the paper's rates with the smallest contraction from almost everywhere; several where they are tied.

        Ties are seen in floats, to 1e-12.
        """
        found = self.behaviours()
        least = min(each.contraction for each in found)
        return tuple(each.rate for each in found if each.contraction <= least * (1.0 + 1e-12))

    @property
    def printed_polynomial(self) -> tuple[Fraction, Fraction]:
        """Sum and product of the printed eigenvalues, which would be trace and determinant of the Hessian."""
        low, high = (Fraction(value) for value in self.printed_eigenvalues)
        return low + high, low * high

    @property
    def polynomial(self) -> tuple[Fraction, Fraction]:
        """Trace and determinant of the Hessian."""
        rows = [[Fraction(entry) for entry in row] for row in self.function.hessian]
        if len(rows) != 2:
            raise ArgumentError(f"cannot give the determinant of a {len(rows)}-dimensional Hessian; accepted: 2")
        return rows[0][0] + rows[1][1], rows[0][0] * rows[1][1] - rows[0][1] * rows[1][0]


def _rates(*texts: str) -> tuple[Fraction, ...]:
    return tuple(Fraction(text) for text in texts)


APPLICATION_1 = Application(
    name="Application 1",
    formula="2x² + 2y² - 2xy + 2",
    function=Quadratic(((4, -2), (-2, 4)), 2),
    start=(1, 1),
    rates=_rates("0.01", "0.1", "0.3", "0.4", "0.5", "1"),
    printed_matrix=((4, 2), (-2, 4)),
    printed_eigenvalues=(2, 6),
)
"""Table 1 and the list below it, which begins at (1, 1): an eigenvector, of the smaller eigenvalue."""

APPLICATION_2 = Application(
    name="Application 2",
    formula="x² + 2y² - 2xy + 2",
    function=Quadratic(((2, -2), (-2, 4)), 2),
    start=(2, 2),
    rates=_rates("0.001", "0.3", "0.33", "0.4", "1"),
    printed_matrix=((2, 2), (-2, 4)),
    printed_eigenvalues=("1.17", "4.83"),
)
"""Its start is printed as "(22)", read as (2, 2); "α > 1" stands here as 1, from where on all diverges more."""
