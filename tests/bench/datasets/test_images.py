"""Every form of a data set of images gives the same images; a pickle runs nothing."""

from __future__ import annotations

import io
import os
import pickle
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from waddington.bench.datasets import DataSet, get_data_set, image_folder, images, read_images
from waddington.bench.datasets.batches import loads
from waddington.errors import ArgumentError, DataError

DRAW = np.random.default_rng(0)
PIXELS = DRAW.integers(0, 256, (60, 3, 32, 32), np.uint8)
LABELS = DRAW.integers(0, 10, 60).astype(np.uint8)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let generated files pass for published ones."""

    def without(name: str) -> DataSet:
        found = get_data_set(name)
        forms = [replace(form, files=tuple(replace(f, checksums=()) for f in form.files)) for form in found.forms]
        return replace(found, forms=tuple(forms))

    monkeypatch.setattr(images, "get_data_set", without)


def binary(coarse: bool, start: int, stop: int) -> bytes:
    rows = zip(LABELS[start:stop], PIXELS[start:stop], strict=True)
    return b"".join((b"\7" if coarse else b"") + bytes([label]) + pixels.tobytes() for label, pixels in rows)


def write_cifar(root: Path, form: str) -> None:
    parts = {f"data_batch_{i}": (10 * (i - 1), 10 * i) for i in range(1, 6)} | {"test_batch": (50, 60)}
    if form == "binary archive":
        with tarfile.open(root / "cifar-10-binary.tar.gz", "w:gz") as archive:
            for name, span in parts.items():
                member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}.bin")
                member.size = len(binary(False, *span))
                archive.addfile(member, io.BytesIO(binary(False, *span)))
        return
    folder = root / ("cifar-10-batches-bin" if form == "binary" else "cifar-10-batches-py")
    folder.mkdir()
    for name, (start, stop) in parts.items():
        if form == "binary":
            (folder / f"{name}.bin").write_bytes(binary(False, start, stop))
        else:
            batch = {b"data": PIXELS[start:stop].reshape(-1, 3072), b"labels": LABELS[start:stop].tolist()}
            (folder / name).write_bytes(pickle.dumps(batch, protocol=2))


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("form", ["binary archive", "binary", "python"])
def test_cifar_is_the_same_in_every_form(tmp_path: Path, form: str) -> None:
    write_cifar(tmp_path, form)
    found = read_images("cifar10", root=tmp_path)
    order = torch.randperm(50, generator=torch.Generator().manual_seed(0))
    assert torch.equal(found.train[0], torch.from_numpy(PIXELS)[order])
    assert torch.equal(found.train[1], torch.from_numpy(LABELS).long()[order])
    assert found.test[0].shape == (10, 3, 32, 32)
    assert (found.classes, found.name) == (10, "cifar10")


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("form", ["binary", "python"])
def test_cifar100_has_fine_classes(tmp_path: Path, form: str) -> None:
    folder = tmp_path / ("cifar-100-binary" if form == "binary" else "cifar-100-python")
    folder.mkdir()
    for name, (start, stop) in {"train": (0, 50), "test": (50, 60)}.items():
        if form == "binary":
            (folder / f"{name}.bin").write_bytes(binary(True, start, stop))
        else:
            batch = {b"data": PIXELS[start:stop].reshape(-1, 3072), b"fine_labels": LABELS[start:stop].tolist()}
            (folder / name).write_bytes(pickle.dumps(batch, protocol=2))
    found = read_images("cifar100", root=tmp_path, train_cases=7)
    assert found.train[0].shape == (7, 3, 32, 32)
    order = torch.randperm(10, generator=torch.Generator().manual_seed(0))
    assert torch.equal(found.test[1], torch.from_numpy(LABELS[50:]).long()[order])


@pytest.mark.usefixtures("unchecked")
def test_mnist_is_the_same_as_idx_and_npz(tmp_path: Path) -> None:
    digits = PIXELS[:, 0, :28, :28]
    arrays = {"x_train": digits[:50], "y_train": LABELS[:50], "x_test": digits[50:], "y_test": LABELS[50:]}
    for root in ("idx", "npz"):
        (tmp_path / root / "mnist").mkdir(parents=True)
    np.savez(tmp_path / "npz" / "mnist" / "mnist.npz", **arrays)
    for (name, kind), array in zip(
        [(part, kind) for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")],
        arrays.values(),
        strict=True,
    ):
        header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">i4").tobytes()
        (tmp_path / "idx" / "mnist" / f"{name}-{kind}-ubyte").write_bytes(header + array.tobytes())
    first, second = (read_images("mnist", root=tmp_path / root) for root in ("idx", "npz"))
    assert first.train[0].shape == (50, 1, 28, 28)
    for part in ("train", "test"):
        assert all(torch.equal(a, b) for a, b in zip(getattr(first, part), getattr(second, part), strict=True))
    (tmp_path / "idx" / "mnist" / "train-labels-idx1-ubyte").write_bytes(b"\0\0\x08\1\0\0\0\x09\1")
    images._images.cache_clear()
    with pytest.raises(DataError, match="train-labels-idx1-ubyte: it is no IDX file"):
        read_images("mnist", root=tmp_path / "idx")


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("exit 1",)


@pytest.mark.parametrize("content", [pickle.dumps(Evil()), pickle.dumps([1]), b"nothing", pickle.dumps({1: Evil})])
def test_a_pickle_of_anything_else_is_refused(content: bytes) -> None:
    with pytest.raises(DataError, match="cannot read there: "):
        loads(content, "there")


def test_an_unknown_set_is_refused() -> None:
    with pytest.raises(ArgumentError, match="'cifar11'"):
        read_images("cifar11")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for split in ("train", "val"):
        for label, colour in enumerate(("blue", "red")):
            inside = tmp_path / "imagenet" / split / f"n{label}"
            inside.mkdir(parents=True)
            for i in range(2):
                Image.new("RGB", (90 + i, 60), colour).save(inside / f"{i}.JPEG")
    return tmp_path


def test_a_folder_of_images_gives_what_is_asked_for(folder: Path) -> None:
    found = image_folder("val", folder)
    assert (len(found), found.classes, found.labels.tolist()) == (4, ["n0", "n1"], [0, 0, 1, 1])
    pixels, labels = found.read(torch.tensor([3, 0]), 16)
    assert (pixels.shape, pixels.dtype, labels.tolist()) == ((2, 3, 16, 16), torch.uint8, [1, 0])
    assert pixels[0].float().mean((1, 2)).argmax() == 0
    assert pixels[1].float().mean((1, 2)).argmax() == 2


def test_random_cuts_come_from_the_numbers_given(folder: Path) -> None:
    Image.fromarray(DRAW.integers(0, 256, (80, 90, 3), np.uint8)).save(folder / "imagenet" / "train" / "n0" / "0.JPEG")
    found = image_folder("train", folder)
    chosen = torch.tensor([0, 0])
    random = torch.rand(2, 5, generator=torch.Generator().manual_seed(1))
    first, again = (found.read(chosen, 16, random)[0] for _ in range(2))
    assert torch.equal(first, again)
    assert not torch.equal(first[0], first[1])


def test_a_missing_or_damaged_image_is_said(folder: Path) -> None:
    with pytest.raises(DataError, match=r"looked for imagenet/test/ .*image-net.org/download"):
        image_folder("test", folder)
    (folder / "imagenet" / "val" / "n0" / "0.JPEG").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"cannot read the image .*0.JPEG"):
        image_folder("val", folder).read(torch.tensor([0]), 16)
    (folder / "imagenet" / "empty" / "n0").mkdir(parents=True)
    with pytest.raises(DataError, match="no folder in it holds an image"):
        image_folder("empty", folder)
