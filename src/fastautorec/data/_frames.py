"""Tables handed on to the data-frame libraries, of which none is needed here."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastautorec._extras import require
from fastautorec._types import ArrowTable, DataFrame, PolarsFrame
from fastautorec.data._texts import is_text

Array = npt.NDArray[Any]

CHUNK_BYTES = (1 << 31) - 1  # of the texts in one array of Arrow, whose offsets are int32


class Coded(NamedTuple):
    """A column by its distinct ids, and which one each row has: rows of texts need not be made one by one."""

    ids: Array
    codes: npt.NDArray[np.integer[Any]]


class Frames:
    """Base of what has named columns of one length: ``to_pandas``, ``to_polars``, ``to_arrow``."""

    def to_pandas(self) -> DataFrame:
        """Return a pandas DataFrame; needs pandas.

        Raises
        ------
        ImportError
            Without pandas.
        """
        columns, texts = self._columns()
        for name, column in texts.items():
            # objects are shared by rows; a column without rows would not tell that it is one of texts
            objects = np.array(column.ids.tolist(), object)
            columns[name] = objects[column.codes] if len(column.codes) else np.empty(0, "U1")
        return require("pandas", "to_pandas").DataFrame(columns)

    def to_polars(self) -> PolarsFrame:
        """Return a polars DataFrame; needs polars.

        Raises
        ------
        ImportError
            Without polars.
        """
        pl = require("polars", "to_polars", "data")
        columns, texts = self._columns()
        for name, column in texts.items():
            columns[name] = pl.Series(column.ids.tolist(), dtype=pl.String).gather(column.codes)
        for name, text in self._lists_of_texts().items():
            columns[name] = pl.Series(columns[name].tolist(), dtype=pl.List(pl.String if text else pl.Int64))
        frame: PolarsFrame = pl.DataFrame(columns)
        return frame

    def to_arrow(self) -> ArrowTable:
        """Return a pyarrow Table; needs pyarrow.

        Raises
        ------
        ImportError
            Without pyarrow.
        """
        pa = require("pyarrow", "to_arrow")
        columns, texts = self._columns()
        columns |= {name: _arrow_texts(pa, column) for name, column in texts.items()}
        for name, text in self._lists_of_texts().items():
            columns[name] = pa.array(columns[name].tolist(), pa.list_(pa.string() if text else pa.int64()))
        return pa.table(columns)

    def _named_columns(self) -> dict[str, Array | Coded]:
        """Return the columns by name."""
        raise NotImplementedError

    def _lists_of_texts(self) -> dict[str, bool]:
        """Return for each column of lists whether they hold texts, and not integers, which empty ones do not tell."""
        return {}

    def _columns(self) -> tuple[dict[str, Any], dict[str, Coded]]:
        """Return columns that every library takes, and beside them those of texts, which few take as NumPy has them."""
        plain: dict[str, Any] = {}
        texts: dict[str, Coded] = {}
        for name, column in self._named_columns().items():
            if not isinstance(column, Coded):
                plain[name] = column
            elif not is_text(column.ids):
                plain[name] = column.ids[column.codes]
            else:
                few = len(column.codes) < len(column.ids)  # a short list out of a large catalogue
                plain[name] = None
                texts[name] = Coded(column.ids[column.codes], np.arange(len(column.codes))) if few else column
        return plain, texts


def _arrow_texts(pa: Any, column: Coded) -> Any:
    """Return a column of texts as a chunked array, each chunk of which its offsets can count."""
    ids = pa.array(column.ids.tolist(), pa.string())
    longest = max((len(text.encode()) for text in column.ids.tolist()), default=0)
    step = CHUNK_BYTES // max(longest, 1)
    chunks = (column.codes[start : start + step] for start in range(0, len(column.codes), step))
    return pa.chunked_array([ids.take(pa.array(codes)) for codes in chunks], pa.string())
