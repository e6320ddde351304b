"""Errors about matrices and arrays, in the same words for host memory and for a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from numbers import Integral
from pathlib import PurePath
from typing import NoReturn

from fastautorec._checks import kind

MAX_COUNT = 2**24  # integers up to here are exact in float32


def refuse_dense(name: str, given: object, package: str) -> NoReturn:
    """Raise for an argument that is not a sparse matrix."""
    way = f"convert an array with {package}.sparse.csr_matrix(array)"
    if isinstance(given, (str, PurePath)):
        way = "read a file with read_ratings(path); for the id of a user pass data.select(users=[id])"
    elif isinstance(given, Mapping) or (isinstance(given, (list, tuple)) and _holds_names(given)):
        way = (
            "users and items by name come in by Interactions.from_dataframe(df, user=..., item=...), or for the ids of "
            "users in data by data.select(users=ids); recommend_table({user: [items]}) takes names as they are"
        )
    elif isinstance(given, Integral):
        way = (
            "the model keeps no users, so that a user's history must be passed, which is a matrix of one row: "
            f"data.user_items[[{given}]]"
        )
    elif hasattr(given, "columns") or hasattr(given, "column_names"):
        way = "a table of one row per interaction comes in by Interactions.from_dataframe(df, user=..., item=...)"
    raise TypeError(
        f"`{name}` must be a scipy sparse matrix or Interactions of shape (users, items), got {kind(given)}; {way}"
    )


def _holds_names(given: Sequence[object]) -> bool:
    first = given[0] if given else None
    first = first[0] if isinstance(first, (list, tuple)) and first else first
    return isinstance(first, str)


def refuse_sparse(name: str, given: object) -> NoReturn:
    """Raise for a sparse matrix where an array is wanted."""
    raise TypeError(f"`{name}` must be a dense array, got {kind(given)}; convert it with .toarray()")


def refuse_empty(name: str, shape: tuple[int, int]) -> NoReturn:
    """Raise for a matrix without interactions."""
    raise ValueError(f"`{name}` must hold at least one interaction, got an empty matrix of shape {shape}")


def refuse_values_that_are_not_binary(name: str, value: object) -> NoReturn:
    """Raise for a value other than 0 and 1, such as a rating."""
    raise ValueError(
        f"`{name}` must hold only 0 and 1 (one-class feedback), got {value}; binarise ratings first, "
        f"for example user_items = (ratings >= 4).astype('float32'), or read_ratings(path, threshold=4); counts, such "
        f"as those of repeated pairs, which SciPy sums, become (counts > 0).astype('float32')"
    )


def refuse_counts(name: str, value: object) -> NoReturn:
    """Raise for a value that is not a count."""
    raise ValueError(f"`{name}` must hold counts, integers between 0 and {MAX_COUNT}, got {value}")


def refuse_infinite(name: str, value: object) -> NoReturn:
    """Raise for a number that is not finite in float32."""
    raise ValueError(f"`{name}` must hold only finite numbers (in float32), got {value}")


def refuse_one_row(name: str, shape: tuple[int, ...]) -> NoReturn:
    """Raise for a matrix with other than two dimensions."""
    hint = "; for one user, pass a matrix of one row: X[[i]], or row.reshape(1, -1)" if len(shape) == 1 else ""
    raise ValueError(f"`{name}` must have two dimensions (users, items), got shape {shape}{hint}")


def refuse_items(name: str, given: object, dtype: object) -> NoReturn:
    """Raise for something else than a list of item numbers, and say how to get one."""
    if isinstance(given, (set, frozenset)):
        fix = f"; sets have no order: pass sorted({name})"
    elif str(dtype) == "bool":
        labelled = hasattr(given, "index") and not callable(given.index)  # a column of pandas
        numbers = f"model.item_index({name}.index[{name}])" if labelled else f"np.flatnonzero({name})"
        fix = f"; the numbers of a mask are {numbers}"
    elif hasattr(given, "collect"):
        fix = "; call collect() first"
    elif str(dtype) == "object" or getattr(dtype, "kind", "") in "UTS":
        fix = "; these are column numbers, which item_index(ids) of the model or of the data finds for ids"
    else:
        fix = ""
    raise TypeError(f"`{name}` must hold integer item ids, got {kind(given)} with dtype {dtype}{fix}")


def refuse_damaged(name: str, what: str) -> NoReturn:
    """Raise for a matrix whose arrays do not fit each other."""
    raise ValueError(f"`{name}` {what}; the matrix is damaged, make it anew")


def refuse_damaged_ids(name: str, count: int, noun: str = "column") -> NoReturn:
    """Raise for ids outside the columns or the rows of a matrix."""
    refuse_damaged(name, f"has {noun} indices outside [0, {count})")
