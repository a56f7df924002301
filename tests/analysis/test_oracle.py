"""Curvature against curvlinops, somebody else's, where it is installed (`pip install --group oracles`)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from analysis.cases import build, data
from waddington.analysis import eigenvalues, hessian_vector_product, over_batches

curvlinops = pytest.importorskip("curvlinops", exc_type=ImportError)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("name", ["mlp", "batchnorm"])
def test_products_and_the_largest_eigenvalue_are_those_of_curvlinops(name: str) -> None:
    model, (x, y) = build(name).eval(), data()
    batches = list(zip(x.split(4), y.split(4), strict=True))
    theirs = curvlinops.HessianLinearOperator(model, nn.CrossEntropyLoss(), list(model.parameters()), batches)
    loss = over_batches(lambda model, batch: nn.functional.cross_entropy(model(batch[0]), batch[1]), batches)
    dense = np.asarray((theirs @ torch.eye(theirs.shape[1]).double()).numpy())
    vector = torch.linspace(-1.0, 1.0, len(dense)).double()
    np.testing.assert_allclose(hessian_vector_product(model, loss, vector), dense @ vector.numpy(), atol=1e-10)
    assert eigenvalues(model, loss).largest[0] == pytest.approx(np.linalg.eigvalsh(dense)[-1], rel=1e-6)
