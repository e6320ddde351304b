"""Data of an experiment: the files that must be there, reading them, splitting, and what identifies the result."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from fastautorec.data import Interactions, read_ratings, split
from fastautorec.data._repeats import tell_repeats
from fastautorec.data._splits import empty_part
from fastautorec.datasets import load_example
from fastautorec.experiments._config import OF_ROWS, WORDS, Dataset, File

ENVIRONMENT_VARIABLE = "FASTAUTOREC_DATA"
BLOCK = 1 << 24  # bytes read at a time when lines are counted


@dataclass(frozen=True, eq=False)
class Parts:
    """A data set, split.

    Attributes
    ----------
    train, validation, test : CSR (m, n)
    user_ids : array (m,)
    fingerprint : str
        Hash of the three matrices.
    choosing : bool
        Whether ``test`` is the validation data, so that models are compared without a look at the test data.
    """

    train: sparse.csr_matrix
    validation: sparse.csr_matrix
    test: sparse.csr_matrix
    user_ids: npt.NDArray[Any]
    fingerprint: str
    choosing: bool = False

    def for_choosing(self) -> Parts:
        """Return the parts to choose parameters with: fit on train data, evaluate on validation data."""
        return replace(self, test=self.validation, fingerprint=f"{self.fingerprint} choosing", choosing=True)

    @cached_property
    def seen(self) -> sparse.csr_matrix:
        """What is recommended from, and left out, in the test: train and validation data together."""
        if self.choosing:
            return self.train
        both: sparse.csr_matrix = (self.train + self.validation).tocsr()
        return both


def data_folder(given: str | None) -> Path:
    """Return the folder that paths of data sets are relative to: given, of the environment, or the current one."""
    return Path(given or os.environ.get(ENVIRONMENT_VARIABLE) or ".")


def check_files(dataset: Dataset, folder: Path) -> None:
    """Raise unless the files of a data set are there and have the size that is known.

    Raises
    ------
    FileNotFoundError
        The message says where to get the file and where to put it.
    ValueError
        For a file of another size.
    """
    for file in _files(dataset):
        path = folder / file.path
        if not path.exists():
            source = f"{_sentence(dataset.get)}, and " if dataset.get else ""
            raise FileNotFoundError(
                f"{dataset.name}: no file {path}; {source}put it there, or name another data folder than "
                f"{folder.absolute()} with --data or {ENVIRONMENT_VARIABLE}"
            )
        size = path.stat().st_size
        if file.bytes is not None and size != file.bytes:
            raise ValueError(
                f"{dataset.name}: {path} has {size:,} bytes, expected {file.bytes:,}; it is another version or "
                f"incomplete{f': {_sentence(dataset.get)}' if dataset.get else ''}"
            )


def load(dataset: Dataset, folder: Path, sample_users: int | None = None) -> Parts:
    """Read a data set, check what is known of it, and split it.

    Parameters
    ----------
    dataset : Dataset
    folder : Path
    sample_users : int, optional
        Draw so many users and keep the items that they have, for a quick look.

    Raises
    ------
    ValueError
        If files or data differ from what the experiment says of them.
    """
    check_files(dataset, folder)
    for file in dataset.files:
        if file.lines is not None:
            _check_lines(dataset, folder / file.path, file.lines)
    if dataset.source == "parts":
        parts, user_ids = _read_parts(dataset, folder), None
        _check_counts(dataset, sum(parts[1:], start=parts[0]))
    else:
        data = _read(dataset, folder)
        if not data.nnz:
            raise ValueError(f"{dataset.name}: no interaction is in it")
        _check_counts(dataset, data.user_items)
        parts = _split(dataset, data)
        user_ids = data.user_ids
    user_ids = np.arange(parts[0].shape[0]) if user_ids is None else user_ids
    size = min((n for n in (sample_users, dataset.sample_users) if n is not None), default=None)
    if size is not None and size < len(user_ids):
        rows = np.sort(np.random.default_rng(dataset.seed).choice(len(user_ids), size, replace=False))
        items = np.unique(np.concatenate([part[rows].indices for part in parts]))  # the others would only take time
        parts, user_ids = [part[rows][:, items] for part in parts], user_ids[rows]
    train, validation, test = parts
    return Parts(train, validation, test, user_ids, _fingerprint(parts))


def _read(dataset: Dataset, folder: Path) -> Interactions:
    if dataset.source == "example":
        return load_example()
    path = folder / dataset.path
    words = {word: value for word in (*WORDS, *OF_ROWS) if (value := getattr(dataset, word)) is not None}
    if dataset.source == "ratings":
        return read_ratings(path, dataset.format, dataset.threshold, **words)
    with _arrays(dataset, path) as file, np.load(file, allow_pickle=False) as arrays:
        columns = {name: arrays[name] for name in ("user", "item", "rating", "timestamp") if name in arrays.files}
        if not {"user", "item"} <= columns.keys():
            raise ValueError(f"it holds {', '.join(arrays.files) or 'nothing'}, but no arrays `user` and `item`")
    words |= {name: name for name in columns}
    try:
        return Interactions.from_dataframe(columns, **words, threshold=dataset.threshold)
    except ValueError as error:
        raise ValueError(f"{dataset.name}: {error}") from None


def _split(dataset: Dataset, data: Interactions) -> list[sparse.csr_matrix]:
    if dataset.by == "time":
        tell_repeats(data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # told below, where it does any harm
        parts = [part.user_items for part in split(data, dataset.ratios, dataset.by, dataset.seed)]
    if not parts[-1].nnz:
        text = empty_part(data.user_items.indptr, dataset.ratios)
        short = np.diff(data.user_items.indptr).max(initial=0) < len(parts)
        way_on = "no `ratios` help here" if short else "give others as `ratios`, for short histories [1, 1, 1]"
        raise ValueError(f"{dataset.name}: {text}; {way_on}")
    return parts


def _read_parts(dataset: Dataset, folder: Path) -> list[sparse.csr_matrix]:
    parts = []
    for name in dataset.parts:
        path = folder / dataset.path / name
        with _arrays(dataset, path) as file:
            parts.append(Interactions(sparse.csr_matrix(sparse.load_npz(file))).user_items)
    if len({part.shape for part in parts}) > 1:
        shapes = ", ".join(f"{name} {part.shape}" for name, part in zip(dataset.parts, parts, strict=True))
        raise ValueError(f"{dataset.name}: the parts must have one shape, got {shapes}")
    return parts


@contextlib.contextmanager
def _arrays(dataset: Dataset, path: Path) -> Iterator[IO[bytes]]:
    """Open a file; whatever NumPy and SciPy raise on damaged bytes becomes an error of it, other trouble passes."""
    try:
        with path.open("rb") as file:  # NumPy leaves one open that it cannot read
            yield file
    except Exception as error:
        if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)):
            raise
        raise ValueError(
            f"{dataset.name}: {path} cannot be read as a file of arrays ({type(error).__name__}: {error}); it may be "
            "incomplete or damaged"
        ) from error


def _files(dataset: Dataset) -> Iterable[File]:
    if dataset.source == "example":
        return ()
    if dataset.source == "parts":
        own = tuple(File(str(Path(dataset.path) / name)) for name in dataset.parts)
    else:
        own = (File(dataset.path),)
    described = {file.path for file in dataset.files}
    return (*dataset.files, *(file for file in own if file.path not in described))


def _check_lines(dataset: Dataset, path: Path, expected: int) -> None:
    """Raise unless a file has the known number of lines, the last one ended or not."""
    lines, last = 0, b"\n"
    with path.open("rb") as stream:
        while block := stream.read(BLOCK):
            lines += block.count(b"\n")
            last = block[-1:]
    lines += last != b"\n"
    if lines != expected:
        raise ValueError(f"{dataset.name}: {path} has {lines:,} lines, expected {expected:,}; it may be incomplete")


def _check_counts(dataset: Dataset, matrix: sparse.csr_matrix) -> None:
    found = {"users": matrix.shape[0], "items": matrix.shape[1], "interactions": matrix.nnz}
    for what, number in found.items():
        expected = getattr(dataset, what)
        if expected is not None and abs(number - expected) > dataset.tolerance * expected:
            raise ValueError(
                f"{dataset.name}: {number:,} {what} are left, expected {expected:,}; "
                "check that it is the right file, and `threshold`"
            )


def _fingerprint(parts: Iterable[sparse.csr_matrix]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(f"{part.shape}".encode())
        digest.update(np.ascontiguousarray(part.indptr, np.int64).data)
        digest.update(np.ascontiguousarray(part.indices, np.int32).data)
    return digest.hexdigest()


def _sentence(text: str) -> str:
    return " ".join(text.split()).rstrip(".")
