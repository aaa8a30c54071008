"""Predictions kept in a run folder as a compressed COCO results file, so that it can be judged anew at once."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Sequence
from pathlib import Path

from icr.data.dataset import Dataset
from icr.errors import InputError
from icr.metrics.results import read_results, write_results
from icr.predictions import Predictions
from icr.writing import write_file


def write_compressed(path: Path, dataset: Dataset, split: str, predictions: Sequence[Predictions]) -> None:
    """Write predictions as `write_results` does, compressed; the same predictions give the same bytes.

    Args:
        path: ends in `.json.gz`; replaced if it is there.
        dataset: the data set.
        split: the split that was predicted.
        predictions: one for each sample of the split, in its order; labels index the data set's names.

    Raises:
        InputError: the file cannot be written.
    """
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / "results.json"
        write_results(plain, dataset, split, predictions)
        packed = gzip.compress(plain.read_bytes(), mtime=0)
    write_file(path, packed)


def read_compressed(path: Path, dataset: Dataset, split: str) -> list[Predictions]:
    """Read what `write_compressed` wrote.

    Raises:
        InputError: the file cannot be read, or is no results file for this data.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}); remove it, and it is made again from the weights") from None
    with tempfile.TemporaryDirectory() as folder:
        plain = Path(folder) / path.name.removesuffix(".gz")
        plain.write_bytes(content)
        try:
            return read_results(plain, dataset, split).predictions
        except InputError as error:
            raise InputError(str(error).replace(str(plain), str(path))) from None
