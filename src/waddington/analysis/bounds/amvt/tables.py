"""The arithmetic of the paper's tables and sentences: what is printed beside what its own numbers give.

The tables below are the paper's; everything else is computed from them, in fractions. A figure agrees where it rounds
to what is printed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

from waddington._checks import check_in_range
from waddington.analysis.bounds.amvt.memory import state_bytes

__all__ = ["ACCURACY", "EPOCHS", "GAPS", "HOURS", "OVERHEAD", "Figure", "figures", "more", "saved", "time_per_epoch"]

EPOCHS: Mapping[str, Fraction] = {"AMVT": Fraction(42), "Adam": Fraction(54), "SGD": Fraction(68)}
"""Section 5.1: epochs of ResNet-50 on CIFAR-10 to 90 % training accuracy."""
HOURS: Mapping[str, tuple[Fraction, Fraction, str]] = {
    "ResNet-50, CIFAR-10": (Fraction("1.2"), Fraction("1.7"), "29"),
    "ResNet-101, CIFAR-100": (Fraction("3.4"), Fraction("4.9"), "31"),
    "ViT-B/16, ImageNet": (Fraction("18.3"), Fraction("24.1"), "24"),
}
"""Section 5.4: hours of AMVT and of Adam, and the saving in percent as it is printed."""
OVERHEAD: tuple[Fraction, Fraction] = (Fraction("0.05"), Fraction("0.07"))
"""Section 5.4: what an iteration of AMVT takes more than one of Adam."""
ACCURACY: Mapping[str, tuple[Fraction, Fraction, Fraction, Fraction]] = {
    "CIFAR-10, ResNet-50": (Fraction("95.8"), Fraction("93.4"), Fraction("94.1"), Fraction("94.5")),
    "CIFAR-100, ResNet-101": (Fraction("78.3"), Fraction("75.8"), Fraction("76.4"), Fraction("76.9")),
    "ImageNet, ResNet-50": (Fraction("77.2"), Fraction("76.1"), Fraction("76.5"), Fraction("76.8")),
    "MNIST, CNN": (Fraction("99.6"), Fraction("99.4"), Fraction("99.5"), Fraction("99.4")),
}
"""Section 5.2: test accuracy in percent, of AMVT, Adam, AdamW and SGD with momentum."""
GAPS: Mapping[str, Fraction] = {
    "AMVT": Fraction("2.3"),
    "Adam": Fraction("4.1"),
    "AdamW": Fraction("3.2"),
    "SGD": Fraction("2.8"),
}
"""Section 5.3: training accuracy minus test accuracy on CIFAR-10, in points."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """A number of the paper beside the same from its own numbers.

    Attributes
    ----------
    place
        Section.
    statement
        What it says.
    printed
        As printed, such as ``"3.2"``.
    computed
        From the tables.
    how
        The computation, in plain text.
    """

    place: str
    statement: str
    printed: str
    computed: Fraction
    how: str

    @property
    def agrees(self) -> bool:
        """Whether the computed number rounds to the printed one."""
        step = Fraction(Decimal(1).scaleb(int(Decimal(self.printed).as_tuple().exponent)))
        return abs(self.computed - Fraction(self.printed)) <= step / 2

    @property
    def sentence(self) -> str:
        """Say in one line what was found."""
        verdict = "agrees" if self.agrees else "does not agree"
        found = f"{self.how} = {float(self.computed):.4g}"
        return f"{self.place}: {self.statement}, printed {self.printed}, {found}: {verdict}"


def saved(less: Fraction, more: Fraction) -> Fraction:
    """Give how much less the first is, in percent of the second: 42 are 22.2 % fewer than 54."""
    check_in_range("more", float(more), 0.0, open_low=True)
    return 100 * (1 - less / more)


def more(more: Fraction, less: Fraction) -> Fraction:
    """Give how much more the first is, in percent of the second: 54 are 28.6 % more than 42."""
    check_in_range("less", float(less), 0.0, open_low=True)
    return 100 * (more / less - 1)


def time_per_epoch() -> Fraction:
    """Give how much longer an epoch of AMVT takes than one of Adam, in percent, by Sections 5.1 and 5.4 together.

    Both are of ResNet-50 on CIFAR-10. It is negative; Section 5.4 says 5 to 7 % more.
    """
    amvt, adam, _ = HOURS["ResNet-50, CIFAR-10"]
    return more(amvt / EPOCHS["AMVT"], adam / EPOCHS["Adam"])


def figures() -> tuple[Figure, ...]:
    """Give every figure of the paper that follows from others of its own, the state of optimizers with them."""
    return (*_speed(), *_time(), *_accuracy(), *_state())


def _ratio(first: Fraction, second: Fraction) -> str:
    return f"{float(first):g}/{float(second):g} - 1"


def _rest(first: Fraction, second: Fraction) -> str:
    return f"1 - {float(first):g}/{float(second):g}"


def _speed() -> tuple[Figure, ...]:
    amvt, adam, sgd = EPOCHS["AMVT"], EPOCHS["Adam"], EPOCHS["SGD"]
    return (
        Figure(
            place="5.1", statement="Adam is slower, %", printed="22", computed=more(adam, amvt), how=_ratio(adam, amvt)
        ),
        Figure(
            place="5.1", statement="SGD is slower, %", printed="38", computed=more(sgd, amvt), how=_ratio(sgd, amvt)
        ),
        Figure(
            place="5.1",
            statement="fewer iterations at batch 128, beside fewer epochs, %",
            printed="31",
            computed=saved(amvt, adam),
            how=_rest(amvt, adam),
        ),
        Figure(
            place="abstract", statement="faster, %", printed="23", computed=saved(amvt, adam), how=_rest(amvt, adam)
        ),
    )


def _time() -> tuple[Figure, ...]:
    rows = tuple(
        Figure(place="5.4", statement=f"time saved, {name}, %", printed=printed, computed=saved(amvt, adam),
               how=_rest(amvt, adam))
        for name, (amvt, adam, printed) in HOURS.items()
    )  # fmt: skip
    share = EPOCHS["AMVT"] / EPOCHS["Adam"]
    hours, adam_hours, printed = HOURS["ResNet-50, CIFAR-10"]
    expected = tuple(
        Figure(
            place="5.4",
            statement=f"time saved by fewer epochs at {float(each):.0%} overhead, %",
            printed=printed,
            computed=100 * (1 - share * (1 + each)),
            how=f"{_rest(EPOCHS['AMVT'], EPOCHS['Adam'])} × {float(1 + each):g}",
        )
        for each in OVERHEAD
    )
    overhead = tuple(
        Figure(
            place="5.4",
            statement="longer per epoch, %",
            printed=f"{float(100 * each):g}",
            computed=time_per_epoch(),
            how=f"({float(hours):g}/{EPOCHS['AMVT']})/({float(adam_hours):g}/{EPOCHS['Adam']}) - 1",
        )
        for each in OVERHEAD
    )
    most = max(each.computed for each in rows)
    return (
        *rows,
        Figure(place="abstract", statement="training time saved, %", printed="31", computed=most, how="best of 3 rows"),
        *expected,
        *overhead,
    )


def _accuracy() -> tuple[Figure, ...]:
    gains = {name: row[0] - row[1] for name, row in ACCURACY.items()}
    return (
        Figure(place="abstract", statement="accuracy over Adam, points", printed="3.2", computed=max(gains.values()),
               how="best of 4 rows"),
        Figure(place="abstract", statement="accuracy over Adam, %", printed="3.2",
               computed=max(more(row[0], row[1]) for row in ACCURACY.values()), how="best of 4 rows, relative"),
        Figure(place="5.2", statement="accuracy over Adam on ImageNet, points", printed="1.1",
               computed=gains["ImageNet, ResNet-50"], how="of the table"),
        Figure(place="6", statement="accuracy over Adam, at least, points", printed="2", computed=min(gains.values()),
               how="worst of 4 rows"),
        Figure(place="5.7", statement="accuracy of all components over Adam, points", printed="2.4",
               computed=gains["CIFAR-10, ResNet-50"], how="of the table of 5.2"),
    )  # fmt: skip


def _state() -> tuple[Figure, ...]:
    amvt, adam, sgd = (Fraction(state_bytes(name)) for name in ("AMVT", "Adam", "SGD"))
    return (
        Figure(place="5.11", statement="more state than SGD with momentum, %", printed="50", computed=more(amvt, sgd),
               how=f"bytes {_ratio(amvt, sgd)}"),
        Figure(place="5.11", statement="more state than Adam, which is comparable, %", printed="0",
               computed=more(amvt, adam), how=f"bytes {_ratio(amvt, adam)}"),
    )  # fmt: skip
