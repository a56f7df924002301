"""A small network on handwritten digits: surface and spectrum agree with brute force."""

from __future__ import annotations

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

from analysis.cases import dense, flat
from waddington.analysis import eigenvalues, loss_landscape, over_batches, random_directions, spectral_density
from waddington.analysis.spectrum import broadened


def test_surface_and_spectrum_of_a_trained_network_on_digits() -> None:
    table = load_digits()
    x = torch.as_tensor(table.data[:120] / 16.0)[:, 8:40]
    y = torch.as_tensor(table.target[:120])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(32, 5), nn.Tanh(), nn.Linear(5, 10)).double()
    loss = lambda model: nn.functional.cross_entropy(model(x), y)  # noqa: E731
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    for _ in range(60):
        optimizer.zero_grad()
        loss(model).backward()
        optimizer.step()

    values = torch.linalg.eigvalsh(dense(model, loss)[1]).numpy()
    assert values[0] < -0.01 * values[-1]  # it is no bowl
    batches = list(zip(x.split(40), y.split(40), strict=True))
    by_batch = over_batches(lambda model, batch: nn.functional.cross_entropy(model(batch[0]), batch[1]), batches)
    for each in (loss, by_batch):
        found = eigenvalues(model, each, largest=2, smallest=1)
        np.testing.assert_allclose(found.largest, values[::-1][:2], rtol=1e-6)
        np.testing.assert_allclose(found.smallest, values[:1], rtol=1e-4)
    density = spectral_density(model, loss, steps=30, probes=10, width=0.03)
    exact = broadened(values, np.full(len(values), 1.0 / len(values)), density.grid, density.width)
    width = density.grid[1] - density.grid[0]
    assert float(np.abs(density.density - exact).sum() * width) < 0.1

    directions = random_directions(model, 2)
    surface = loss_landscape(model, loss, directions, points=5)
    center = flat(model)
    with torch.no_grad():
        for at in np.ndindex(5, 5):
            place = center + surface.axes[0][at[0]] * directions[0] + surface.axes[1][at[1]] * directions[1]
            nn.utils.vector_to_parameters(place, model.parameters())
            np.testing.assert_allclose(surface.loss[at], float(loss(model)), rtol=1e-10)
