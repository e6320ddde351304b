"""The content of an experiment file: data sets, models, seeds, evaluation, published figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fastautorec.evaluation._evaluate import default_k

SOURCES = ("example", "ratings", "arrays", "parts")
WORDS = ("user", "item", "rating", "timestamp", "sep", "header")  # how to read a rating file
OF_ROWS = ("repeats", "missing")  # how to take its rows, and those of arrays
FITS = ("all", "refit", "stop")
SEEDS = (0, 1, 2)
RATIOS = (0.5, 0.2, 0.3)  # train, validation, test, as in the paper


@dataclass(frozen=True)
class File:
    """A file that must be there, with what is known of it."""

    path: str
    bytes: int | None = None
    lines: int | None = None


@dataclass(frozen=True)
class Dataset:
    """Where interactions come from and how they are split.

    Attributes
    ----------
    source : {"example", "ratings", "arrays", "parts"}
        The embedded data; a rating file (``read_ratings``); an npz with the arrays user, item[, rating[, timestamp]];
        or a split that was made before, one SciPy npz for each of train, validation and test.
    path : str
        Below the data folder: the rating file, its folder, the npz, or the folder of the parts.
    get : str
        Where the data can be had, for the message about a file that is missing.
    user, item, rating, timestamp, sep, header : optional
        How to read a rating file, as for ``read_ratings``; false for a rating or timestamp that is not to be read.
    repeats : {"last", "first"}, optional
        At which time a pair counts that comes several times, as for ``read_ratings``.
    missing : {"raise", "drop"}, optional
        What to do with rows that lack a value, likewise.
    files : tuple of File
        Checked before anything is computed (lines: before the data are read).
    sample_users : int, optional
        Draw so many users, and keep the items that they have.
    users, items, interactions : int, optional
        Counts that must be left after ``threshold``.
    tolerance : float
        Relative tolerance of these counts.
    """

    name: str
    source: str
    path: str = ""
    get: str = ""
    files: tuple[File, ...] = ()
    format: str = "auto"
    user: str | int | None = None
    item: str | int | None = None
    rating: str | int | bool | None = None
    timestamp: str | int | bool | None = None
    sep: str | None = None
    header: bool | None = None
    threshold: float | None = None
    repeats: str | None = None
    missing: str | None = None
    parts: tuple[str, str, str] = ("train.npz", "validation.npz", "test.npz")
    by: str = "time"
    ratios: tuple[float, float, float] = RATIOS
    seed: int = 0
    sample_users: int | None = None
    users: int | None = None
    items: int | None = None
    interactions: int | None = None
    tolerance: float = 0.0


@dataclass(frozen=True)
class Tuning:
    """A search for parameters on validation data, by `fastautorec.tune`; without a space that of the paper."""

    trials: int = 30
    space: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Entry:
    """One row of the tables: a model with its parameters.

    Attributes
    ----------
    fit : {"all", "refit", "stop"}
        Fit on train and validation data together; or fit on train, with validation data to stop and to choose, and
        then again on both for as long; or only the former.
    published : str
        Its name in the published tables.
    sweep : dict of str to tuple
        Values of parameters to try one by one on validation data, for a figure.
    tune : Tuning, optional
        Search for parameters before anything else, once for each seed.
    """

    name: str
    cls: str
    params: Mapping[str, Any] = field(default_factory=dict)
    paper: bool = False
    fit: str = "all"
    seeds: tuple[int, ...] = SEEDS
    group: str = ""
    datasets: tuple[str, ...] = ()
    published: str = ""
    sweep: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    tune: Tuning | None = None


@dataclass(frozen=True)
class Published:
    """A published table: by model and metric the mean and the half-width."""

    dataset: str
    source: str
    rows: Mapping[str, Mapping[str, tuple[float, float]]]


@dataclass(frozen=True)
class Experiment:
    """A checked experiment file.

    Attributes
    ----------
    k : tuple of int or None
        Lengths of the lists; None for the usual ones, as far as the items of a data set go.
    metrics : tuple of str or None
        Columns of the main table; None for those of the paper.
    drawn : tuple of str
        Models in the figures.
    text : str
        The file; what it extends follows as comments.
    """

    name: str
    title: str
    note: str
    datasets: tuple[Dataset, ...]
    models: tuple[Entry, ...]
    published: tuple[Published, ...]
    k: tuple[int, ...] | None
    definition: str
    metrics: tuple[str, ...] | None
    drawn: tuple[str, ...]
    text: str

    def entries(self, dataset: str) -> tuple[Entry, ...]:
        """Return the models that run on a data set."""
        return tuple(entry for entry in self.models if not entry.datasets or dataset in entry.datasets)

    def lengths(self, n_items: int) -> tuple[int, ...]:
        """Return the lengths of the lists on data with so many items."""
        return default_k(n_items) if self.k is None else self.k

    def columns(self, k: tuple[int, ...]) -> tuple[str, ...]:
        """Return the columns of the main table for lists of these lengths."""
        return paper_metrics(k) if self.metrics is None else self.metrics


def paper_metrics(k: tuple[int, ...]) -> tuple[str, ...]:
    """Return the columns of the paper's Tables 2 to 5, for the shortest and the longest lists."""
    ends = tuple(dict.fromkeys((k[0], k[-1])))
    families = ("MAP", "Precision", "Recall")
    return ("R-Precision", "NDCG", *(f"{family}@{length}" for family in families for length in ends))
