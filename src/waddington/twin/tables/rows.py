"""The rows of the tables: optimizers with the settings of section IV.A, ASGD under every rule of its switch, ASGD2."""

from __future__ import annotations

from dataclasses import dataclass

from waddington.twin.run.optimizers import OptimizerSetting

__all__ = ["PAPER_ROWS", "ROWS", "Row"]


@dataclass(frozen=True, kw_only=True)
class Row:
    """A contestant."""

    name: str
    """Its name in the tables."""
    optimizer: str
    """Optimizer and arguments at given rates, such as ``"Padam,lr=0.01,p=0.125"``."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "optimizer", OptimizerSetting.of(self.optimizer).text)


_RATES = "alpha_max=1e-4,alpha_min=1e-7"
_LITERAL = f"{_RATES},bias_correction=False"

PAPER_ROWS = (
    Row(name="ASGD-Adam", optimizer=f"ASGDAdam,{_LITERAL},switch=mean"),
    Row(name="ASGD-AMSGrad", optimizer=f"ASGDAMSGrad,{_LITERAL},switch=mean"),
    Row(name="Padam", optimizer="Padam,lr=1e-2,p=0.125,beta2=0.999"),
    Row(name="SGD", optimizer="SGD,lr=3e-4,momentum=0.0"),
    Row(name="AMSGrad", optimizer="AMSGrad,lr=1e-4,beta2=0.99"),
    Row(name="Adam", optimizer="Adam,lr=1e-4,beta2=0.99"),
)
"""The six of the paper, with its settings. ASGD is Algorithms 1 and 2 to the letter (Eq. 2's rule, which never
switches). The paper names no rate of SGD: it is that at which its published code ran it, Stable-Baselines3's."""

ROWS = (
    *PAPER_ROWS,
    Row(name="ASGD-Adam, coordinate", optimizer=f"ASGDAdam,{_LITERAL},switch=coordinate"),
    Row(name="ASGD-Adam, momentum", optimizer=f"ASGDAdam,{_LITERAL},switch=momentum"),
    Row(name="ASGD-Adam, relative", optimizer=f"ASGDAdam,{_RATES},switch=relative"),
    Row(name="ASGD-Adam, linear", optimizer=f"ASGDAdam,{_RATES},switch=linear"),
    Row(name="ASGD-Adam, alignment", optimizer=f"ASGDAdam,{_RATES},switch=alignment,alignment=dual"),
    Row(name="ASGD2", optimizer="ASGD2,lr=1e-4"),
)
"""Those, ASGD-Adam under its other rules, and ASGD2 of Table I, whose settings the paper does not say.

PPO clips the gradient's norm, at nearly every step. The mean squared gradient that ``relative`` and ``linear`` look at
is then the same at every step, and they stay at one rate; ``alignment`` looks at a cosine, which clipping leaves as it
is."""
