"""Types for signatures. Those of optional packages are known to type checkers only: nothing is imported for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "ArrowTable",
    "Axes",
    "BasePruner",
    "ByUser",
    "Columns",
    "DataFrame",
    "FaissIndex",
    "Figure",
    "Frame",
    "HnswIndex",
    "Id",
    "Ids",
    "PolarsFrame",
    "Study",
    "UsearchIndex",
]

if TYPE_CHECKING:
    from faiss import Index as FaissIndex
    from hnswlib import Index as HnswIndex
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from optuna.pruners import BasePruner
    from optuna.study import Study
    from pandas import DataFrame
    from polars import DataFrame as PolarsFrame
    from pyarrow import Table as ArrowTable
    from usearch.index import Index as UsearchIndex
else:
    ArrowTable = Axes = BasePruner = DataFrame = FaissIndex = Figure = HnswIndex = PolarsFrame = Study = Any
    UsearchIndex = Any

Id: TypeAlias = int | str | np.integer[Any] | np.str_
Ids: TypeAlias = Iterable[Id] | npt.ArrayLike  # a list, a set, an array, a column of a table

ByUser: TypeAlias = Mapping[Any, Iterable[Id]]  # items by the id of a user


class Frame(Protocol):
    """A table with named columns: of pandas, polars or pyarrow."""

    @property
    def columns(self) -> Any:
        """Its columns, or their names."""


Columns: TypeAlias = Frame | Mapping[str, npt.ArrayLike]  # a table, or a dict of its columns
