"""Tasks on images: augmentation, noise in labels, smoothing, classes that are renamed, held-out images."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from waddington import bench
from waddington.bench.datasets.standins import images_standin
from waddington.bench.tasks._networks import resnet8, vgg16
from waddington.bench.tasks._vision import Augment, Normalize, check_device, image_data, image_problem
from waddington.errors import ArgumentError

pytestmark = pytest.mark.usefixtures("no_gradients")
IMAGES = images_standin((3, 8, 8))


@pytest.fixture
def no_gradients():
    with torch.no_grad():
        yield


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_crop_shifts_and_leaves_black() -> None:
    x = torch.arange(1, 17, dtype=torch.uint8).view(1, 1, 4, 4).expand(40, 1, 4, 4)
    shifted = Augment(crop=1)(x, draw())
    assert (shifted.shape, shifted.dtype) == (x.shape, torch.uint8)
    padded = F.pad(x[0, 0], [1] * 4)
    places = [padded[i : i + 4, j : j + 4] for i in range(3) for j in range(3)]
    counts = [sum(torch.equal(image[0], place) for image in shifted) for place in places]
    assert sum(counts) == 40
    assert all(counts)


def test_half_of_the_images_are_mirrored() -> None:
    x = IMAGES.train[0]
    flipped = Augment(flip=True)(x, draw())
    is_flipped = torch.tensor([torch.equal(a, b.flip(-1)) for a, b in zip(flipped, x, strict=True)])
    is_same = torch.tensor([torch.equal(a, b) for a, b in zip(flipped, x, strict=True)])
    assert torch.equal(is_same, ~is_flipped)
    assert 0.3 < is_flipped.float().mean() < 0.7


def test_colours_change_within_their_strength() -> None:
    grey = torch.full((50, 3, 2, 2), 128, dtype=torch.uint8)
    found = Augment(jitter=0.5)(grey, draw()) * 255 / 128
    assert found.min() >= 0.5 - 1e-5
    assert found.max() <= 1.5 + 1e-5
    assert found.std() > 0.1
    x = IMAGES.train[0]
    assert torch.allclose(Augment(jitter=1e-9)(x, draw()), x / 255.0, atol=1e-6)


def test_augmentation_is_the_generators() -> None:
    both = Augment(crop=2, flip=True, jitter=0.3)
    x = IMAGES.train[0]
    assert torch.equal(both(x, draw(1)), both(x, draw(1)))
    assert not torch.equal(both(x, draw(1)), both(x, draw(2)))
    assert not Augment().is_on


def problem(**settings: object) -> bench.Problem:
    model = nn.Sequential(Normalize.of(3), nn.Flatten(), nn.Linear(192, 10))
    return image_problem(model, IMAGES, **{"seed": 0, "validation_cases": 16, "batch_size": 80, **settings})


def test_validation_images_are_never_trained_on() -> None:
    found = problem()
    x, _ = found.batch(draw(), 0)
    trained = {image.numpy().tobytes() for image in x}
    held_out = {image.numpy().tobytes() for image in IMAGES.train[0][-16:]}
    assert len(trained) == 80
    assert not trained & held_out


def test_label_noise_touches_training_labels_alone_and_is_the_same_for_every_seed() -> None:
    clean, noisy, other = problem(), problem(label_noise=0.5), problem(label_noise=0.5, seed=7)
    labels = [found.batch(draw(), 0)[1] for found in (clean, noisy, other)]
    assert torch.equal(labels[1], labels[2])
    assert 0.3 < (labels[0] != labels[1]).float().mean() < 0.6
    noisy.model.load_state_dict(clean.model.state_dict())
    assert noisy.evaluate(noisy.model, "validation") == clean.evaluate(clean.model, "validation")


def test_smoothing_is_trained_and_not_evaluated() -> None:
    plain, smooth = problem(), problem(label_smoothing=0.2)
    smooth.model.load_state_dict(plain.model.state_dict())
    pair = plain.batch(draw(), 0)
    logits = plain.model(pair[0])
    assert torch.equal(smooth.loss(smooth.model, pair), F.cross_entropy(logits, pair[1], label_smoothing=0.2))
    assert smooth.evaluate(smooth.model, "test") == plain.evaluate(plain.model, "test")


def test_renamed_classes_are_evaluated_by_their_present_names() -> None:
    plain, renamed = problem(), problem(rename_every=3)
    renamed.model.load_state_dict(plain.model.state_dict())
    names = []
    for step in range(12):
        (_, before), (_, after) = plain.batch(draw(step), 0), renamed.batch(draw(step), step)
        order = torch.tensor([int(after[before == label].unique()) for label in range(10)])
        names.append(order.tolist())
    assert names[0] == list(range(10))
    assert 3 <= len({tuple(order) for order in names}) <= 12
    logits = renamed.model(IMAGES.test[0])
    expected = F.cross_entropy(logits[:, order], IMAGES.test[1])  # the output of a class stands where its number was
    assert renamed.evaluate(renamed.model, "test")["loss"] == pytest.approx(float(expected), rel=1e-6)


def test_resolutions_are_averages() -> None:
    whole = image_data("mnist", "stand-in")
    half = image_data("mnist", "stand-in", resolution=14)
    assert half.train[0].shape[-2:] == (14, 14)
    mean = whole.train[0][0, 0, :2, :2].float().mean().round()
    assert half.train[0][0, 0, 0, 0] == mean
    with pytest.raises(ArgumentError, match="resolution"):
        image_data("mnist", "stand-in", resolution=56)
    with pytest.raises(ArgumentError, match="'disc'"):
        image_data("mnist", "disc")


def test_networks_are_those_they_are_called_after() -> None:
    layers = [m for m in resnet8(10).modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (3, 3)]
    assert len(layers) + 1 == 8
    vgg = vgg16(10)
    assert sum(isinstance(m, nn.Conv2d | nn.Linear) for m in vgg.modules()) == 16
    assert vgg.eval()(torch.zeros(1, 3, 32, 32)).shape == (1, 10)


def test_a_gpu_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ArgumentError, match="finds no GPU here; accepted is device='cpu'"):
        check_device("cuda")
    check_device("cpu")
