"""The loss of an encoder as a function of its weights alone."""

from __future__ import annotations

import numpy as np

from waddington.analysis import load_parameter_vector, loss_landscape, parameter_vector, random_directions
from waddington.twin.embed.encoder import TwinEncoder
from waddington.twin.embed.surface import fixed_loss


def test_the_loss_depends_on_the_weights_alone_and_falls_in_training(toy) -> None:
    train = np.arange(240) % 4 != 0
    encoder = TwinEncoder(toy.sizes, embedding_dim=8, joint_dim=8, hidden=16, heads=2, n_neighbors=8, fanout=4)
    cells = (toy.inputs, toy.counts, toy.spaces)
    weights, settings = [], {"train": train, "validation": 0.1, "seed": 0}
    encoder.fit(
        *cells,
        **settings,
        epochs=6,
        batch_size=32,
        progress=lambda news: weights.append(parameter_vector(encoder.module)),
    )
    loss = fixed_loss(encoder, *cells, **settings, n_cells=64)
    first = float(loss(encoder.module))
    assert float(loss(encoder.module)) == first
    surface = loss_landscape(encoder.module, loss, random_directions(encoder.module, 1), points=3, span=0.5)
    assert surface.loss[1] == first == surface.center_loss  # the reference, too, is that of the center again
    assert not np.isclose(surface.loss[0], first)
    assert float(loss(encoder.module)) == first
    load_parameter_vector(encoder.module, weights[0])
    assert float(loss(encoder.module)) > first
