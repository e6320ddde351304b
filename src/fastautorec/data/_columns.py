"""Columns of any data frame as NumPy arrays: ids to codes, numbers, times, and the canonical matrix of id pairs."""

from __future__ import annotations

from fastautorec.data._arrays import as_array
from fastautorec.data._ids import Codes, factorize, whole_numbers
from fastautorec.data._pairs import compact, pair_matrix, sorted_unique
from fastautorec.data._times import check_joinable, numbers, parse_time, time_kind, times, widened

__all__ = [
    "Codes",
    "as_array",
    "check_joinable",
    "compact",
    "factorize",
    "numbers",
    "pair_matrix",
    "parse_time",
    "sorted_unique",
    "time_kind",
    "times",
    "whole_numbers",
    "widened",
]
