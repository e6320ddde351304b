"""Tables handed on to the data-frame libraries, of which none is needed here."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._extras import require
from fastautorec.data._texts import is_text


class Frames:
    """Base of what has named columns of one length: ``to_pandas``, ``to_polars``, ``to_arrow``."""

    def to_pandas(self) -> Any:
        """Return a pandas DataFrame; needs pandas.

        Raises
        ------
        ImportError
            Without pandas.
        """
        return require("pandas", "to_pandas").DataFrame(self._plain_columns())

    def to_polars(self) -> Any:
        """Return a polars DataFrame; needs polars.

        Raises
        ------
        ImportError
            Without polars.
        """
        pl = require("polars", "to_polars", "data")
        columns = self._plain_columns()
        for name, text in self._lists_of_texts().items():
            columns[name] = pl.Series(columns[name].tolist(), dtype=pl.List(pl.String if text else pl.Int64))
        return pl.DataFrame(columns)

    def to_arrow(self) -> Any:
        """Return a pyarrow Table; needs pyarrow.

        Raises
        ------
        ImportError
            Without pyarrow.
        """
        pa = require("pyarrow", "to_arrow")
        columns = self._plain_columns()
        for name, text in self._lists_of_texts().items():
            columns[name] = pa.array(columns[name].tolist(), pa.list_(pa.string() if text else pa.int64()))
        return pa.table(columns)

    def _named_columns(self) -> dict[str, npt.NDArray[Any]]:
        """Return the columns by name."""
        raise NotImplementedError

    def _lists_of_texts(self) -> dict[str, bool]:
        """Return for each column of lists whether they hold texts, and not integers, which empty ones do not tell."""
        return {}

    def _plain_columns(self) -> dict[str, Any]:
        """Return columns that every library takes: texts as lists, for few know the type that NumPy has for them.

        An empty list has no type, so no texts are an array of a fixed width.
        """
        named = self._named_columns()
        texts = {name: column.tolist() or np.empty(0, "U1") for name, column in named.items() if is_text(column)}
        return named | texts
