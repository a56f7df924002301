"""Data on disk: the public data sets that tasks read, found, checked and read in the forms in which they are published.

They lie below the folder that the environment variable ``WADDINGTON_DATA`` names. What is missing is said with the
places where it was looked for and where to get it; ``python -m waddington.bench.datasets NAME`` fetches what can be
fetched and checked.
"""

from __future__ import annotations

from waddington.bench.datasets.folder import ImageFolder, image_folder
from waddington.bench.datasets.glue import GLUE_TASKS, GlueTask, Sentences, read_glue
from waddington.bench.datasets.images import Images, read_images
from waddington.bench.datasets.problems import WordProblem, final_answer, read_gsm8k
from waddington.bench.datasets.published import PUBLISHED, get_data_set
from waddington.bench.datasets.source import VARIABLE, DataFile, DataSet, Form, data_root, download, find
from waddington.bench.datasets.tables import read_a9a
from waddington.bench.datasets.text import Text, read_openwebtext, read_tiny_shakespeare, read_words

__all__ = [
    "GLUE_TASKS",
    "PUBLISHED",
    "VARIABLE",
    "DataFile",
    "DataSet",
    "Form",
    "GlueTask",
    "ImageFolder",
    "Images",
    "Sentences",
    "Text",
    "WordProblem",
    "data_root",
    "download",
    "final_answer",
    "find",
    "get_data_set",
    "image_folder",
    "read_a9a",
    "read_glue",
    "read_gsm8k",
    "read_images",
    "read_openwebtext",
    "read_tiny_shakespeare",
    "read_words",
]
