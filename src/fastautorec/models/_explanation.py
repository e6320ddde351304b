"""What `explain` returns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fastautorec._compute.protocol import FloatArray, IdArray
from fastautorec._extras import require
from fastautorec._types import DataFrame
from fastautorec.data._naming import names_of

MAX_SHOWN = 20  # items that are printed


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """Which items of the histories of q users speak for I items each; it prints as sentences.

    Attributes
    ----------
    items : int32 (q, I)
        The items that are explained; -1 for none.
    because : int32 (q, I, N)
        Items of the history, the largest contribution first, equal ones by ascending id; -1 where there are fewer.
    contributions : float32 (q, I, N)
        What each of them adds to the score, which may be negative; NaN where there is none.
    base : float32 (q, I)
        What is due to no item of the history; where ``additive`` is False, the score of an empty history. NaN where
        the item is -1.
    scores : float32 (q, I)
        The scores of ``predict``, but for rounding.
    additive : bool
        Whether ``base`` and the contributions of the whole history add up to the score.
    silent : bool (q,)
        Whether a history says nothing to the model: then the score is the item's popularity.
    """

    items: IdArray
    because: IdArray
    contributions: FloatArray
    base: FloatArray
    scores: FloatArray
    additive: bool
    silent: npt.NDArray[np.bool_]
    _item_ids: npt.NDArray[Any] | None = None

    @property
    def item_names(self) -> npt.NDArray[np.object_]:
        """Ids of ``items`` in the data of ``fit``, or their numbers where these had none; None for -1."""
        return names_of(self._item_ids, np.iinfo(np.int32).max, self.items)

    @property
    def because_names(self) -> npt.NDArray[np.object_]:
        """The same of ``because``."""
        return names_of(self._item_ids, np.iinfo(np.int32).max, self.because)

    def __repr__(self) -> str:
        users, items = self.items.shape
        return f"<Explanation of {items} items for {users} users>"

    def __str__(self) -> str:
        lines = list(self._lines())
        total = int((self.items >= 0).sum())
        return "\n".join([*lines, f"... and {total - MAX_SHOWN:,} more"] if total > MAX_SHOWN else lines)

    def _lines(self) -> Iterator[str]:
        users, places = (found[:MAX_SHOWN] for found in np.nonzero(self.items >= 0))
        names = names_of(self._item_ids, np.iinfo(np.int32).max, self.items[users, places])
        reasons = names_of(self._item_ids, np.iinfo(np.int32).max, self.because[users, places])
        last = None
        for name, why, user, place in zip(names, reasons, users, places, strict=True):
            if len(self.items) > 1 and user != last:
                yield f"row {user}:"
            last = user
            score = f"{name} {self.scores[user, place]:.4g}"
            if self.silent[user]:
                yield f"{score}: popular; the history says nothing to the model"
                continue
            values = self.contributions[user, place]
            parts = [f"{who} {value:+.4g}" for who, value in zip(why, values, strict=True) if who is not None]
            because = ", ".join(parts) or "nothing in the history"
            yield f"{score} because of {because}; base {self.base[user, place]:+.4g}"

    def to_frame(self) -> DataFrame:
        """Return a pandas DataFrame: one row for each reason, an item without reasons has none.

        Columns: row (of the histories), item, score, base, rank (from 1), because, contribution; items by their names.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        row, place, rank = np.nonzero(self.because >= 0)
        return require("pandas", "to_frame", instead="the arrays").DataFrame({
            "row": row,
            "item": self.item_names[row, place],
            "score": self.scores[row, place],
            "base": self.base[row, place],
            "rank": rank + 1,
            "because": self.because_names[row, place, rank],
            "contribution": self.contributions[row, place, rank],
        })  # fmt: skip
