"""What is known of genes from elsewhere: a table of links, a model that answers by it, and whether that helps."""

from __future__ import annotations

from waddington.twin.respond.priors.gain import PriorGain, prior_gain
from waddington.twin.respond.priors.graph import GenePrior
from waddington.twin.respond.priors.model import PriorInformed

__all__ = ["GenePrior", "PriorGain", "PriorInformed", "prior_gain"]
